package pool

import (
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
)

// DrainTime is the most that a real server which a reload took out is kept for its connections.
const DrainTime = time.Minute

// Drain is a real server that a reload took out of a virtual server that stays. The kernel drops
// the packets of a connection whose destination is deleted, so it is kept with weight 0, which gets
// no new connections, until it has none or DrainTime is over:
//
//	          a reload leaves it out
//	in the service ──────────▶ draining ──────────▶ deleted
//	          ◀──────────              no connection, or DrainTime over
//	          wanted again
//
// With persistence its clients go on to connect to it meanwhile, as to any server of weight 0.
type Drain struct {
	// Destination is what is in the table: weight 0, and forwarding as before.
	Destination ipvs.Destination
	// Since is the time of the reload.
	Since time.Time
}

// Leave returns what drains of a virtual server once a reload at now has made after of before:
// what did already, and the real servers that after does not have. had are the destinations so far,
// health is that of before. A server that is down is deleted at once, for what is under way to it
// is lost anyhow, and so is a sorry server.
func Leave(
	before, after *config.VirtualServer, health Health, had []ipvs.Destination, drains []Drain,
	now time.Time,
) []Drain {
	if SameServers(before, after) {
		return slices.Clip(drains)
	}
	stays := make(map[netip.AddrPort]bool, len(after.RealServers)+len(drains))
	for i := range after.RealServers {
		stays[after.RealServers[i].Address] = true
	}
	for _, d := range drains {
		stays[d.Destination.Addr] = true
	}
	up := make(map[netip.AddrPort]bool)
	for i := range before.RealServers {
		rs := &before.RealServers[i]
		up[rs.Address] = health.Up(rs)
	}
	drains = slices.Clip(drains)
	for _, d := range had {
		if up[d.Addr] && !stays[d.Addr] {
			d.Weight = 0
			drains = append(drains, Drain{Destination: d, Since: now})
		}
	}
	return drains
}

// SameServers says whether two virtual servers have real servers at the same addresses, in the same
// order.
func SameServers(a, b *config.VirtualServer) bool {
	if len(a.RealServers) != len(b.RealServers) {
		return false
	}
	for i := range a.RealServers {
		if a.RealServers[i].Address != b.RealServers[i].Address {
			return false
		}
	}
	return true
}

// Resume parts drains into those that go on and the real servers that are wanted again: they have a
// weight.
func Resume(
	wanted []ipvs.Destination, drains []Drain,
) (left []Drain, resumed []netip.AddrPort) {
	for _, d := range drains {
		again := slices.ContainsFunc(wanted, func(o ipvs.Destination) bool {
			return o.Addr == d.Destination.Addr && o.Weight > 0
		})
		if again {
			resumed = append(resumed, d.Destination.Addr)
		} else {
			left = append(left, d)
		}
	}
	return left, resumed
}

// Drained is a real server that drains no longer.
type Drained struct {
	Server netip.AddrPort
	// Left is how many connections it had still; -1 if the table could not tell.
	Left int
}

// Reason is why: "empty", or "timeout" where something was left.
func (d Drained) Reason() string {
	if d.Left == 0 {
		return "empty"
	}
	return "timeout"
}

// Look parts drains of a virtual server of that protocol into those that go on and those that are
// over, by what the table said at now; see Sum. Nil loads say that it could not be read: then only
// time ends a drain. One that began later than now goes on, and so does one that still has a weight
// in the table.
func Look(
	p config.Protocol, drains []Drain, loads map[netip.AddrPort]ipvs.Load, now time.Time,
) (left []Drain, over []Drained) {
	for _, d := range drains {
		addr := d.Destination.Addr
		load := loads[addr]
		n := connections(p, load)
		if loads == nil {
			n = -1
		}
		empty := n == 0 && load.Weight == 0 && now.After(d.Since)
		if empty || now.Sub(d.Since) >= DrainTime {
			over = append(over, Drained{Server: addr, Left: n})
		} else {
			left = append(left, d)
		}
	}
	return left, over
}

// connections returns how many connections of a real server are worth waiting for.
//
// Of TCP and SCTP those that are active. The kernel remembers others for up to 120 s after they
// were closed: with them, every drain would last for DrainTime. The price is a connection of which
// the client has closed its half before the answer: it counts as closed. No UDP flow is ever
// active, and nobody knows when one is over: all that the kernel remembers are counted, which it
// does for 300 s, so that they mostly have DrainTime.
//
// A mark may bring packets of any protocol: the configured one says what to expect.
func connections(p config.Protocol, l ipvs.Load) int {
	switch p {
	case config.TCP, config.SCTP:
		return l.Active
	case config.UDP:
	}
	return l.Active + l.Inactive
}
