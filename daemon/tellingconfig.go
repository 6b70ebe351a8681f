package daemon

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/notify"
	"github.com/tandemlb/tandem/daemon/pool"
)

// notifications returns who is told of what.
func notifications(cfg *config.Config) notify.Config {
	c := notify.Config{
		Router: cfg.Global.RouterID, Rules: map[notify.Subject]notify.Rules{},
		FIFOs: fifos(cfg), Mail: mailOf(&cfg.Global),
	}
	if c.Router == "" {
		c.Router, _ = os.Hostname() // a router without a name says so in its mail
	}
	mails, alerts := c.Mail.Server != "", &cfg.Global.Alerts
	vrrp := on(false, alerts.VRRP, alerts.All)
	others := notify.Rules{Mail: mails && vrrp}
	c.Rules[conditionSubject("")] = others
	for i := range cfg.Instances {
		n := &cfg.Instances[i].Notify
		r := transitionRules(cfg, n)
		r.Mail = mails && on(vrrp, n.Mail)
		if r != (notify.Rules{}) { // of a thousand most have none
			c.Rules[notify.Subject{Kind: notify.Instance, Name: cfg.Instances[i].Name}] = r
		}
		if own := (notify.Rules{Mail: r.Mail}); own != others {
			c.Rules[conditionSubject(cfg.Instances[i].Name)] = own
		}
	}
	for i := range cfg.SyncGroups {
		n := &cfg.SyncGroups[i].Notify
		r := transitionRules(cfg, n)
		r.Mail = mails && on(vrrp, n.Mail)
		c.Rules[groupSubject(cfg.SyncGroups[i].Name)] = r
	}
	for i := range cfg.VirtualServers {
		serverRules(cfg, &cfg.VirtualServers[i], mails, c.Rules)
	}
	return c
}

// on returns the first of the switches that is set, or else the default.
func on(otherwise bool, switches ...config.Switch) bool {
	if s := cmp.Or(switches...); s != 0 {
		return s == config.SwitchOn
	}
	return otherwise
}

// conditionSubject is that of what is wrong with something; without a name, with anything that has
// no rules of its own.
func conditionSubject(name string) notify.Subject {
	return notify.Subject{Kind: notify.Condition, Name: name}
}

// priorityTellers are the instances whose changes of priority are told; others are false or not
// there. A sync group decides for those of its members that do as all instances do.
func priorityTellers(cfg *config.Config) map[string]bool {
	all := cfg.Global.Adverts.PriorityChanges
	tellers := map[string]bool{}
	for i := range cfg.Instances {
		if cfg.Instances[i].Rules.PriorityChanges {
			tellers[cfg.Instances[i].Name] = true
		}
	}
	for i := range cfg.SyncGroups {
		for _, name := range cfg.SyncGroups[i].Members {
			if tellers[name] == all {
				tellers[name] = on(all, cfg.SyncGroups[i].PriorityChanges)
			}
		}
	}
	return tellers
}

func transitionRules(cfg *config.Config, n *config.Notify) notify.Rules {
	return notify.Rules{
		Master: notifyScript(cfg, n.Master), Backup: notifyScript(cfg, n.Backup),
		Fault: notifyScript(cfg, n.Fault), Stop: notifyScript(cfg, n.Stop),
		Deleted: notifyScript(cfg, n.Deleted), Any: notifyScript(cfg, n.Any),
		LowerPriority: notifyScript(cfg, n.LowerPriority),
	}
}

// notifyScript returns a script, which may be nil, with the account that runs it.
func notifyScript(cfg *config.Config, s *config.Script) *notify.Script {
	if s == nil {
		return nil
	}
	a := accountOf(cfg, s.Account)
	return &notify.Script{Args: s.Args, User: a.User, Group: a.Group}
}

// serverRules adds the rules of a virtual service and its real servers. Where nothing says whether
// there is mail, a real server sends it, and a service does not, as in keepalived.
func serverRules(
	cfg *config.Config, vs *config.VirtualServer, mails bool, rules map[notify.Subject]notify.Rules,
) {
	alerts := &cfg.Global.Alerts
	quorum := notify.Rules{
		Up: notifyScript(cfg, vs.QuorumUp), Down: notifyScript(cfg, vs.QuorumDown),
		Mail: mails && on(false, vs.Alert, alerts.Checkers, alerts.All),
	}
	if quorum != (notify.Rules{}) { // of thousands most have none
		rules[serviceSubject(vs)] = quorum
	}
	for i := range vs.RealServers {
		rs := &vs.RealServers[i]
		r := notify.Rules{
			Up: notifyScript(cfg, rs.NotifyUp), Down: notifyScript(cfg, rs.NotifyDown),
			Mail: mails && on(true, rs.Alert, vs.Alert, alerts.Checkers, alerts.All),
		}
		if r != (notify.Rules{}) { // and of tens of thousands
			rules[serverSubject(vs, rs)] = r
		}
	}
}

// serviceSubject has the name that keepalived gives a virtual server, which two groups or marks may
// share: FWM 7, or [web]:0 for a group.
func serviceSubject(vs *config.VirtualServer) notify.Subject {
	s := notify.Subject{Kind: notify.VirtualService}
	switch {
	case vs.Mark != 0:
		s.Name, s.Service = fmt.Sprintf("FWM %d", vs.Mark), pool.NameOf(vs).String()
	case vs.Group != "":
		s.Name, s.Service = fmt.Sprintf("[%s]:0", vs.Group), pool.NameOf(vs).String()
	default:
		s.Name = notify.ServerName(vs.Address, vs.Protocol.String())
	}
	return s
}

// serverSubject says none for the protocol of a mark, as keepalived does.
func serverSubject(vs *config.VirtualServer, rs *config.RealServer) notify.Subject {
	protocol := "none"
	if vs.Mark == 0 {
		protocol = vs.Protocol.String()
	}
	return notify.Subject{Kind: notify.RealServer,
		Name: notify.ServerName(rs.Address, protocol), Service: serviceSubject(vs).Name}
}

// compareSubjects orders by kind and name.
func compareSubjects(a, b notify.Subject) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Service, b.Service),
		cmp.Compare(a.Name, b.Name))
}

// fifos returns the named pipes. One that names no owner is its reader's, or else that of scripts.
// Two of one path are an error.
func fifos(cfg *config.Config) []notify.FIFO {
	var all []notify.FIFO
	f := &cfg.Global.FIFOs
	for _, of := range []struct {
		fifo      config.FIFO
		script    *config.Script
		vrrp, lvs bool
	}{
		{f.All, f.AllScript, true, true},
		{f.VRRP, f.VRRPScript, true, false},
		{f.LVS, f.LVSScript, false, true},
	} {
		if of.fifo.Path == "" {
			continue
		}
		owner := of.fifo.Account
		if owner.User == "" && of.script != nil {
			owner = of.script.Account
		}
		a := accountOf(cfg, owner)
		all = append(all, notify.FIFO{
			Path: of.fifo.Path, User: a.User, Group: a.Group, VRRP: of.vrrp,
			LVS: of.lvs, Script: notifyScript(cfg, of.script),
		})
	}
	return all
}

// mailOf returns where mail goes: nowhere if there is no server or nobody who gets it.
func mailOf(g *config.Global) notify.Mail {
	m := &g.Mail
	if m.Server.Host == "" || len(m.To) == 0 {
		return notify.Mail{}
	}
	port := cmp.Or(m.Server.Port, 25)
	hello := m.Helo
	if hello == "" {
		hello, _ = os.Hostname() // without one it is localhost
	}
	from := m.From
	if from == "" {
		from = "tandem@" + cmp.Or(hello, "localhost")
	}
	mail := notify.Mail{
		Server: net.JoinHostPort(m.Server.Host, strconv.Itoa(int(port))),
		From:   from, To: m.To, Hello: hello, Timeout: m.ConnectTimeout,
		NoFaults: g.Alerts.NoFaults, StartTLS: startTLS(m.StartTLS),
	}
	if m.User != "" {
		mail.User, mail.Password, mail.PasswordFile = m.User, m.Password, m.PasswordFile
	}
	return mail
}

func startTLS(word string) notify.StartTLS {
	switch word {
	case "offered":
		return notify.WhenOffered
	case "required":
		return notify.Required
	}
	return 0
}
