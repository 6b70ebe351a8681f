package config

import (
	"cmp"
	"fmt"
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
	d.reals = s.reals
	s.empty, s.node, s.reals = n.find("real_server") == nil, nil, nil
	r.servers = append(r.servers, s)
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

func (d *decoder) buildServers(r *root, c *Config) {
	groups := map[string]*ServerGroup{}
	for i := range c.ServerGroups {
		groups[c.ServerGroups[i].Name] = &c.ServerGroups[i]
	}
	seen := map[ServiceKey]Pos{}
	c.VirtualServers = slices.Grow(c.VirtualServers, len(r.servers))
	for i, s := range r.servers {
		r.servers[i] = nil // there may be many, and the Config has its own
		if s.Group != "" {
			d.refer(s.Pos, "group", s.Group, "virtual_server_group", r.known.serverGroups)
			d.settleGroup(s, groups[s.Group])
		}
		twice := !s.broken && d.checkKeys(s, seen)
		switch {
		case s.broken, twice:
		case s.empty:
			d.warn(s.Pos, "virtual_server %q: expected at least one real_server; it is left out",
				strings.Join(headOfServer(s), " "))
		default:
			c.VirtualServers = append(c.VirtualServers, s.VirtualServer)
		}
	}
	if len(c.VirtualServers) > 0 {
		d.checkHolders(c)
		d.checkReach(c)
	}
}

// checkKeys says whether another virtual server has one of the services of s, and notes them.
func (d *decoder) checkKeys(s *serverBlock, seen map[ServiceKey]Pos) (twice bool) {
	keys := s.Keys()
	for _, k := range keys {
		first, had := seen[k]
		if !had {
			continue
		}
		d.failTwice(s.Pos, first, "virtual_server %q: expected once for %s; %s has it",
			strings.Join(headOfServer(s), " "), k.what(s), see(s.Pos, first))
		return true
	}
	for _, k := range keys {
		seen[k] = s.Pos
	}
	return false
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
	d.completeScheduling(s)
	d.completeReals(s)
	d.completeSorry(s)
	d.completeQuorum(s)
	if s.Group == "" && !s.broken {
		d.checkGranularity(s)
	}
}

// completeScheduling takes out what the protocol does not know, and says what means nothing to the
// scheduler.
func (d *decoder) completeScheduling(s *serverBlock) {
	if s.OnePacket && s.Mark == 0 && s.Protocol != UDP {
		d.warn(s.node.placeOf("ops"), "ops: expected protocol UDP, not %s; it is left out", s.Protocol)
		s.OnePacket = false
	}
	for _, of := range []struct {
		flags     HashFlags
		scheduler Scheduler
	}{{s.SourceHash, "sh"}, {s.Maglev, "mh"}} {
		if of.flags != (HashFlags{}) && s.Scheduler != of.scheduler {
			d.warn(s.Pos, "%s-port, %s-fallback: expected lb_algo %s, not %s; they mean nothing",
				of.scheduler, of.scheduler, of.scheduler, s.Scheduler)
		}
	}
	if s.Persistence == 0 && s.Engine != "" {
		d.warn(s.node.placeOf("persistence_engine"),
			"persistence_engine: expected persistence_timeout with it; it is left out")
		s.Engine = ""
	}
	if s.Persistence == 0 && s.Granularity > 0 {
		d.warn(s.node.placeOf("persistence_granularity"),
			"persistence_granularity: expected persistence_timeout with it; it is left out")
		s.Granularity = unset
	}
	if s.SuspendOnBackup && s.Mark != 0 {
		d.failSuspend(s)
	}
}

// failSuspend: packets of a mark may be for any address, on this machine or not.
func (d *decoder) failSuspend(s *serverBlock) {
	d.warn(s.Pos, "virtual_server %q: ha_suspend: expected no fwmark; it is left out",
		strings.Join(headOfServer(s), " "))
	s.SuspendOnBackup = false
}

// realsAtOnce bounds how many real servers get their memory at once.
const realsAtOnce = 1024

// roomForReals returns room for n real servers. What is allocated by itself is rounded up by up to
// a seventh; here many virtual servers share one piece, as large as all before together.
func (d *decoder) roomForReals(n int) []RealServer {
	if n == 0 {
		return nil
	}
	if n > len(d.roomLeft) {
		d.roomLeft = make([]RealServer, max(n, min(d.roomUsed, realsAtOnce)))
	}
	room := d.roomLeft[:0:n]
	d.roomLeft = d.roomLeft[n:]
	d.roomUsed += n
	return room
}

func (d *decoder) completeReals(s *serverBlock) {
	if d.places == nil {
		d.places = make(map[netip.AddrPort]Pos, len(s.reals))
	}
	seen := d.places
	defer clear(seen)
	s.RealServers = d.roomForReals(len(s.reals))
	for i := range s.reals {
		r := &s.reals[i]
		d.completeReal(s, r)
		if first, twice := seen[r.Address]; twice {
			d.failTwice(r.Pos, first, "real_server %q: expected once; %s has it",
				r.Address, see(r.Pos, first))
			continue
		}
		seen[r.Address] = r.Pos
		r.RealServerSettings = d.sharedReal(r.settings)
		s.RealServers = append(s.RealServers, r.RealServer)
	}
	if s.Mark != 0 && s.Family == 0 {
		s.Family = s.realFamily()
	}
	for i := range s.RealServers {
		d.checkRealFamily(s, &s.RealServers[i])
	}
	if !s.byAddress() {
		d.checkOnePort(s)
	}
}

// realFamily is that of the first real server, or else of the sorry server.
func (s *VirtualServer) realFamily() Family {
	if len(s.RealServers) > 0 {
		return familyOf(s.RealServers[0].Address.Addr())
	}
	return familyOf(s.SorryServer.Addr())
}

func familyOf(a netip.Addr) Family {
	if a.Is6() {
		return IPv6
	}
	return IPv4
}

// checkOnePort: where packets keep their port, real servers that differ only by theirs are one.
func (d *decoder) checkOnePort(s *serverBlock) {
	first := make(map[netip.Addr]*RealServer, len(s.RealServers))
	for i := range s.RealServers {
		r := &s.RealServers[i]
		other, twice := first[r.Address.Addr()]
		if !twice {
			first[r.Address.Addr()] = r
			continue
		}
		if s.ForwardOf(r) != NAT || s.ForwardOf(other) != NAT {
			d.failTwice(r.Pos, other.Pos, "real_server %q: expected once, because only NAT can "+
				"change the port; %s has it", r.Address.Addr(), see(r.Pos, other.Pos))
		}
	}
}

// completeSorry has a sorry server that is a real server too, whatever its port, be the same.
func (d *decoder) completeSorry(s *serverBlock) {
	if !s.SorryServer.IsValid() {
		return
	}
	a, port, at := s.SorryServer.Addr(), s.Address.Port(), s.node.placeOf("sorry_server")
	forward := cmp.Or(s.SorryForward, s.Forward)
	switch {
	case s.SorryServer.Port() == 0:
		s.SorryServer = netip.AddrPortFrom(a, port)
	case s.byAddress() && forward != NAT && s.SorryServer.Port() != port:
		d.warn(at, "sorry_server %q: expected port %d, because %s cannot change it; %d it is",
			s.SorryServer, port, forward, port)
		s.SorryServer = netip.AddrPortFrom(a, port)
	}
	for i := range s.RealServers {
		r := &s.RealServers[i]
		if !s.byAddress() && r.Address.Addr() == a && (forward != NAT || s.ForwardOf(r) != NAT) {
			s.SorryServer = r.Address
		}
	}
	if s.Group == "" && !s.broken && forward != TUN && familyOf(a) != s.keyFamily() {
		d.fail(at, "sorry_server %q: expected the family of %s", s.SorryServer, s.whose())
	}
}

// keyFamily is that of a service by address or mark.
func (s *VirtualServer) keyFamily() Family {
	if s.Mark != 0 {
		return s.Family
	}
	return familyOf(s.Address.Addr())
}

// whose names a service by address or mark in a sentence.
func (s *VirtualServer) whose() string {
	if s.Mark != 0 {
		return fmt.Sprintf("fwmark %d, %s", s.Mark, s.Family)
	}
	return fmt.Sprintf("virtual_server %s", s.Address.Addr())
}

// checkRealFamily: of the forwarding methods only the tunnel joins two families.
func (d *decoder) checkRealFamily(s *serverBlock, r *RealServer) {
	if s.Group == "" && !s.broken && s.ForwardOf(r) != TUN &&
		familyOf(r.Address.Addr()) != s.keyFamily() {
		d.fail(r.Pos, "real_server %q: expected the family of %s", r.Address, s.whose())
	}
}

func (d *decoder) completeReal(s *serverBlock, r *realBlock) {
	port, forward := s.Address.Port(), cmp.Or(r.settings.Forward, s.Forward)
	switch {
	case r.Address.Port() == 0:
		r.Address = netip.AddrPortFrom(r.Address.Addr(), port)
	case s.byAddress() && forward != NAT && r.Address.Port() != port:
		d.warn(r.Pos, "real_server %q: expected port %d, because %s cannot change it; %d it is",
			r.Address, port, forward, port)
		r.Address = netip.AddrPortFrom(r.Address.Addr(), port)
	}
	for i := range r.Checks {
		d.completeCheck(s, r, &r.Checks[i])
	}
	if t := &r.settings; t.LowerThreshold > 0 && t.LowerThreshold >= t.UpperThreshold {
		d.warn(r.Pos, "lthreshold \"%d\": expected less than uthreshold, %d; it is left out",
			t.LowerThreshold, t.UpperThreshold)
		t.LowerThreshold = 0
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
	if port == 0 && !s.broken && !portless {
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
		for _, k := range s.Keys() {
			if a := k.Address.Addr(); a.IsValid() && !held[a] {
				d.note(s.Pos, "virtual_server %q: expected its address to be a VIP of an instance", a)
				break
			}
		}
	}
}
