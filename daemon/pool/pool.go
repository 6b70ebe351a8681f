// Package pool decides which real servers a virtual service has: configuration and health in,
// virtual services out. It has no clock, no state of its own, and asks nobody.
package pool

import (
	"net/netip"

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

// Health says of real servers whether they are up. One that is not in it has not been heard of: it
// is up, or down if it is configured with alpha and has checks.
type Health map[ID]bool

// Quorum says of virtual services whether they had a quorum when they were last looked at. One that
// is not in it is new: it had one, unless it is configured with alpha.
type Quorum map[ipvs.Key]bool

// Key returns the identity of the virtual service in the kernel.
func Key(vs *config.VirtualServer) ipvs.Key {
	return ipvs.Key{Protocol: protocol(vs.Protocol), Addr: vs.Address}
}

// Desired returns the virtual services that there should be, in the order of vss, and the quorums
// that they have now, for the next call. A virtual server without real servers and sorry server is
// left out. Whether this director is master plays no part: a backup has the same services, so that
// they are there when the addresses come.
//
// A real server that is up has its weight; one that is down is left out, or has weight 0 with
// inhibit_on_failure. While the quorum is lost and there is a sorry server, it takes the place of
// all real servers; without one, those that are up go on.
func Desired(
	vss []config.VirtualServer, health Health, was Quorum,
) (ipvs.Services, Quorum) {
	var services ipvs.Services
	now := make(Quorum, len(vss))
	for i := range vss {
		vs := &vss[i]
		if len(vs.RealServers) == 0 && !vs.SorryServer.IsValid() {
			continue
		}
		key := Key(vs)
		had, known := was[key]
		now[key] = hasQuorum(vs, health, had || !known && !vs.Alpha)
		services = append(services, ipvs.Service{
			Key: key,
			Settings: ipvs.Settings{
				Scheduler:   ipvs.Scheduler(vs.Scheduler),
				Persistence: vs.Persistence,
			},
			Destinations: destinations(vs, health, now[key]),
		})
	}
	return services, now
}

// Up says whether the real server counts as up. One without checks always does.
func (h Health) Up(vs *config.VirtualServer, rs *config.RealServer) bool {
	if len(rs.Checks) == 0 {
		return true
	}
	if up, known := h[ID{Key(vs), rs.Address}]; known {
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

// hasQuorum compares the weight of the live real servers with the quorum, which is hysteresis lower
// for a service that has it, and higher for one that has not.
func hasQuorum(vs *config.VirtualServer, health Health, had bool) bool {
	live, total := 0, 0
	for i := range vs.RealServers {
		rs := &vs.RealServers[i]
		total += rs.Weight
		if health.Up(vs, rs) {
			live += rs.Weight
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
func destinations(vs *config.VirtualServer, health Health, quorum bool) []ipvs.Destination {
	sorry := vs.SorryServer.IsValid() && !quorum
	var ds []ipvs.Destination
	for i := range vs.RealServers {
		rs := &vs.RealServers[i]
		if sorry && rs.Address == vs.SorryServer {
			continue
		}
		switch {
		case health.Up(vs, rs) && !sorry:
			ds = append(ds, destination(vs, rs.Address, rs.Weight))
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
	for _, d := range ds {
		if d.Addr == addr {
			return true
		}
	}
	return false
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
