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

// ID identifies a real server: the virtual server and the address in it.
type ID struct {
	Service Name
	Server  netip.AddrPort
}

// Health says of the real servers of one virtual server whether they are up. One that is not in it
// is as if it had not been heard of: up, or down if it is configured with alpha and has checks. Nil
// has none in it.
type Health map[netip.AddrPort]bool

// note puts into h whether a real server is up, which it is if none of those checks is in down.
// What would be so anyway is not kept: of thousands that are well there is nothing to say.
func (h *Health) note(rs *config.RealServer, checks []string, down map[string]bool) {
	up := !slices.ContainsFunc(checks, func(id string) bool { return down[id] })
	if up == !alpha(rs) {
		delete(*h, rs.Address)
		return
	}
	if *h == nil {
		*h = make(Health)
	}
	(*h)[rs.Address] = up
}

// Weights are those of the real servers of one virtual server whose checks want another than the
// configured one. Nil is none.
type Weights map[netip.AddrPort]int

// Of returns the weight of a real server.
func (w Weights) Of(rs *config.RealServer) int {
	if weight, other := w[rs.Address]; other {
		return weight
	}
	return rs.Weight
}

// Overrides are the weights, each at least 0, that an operator gives real servers of one virtual
// server instead of the configured ones and those that checks want. 0 drains: no new connections,
// and those that there are go on. Nil is none.
type Overrides map[netip.AddrPort]int

// Quorum says whether a virtual server had a quorum when it was last looked at. Zero is that it is
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

// State is what is known of one virtual server. Its zero value is that of a new one.
type State struct {
	Health    Health
	Weights   Weights
	Overrides Overrides
	// Quorum is what Desired returned last.
	Quorum Quorum
	Drains []Drain
}

// Weight returns the weight of a real server while it is up.
func (s *State) Weight(rs *config.RealServer) int {
	if weight, own := s.Overrides[rs.Address]; own {
		return weight
	}
	return s.Weights.Of(rs)
}

// Serves says whether there should be services at all: for a virtual server without real servers
// and sorry server there should not.
func Serves(vs *config.VirtualServer) bool {
	return len(vs.RealServers) > 0 || vs.SorryServer.IsValid()
}

// Desired returns the destinations that the services of a virtual server should have, and the
// quorum that it has now, for the next call. Each is at the address that its real server is
// configured with; Services says what that is in the kernel. Whether this director is master plays
// no part: a backup has the same services, so that they are there when the addresses come.
//
// A real server that is up has its weight, which counts for the quorum too; one that is down is
// left out, or has weight 0 with inhibit_on_failure. While the quorum is lost and there is a sorry
// server, it takes the place of all real servers but those that an operator drains; without one,
// those that are up go on. Those that drain come last, unless they are in already.
func Desired(vs *config.VirtualServer, s *State) ([]ipvs.Destination, Quorum) {
	now := Lost
	if hasQuorum(vs, s) {
		now = Kept
	}
	ds := destinations(vs, s, now == Kept)
	for _, d := range s.Drains {
		if !contains(ds, d.Destination.Addr) {
			ds = append(ds, d.Destination)
		}
	}
	return ds, now
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

// hasQuorum compares the weight of the live real servers, by what their checks or an operator say,
// with the quorum, which is hysteresis lower for a service that has it, and higher for one that has
// not.
func hasQuorum(vs *config.VirtualServer, s *State) bool {
	live, total := 0, 0
	for i := range vs.RealServers {
		rs := &vs.RealServers[i]
		total += rs.Weight
		if s.Health.Up(rs) {
			live += s.Weight(rs)
		}
	}
	// What all real servers together cannot reach is no sensible demand, and a hysteresis as large
	// as the quorum would never let go.
	quorum := min(max(vs.Quorum, 1), max(total, 1))
	hysteresis := min(vs.Hysteresis, quorum-1)
	if s.Quorum == Kept || s.Quorum == 0 && !vs.Alpha {
		return live > 0 && live >= quorum-hysteresis
	}
	return live > 0 && live >= min(quorum+hysteresis, total)
}

// destinations returns the real servers in the order of the configuration, then the sorry server.
// A sorry server that is also a real server is in once.
func destinations(vs *config.VirtualServer, s *State, quorum bool) []ipvs.Destination {
	sorry := vs.SorryServer.IsValid() && !quorum
	ds := make([]ipvs.Destination, 0, len(vs.RealServers))
	for i := range vs.RealServers {
		rs := &vs.RealServers[i]
		if sorry && rs.Address == vs.SorryServer {
			continue
		}
		up, weight := s.Health.Up(rs), s.Weight(rs)
		_, own := s.Overrides[rs.Address]
		switch {
		case up && !sorry:
			ds = append(ds, realServer(vs, rs, weight))
		case rs.InhibitOnFailure, up && own && weight == 0:
			ds = append(ds, realServer(vs, rs, 0))
		}
	}
	switch {
	case sorry:
		ds = append(ds, sorryServer(vs, sorryWeight))
	case vs.SorryServer.IsValid() && vs.SorryInhibit && !contains(ds, vs.SorryServer):
		ds = append(ds, sorryServer(vs, 0))
	}
	return ds
}

func contains(ds []ipvs.Destination, addr netip.AddrPort) bool {
	return slices.ContainsFunc(ds, func(d ipvs.Destination) bool { return d.Addr == addr })
}
