package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/pool"
	"github.com/tandemlb/tandem/daemon/status"
)

// stood returns since when a real server, now up or not, has been so; was may be nil.
func (v *service) stood(rs *config.RealServer, up bool, now time.Time) time.Time {
	if v == nil {
		return now
	}
	if since, known := v.since[rs.Address]; known && v.health.Up(rs) == up {
		return since
	}
	return now
}

// snapshot returns what there is to say of the services of servers, in their order. A table that
// cannot be read, or does not answer before ctx ends, is an error of each service.
func (s *services) snapshot(
	ctx context.Context, servers []config.VirtualServer,
) []status.Service {
	checks := map[pool.ID]checked{}
	s.mu.Lock()
	index := s.index
	s.mu.Unlock()
	for _, c := range s.checks.States() {
		if server, known := index.Server(c.ID); known {
			v := checks[server]
			v.add(c)
			checks[server] = v
		}
	}
	table := s.reconciler.Status()
	var all []status.Service
	for i := range servers {
		vs := &servers[i]
		if !pool.Serves(vs) {
			continue
		}
		key := pool.Key(vs)
		loads, err := s.table.Loads(ctx, key)
		if err != nil {
			err = fmt.Errorf("read table: %w", err)
		} else if err = table.Services[key]; err == nil {
			err = table.List
		}
		if v, ok := s.describe(vs, loads, checks); ok {
			if err != nil {
				v.Error = err.Error()
			}
			all = append(all, v)
		}
	}
	return all
}

// checked is what the checks of a real server have said.
type checked struct {
	// all is how many there are, done how many of them have a result.
	all, done int
	failures  []string
}

func (c *checked) add(s check.State) {
	c.all++
	if s.Attempts == 0 {
		return
	}
	c.done++
	if s.Err != nil {
		c.failures = append(c.failures, s.Err.Error())
	}
}

// describe returns a service as it is with those loads; false if it is not there yet.
func (s *services) describe(
	vs *config.VirtualServer, loads map[netip.AddrPort]ipvs.Load, checks map[pool.ID]checked,
) (status.Service, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := pool.Key(vs)
	v := s.all[key]
	if v == nil {
		return status.Service{}, false
	}
	out := status.Service{
		Name: vs.Address.String(), Protocol: key.Protocol.String(),
		Scheduler: string(vs.Scheduler), Health: status.Up,
	}
	if v.quorum == pool.Lost {
		out.Health, out.Sorry = status.Down, vs.SorryServer.IsValid()
	}
	wanted := make(map[netip.AddrPort]ipvs.Destination, len(v.destinations))
	for _, d := range v.destinations {
		wanted[d.Addr] = d
	}
	forward := forwards[vs.Forward.String()]
	for i := range vs.RealServers {
		rs := &vs.RealServers[i]
		server := status.Server{Name: rs.Address.String(), Forward: forward}
		c := checks[pool.ID{Service: key, Server: rs.Address}]
		server.Since, server.Reason = v.since[rs.Address], strings.Join(c.failures, "; ")
		switch {
		case c.all > 0 && c.done < c.all:
			server.Health = status.Unknown
		case v.health.Up(rs):
			server.Health = status.Up
		default:
			server.Health = status.Down
		}
		weigh(&server, rs.Address, wanted, loads)
		delete(wanted, rs.Address)
		out.Servers = append(out.Servers, server)
	}
	out.Servers = append(out.Servers, others(v, wanted, loads)...)
	return out, true
}

// others are the destinations that the configuration does not name as real servers.
func others(
	v *service, left map[netip.AddrPort]ipvs.Destination, loads map[netip.AddrPort]ipvs.Load,
) []status.Server {
	var all []status.Server
	for _, d := range v.destinations {
		if _, other := left[d.Addr]; !other {
			continue
		}
		server := status.Server{Name: d.Addr.String(), Forward: forwards[d.Forward.String()],
			Reason: "draining: a reload has taken it out"}
		if d.Addr == v.config.SorryServer {
			server.Reason = "sorry server, not checked"
		}
		weigh(&server, d.Addr, left, loads)
		all = append(all, server)
	}
	return all
}

// weigh says which weight a server should have and has, and its connections.
func weigh(
	s *status.Server, addr netip.AddrPort, wanted map[netip.AddrPort]ipvs.Destination,
	loads map[netip.AddrPort]ipvs.Load,
) {
	if d, ok := wanted[addr]; ok {
		s.Wanted = &d.Weight
	}
	if l, ok := loads[addr]; ok {
		s.Weight, s.Active, s.Inactive = &l.Weight, l.Active, l.Inactive
	}
}

// forwards are ipvsadm's words for keepalived's.
var forwards = map[string]string{"NAT": "masq", "DR": "route", "TUN": "tunnel"}
