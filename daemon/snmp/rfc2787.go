package snmp

import (
	"net/netip"

	"github.com/tandemlb/tandem/daemon/snmp/agentx"
	"github.com/tandemlb/tandem/daemon/status"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// rfc2787 is the MIB of VRRP version 2.
func (v *View) rfc2787(instances []instance) []part {
	var ours []instance
	for _, i := range instances {
		if i.config.Version == 2 {
			ours = append(ours, i)
		}
	}
	scalar := func(value agentx.Value, id ...uint32) agentx.Binding {
		return agentx.Binding{Name: mib2(68).With(id...).With(0), Value: value}
	}
	row := func(i *instance) agentx.OID { return i.row() }
	return []part{
		scalars{mib2(68, 1, 1), []agentx.Binding{scalar(agentx.Int(2), 1, 1)}},
		scalars{mib2(68, 1, 2), []agentx.Binding{scalar(truth(v.Traps), 1, 2)}},
		newTable(mib2(68, 1, 3, 1), ours, row, v.operColumns()),
		newTable(mib2(68, 1, 4, 1), associations(ours), func(a *associated) agentx.OID {
			if row := a.of.row(); row != nil {
				return row.With(a.octets()...)
			}
			return nil
		}, []column[associated]{
			{2, func(*associated) agentx.Value { return agentx.Int(active) }},
		}),
		scalars{mib2(68, 2, 1), []agentx.Binding{
			scalar(agentx.Count(total(ours, vrrp.DropChecksum)), 2, 1),
			scalar(agentx.Count(total(ours, vrrp.DropVersion)), 2, 2),
			scalar(agentx.Count(total(ours, vrrp.DropVRID)), 2, 3),
		}},
		newTable(mib2(68, 2, 4, 1), ours, row, routerStatsColumns()),
	}
}

// operColumns are vrrpOperEntry. The password is not shown.
func (v *View) operColumns() []column[instance] {
	return []column[instance]{
		{2, (*instance).mac},
		{3, (*instance).operState},
		{4, func(*instance) agentx.Value { return agentx.Int(1) }}, // up
		{5, func(i *instance) agentx.Value { return agentx.Int(i.priority()) }},
		{6, func(i *instance) agentx.Value { return agentx.Int(len(i.config.VIPs)) }},
		{7, func(i *instance) agentx.Value { return agentx.IPv4(i.master()) }},
		{8, func(i *instance) agentx.Value { return agentx.IPv4(i.source()) }},
		{9, func(i *instance) agentx.Value { return agentx.Int(1 + int(i.config.Auth.Type)) }},
		{11, func(i *instance) agentx.Value { return wholeSeconds(i.config.AdvertInterval) }},
		{12, func(i *instance) agentx.Value { return truth(i.config.Preempt) }},
		{13, func(i *instance) agentx.Value { return v.ticks(i.running()) }},
		{14, func(*instance) agentx.Value { return agentx.Int(1) }}, // ip
		{15, func(*instance) agentx.Value { return agentx.Int(active) }},
	}
}

// source is the address that adverts come from.
func (i *instance) source() netip.Addr {
	if i.status == nil {
		return netip.Addr{}
	}
	return i.status.Source
}

// master is the address of the router that is master, as far as the instance knows.
func (i *instance) master() netip.Addr {
	switch i.state() {
	case status.Master:
		return i.status.Source
	case status.Backup:
		return i.status.Leader
	case status.Init, status.Fault:
	}
	return netip.Addr{}
}

// routerStatsColumns are vrrpRouterStatsEntry.
func routerStatsColumns() []column[instance] {
	counter := func(id uint32, of func(*status.Instance) uint64) column[instance] {
		return column[instance]{id, func(i *instance) agentx.Value {
			return agentx.Count(i.count(of))
		}}
	}
	return []column[instance]{
		counter(1, func(s *status.Instance) uint64 { return s.BecameMaster }),
		counter(2, func(s *status.Instance) uint64 { return s.Traffic.Received }),
		counter(3, dropped(vrrp.DropInterval)),
		counter(4, dropped(vrrp.DropPassword)),
		counter(5, dropped(vrrp.DropTTL)),
		counter(6, func(s *status.Instance) uint64 { return s.Traffic.ZeroReceived }),
		counter(7, func(s *status.Instance) uint64 { return s.Traffic.ZeroSent }),
		counter(8, dropped(vrrp.DropType)),
		counter(9, dropped(vrrp.DropAddresses)),
		counter(10, func(*status.Instance) uint64 { return 0 }), // counted by the next one
		counter(11, dropped(vrrp.DropAuthType)),
		counter(12, dropped(vrrp.DropShort, vrrp.DropLong)),
	}
}
