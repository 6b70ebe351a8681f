// Package pool decides which real servers a virtual service has: configuration and health in,
// virtual services out. It has no clock, no state of its own, and asks nobody.
package pool

import (
	"net/netip"
	"slices"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
)

// sorryWeight is the weight of a sorry server at work, as keepalived has it.
const sorryWeight = 1

// ID identifies a real server: the virtual service and the address in it.
type ID struct {
	Service ipvs.Key
	Server  netip.AddrPort
}

// Health says of the real servers of one virtual service whether they are up. One that is not in it
// has not been heard of: it is up, or down if it is configured with alpha and has checks.
type Health map[netip.AddrPort]bool

// Weights are those of the real servers of one virtual service whose checks want another than the
// configured one. Nil is none.
type Weights map[netip.AddrPort]int

// Of returns the weight of a real server.
func (w Weights) Of(rs *config.RealServer) int {
	if weight, other := w[rs.Address]; other {
		return weight
	}
	return rs.Weight
}

// Quorum says whether a virtual service had a quorum when it was last looked at. Zero is that it is
// new: it had one, unless it is configured with alpha.
type Quorum uint8

// What a quorum can be.
const (
	Kept Quorum = iota + 1
	Lost
)

// String returns "kept" or "lost"; "new" for the zero Quorum.
func (q Quorum) String() string {
	switch q {
	case Kept:
		return "kept"
	case Lost:
		return "lost"
	}
	return "new"
}

// Key returns the identity of the virtual service in the kernel.
func Key(vs *config.VirtualServer) ipvs.Key {
	return ipvs.Key{Protocol: protocol(vs.Protocol), Addr: vs.Address}
}

// Serves says whether there should be a virtual service at all: one without real servers and sorry
// server should not.
func Serves(vs *config.VirtualServer) bool {
	return len(vs.RealServers) > 0 || vs.SorryServer.IsValid()
}

// Desired returns the virtual service that there should be, and the quorum that it has now, for the
// next call. Whether this director is master plays no part: a backup has the same services, so that
// they are there when the addresses come.
//
// A real server that is up has its weight, which counts for the quorum too; one that is down is left
// out, or has weight 0 with inhibit_on_failure. While the quorum is lost and there is a sorry
// server, it takes the place of all real servers; without one, those that are up go on. Those that
// drain come last, unless they are in already.
func Desired(
	vs *config.VirtualServer, health Health, weights Weights, was Quorum, drains []Drain,
) (ipvs.Service, Quorum) {
	now := Lost
	if hasQuorum(vs, health, weights, was == Kept || was == 0 && !vs.Alpha) {
		now = Kept
	}
	ds := destinations(vs, health, weights, now == Kept)
	for _, d := range drains {
		if !contains(ds, d.Destination.Addr) {
			ds = append(ds, d.Destination)
		}
	}
	return ipvs.Service{
		Key: Key(vs),
		Settings: ipvs.Settings{
			Scheduler:   ipvs.Scheduler(vs.Scheduler),
			Persistence: vs.Persistence,
		},
		Destinations: ds,
	}, now
}

// Up says whether the real server counts as up. One without checks always does.
func (h Health) Up(rs *config.RealServer) bool {
	if len(rs.Checks) == 0 {
		return true
	}
	if up, known := h[rs.Address]; known {
		return up
	}
	return !alpha(rs)
}

// alpha says whether the real server starts as down, by its own word or that of any check.
func alpha(rs *config.RealServer) bool {
	for i := range rs.Checks {
		if rs.Checks[i].Alpha {
			return true
		}
	}
	return rs.Alpha
}

// hasQuorum compares the weight of the live real servers, by what their checks say, with the
// quorum, which is hysteresis lower
// for a service that has it, and higher for one that has not.
func hasQuorum(vs *config.VirtualServer, health Health, weights Weights, had bool) bool {
	live, total := 0, 0
	for i := range vs.RealServers {
		rs := &vs.RealServers[i]
		total += rs.Weight
		if health.Up(rs) {
			live += weights.Of(rs)
		}
	}
	// What all real servers together cannot reach is no sensible demand, and a hysteresis as large
	// as the quorum would never let go.
	quorum := min(max(vs.Quorum, 1), max(total, 1))
	hysteresis := min(vs.Hysteresis, quorum-1)
	if had {
		return live > 0 && live >= quorum-hysteresis
	}
	return live > 0 && live >= min(quorum+hysteresis, total)
}

// destinations returns the real servers in the order of the configuration, then the sorry server.
// A sorry server that is also a real server is in once.
func destinations(
	vs *config.VirtualServer, health Health, weights Weights, quorum bool,
) []ipvs.Destination {
	sorry := vs.SorryServer.IsValid() && !quorum
	var ds []ipvs.Destination
	for i := range vs.RealServers {
		rs := &vs.RealServers[i]
		if sorry && rs.Address == vs.SorryServer {
			continue
		}
		switch {
		case health.Up(rs) && !sorry:
			ds = append(ds, destination(vs, rs.Address, weights.Of(rs)))
		case rs.InhibitOnFailure:
			ds = append(ds, destination(vs, rs.Address, 0))
		}
	}
	switch {
	case sorry:
		ds = append(ds, destination(vs, vs.SorryServer, sorryWeight))
	case vs.SorryServer.IsValid() && vs.SorryInhibit && !contains(ds, vs.SorryServer):
		ds = append(ds, destination(vs, vs.SorryServer, 0))
	}
	return ds
}

func destination(vs *config.VirtualServer, addr netip.AddrPort, weight int) ipvs.Destination {
	return ipvs.Destination{Addr: addr, Forward: forward(vs.Forward), Weight: weight}
}

func contains(ds []ipvs.Destination, addr netip.AddrPort) bool {
	return slices.ContainsFunc(ds, func(d ipvs.Destination) bool { return d.Addr == addr })
}

func protocol(p config.Protocol) ipvs.Protocol {
	switch p {
	case config.TCP:
		return ipvs.TCP
	case config.UDP:
		return ipvs.UDP
	case config.SCTP:
		return ipvs.SCTP
	}
	return 0
}

func forward(f config.Forward) ipvs.Forward {
	switch f {
	case config.NAT:
		return ipvs.NAT
	case config.DR:
		return ipvs.DR
	case config.TUN:
		return ipvs.TUN
	}
	return 0
}
