package snmp

import (
	"github.com/tandemlb/tandem/daemon/snmp/agentx"
	"github.com/tandemlb/tandem/daemon/status"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// rfc6527 is the MIB of VRRP version 3. As in keepalived's, instances of version 2 are in it too.
func (v *View) rfc6527(instances []instance) []part {
	scalar := func(value agentx.Value, id uint32) agentx.Binding {
		return agentx.Binding{Name: mib2(207, 1, 2, id, 0), Value: value}
	}
	row := func(i *instance) agentx.OID { return i.row(i.family()) }
	return []part{
		newTable(mib2(207, 1, 1, 1, 1), instances, row, v.operationsColumns()),
		newTable(mib2(207, 1, 1, 2, 1), associations(instances), func(a *associated) agentx.OID {
			row, octets := a.of.row(a.of.family()), a.octets()
			if row == nil {
				return nil
			}
			return row.With(uint32(len(octets))).With(octets...)
		}, []column[associated]{
			{2, func(*associated) agentx.Value { return agentx.Int(active) }},
		}),
		scalars{mib2(207, 1, 2, 1), []agentx.Binding{
			scalar(agentx.Count64(total(instances, vrrp.DropChecksum)), 1),
			scalar(agentx.Count64(total(instances, vrrp.DropVersion)), 2),
			scalar(agentx.Count64(total(instances, vrrp.DropVRID)), 3),
			scalar(v.ticks(v.Snapshot.Daemon.Started), 4),
		}},
		newTable(mib2(207, 1, 2, 5, 1), instances, row, v.statisticsColumns()),
	}
}

// family is the InetAddressType of the instance's adverts.
func (i *instance) family() uint32 {
	if i.config.IPv6() {
		return 2
	}
	return 1
}

// operationsColumns are vrrpv3OperationsEntry.
func (v *View) operationsColumns() []column[instance] {
	return []column[instance]{
		{3, func(i *instance) agentx.Value { return i.orNone(address(i.master())) }},
		{4, func(i *instance) agentx.Value { return i.orNone(address(i.source())) }},
		{5, (*instance).mac},
		{6, (*instance).operState},
		{7, func(i *instance) agentx.Value { return agentx.Gauge(uint64(i.priority())) }},
		{8, func(i *instance) agentx.Value { return agentx.Int(len(i.config.VIPs)) }},
		{9, func(i *instance) agentx.Value {
			return agentx.Int(int(hundredths(i.config.AdvertInterval)))
		}},
		{10, func(i *instance) agentx.Value { return truth(i.config.Preempt) }},
		{11, func(i *instance) agentx.Value { return truth(i.config.Accept) }},
		{12, func(i *instance) agentx.Value {
			if i.running().IsZero() {
				return agentx.Ticks(0)
			}
			return agentx.Ticks(hundredths(v.Snapshot.Time.Sub(i.running())))
		}},
		{13, func(*instance) agentx.Value { return agentx.Int(active) }},
	}
}

// orNone returns a, or the address of nobody in the instance's family.
func (i *instance) orNone(a agentx.Value) agentx.Value {
	switch {
	case a.Type != 0:
		return a
	case i.config.IPv6():
		return agentx.Text(string(make([]byte, 16)))
	}
	return agentx.Text(string(make([]byte, 4)))
}

// statisticsColumns are vrrpv3StatisticsEntry.
func (v *View) statisticsColumns() []column[instance] {
	counter := func(id uint32, of func(*status.Instance) uint64) column[instance] {
		return column[instance]{id, func(i *instance) agentx.Value {
			return agentx.Count64(i.count(of))
		}}
	}
	return []column[instance]{
		{1, func(i *instance) agentx.Value {
			return agentx.Count(i.count(func(s *status.Instance) uint64 { return s.BecameMaster }))
		}},
		{2, func(i *instance) agentx.Value {
			if i.status == nil {
				return agentx.Int(notMaster)
			}
			return agentx.Int(newMasterReason(i.status.MasterReason))
		}},
		counter(3, func(s *status.Instance) uint64 { return s.Traffic.Received }),
		counter(4, dropped(vrrp.DropInterval)),
		counter(5, dropped(vrrp.DropTTL)),
		{6, func(i *instance) agentx.Value {
			if i.status == nil {
				return agentx.Int(0)
			}
			return agentx.Int(protoError(i.status.LastDropped))
		}},
		counter(7, func(s *status.Instance) uint64 { return s.Traffic.ZeroReceived }),
		counter(8, func(s *status.Instance) uint64 { return s.Traffic.ZeroSent }),
		counter(9, dropped(vrrp.DropType)),
		counter(10, dropped(vrrp.DropAddresses)),
		counter(11, dropped(vrrp.DropShort, vrrp.DropLong)),
		{12, func(*instance) agentx.Value { return v.ticks(v.Snapshot.Daemon.Started) }},
		{13, func(i *instance) agentx.Value {
			return agentx.Gauge(uint64(i.config.AdvertInterval.Milliseconds()))
		}},
	}
}

// The reasons of a new master.
const (
	notMaster = iota
	byPriority
	preempted
	masterNoResponse
)

// newMasterReason is the number for why an instance became master, in our words; none is that it
// never did.
func newMasterReason(why string) int {
	switch why {
	case "":
		return notMaster
	case vrrp.ReasonPreempt.String():
		return preempted
	case vrrp.ReasonSilence.String():
		return masterNoResponse
	}
	return byPriority
}

// protoError is the number of what was wrong with an advert, in our words; 0 for what has none.
func protoError(why string) int {
	for n, r := range []vrrp.DropReason{
		vrrp.DropTTL, vrrp.DropVersion, vrrp.DropChecksum, vrrp.DropVRID,
	} {
		if why == r.String() {
			return n + 1
		}
	}
	return 0
}
