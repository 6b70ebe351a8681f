package daemon

import (
	"errors"
	"fmt"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/script"
)

// unsafeScripts tells of the scripts that root would run and others could change.
func unsafeScripts(cfg *config.Config) config.Diagnostics {
	var ds config.Diagnostics
	add := func(at config.Pos, scripts ...*config.Script) {
		for _, s := range scripts {
			if s != nil {
				ds = append(ds, unsafeScript(cfg, at, s, s.Account)...)
			}
		}
	}
	notify := func(at config.Pos, n *config.Notify) {
		add(at, n.Master, n.Backup, n.Fault, n.Stop, n.Any, n.Deleted, n.LowerPriority)
	}
	f := &cfg.Global.FIFOs
	add(config.Pos{File: cfg.File}, f.AllScript, f.VRRPScript, f.LVSScript)
	for i := range cfg.Scripts {
		t := &cfg.Scripts[i]
		ds = append(ds, unsafeScript(cfg, t.Pos, t.Script, trackerAccount(t))...)
	}
	for i := range cfg.SyncGroups {
		notify(cfg.SyncGroups[i].Pos, &cfg.SyncGroups[i].Notify)
	}
	for i := range cfg.Instances {
		notify(cfg.Instances[i].Pos, &cfg.Instances[i].Notify)
	}
	for i := range cfg.VirtualServers {
		vs := &cfg.VirtualServers[i]
		add(vs.Pos, vs.QuorumUp, vs.QuorumDown)
		for j := range vs.RealServers {
			rs := &vs.RealServers[j]
			add(rs.Pos, rs.NotifyUp, rs.NotifyDown)
		}
	}
	return ds
}

// unsafeScript tells of a script at that place if others could change it.
func unsafeScript(
	cfg *config.Config, at config.Pos, s *config.Script, own config.Account,
) config.Diagnostics {
	var unsafe *script.UnsafeError
	err := script.Check(script.Command{Args: s.Args, Account: accountOf(cfg, own)})
	if !errors.As(err, &unsafe) {
		return nil
	}
	return config.Diagnostics{{
		Pos: at, Severity: config.Warning,
		Text: fmt.Sprintf("script %q: expected a path that only root can change; "+
			"others can change %s", s.Args[0], unsafe.Part),
	}}
}
