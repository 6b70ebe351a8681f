package config

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// addServer reads the header of a virtual_server and settles the service with its real servers. It
// keeps nothing of how they were written.
func addServer(d *decoder, r *root, s *serverBlock, n *Node) {
	s.Pos, s.node = n.Pos(), n
	switch args := n.Args(); {
	case len(args) > 0 && args[0].Text == "fwmark":
		mark, family, ok := parseMark(d, &Node{Words: args})
		s.Mark, s.broken = mark, !ok
		if family != 0 {
			s.Family = family
		}
	case len(args) > 0 && args[0].Text == "group":
		name, ok := arguments(d, &Node{Words: args}, text("the name of a virtual_server_group"))
		s.Group, s.broken = name, !ok
	default:
		a, ok := arguments(d, n, addressPort())
		if !ok {
			return
		}
		s.Address = a
	}
	s.VirtualServer.Alpha = s.timing.alpha
	d.completeServer(s)
	s.empty, s.node, s.reals = n.find("real_server") == nil, nil, nil
	r.servers = append(r.servers, *s)
}

func headOfServer(s *serverBlock) []string {
	switch {
	case s.Mark != 0:
		return []string{"fwmark", strconv.FormatUint(uint64(s.Mark), 10)}
	case s.Group != "":
		return []string{"group", s.Group}
	}
	return []string{s.Address.Addr().String(), strconv.Itoa(int(s.Address.Port()))}
}

// serviceKey is what makes a virtual server the same as another.
type serviceKey struct {
	address  netip.AddrPort
	mark     uint32
	family   Family
	group    string
	protocol Protocol
}

func (d *decoder) buildServers(r *root, c *Config) {
	seen := map[serviceKey]Pos{}
	for i := range r.servers {
		s := &r.servers[i]
		switch {
		case s.Group != "":
			d.refer(s.Pos, "group", s.Group, "virtual_server_group", r.known.serverGroups)
			fallthrough
		case !s.byAddress():
			d.warn(s.Pos, "virtual_server: a service by fwmark or group has no effect yet in this "+
				"version")
		}
		k := serviceKey{s.Address, s.Mark, s.Family, s.Group, s.Protocol}
		first, twice := seen[k]
		switch {
		case s.broken:
		case twice:
			d.failTwice(s.Pos, first, "virtual_server %q: expected once for %s; %s has it",
				strings.Join(headOfServer(s), " "), s.Protocol, see(s.Pos, first))
		case s.empty:
			d.warn(s.Pos, "virtual_server %q: expected at least one real_server; it is left out",
				strings.Join(headOfServer(s), " "))
		case s.byAddress():
			c.VirtualServers = append(c.VirtualServers, s.VirtualServer)
		default:
			c.MarkServers = append(c.MarkServers, s.VirtualServer)
		}
		if !twice {
			seen[k] = s.Pos
		}
	}
	if len(c.VirtualServers) > 0 {
		d.checkHolders(c)
		d.checkReach(c)
	}
}

// completeServer fills in what follows from other fields.
func (d *decoder) completeServer(s *serverBlock) {
	if s.Scheduler == "" {
		s.Scheduler = "wlc"
	}
	if s.Forward == 0 {
		s.Forward = NAT
	}
	if s.Protocol == 0 {
		if s.Mark == 0 && !s.broken && s.node.find("protocol") == nil {
			d.warn(s.Pos, "virtual_server: expected protocol TCP, UDP or SCTP in it; UDP it is")
		}
		s.Protocol = UDP
	}
	if s.byAddress() && s.Address.Port() == 0 && s.Persistence == 0 &&
		s.node.find("persistence_timeout") == nil {
		d.fail(s.Pos, "virtual_server %q: expected a port, or persistence_timeout in it",
			s.Address.Addr())
	}
	d.completeSorry(s)
	seen := make(map[netip.AddrPort]Pos, len(s.reals))
	s.RealServers = slices.Grow(s.RealServers, len(s.reals))
	for i := range s.reals {
		r := &s.reals[i]
		d.completeReal(s, r)
		if first, twice := seen[r.Address]; twice {
			d.failTwice(r.Pos, first, "real_server %q: expected once; %s has it",
				r.Address, see(r.Pos, first))
			continue
		}
		seen[r.Address] = r.Pos
		s.RealServers = append(s.RealServers, r.RealServer)
	}
	d.completeQuorum(s)
}

func (d *decoder) completeSorry(s *serverBlock) {
	if !s.SorryServer.IsValid() {
		return
	}
	if s.SorryServer.Port() == 0 {
		s.SorryServer = netip.AddrPortFrom(s.SorryServer.Addr(), s.Address.Port())
	}
	d.checkRealFamily(s, s.node.placeOf("sorry_server"), "sorry_server", s.SorryServer)
}

// checkRealFamily: of the forwarding methods only the tunnel joins two families.
func (d *decoder) checkRealFamily(s *serverBlock, at Pos, keyword string, a netip.AddrPort) {
	if s.byAddress() && s.Forward != TUN && a.Addr().Is4() != s.Address.Addr().Is4() {
		d.fail(at, "%s %q: expected the family of virtual_server %s", keyword, a, s.Address.Addr())
	}
}

func (d *decoder) completeReal(s *serverBlock, r *realBlock) {
	port := s.Address.Port()
	switch {
	case r.Address.Port() == 0:
		r.Address = netip.AddrPortFrom(r.Address.Addr(), port)
	case s.byAddress() && s.Forward != NAT && r.Address.Port() != port:
		d.warn(r.Pos, "real_server %q: expected port %d, because %s cannot change it; %d it is",
			r.Address, port, s.Forward, port)
		r.Address = netip.AddrPortFrom(r.Address.Addr(), port)
	}
	d.checkRealFamily(s, r.Pos, "real_server", r.Address)
	for i := range r.Checks {
		d.completeCheck(s, r, &r.Checks[i])
	}
	if r.LowerThreshold > 0 && r.LowerThreshold >= r.UpperThreshold {
		d.warn(r.Pos, "lthreshold \"%d\": expected less than uthreshold, %d",
			r.LowerThreshold, r.UpperThreshold)
	}
}

// completeCheck fills in the target from the real server.
func (d *decoder) completeCheck(s *serverBlock, r *realBlock, k *Check) {
	a, port := k.Target.Addr(), k.Target.Port()
	if !a.IsValid() {
		a = r.Address.Addr()
	}
	if port == 0 {
		port = r.Address.Port()
	}
	portless := k.Kind == CheckMisc || k.Kind == CheckPing || k.Kind == CheckFile ||
		k.Kind == CheckBFD
	if port == 0 && s.byAddress() && !portless {
		d.fail(k.Pos, "%s: expected connect_port, because %s has no port", k.Kind, r.Address.Addr())
	}
	k.Target = netip.AddrPortFrom(a, port)
	if b := k.Bind.Addr(); b.IsValid() && b.Is4() != a.Is4() {
		d.fail(k.Pos, "bindto %q: expected the family of %s", b, a)
	}
}

// completeQuorum lowers what could never be reached, as keepalived does.
func (d *decoder) completeQuorum(s *serverBlock) {
	total := 0
	for i := range s.RealServers {
		total += s.RealServers[i].Weight
	}
	if s.Quorum > max(total, 1) {
		d.warn(s.node.placeOf("quorum"),
			"quorum \"%d\": expected at most the sum of the weights, %d; %d it is",
			s.Quorum, total, max(total, 1))
		s.Quorum = max(total, 1)
	}
	if s.Hysteresis >= s.Quorum && s.Hysteresis > 0 {
		d.warn(s.node.placeOf("hysteresis"),
			"hysteresis \"%d\": expected less than the quorum, %d; %d it is",
			s.Hysteresis, s.Quorum, s.Quorum-1)
		s.Hysteresis = s.Quorum - 1
	}
}

// checkHolders says which services no instance brings packets to. A file without instances leaves
// the addresses to somebody else.
func (d *decoder) checkHolders(c *Config) {
	held := map[netip.Addr]bool{}
	for i := range c.Instances {
		for _, vs := range [][]VIP{c.Instances[i].VIPs, c.Instances[i].ExcludedVIPs} {
			for _, v := range vs {
				held[v.Prefix.Addr()] = true
			}
		}
	}
	if len(c.Instances) == 0 {
		return
	}
	for i := range c.VirtualServers {
		s := &c.VirtualServers[i]
		if !held[s.Address.Addr()] {
			d.note(s.Pos, "virtual_server %q: expected its address to be a VIP of an instance",
				s.Address.Addr())
		}
	}
}
