package snmp

import (
	"net/netip"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/snmp/agentx"
	"github.com/tandemlb/tandem/daemon/status"
)

// services is what keepalived's MIB has of virtual services.
func (v *View) services() []part {
	var members []groupMember
	for i := range v.Config.ServerGroups {
		for j := range v.Config.ServerGroups[i].Members {
			members = append(members, groupMember{i + 1, j + 1,
				&v.Config.ServerGroups[i].Members[j]})
		}
	}
	all := make([]service, len(v.Config.VirtualServers))
	var servers []server
	for i := range v.Config.VirtualServers {
		all[i] = service{number: i + 1, config: &v.Config.VirtualServers[i], view: v}
		if i < len(v.Services) {
			all[i].status = v.Services[i]
		}
		servers = append(servers, all[i].servers()...)
	}
	return append([]part{
		newTable(enterprise(3, 1, 1), numbered(v.Config.ServerGroups),
			func(g *nth[config.ServerGroup]) agentx.OID { return index(g.number) },
			[]column[nth[config.ServerGroup]]{
				{2, func(g *nth[config.ServerGroup]) agentx.Value { return agentx.Text(g.of.Name) }},
			}),
		newTable(enterprise(3, 2, 1), members,
			func(m *groupMember) agentx.OID { return index(m.group, m.number) }, memberColumns()),
		newTable(enterprise(3, 3, 1), all,
			func(s *service) agentx.OID { return index(s.number) },
			inOrder(serviceColumns(), serviceFlows(), []column[service]{onePacket()}, serviceRest())),
		newTable(enterprise(3, 4, 1), servers,
			func(s *server) agentx.OID { return index(s.service.number, s.number) },
			inOrder(serverColumns(), serverFlows(), serverRest())),
	}, v.synchronisation()...)
}

// groupMember is one line of a virtual_server_group.
type groupMember struct {
	group, number int
	of            *config.ServiceRange
}

func memberColumns() []column[groupMember] {
	single := func(m *groupMember) bool { return m.of.Last == m.of.First }
	return []column[groupMember]{
		{2, func(m *groupMember) agentx.Value {
			switch {
			case m.of.Mark != 0:
				return agentx.Int(1)
			case single(m):
				return agentx.Int(2)
			}
			return agentx.Int(3)
		}},
		{3, func(m *groupMember) agentx.Value { return numberIfAny(m.of.Mark) }},
		{4, func(m *groupMember) agentx.Value {
			if m.of.Mark != 0 {
				return agentx.Value{}
			}
			return addressType(m.of.First)
		}},
		{5, func(m *groupMember) agentx.Value {
			if !single(m) {
				return agentx.Value{}
			}
			return address(m.of.First)
		}},
		{6, func(m *groupMember) agentx.Value {
			if single(m) {
				return agentx.Value{}
			}
			return address(m.of.First)
		}},
		{7, func(m *groupMember) agentx.Value {
			if single(m) {
				return agentx.Value{}
			}
			return address(m.of.Last)
		}},
		{8, func(m *groupMember) agentx.Value {
			if m.of.Mark != 0 {
				return agentx.Value{}
			}
			return agentx.Gauge(uint64(m.of.Port))
		}},
	}
}

func numberIfAny(n uint32) agentx.Value {
	if n == 0 {
		return agentx.Value{}
	}
	return agentx.Gauge(uint64(n))
}

// service is a virtual server with what the snapshot says of it, nil if that is nothing.
type service struct {
	number int // in the file, from 1
	config *config.VirtualServer
	status *status.Service
	view   *View
}

// kind is fwmark(1), ip(2) or group(3).
func (s *service) kind() int {
	switch {
	case s.config.Mark != 0:
		return 1
	case s.config.Group != "":
		return 3
	}
	return 2
}

// protocol is tcp(1), udp(2), sctp(3) or none(4).
func (s *service) protocol() int {
	if s.config.Mark != 0 || s.config.Protocol == 0 {
		return 4
	}
	return int(s.config.Protocol)
}

// up counts the real servers that are.
func (s *service) up() int {
	n := 0
	for _, r := range s.servers() {
		if r.status != nil && r.config != nil && r.status.Health == status.Up {
			n++
		}
	}
	return n
}

// quorum is met(1) or notMet(2).
func (s *service) quorum() agentx.Value {
	return truth(s.status != nil && s.status.Health == status.Up)
}

// check is the first check of the first real server that has one; nil if none has.
func (s *service) check() *config.Check {
	for i := range s.config.RealServers {
		if cs := s.config.RealServers[i].Checks; len(cs) > 0 {
			return &cs[0]
		}
	}
	return nil
}

// algorithm is the number of a scheduler.
func algorithm(s config.Scheduler) int {
	switch s {
	case "rr":
		return 1
	case "wrr":
		return 2
	case "lc":
		return 3
	case "wlc":
		return 4
	case "lblc":
		return 5
	case "lblcr":
		return 6
	case "dh":
		return 7
	case "sh":
		return 8
	case "sed":
		return 9
	case "nq":
		return 10
	case "fo":
		return 11
	case "ovf":
		return 12
	case "mh":
		return 13
	case "twos":
		return 14
	}
	return 99
}

// serviceColumns are what a virtual server is.
func serviceColumns() []column[service] {
	return []column[service]{
		{2, func(s *service) agentx.Value { return agentx.Int(s.kind()) }},
		{3, func(s *service) agentx.Value { return optional(s.config.Group) }},
		{4, func(s *service) agentx.Value { return numberIfAny(s.config.Mark) }},
		{5, func(s *service) agentx.Value {
			if s.kind() != 2 {
				return agentx.Value{}
			}
			return addressType(s.config.Address.Addr())
		}},
		{6, func(s *service) agentx.Value { return address(s.config.Address.Addr()) }},
		{7, func(s *service) agentx.Value {
			if s.kind() != 2 {
				return agentx.Value{}
			}
			return agentx.Gauge(uint64(s.config.Address.Port()))
		}},
		{8, func(s *service) agentx.Value { return agentx.Int(s.protocol()) }},
		{9, func(s *service) agentx.Value { return agentx.Int(algorithm(s.config.Scheduler)) }},
		{10, func(s *service) agentx.Value { return agentx.Int(int(s.config.Forward)) }},
		{11, func(s *service) agentx.Value {
			return truth(s.status != nil && s.status.Error == "")
		}},
		{13, func(s *service) agentx.Value { return truth(s.config.Persistence > 0) }},
		{14, func(s *service) agentx.Value {
			if s.config.Persistence == 0 {
				return agentx.Value{}
			}
			return seconds(s.config.Persistence)
		}},
		{15, func(s *service) agentx.Value { return s.netmask() }},
		{16, delay(func(c *config.Check) agentx.Value { return seconds(c.DelayLoop) })},
		{17, func(s *service) agentx.Value { return truth(s.config.SuspendOnBackup) }},
		{18, func(s *service) agentx.Value { return truth(s.config.Alpha) }},
		{19, func(s *service) agentx.Value { return truth(s.config.Omega) }},
		{20, func(s *service) agentx.Value {
			return agentx.Gauge(uint64(len(s.config.RealServers)))
		}},
		{21, func(s *service) agentx.Value { return agentx.Gauge(uint64(s.up())) }},
		{22, func(s *service) agentx.Value { return agentx.Gauge(uint64(s.config.Quorum)) }},
		{23, func(s *service) agentx.Value { return s.quorum() }},
		{24, func(s *service) agentx.Value { return command(s.config.QuorumUp) }},
		{25, func(s *service) agentx.Value { return command(s.config.QuorumDown) }},
		{26, func(s *service) agentx.Value { return agentx.Gauge(uint64(s.config.Hysteresis)) }},
	}
}

// delay is a column of what the checks have.
func delay(of func(*config.Check) agentx.Value) func(*service) agentx.Value {
	return func(s *service) agentx.Value {
		if c := s.check(); c != nil {
			return of(c)
		}
		return agentx.Value{}
	}
}

// netmask is that of the persistence of an IPv4 service.
func (s *service) netmask() agentx.Value {
	bits := s.config.Granularity
	if bits < 1 || s.six() {
		return agentx.Value{}
	}
	mask := ^uint32(0) << (32 - bits)
	return agentx.Text(string([]byte{byte(mask >> 24), byte(mask >> 16), byte(mask >> 8),
		byte(mask)}))
}

// six says whether the service is of IPv6.
func (s *service) six() bool {
	switch {
	case s.config.Mark != 0:
		return s.config.Family == config.IPv6
	case len(s.config.Members) > 0:
		return s.config.Members[0].First.Is6() || s.config.Members[0].Family == config.IPv6
	}
	return s.config.Address.Addr().Is6()
}

// flow is what the kernel has counted for the row; zero if it does not say.
func (s *service) flow() status.Flow {
	if s.status == nil || s.status.Flow == nil {
		return status.Flow{}
	}
	return *s.status.Flow
}

// serviceFlows are the counters of a virtual server. Rates of bytes and packets are of a second.
func serviceFlows() []column[service] {
	return flows(func(s *service) (status.Flow, bool) { return s.flow(), true },
		[]uint32{27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 38, 39, 40, 41})
}

// flows are the columns of counters: connections, packets in and out as Counter32, bytes in and
// out, the five rates, connections and packets again as Counter64, and from the last id on the
// rates again, each low and high.
func flows[R any](of func(*R) (f status.Flow, there bool), ids []uint32) []column[R] {
	values := []func(*status.Flow) agentx.Value{
		func(f *status.Flow) agentx.Value { return agentx.Gauge(f.Connections) },
		func(f *status.Flow) agentx.Value { return agentx.Count(f.PacketsIn) },
		func(f *status.Flow) agentx.Value { return agentx.Count(f.PacketsOut) },
		func(f *status.Flow) agentx.Value { return agentx.Count64(f.BytesIn) },
		func(f *status.Flow) agentx.Value { return agentx.Count64(f.BytesOut) },
		func(f *status.Flow) agentx.Value { return agentx.Gauge(f.ConnectionRate) },
		func(f *status.Flow) agentx.Value { return agentx.Gauge(f.PacketRateIn) },
		func(f *status.Flow) agentx.Value { return agentx.Gauge(f.PacketRateOut) },
		func(f *status.Flow) agentx.Value { return agentx.Gauge(f.ByteRateIn) },
		func(f *status.Flow) agentx.Value { return agentx.Gauge(f.ByteRateOut) },
		func(f *status.Flow) agentx.Value { return agentx.Count64(f.Connections) },
		func(f *status.Flow) agentx.Value { return agentx.Count64(f.PacketsIn) },
		func(f *status.Flow) agentx.Value { return agentx.Count64(f.PacketsOut) },
	}
	for _, rate := range []func(*status.Flow) uint64{
		func(f *status.Flow) uint64 { return f.ConnectionRate },
		func(f *status.Flow) uint64 { return f.PacketRateIn },
		func(f *status.Flow) uint64 { return f.PacketRateOut },
		func(f *status.Flow) uint64 { return f.ByteRateIn },
		func(f *status.Flow) uint64 { return f.ByteRateOut },
	} {
		values = append(values,
			func(f *status.Flow) agentx.Value { return agentx.Gauge(rate(f) & (1<<32 - 1)) },
			func(f *status.Flow) agentx.Value { return agentx.Gauge(rate(f) >> 32) })
	}
	var out []column[R]
	for i, value := range values {
		id := ids[len(ids)-1] + uint32(max(i-len(ids)+1, 0))
		if i < len(ids) {
			id = ids[i]
		}
		out = append(out, column[R]{id, func(r *R) agentx.Value {
			f, there := of(r)
			if !there {
				return agentx.Value{}
			}
			return value(&f)
		}})
	}
	return out
}

// onePacket is the column among those of counters that is none.
func onePacket() column[service] {
	return column[service]{37, func(s *service) agentx.Value { return truth(s.config.OnePacket) }}
}

// serviceRest is what was added to the table after the counters.
func serviceRest() []column[service] {
	return append([]column[service]{
		{51, func(s *service) agentx.Value {
			if s.config.Granularity < 1 || !s.six() {
				return agentx.Value{}
			}
			return agentx.Gauge(uint64(s.config.Granularity))
		}},
		{52, func(s *service) agentx.Value { return truth(s.config.Hashed) }},
		{53, hashFlag("sh", func(s *config.VirtualServer) bool { return s.SourceHash.Fallback })},
		{54, hashFlag("sh", func(s *config.VirtualServer) bool { return s.SourceHash.Port })},
		{55, func(s *service) agentx.Value { return truth(s.config.Flags.Three) }},
		{56, func(s *service) agentx.Value { return truth(!s.config.SorryInhibit) }},
		{57, delay(func(c *config.Check) agentx.Value { return agentx.Gauge(uint64(c.Retry)) })},
		{58, delay(func(c *config.Check) agentx.Value { return seconds(c.DelayBeforeRetry) })},
		{59, delay(func(c *config.Check) agentx.Value { return seconds(c.Warmup) })},
		{61, func(s *service) agentx.Value {
			a := &s.view.Config.Global.Alerts
			return truth(on(false, s.config.Alert, a.Checkers, a.All))
		}},
		{62, hashFlag("mh", func(s *config.VirtualServer) bool { return s.Maglev.Fallback })},
		{63, hashFlag("mh", func(s *config.VirtualServer) bool { return s.Maglev.Port })},
		{64, delay(func(c *config.Check) agentx.Value { return microseconds(c.DelayLoop) })},
		{65, delay(func(c *config.Check) agentx.Value { return microseconds(c.DelayBeforeRetry) })},
		{66, delay(func(c *config.Check) agentx.Value { return microseconds(c.Warmup) })},
		{67, delay(func(c *config.Check) agentx.Value { return microseconds(c.ConnectTimeout) })},
	}, append(tunnel(68, func(s *service) (config.Forward, config.Tunnel) {
		return s.config.Forward, s.config.Tunnel
	}), column[service]{71, func(s *service) agentx.Value { return optional(s.config.SNMPName) }})...)
}

// hashFlag is a flag of one scheduler, which is not there for others.
func hashFlag(
	scheduler config.Scheduler, flag func(*config.VirtualServer) bool,
) func(*service) agentx.Value {
	return func(s *service) agentx.Value {
		if s.config.Scheduler != scheduler {
			return agentx.Value{}
		}
		return truth(flag(s.config))
	}
}

// tunnel are the columns of an encapsulation, from first on; they are there for TUN.
func tunnel[R any](
	first uint32, of func(*R) (config.Forward, config.Tunnel),
) []column[R] {
	types := map[string]int{"": 1, "ipip": 1, "gue": 2, "gre": 3}
	sums := map[string]int{"nocsum": 1, "csum": 2, "remcsum": 3}
	only := func(value func(t *config.Tunnel) agentx.Value) func(*R) agentx.Value {
		return func(r *R) agentx.Value {
			forward, t := of(r)
			if forward != config.TUN {
				return agentx.Value{}
			}
			return value(&t)
		}
	}
	return []column[R]{
		{first, only(func(t *config.Tunnel) agentx.Value { return agentx.Int(types[t.Type]) })},
		{first + 1, only(func(t *config.Tunnel) agentx.Value {
			return numberIfAny(uint32(t.Port))
		})},
		{first + 2, only(func(t *config.Tunnel) agentx.Value {
			if n := sums[t.Checksum]; n != 0 {
				return agentx.Int(n)
			}
			return agentx.Value{}
		})},
	}
}

// synchronisation is the synchronisation of connections, and how long they last.
func (v *View) synchronisation() []part {
	lvs := &v.Config.Global.LVS
	one := func(value agentx.Value, id ...uint32) agentx.Binding {
		return agentx.Binding{Name: enterprise(3).With(id...).With(0), Value: value}
	}
	sync := []agentx.Binding{one(truth(lvs.Sync != nil), 6, 1)}
	if s := lvs.Sync; s != nil {
		group := s.Group
		if !group.IsValid() {
			group = netip.AddrFrom4([4]byte{224, 0, 0, 81})
		}
		id := agentx.Value{}
		if s.HasID {
			id = agentx.Int(int(s.ID))
		}
		sync = append(sync, one(agentx.Text(s.Interface), 6, 2), one(optional(s.Instance), 6, 3),
			one(id, 6, 4), one(agentx.Int(s.MaxLength), 6, 5), one(agentx.Int(int(s.Port)), 6, 6),
			one(agentx.Int(int(s.TTL)), 6, 7), one(addressType(group), 6, 8),
			one(address(group), 6, 9))
	}
	t := &lvs.Timeouts
	return []part{scalars{enterprise(3, 6), sync}, scalars{enterprise(3, 7), []agentx.Binding{
		one(wholeSeconds(t.TCP), 7, 1), one(wholeSeconds(t.TCPFin), 7, 2),
		one(wholeSeconds(t.UDP), 7, 3),
	}}}
}
