package topology

import (
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/strict"
)

// maxWeight is the largest weight that IPVS takes from us: the kernel has an int, keepalived and
// ipvsadm document 65535.
const maxWeight = 65535

// maxThreshold is the largest number of connections that a threshold may name.
const maxThreshold = 1_000_000

// servicePath is the path of a service; its address stands in brackets because it has dots.
func servicePath(addr netip.AddrPort) string { return "services[" + addr.String() + "]" }

// service checks the i-th service.
func (v *validation) service(i int) {
	s := v.Services[i]
	path := servicePath(s.Addr)
	isVIP := slices.ContainsFunc(v.VIPs, func(vip VIP) bool { return vip.Addr == s.Addr.Addr() })
	switch {
	case !s.Addr.Addr().IsValid() || s.Addr.Port() == 0:
		v.add(path, "address %s: expected an address and a port of 1 to 65535", s.Addr)
	case !isVIP && len(v.VIPs) > 0:
		v.add(path, "address %s: expected a VIP's%s", s.Addr.Addr(), v.vipAddrs())
	case !isVIP && !v.isDirector(s.Addr.Addr()):
		v.add(path, "address %s: expected a director's own, for there are no VIPs", s.Addr.Addr())
	}
	v.marked(path+".marked", s)
	if s.Protocol < 0 || s.Protocol > SCTP {
		v.add(path+".protocol", "protocol %d: expected %s", s.Protocol, strict.OneOf(protocolNames))
	}
	if slices.ContainsFunc(v.Services[:i], func(o Service) bool { return o.Addr == s.Addr }) {
		v.add(path, "another service has this address: expected each once")
	}
	if !slices.Contains(Schedulers(), s.Scheduler) {
		v.unknown(path+".scheduler", "scheduler", s.Scheduler, Schedulers())
	}
	if (s.HashPort || s.Fallback) && s.Scheduler != "sh" && s.Scheduler != "mh" {
		v.add(path, "hash_port or fallback: expected scheduler sh or mh, not %s", s.Scheduler)
	}
	if len(s.RealServers) == 0 {
		v.add(path+".real_servers", "none: expected at least one")
	}
	for j, d := range s.RealServers {
		v.destination(path+".real_servers."+d.Node, d, s.RealServers[:j])
		v.forward(path+".real_servers."+d.Node+".forward", s, d)
	}
	v.check(path+".check", s.Check)
	if s.Protocol == SCTP && !slices.Contains(checksBeside, s.Check.Kind) {
		v.add(path+".check.kind", "a %s check does not go by SCTP: expected misc, ping or file",
			s.Check.Kind)
	}
}

// checksBeside are those that ask the port of a real server nothing.
var checksBeside = []CheckKind{0, MiscCheck, PingCheck, FileCheck}

// marked demands a network that nobody has.
func (v *validation) marked(path string, s Service) {
	if s.Marked == (netip.Prefix{}) {
		return
	}
	if v.IPv6() {
		v.add(path, "network %s: expected none, for firewall marks are of IPv4 networks only", s.Marked)
		return
	}
	if !s.Marked.IsValid() || !s.Marked.Addr().Is4() || s.Marked != s.Marked.Masked() {
		v.add(path, "network %s: expected an IPv4 network such as 10.0.0.0/24", s.Marked)
		return
	}
	for _, n := range v.Networks {
		if n.Prefix.Overlaps(s.Marked) {
			v.add(path, "network %s: expected none of %s, %s", s.Marked, n.Name, n.Prefix)
		}
	}
	if slices.ContainsFunc(v.Services, func(o Service) bool {
		return o.Addr != s.Addr && o.Marked.IsValid() && o.Marked.Overlaps(s.Marked)
	}) {
		v.add(path, "network %s: expected none of another service", s.Marked)
	}
}

// vipAddrs lists the VIPs' addresses, ", a or b"; nothing when none has one.
func (v *validation) vipAddrs() string {
	var addrs []string
	for _, vip := range v.VIPs {
		if vip.Addr.IsValid() {
			addrs = append(addrs, vip.Addr.String())
		}
	}
	if addrs == nil {
		return ""
	}
	return ", " + strict.OneOf(addrs)
}

func (v *validation) destination(path string, d Destination, before []Destination) {
	n, ok := v.Node(d.Node)
	switch {
	case !ok:
		v.unknown(path, "node", d.Node, namesOf(v.Topology, RealServer))
	case n.Role != RealServer:
		v.add(path, "node %q is a %s: expected a real-server", d.Node, n.Role)
	}
	if slices.ContainsFunc(before, func(o Destination) bool { return o.Node == d.Node }) {
		v.add(path, "node %q stands twice: expected once in a service", d.Node)
	}
	if d.Port == 0 {
		v.add(path+".port", "port 0: expected 1 to 65535")
	}
	if d.Weight < 0 || d.Weight > maxWeight {
		v.add(path+".weight", "weight %d: expected 0 to %d", d.Weight, maxWeight)
	}
	if d.Upper < 0 || d.Upper > maxThreshold {
		v.add(path+".uthreshold", "uthreshold %d: expected 0 to %d", d.Upper, maxThreshold)
	}
	if d.Lower < 0 || d.Lower > d.Upper {
		v.add(path+".lthreshold", "lthreshold %d: expected 0 to uthreshold, %d", d.Lower, d.Upper)
	}
}

// check demands whole keepalived times; without a kind there must be nothing else.
func (v *validation) check(path string, c Check) {
	kinds := strict.OneOf(checkNames[TCPCheck:])
	if c.Kind < 0 || c.Kind > FileCheck {
		v.add(path+".kind", "kind %d: expected %s", c.Kind, kinds)
		return
	}
	if c.Kind == 0 {
		if c != (Check{}) {
			v.add(path+".kind", "kind is missing: expected %s", kinds)
		}
		return
	}
	if c.Page && c.Kind != HTTPCheck && c.Kind != SSLCheck {
		v.add(path+".page", "a %s check sees no page: expected http or ssl", c.Kind)
	}
	positive := func(key string, d, least time.Duration) {
		if d < least || d > time.Hour {
			v.add(path+"."+key, "time %s: expected %s to %s", d, least, time.Hour)
		}
	}
	positive("delay_loop", c.DelayLoop, time.Millisecond)
	positive("connect_timeout", c.ConnectTimeout, time.Millisecond)
	positive("delay_before_retry", c.DelayBeforeRetry, 0)
	if c.Retry < 0 || c.Retry > 100 {
		v.add(path+".retry", "count %d: expected 0 to 100", c.Retry)
	}
}
