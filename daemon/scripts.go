package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/script"
)

// The keywords of the scripts that are run once.
const (
	startupScript  = "startup_script"
	shutdownScript = "shutdown_script"
)

// atStart runs startup_script, unless this director takes the place of one that died, and returns
// when it has ended, has not ended in its time, or ctx has. One that fails keeps nothing from
// starting, as in keepalived; it is a condition until the end.
func (d *director) atStart(ctx context.Context, cfg *config.Config) {
	if !d.options.Ledger.Inherited().Resume {
		s := &cfg.Global.Start
		d.runOnce(ctx, cfg, startupScript, s.Startup, s.StartupTimeout)
	}
}

// atStop runs shutdown_script when all else has ended, and returns when it has ended, or has not
// in its time.
func (d *director) atStop() {
	s := &d.config.Global.Start
	d.runOnce(context.Background(), d.config, shutdownScript, s.Shutdown, s.ShutdownTimeout)
}

// runOnce runs a script, which may be nil, for at most the time given, and logs how it ended.
func (d *director) runOnce(
	ctx context.Context, cfg *config.Config, keyword string, s *config.Script, limit time.Duration,
) {
	if s == nil {
		return
	}
	c := script.Command{Args: s.Args, Account: accountOf(cfg, s.Account)}
	d.log.Info(keyword, "script", c.String())
	began := time.Now()
	result := script.Run(ctx, c, script.Options{
		Timeout: limit, Secure: cfg.Global.ScriptSecurity, Leave: true,
	})
	if result.OK() {
		d.log.Info(keyword+" has ended", "after", time.Since(began).Round(time.Millisecond))
		return
	}
	d.log.Warn(keyword+" failed", "script", c.String(), "reason", result.Reason(),
		"after", time.Since(began).Round(time.Millisecond))
	if ctx.Err() == nil {
		d.public.fail(keyword, time.Now(), fmt.Sprintf("%s: %s", c, result.Reason()))
	}
}

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
	add(config.At(cfg.File, 0, 0), f.AllScript, f.VRRPScript, f.LVSScript,
		cfg.Global.Start.Startup, cfg.Global.Start.Shutdown)
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
			for k := range rs.Checks {
				if c := &rs.Checks[k]; c.Misc != nil && c.Misc.Script != nil {
					ds = append(ds, unsafeScript(cfg, c.Pos, c.Misc.Script, miscAccount(c.Misc))...)
				}
			}
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
