package netif

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Protocol marks the routes and rules of this daemon: RTPROT_KEEPALIVED, for nobody runs both.
const Protocol = 18

// Route is a route as iproute2 knows it. It is JSON both ways.
type Route struct {
	// Type is unicast if empty, or local, broadcast, anycast, multicast, blackhole, unreachable,
	// prohibit or throw.
	Type string
	// Dest is what it leads to; invalid is the default route of the family that IPv6 says.
	Dest netip.Prefix
	IPv6 bool
	// Source is the preferred source; invalid is none.
	Source netip.Addr
	// Hops are where packets go next; several share them. A route that refuses has none.
	Hops []Hop
	// Table is a number; zero is main, 254. Metric zero is the kernel's. TOS is the service.
	Table, Metric uint32
	TOS           uint8
	// Scope is the kernel's number if HasScope is set, else what iproute2 chooses.
	Scope    uint8
	HasScope bool
	// Protocol zero is this daemon's.
	Protocol uint8
	// Realm is zero for none, or from<<16 | to.
	Realm uint32
	// Metrics are the rest of what is a number, by iproute2's name; see RouteMetrics.
	Metrics map[string]uint32
	// Locked are the names of Metrics, mtu and rto_min, that path discovery does not change.
	Locked []string
	// Congestion is the algorithm of congestion control; empty is the kernel's.
	Congestion string
}

// Hop is one next hop of a route.
type Hop struct {
	// Via is the gateway, perhaps of another family than the route; Device the interface. One of
	// them may be missing.
	Via    netip.Addr
	Device string
	// Weight is 1 to 256 where there are several, zero is 1.
	Weight int
	OnLink bool
}

// routeTypes are the kernel's numbers.
var routeTypes = map[string]int{
	"": unix.RTN_UNICAST, "unicast": unix.RTN_UNICAST, "local": unix.RTN_LOCAL,
	"broadcast": unix.RTN_BROADCAST, "anycast": unix.RTN_ANYCAST, "multicast": unix.RTN_MULTICAST,
	"blackhole": unix.RTN_BLACKHOLE, "unreachable": unix.RTN_UNREACHABLE,
	"prohibit": unix.RTN_PROHIBIT, "throw": unix.RTN_THROW,
}

// routeMetrics say where the library wants each.
var routeMetrics = map[string]func(*netlink.Route) *int{
	"mtu":                func(r *netlink.Route) *int { return &r.MTU },
	"window":             func(r *netlink.Route) *int { return &r.Window },
	"rtt":                func(r *netlink.Route) *int { return &r.Rtt },
	"rttvar":             func(r *netlink.Route) *int { return &r.RttVar },
	"ssthresh":           func(r *netlink.Route) *int { return &r.Ssthresh },
	"cwnd":               func(r *netlink.Route) *int { return &r.Cwnd },
	"advmss":             func(r *netlink.Route) *int { return &r.AdvMSS },
	"reordering":         func(r *netlink.Route) *int { return &r.Reordering },
	"hoplimit":           func(r *netlink.Route) *int { return &r.Hoplimit },
	"initcwnd":           func(r *netlink.Route) *int { return &r.InitCwnd },
	"features":           func(r *netlink.Route) *int { return &r.Features },
	"rto_min":            func(r *netlink.Route) *int { return &r.RtoMin },
	"initrwnd":           func(r *netlink.Route) *int { return &r.InitRwnd },
	"quickack":           func(r *netlink.Route) *int { return &r.QuickACK },
	"fastopen_no_cookie": func(r *netlink.Route) *int { return &r.FastOpenNoCookie },
}

// RouteMetrics returns the names that Route.Metrics may have, in the kernel's units: rtt in eighths
// of a millisecond, rttvar in quarters, rto_min in milliseconds, features as bits.
func RouteMetrics() []string { return slices.Sorted(maps.Keys(routeMetrics)) }

// Validate returns what of r this package cannot say to the kernel, joined, or nil.
func (r Route) Validate() error {
	var errs []error
	if routeTypes[r.Type] == 0 {
		errs = append(errs, fmt.Errorf("type %s: not supported", r.Type))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
		if routeMetrics[name] == nil {
			errs = append(errs, fmt.Errorf("%s: not supported", name))
		}
	}
	for _, name := range r.Locked {
		if name != "mtu" && name != "rto_min" {
			errs = append(errs, fmt.Errorf("%s lock: not supported", name))
		}
	}
	for _, h := range r.Hops {
		if !h.Via.IsValid() && h.Device == "" {
			errs = append(errs, errors.New("next hop: want a gateway or an interface"))
		}
	}
	return errors.Join(errs...)
}

// PutRoute adds the route, or makes the one to the same destination, of the same table and metric,
// this one. A second call is no error.
//
// Equivalent to: `ip route replace …`.
func (h *Host) PutRoute(r Route) error {
	return h.changeRoute("add", r, h.nl.RouteReplace)
}

// RestoreRoute is PutRoute of a route that is perhaps there; one that there is is left alone, and
// nobody hears of it. It reports whether there was none.
func (h *Host) RestoreRoute(r Route) (bool, error) {
	err := h.changeRoute("restore", r, h.nl.RouteAdd)
	if errors.Is(err, unix.EEXIST) {
		return false, nil
	}
	return err == nil, err
}

// DropRoute removes the route. One that is not there, or whose interface is not, is no error.
//
// Equivalent to: `ip route del …`.
func (h *Host) DropRoute(r Route) error {
	err := h.changeRoute("remove", r, h.nl.RouteDel)
	if errors.Is(err, unix.ESRCH) || isGone(err) {
		return nil
	}
	return err
}

// changeRoute applies do to the route in the library's own terms.
func (h *Host) changeRoute(verb string, r Route, do func(*netlink.Route) error) error {
	route, err := h.route(r)
	if err == nil {
		err = do(route)
	}
	if err != nil {
		return fmt.Errorf("%s route %s: %w", verb, r, err)
	}
	return nil
}

// route returns r in the library's own terms.
func (h *Host) route(r Route) (*netlink.Route, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	out := &netlink.Route{
		Type: routeTypes[r.Type], Family: unix.AF_INET, Dst: r.network(),
		Table: int(r.Table), Priority: int(r.Metric), Tos: int(r.TOS), Realm: int(r.Realm),
		Scope: r.scope(), Protocol: Protocol, Congctl: r.Congestion,
		MTULock: slices.Contains(r.Locked, "mtu"), RtoMinLock: slices.Contains(r.Locked, "rto_min"),
	}
	if r.is6() {
		out.Family = unix.AF_INET6
	}
	if r.Protocol != 0 {
		out.Protocol = netlink.RouteProtocol(r.Protocol)
	}
	if out.Table == 0 {
		out.Table = unix.RT_TABLE_MAIN
	}
	if r.Source.IsValid() {
		out.Src = r.Source.AsSlice()
	}
	for name, value := range r.Metrics {
		*routeMetrics[name](out) = int(value)
	}
	return out, h.hops(out, r)
}

// hops fills in where packets go next.
func (h *Host) hops(out *netlink.Route, r Route) error {
	var infos []*netlink.NexthopInfo
	for _, hop := range r.Hops {
		info := &netlink.NexthopInfo{Hops: max(hop.Weight, 1) - 1}
		if hop.Device != "" {
			s, err := h.Interface(hop.Device).link()
			if err != nil {
				return err
			}
			info.LinkIndex = s.Index
		}
		if hop.OnLink {
			info.Flags |= int(netlink.FLAG_ONLINK)
		}
		switch {
		case !hop.Via.IsValid():
		case hop.Via.Is6() == r.is6():
			info.Gw = hop.Via.AsSlice()
		default:
			family := uint16(unix.AF_INET)
			if hop.Via.Is6() {
				family = unix.AF_INET6
			}
			info.Via = &netlink.Via{AddrFamily: int(family), Addr: hop.Via.AsSlice()}
		}
		infos = append(infos, info)
	}
	if len(infos) == 1 {
		i := infos[0]
		out.LinkIndex, out.Gw, out.Via, out.Flags = i.LinkIndex, i.Gw, i.Via, i.Flags
		return nil
	}
	out.MultiPath = infos
	return nil
}

func (r Route) is6() bool { return r.IPv6 || r.Dest.Addr().Is6() }

// network returns the destination; the default route has one too.
func (r Route) network() *net.IPNet {
	p := r.Dest
	switch {
	case p.IsValid():
	case r.is6():
		p = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	default:
		p = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return ipNet(p.Masked())
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{
		IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
	}
}

// scope is the route's own, or that which iproute2 would choose: what has no gateway is on the link.
func (r Route) scope() netlink.Scope {
	switch {
	case r.HasScope:
		return netlink.Scope(r.Scope)
	case r.is6():
		return netlink.SCOPE_UNIVERSE
	case r.Type == "local":
		return netlink.SCOPE_HOST
	case r.Type == "broadcast" || r.Type == "multicast" || r.Type == "anycast":
		return netlink.SCOPE_LINK
	case r.Type == "" || r.Type == "unicast":
		if len(r.Hops) == 1 && !r.Hops[0].Via.IsValid() {
			return netlink.SCOPE_LINK
		}
	}
	return netlink.SCOPE_UNIVERSE
}

// String returns r as iproute2 writes it; routes that are the same have the same.
func (r Route) String() string {
	var ws []string
	add := func(on bool, name string, value any) {
		if on {
			ws = append(ws, name, fmt.Sprint(value))
		}
	}
	if r.Type != "" && r.Type != "unicast" {
		ws = append(ws, r.Type)
	}
	ws = append(ws, r.network().String())
	add(r.Source.IsValid(), "src", r.Source)
	for _, h := range r.Hops {
		if len(r.Hops) > 1 {
			ws = append(ws, "nexthop")
		}
		add(h.Via.IsValid(), "via", h.Via)
		add(h.Device != "", "dev", h.Device)
		add(h.Weight != 0, "weight", h.Weight)
		if h.OnLink {
			ws = append(ws, "onlink")
		}
	}
	add(r.Table != 0, "table", r.Table)
	add(r.Metric != 0, "metric", r.Metric)
	add(r.TOS != 0, "tos", r.TOS)
	add(r.HasScope, "scope", r.Scope)
	add(r.Protocol != 0, "protocol", r.Protocol)
	add(r.Realm != 0, "realms", fmt.Sprintf("%d/%d", r.Realm>>16, r.Realm&0xffff))
	for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
		if slices.Contains(r.Locked, name) {
			ws = append(ws, name, "lock", fmt.Sprint(r.Metrics[name]))
			continue
		}
		add(true, name, r.Metrics[name])
	}
	add(r.Congestion != "", "congctl", r.Congestion)
	return strings.Join(ws, " ")
}
