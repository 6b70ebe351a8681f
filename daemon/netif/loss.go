package netif

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Loss is a route of this daemon's Protocol, or a rule of anybody's, that has gone.
type Loss struct {
	// Rule says which.
	Rule bool
	IPv6 bool
	// Dest and Table are of a route; the default route's Dest has length 0.
	Dest  netip.Prefix
	Table uint32
	// Preference is of a rule.
	Preference uint32
}

// OfRoute reports whether l may be the loss of r.
func (l Loss) OfRoute(r Route) bool {
	table := r.Table
	if table == 0 {
		table = unix.RT_TABLE_MAIN
	}
	bits := 0
	if r.Dest.IsValid() {
		bits = r.Dest.Bits()
	}
	return !l.Rule && l.IPv6 == r.is6() && l.Table == table && l.Dest.Bits() == bits &&
		(bits == 0 || l.Dest == r.Dest.Masked())
}

// OfRule reports whether l may be the loss of r.
func (l Loss) OfRule(r Rule) bool {
	return l.Rule && l.IPv6 == r.is6() && l.Preference == r.Preference
}

// FollowRouting calls lost, from another goroutine, with each route and rule that goes, whoever
// removes it, until stop is called or, once, failed. What the kernel removes with a link or an
// address goes without a word. Otherwise as Follow.
func (h *Host) FollowRouting(lost func(Loss), failed func(error)) (stop func(), err error) {
	w := &watcher{lost: lost, changed: func(State) {}, failed: failed}
	if err := h.links.join(w); err != nil {
		return nil, err
	}
	return h.links.stopOf(w), nil
}

// lossOf reads a message, which is DELROUTE or DELRULE. It reports whether it could.
func lossOf(m syscall.NetlinkMessage) (Loss, bool) {
	const size = 12 // of rtmsg and of fib_rule_hdr, which begin alike
	if len(m.Data) < size {
		return Loss{}, false
	}
	attrs, err := nl.ParseRouteAttr(m.Data[size:])
	if err != nil {
		return Loss{}, false
	}
	l := Loss{
		Rule: m.Header.Type == unix.RTM_DELRULE, IPv6: m.Data[0] == unix.AF_INET6,
		Table: uint32(m.Data[4]),
	}
	dest := netip.IPv4Unspecified()
	if l.IPv6 {
		dest = netip.IPv6Unspecified()
	}
	for _, a := range attrs {
		l.read(a, &dest)
	}
	if l.Rule {
		l.Table = 0
		return l, true
	}
	l.Dest = netip.PrefixFrom(dest, int(m.Data[1]))
	return l, l.Dest.IsValid()
}

func (l *Loss) read(a syscall.NetlinkRouteAttr, dest *netip.Addr) {
	const fraPriority = 6 // FRA_PRIORITY
	switch {
	case l.Rule && a.Attr.Type == fraPriority && len(a.Value) >= 4:
		l.Preference = binary.NativeEndian.Uint32(a.Value)
	case l.Rule:
	case a.Attr.Type == unix.RTA_DST:
		if ip, ok := netip.AddrFromSlice(a.Value); ok {
			*dest = ip
		}
	case a.Attr.Type == unix.RTA_TABLE && len(a.Value) >= 4:
		l.Table = binary.NativeEndian.Uint32(a.Value)
	}
}
