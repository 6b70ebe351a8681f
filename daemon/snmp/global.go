package snmp

import (
	"net/netip"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/snmp/agentx"
)

// global is what keepalived's MIB has of the whole daemon.
func (v *View) global() []part {
	g := &v.Config.Global
	mail := &g.Mail
	server, _ := netip.ParseAddr(mail.Server.Host) // a name has no address here
	port := agentx.Value{}
	if mail.Server.Host != "" {
		port = agentx.Gauge(uint64(mail.Server.Port))
		if mail.Server.Port == 0 {
			port = agentx.Gauge(25)
		}
	}
	one := func(value agentx.Value, id ...uint32) agentx.Binding {
		return agentx.Binding{Name: enterprise(1).With(id...).With(0), Value: value}
	}
	flush := 2 // disabled
	if g.LVS.FlushOnStop != 0 {
		flush = map[config.Flush]int{config.FlushAll: 1, config.FlushOwn: 3}[g.LVS.FlushOnStop]
	}
	serverType := agentx.Value{}
	if server.IsValid() {
		serverType = addressType(server)
	}
	return []part{
		scalars{enterprise(1, 1), []agentx.Binding{
			one(agentx.Text("Tandem "+v.Snapshot.Daemon.Version), 1)}},
		scalars{enterprise(1, 2), []agentx.Binding{one(agentx.Text(v.Snapshot.Daemon.Router), 2)}},
		scalars{enterprise(1, 3, 1), []agentx.Binding{one(serverType, 3, 1)}},
		scalars{enterprise(1, 3, 2), []agentx.Binding{
			one(address(server), 3, 2),
			one(seconds(mail.ConnectTimeout), 3, 3),
			one(optional(mail.From), 3, 4),
		}},
		newTable(enterprise(1, 3, 5, 1), numbered(mail.To),
			func(r *nth[string]) agentx.OID { return index(r.number) },
			[]column[nth[string]]{
				{2, func(r *nth[string]) agentx.Value { return agentx.Text(r.of) }},
			}),
		scalars{enterprise(1, 3, 6), []agentx.Binding{
			one(port, 3, 6),
			one(truth(!g.Alerts.NoFaults), 3, 7),
			one(switched(g.Alerts.All), 3, 8),
			one(switched(g.Alerts.VRRP), 3, 9),
			one(switched(g.Alerts.Checkers), 3, 10),
		}},
		scalars{enterprise(1, 4), []agentx.Binding{
			one(truth(v.Traps), 4),
			one(agentx.Int(1), 5), // netlink
			one(truth(g.LVS.Flush), 6),
			one(truth(true), 7),
			one(agentx.Text(g.Namespace.Network), 8),
			one(truth(g.DBus.Enable), 9),
			one(truth(true), 10),
			one(agentx.Int(flush), 11),
		}},
	}
}

// switched is on(1), off(2) or unset(3).
func switched(s config.Switch) agentx.Value {
	switch s {
	case config.SwitchOn:
		return agentx.Int(1)
	case config.SwitchOff:
		return agentx.Int(2)
	}
	return agentx.Int(3)
}

// nth is one of a list, by its number from 1.
type nth[T any] struct {
	number int
	of     T
}

func numbered[T any](all []T) []nth[T] {
	out := make([]nth[T], len(all))
	for i := range all {
		out[i] = nth[T]{i + 1, all[i]}
	}
	return out
}
