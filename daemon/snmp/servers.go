package snmp

import (
	"net/netip"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/snmp/agentx"
	"github.com/tandemlb/tandem/daemon/status"
)

// server is a real server, or the sorry server, of a service.
type server struct {
	service *service
	// number counts from 1; the sorry server is the first.
	number int
	addr   netip.AddrPort
	config *config.RealServer // nil: it is the sorry server
	status *status.Server     // nil: the snapshot says nothing of it
}

// servers returns those of a service, in the order of the file.
func (s *service) servers() []server {
	var all []server
	known := map[string]*status.Server{}
	if s.status != nil {
		for i := range s.status.Servers {
			known[s.status.Servers[i].Name] = &s.status.Servers[i]
		}
	}
	add := func(addr netip.AddrPort, c *config.RealServer) {
		all = append(all, server{s, len(all) + 1, addr, c, known[addr.String()]})
	}
	if s.config.SorryServer.IsValid() {
		add(s.config.SorryServer, nil)
	}
	for i := range s.config.RealServers {
		add(s.config.RealServers[i].Address, &s.config.RealServers[i])
	}
	return all
}

// alive is alive(1) or dead(2).
func (r *server) alive() agentx.Value {
	return truth(r.status != nil && r.status.Health == status.Up)
}

// regular is a column that the sorry server has not.
func regular(of func(*server, *config.RealServer) agentx.Value) func(*server) agentx.Value {
	return func(r *server) agentx.Value {
		if r.config == nil {
			return agentx.Value{}
		}
		return of(r, r.config)
	}
}

// checked is a column of what the first check has.
func checked(of func(*config.Check) agentx.Value) func(*server) agentx.Value {
	return regular(func(_ *server, c *config.RealServer) agentx.Value {
		if len(c.Checks) == 0 {
			return agentx.Value{}
		}
		return of(&c.Checks[0])
	})
}

// serverColumns are what a real server is.
func serverColumns() []column[server] {
	return []column[server]{
		{2, func(r *server) agentx.Value { return truth(r.config != nil) }},
		{3, func(r *server) agentx.Value { return addressType(r.addr.Addr()) }},
		{4, func(r *server) agentx.Value { return address(r.addr.Addr()) }},
		{5, func(r *server) agentx.Value { return agentx.Gauge(uint64(r.addr.Port())) }},
		{6, regular(func(r *server, _ *config.RealServer) agentx.Value { return r.alive() })},
		{7, regular(func(r *server, c *config.RealServer) agentx.Value {
			if r.status != nil && r.status.Wanted != nil {
				return agentx.Int(*r.status.Wanted)
			}
			return agentx.Int(c.Weight)
		})},
		{8, regular(func(_ *server, c *config.RealServer) agentx.Value {
			return agentx.Gauge(uint64(c.UpperThreshold))
		})},
		{9, regular(func(_ *server, c *config.RealServer) agentx.Value {
			return agentx.Gauge(uint64(c.LowerThreshold))
		})},
		{10, regular(func(_ *server, c *config.RealServer) agentx.Value {
			return truth(!c.InhibitOnFailure)
		})},
		{11, regular(func(_ *server, c *config.RealServer) agentx.Value {
			return command(c.NotifyUp)
		})},
		{12, regular(func(_ *server, c *config.RealServer) agentx.Value {
			return command(c.NotifyDown)
		})},
		{13, regular(func(r *server, _ *config.RealServer) agentx.Value {
			if r.status == nil {
				return agentx.Gauge(0)
			}
			return agentx.Gauge(uint64(r.status.FailedChecks))
		})},
	}
}

// serverFlows are the counters of a real server.
func serverFlows() []column[server] {
	connections := func(id uint32, of func(*status.Server) int) column[server] {
		return column[server]{id, regular(func(r *server, _ *config.RealServer) agentx.Value {
			if r.status == nil {
				return agentx.Gauge(0)
			}
			return agentx.Gauge(uint64(of(r.status)))
		})}
	}
	return append(flows(func(r *server) (status.Flow, bool) {
		if r.status == nil || r.status.Flow == nil {
			return status.Flow{}, r.config != nil
		}
		return *r.status.Flow, r.config != nil
	}, []uint32{14, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30}),
		connections(15, func(s *status.Server) int { return s.Active }),
		connections(16, func(s *status.Server) int { return s.Inactive }),
		connections(17, func(s *status.Server) int { return s.Persistent }))
}

// serverRest is what was added to the table after the counters.
func serverRest() []column[server] {
	return append([]column[server]{
		{40, func(r *server) agentx.Value { f, _ := r.forward(); return agentx.Int(int(f)) }},
		{42, regular(func(_ *server, c *config.RealServer) agentx.Value { return truth(c.Alpha) })},
		{43, checked(func(c *config.Check) agentx.Value { return agentx.Gauge(uint64(c.Retry)) })},
		{44, checked(func(c *config.Check) agentx.Value { return seconds(c.DelayBeforeRetry) })},
		{45, checked(func(c *config.Check) agentx.Value { return seconds(c.Warmup) })},
		{46, checked(func(c *config.Check) agentx.Value { return seconds(c.DelayLoop) })},
		{47, regular(func(r *server, c *config.RealServer) agentx.Value {
			a := &r.service.view.Config.Global.Alerts
			return truth(on(true, c.Alert, r.service.config.Alert, a.Checkers, a.All))
		})},
		{48, checked(func(c *config.Check) agentx.Value { return microseconds(c.DelayBeforeRetry) })},
		{49, checked(func(c *config.Check) agentx.Value { return microseconds(c.Warmup) })},
		{50, checked(func(c *config.Check) agentx.Value { return microseconds(c.DelayLoop) })},
		{51, checked(func(c *config.Check) agentx.Value { return microseconds(c.ConnectTimeout) })},
		{55, regular(func(_ *server, c *config.RealServer) agentx.Value {
			return optional(c.SNMPName)
		})},
	}, tunnel(52, func(r *server) (config.Forward, config.Tunnel) { return r.forward() })...)
}

// forward is how packets reach the server.
func (r *server) forward() (config.Forward, config.Tunnel) {
	vs := r.service.config
	f, t := vs.SorryForward, vs.SorryTunnel
	if r.config != nil {
		f, t = r.config.Forward, r.config.Tunnel
	}
	if f == 0 {
		f, t = vs.Forward, vs.Tunnel
	}
	return f, t
}
