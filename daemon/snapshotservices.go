package daemon

import (
	"cmp"
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

// stand works out since when the real servers have been up or down. was is nil for a new service.
func (v *service) stand(was *service, now time.Time) {
	v.first, v.since = now, nil
	if was == nil || was.first.IsZero() {
		return
	}
	v.first = was.first
	there := func(*config.RealServer) bool { return true }
	if !pool.SameServers(was.config, v.config) {
		had := make(map[netip.AddrPort]bool, len(was.config.RealServers))
		for i := range was.config.RealServers {
			had[was.config.RealServers[i].Address] = true
		}
		there = func(rs *config.RealServer) bool { return had[rs.Address] }
	}
	for i := range v.config.RealServers {
		rs := &v.config.RealServers[i]
		since, changed := was.since[rs.Address]
		if !there(rs) || was.Health.Up(rs) != v.Health.Up(rs) {
			v.turned(rs.Address, now)
		} else if changed {
			v.turned(rs.Address, since)
		}
	}
}

// turned has a real server be up or down since then.
func (v *service) turned(server netip.AddrPort, since time.Time) {
	if v.since == nil {
		v.since = make(map[netip.AddrPort]time.Time)
	}
	v.since[server] = since
}

// stood returns since when a real server has been up or down; zero is not known.
func (v *service) stood(rs *config.RealServer) time.Time {
	if since, changed := v.since[rs.Address]; changed {
		return since
	}
	return v.first
}

// snapshot returns what there is to say of the virtual servers, in their order. A table that cannot
// be read, or does not answer before ctx ends, is an error of each.
func (s *services) snapshot(
	ctx context.Context, servers []config.VirtualServer,
) []status.Service {
	return s.survey(ctx, servers, true)
}

// survey is snapshot, with or without a look at the table.
func (s *services) survey(
	ctx context.Context, servers []config.VirtualServer, loads bool,
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
		var carried map[netip.AddrPort]ipvs.Load
		var err error
		if loads {
			carried, err = s.loads(ctx, vs, s.wanted(vs))
		}
		if err != nil {
			err = fmt.Errorf("read table: %w", err)
		}
		if v, ok := s.describe(vs, carried, checks); ok {
			if err = cmp.Or(failureOf(vs, &table), table.List, err); err != nil {
				v.Error = err.Error()
			}
			all = append(all, v)
		}
	}
	return all
}

// wanted are the destinations that a virtual server should have.
func (s *services) wanted(vs *config.VirtualServer) []ipvs.Destination {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.all[pool.NameOf(vs)]; v != nil {
		return v.destinations
	}
	return nil
}

// failureOf returns why a virtual server's services are not in the table as they should be; nil if
// they are. Of a group it names the first that is not, and how many others are not.
func failureOf(vs *config.VirtualServer, table *ipvs.Status) error {
	if len(table.Services) == 0 {
		return nil
	}
	var first error
	more := 0
	for _, k := range pool.Keys(vs) {
		switch err := table.Services[k]; {
		case err == nil:
		case first != nil:
			more++
		case vs.Group == "":
			return err
		default:
			first = fmt.Errorf("%s: %w", k, err)
		}
	}
	if more > 0 {
		return fmt.Errorf("%w; and %d more services", first, more)
	}
	return first
}

// checked is what the checks of a real server have said.
type checked struct {
	// all is how many there are, done how many of them have a result.
	all, done int
	failures  []string
	// counts are how many attempts have failed, by reason.
	counts map[string]uint64
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
	for reason, n := range s.Failures {
		if c.counts == nil {
			c.counts = make(map[string]uint64, len(s.Failures))
		}
		c.counts[reason.String()] += n
	}
}

// describe returns a service as it is with those loads; false if it is not there yet.
func (s *services) describe(
	vs *config.VirtualServer, loads map[netip.AddrPort]ipvs.Load, checks map[pool.ID]checked,
) (status.Service, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := pool.NameOf(vs)
	v := s.all[name]
	if v == nil {
		return status.Service{}, false
	}
	out := status.Service{Scheduler: string(vs.Scheduler), Health: status.Up}
	out.Name, out.Protocol = statusName(name)
	if v.Quorum == pool.Lost {
		out.Health, out.Sorry = status.Down, vs.SorryServer.IsValid()
	}
	wanted := make(map[netip.AddrPort]ipvs.Destination, len(v.destinations))
	for _, d := range v.destinations {
		wanted[d.Addr] = d
	}
	for i := range vs.RealServers {
		rs := &vs.RealServers[i]
		c := checks[pool.ID{Service: name, Server: rs.Address}]
		server := status.Server{Name: rs.Address.String(), Failures: c.counts,
			Forward: forwards[vs.ForwardOf(rs).String()]}
		server.FailedChecks = len(c.failures)
		if c.all > 0 && s.away[name] {
			c.failures = append(c.failures, "not checked while no address of the service is here")
		}
		server.Since, server.Reason = v.stood(rs), strings.Join(c.failures, "; ")
		switch {
		case c.all > 0 && c.done < c.all:
			server.Health = status.Unknown
		case v.Health.Up(rs):
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

// statusName is what a snapshot calls a virtual server: with a protocol if it has one.
func statusName(n pool.Name) (name, protocol string) {
	switch {
	case n.Mark != 0:
		return n.String(), ""
	case n.Group != "":
		return "group " + n.Group, n.Protocol.String()
	}
	return n.Address.String(), n.Protocol.String()
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
		s.Persistent = l.Persistent
	}
}

// forwards are ipvsadm's words for keepalived's.
var forwards = map[string]string{"NAT": "masq", "DR": "route", "TUN": "tunnel"}
