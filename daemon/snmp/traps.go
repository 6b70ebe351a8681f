package snmp

import (
	"net/netip"

	"github.com/tandemlb/tandem/daemon/snmp/agentx"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// Event is something that managers may want to know. It is one of the types below.
type Event interface {
	traps(*View) []agentx.Notification
}

// The numbers of keepalived's VrrpState.
const (
	StateInit = iota
	StateBackup
	StateMaster
	StateFault
	stateUnknown
	StateStopped
	StateDeleted
)

// InstanceState is that an instance has come into a state.
type InstanceState struct {
	Name  string
	State int
	// Reason is why, in our words.
	Reason string
}

// GroupState is that a sync group has come into a state.
type GroupState struct {
	Name  string
	State int
}

// ServerState is that a real server has come up, or gone down. Service and Server are their numbers
// in Config.VirtualServers and RealServers, from 0.
type ServerState struct {
	Service, Server int
	Up              bool
}

// QuorumState is that a virtual service has its quorum again, or has lost it.
type QuorumState struct {
	Service int
	Up      bool
}

// Refused is that an instance has refused an advert.
type Refused struct {
	Name   string
	From   netip.Addr
	Reason vrrp.DropReason
}

// Notifications returns what managers are to be told of an event, nil if that is nothing.
func (v *View) Notifications(e Event) []agentx.Notification {
	if !v.Traps {
		return nil
	}
	return e.traps(v)
}

func (v *View) routerID() agentx.Binding {
	return agentx.Binding{Name: enterprise(1, 2, 0), Value: agentx.Text(v.Snapshot.Daemon.Router)}
}

// find returns the instance of a name; nil if there is none.
func (v *View) find(name string) *instance {
	all := v.instances()
	for i := range all {
		if all[i].config.Name == name {
			return &all[i]
		}
	}
	return nil
}

func (e InstanceState) traps(v *View) []agentx.Notification {
	i := v.find(e.Name)
	if i == nil {
		return nil
	}
	var all []agentx.Notification
	cell := func(id uint32, value agentx.Value) agentx.Binding {
		return agentx.Binding{Name: enterprise(2, 3, 1, id).With(uint32(i.number)), Value: value}
	}
	if v.VRRP {
		all = append(all, agentx.Notification{Name: enterprise(2, 10, 0, 2),
			Bindings: []agentx.Binding{cell(2, agentx.Text(e.Name)), cell(4, agentx.Int(e.State)),
				cell(5, agentx.Int(i.initial())), v.routerID()}})
	}
	row := i.row()
	if e.State != StateMaster || row == nil {
		return all
	}
	if v.RFC2787 && i.config.Version == 2 {
		all = append(all, agentx.Notification{Name: mib2(68, 0, 1), Bindings: []agentx.Binding{
			{Name: mib2(68, 1, 3, 1, 7).With(row...), Value: agentx.IPv4(i.source())}}})
	}
	if v.RFC6527 && i.config.Version == 3 {
		row = i.row(i.family())
		all = append(all, agentx.Notification{Name: mib2(207, 0, 1), Bindings: []agentx.Binding{
			{Name: mib2(207, 1, 1, 1, 1, 3).With(row...), Value: i.orNone(address(i.source()))},
			{Name: mib2(207, 1, 2, 5, 1, 2).With(row...),
				Value: agentx.Int(newMasterReason(e.Reason))}}})
	}
	return all
}

func (e GroupState) traps(v *View) []agentx.Notification {
	if !v.VRRP {
		return nil
	}
	for i := range v.Config.SyncGroups {
		if v.Config.SyncGroups[i].Name != e.Name {
			continue
		}
		cell := func(id uint32, value agentx.Value) agentx.Binding {
			return agentx.Binding{Name: enterprise(2, 1, 1, id, uint32(i+1)), Value: value}
		}
		return []agentx.Notification{{Name: enterprise(2, 10, 0, 1), Bindings: []agentx.Binding{
			cell(2, agentx.Text(e.Name)), cell(3, agentx.Int(e.State)), v.routerID()}}}
	}
	return nil
}

// service returns the virtual server of that number; false if there is none.
func (v *View) service(n int) (service, bool) {
	if n < 0 || n >= len(v.Config.VirtualServers) {
		return service{}, false
	}
	s := service{number: n + 1, config: &v.Config.VirtualServers[n], view: v}
	if n < len(v.Services) {
		s.status = v.Services[n]
	}
	return s, v.Checker
}

// cell is a variable of the row of a service.
func (s *service) cell(id uint32, value agentx.Value) agentx.Binding {
	return agentx.Binding{Name: enterprise(3, 3, 1, id, uint32(s.number)), Value: value}
}

// counts are what all notifications about services end with.
func (s *service) counts() []agentx.Binding {
	return []agentx.Binding{s.cell(21, agentx.Gauge(uint64(s.up()))),
		s.cell(20, agentx.Gauge(uint64(len(s.config.RealServers)))), s.view.routerID()}
}

func (e ServerState) traps(v *View) []agentx.Notification {
	s, ok := v.service(e.Service)
	if !ok || e.Server < 0 || e.Server >= len(s.config.RealServers) {
		return nil
	}
	all := s.servers()
	r := all[len(all)-len(s.config.RealServers)+e.Server]
	cell := func(id uint32, value agentx.Value) agentx.Binding {
		return agentx.Binding{Name: enterprise(3, 4, 1, id, uint32(s.number), uint32(r.number)),
			Value: value}
	}
	return []agentx.Notification{{Name: enterprise(3, 5, 0, 1), Bindings: append([]agentx.Binding{
		cell(3, addressType(r.addr.Addr())), cell(4, address(r.addr.Addr())),
		cell(5, agentx.Gauge(uint64(r.addr.Port()))), cell(6, truth(e.Up)),
		s.cell(2, agentx.Int(s.kind())), s.cell(8, agentx.Int(s.protocol())),
	}, s.counts()...)}}
}

func (e QuorumState) traps(v *View) []agentx.Notification {
	s, ok := v.service(e.Service)
	if !ok {
		return nil
	}
	return []agentx.Notification{{Name: enterprise(3, 5, 0, 2), Bindings: append([]agentx.Binding{
		s.cell(2, agentx.Int(s.kind())), s.cell(8, agentx.Int(s.protocol())),
		s.cell(23, truth(e.Up)), s.cell(22, agentx.Gauge(uint64(s.config.Quorum))),
	}, s.counts()...)}}
}

func (e Refused) traps(v *View) []agentx.Notification {
	i := v.find(e.Name)
	if i == nil {
		return nil
	}
	if v.RFC2787 && i.config.Version == 2 {
		if n := authError(e.Reason); n != 0 {
			return []agentx.Notification{{Name: mib2(68, 0, 2), Bindings: []agentx.Binding{
				{Name: mib2(68, 1, 5, 0), Value: agentx.IPv4(e.From)},
				{Name: mib2(68, 1, 6, 0), Value: agentx.Int(n)}}}}
		}
	}
	if v.RFC6527 && i.config.Version == 3 {
		if n := protoError(e.Reason.String()); n != 0 && i.row() != nil {
			return []agentx.Notification{{Name: mib2(207, 0, 2), Bindings: []agentx.Binding{
				{Name: mib2(207, 1, 2, 5, 1, 6).With(i.row(i.family())...), Value: agentx.Int(n)}}}}
		}
	}
	return nil
}

// authError is authTypeMismatch(2) or authFailure(3); 0 for what has nothing to do with it.
func authError(r vrrp.DropReason) int {
	switch r {
	case vrrp.DropAuthType:
		return 2
	case vrrp.DropPassword:
		return 3
	}
	return 0
}
