package daemon

import (
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/notify"
	"github.com/tandemlb/tandem/daemon/snmp"
)

// managersEvent returns an event in the terms of SNMP; nil for one that has none there.
func managersEvent(cfg *config.Config, e notify.Event) snmp.Event {
	if e.Again {
		return nil
	}
	switch e.Kind {
	case notify.Instance:
		if s, ok := managersState(e.State); ok {
			return snmp.InstanceState{Name: e.Name, State: s, Reason: e.Reason}
		}
	case notify.Group:
		if s, ok := managersState(e.State); ok {
			return snmp.GroupState{Name: e.Name, State: s}
		}
	case notify.VirtualService:
		for i := range cfg.VirtualServers {
			if serviceSubject(&cfg.VirtualServers[i]) == e.Subject {
				return snmp.QuorumState{Service: i, Up: e.State == notify.Up}
			}
		}
	case notify.RealServer:
		return serverEvent(cfg, e)
	case notify.Condition:
	}
	return nil
}

// managersState is the number of a state; false for what is none.
func managersState(s notify.State) (int, bool) {
	switch s {
	case notify.Master:
		return snmp.StateMaster, true
	case notify.Backup:
		return snmp.StateBackup, true
	case notify.Fault:
		return snmp.StateFault, true
	case notify.Stop:
		return snmp.StateStopped, true
	case notify.Deleted:
		return snmp.StateDeleted, true
	default:
		return 0, false
	}
}

// serverEvent finds the real server of an event. Of two services with one name it is the first that
// has such a server.
func serverEvent(cfg *config.Config, e notify.Event) snmp.Event {
	for i := range cfg.VirtualServers {
		vs := &cfg.VirtualServers[i]
		if serviceSubject(vs).Name != e.Service {
			continue
		}
		for j := range vs.RealServers {
			if serverSubject(vs, &vs.RealServers[j]) == e.Subject {
				return snmp.ServerState{Service: i, Server: j, Up: e.State == notify.Up}
			}
		}
	}
	return nil
}
