package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"time"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/pool"
	"github.com/tandemlb/tandem/daemon/script"
	"github.com/tandemlb/tandem/daemon/track"
)

// scriptGrace is how long the script of a MISC_CHECK has to end after its timeout.
const scriptGrace = 2 * time.Second

// hearsay is what checks are told by others: the numbers in files, and whether BFD sessions are up.
type hearsay struct {
	set *track.Set
	// checks are the IDs of those that are told of a tracker.
	checks map[track.Key][]string
}

// setChecks has the checks of cfg carried out, and what they are told watched.
func (s *services) setChecks(cfg *config.Config) (pool.Index, error) {
	certificates, err := loadTLS(cfg)
	if err != nil {
		return pool.Index{}, err
	}
	tasks, index, err := pool.Tasks(cfg.VirtualServers, means(cfg, certificates, s.told.set))
	if err != nil {
		return pool.Index{}, err
	}
	// They come before the tasks: of no news between can a check not have heard.
	if err := s.setTold(cfg); err != nil {
		return pool.Index{}, err
	}
	s.mu.Lock()
	s.suspend(cfg.VirtualServers, index)
	s.mu.Unlock()
	if err := s.checks.Set(tasks); err != nil {
		return pool.Index{}, fmt.Errorf("set health checks: %w", err)
	}
	return index, nil
}

// setTold has that watched which the checks of cfg are told.
func (s *services) setTold(cfg *config.Config) error {
	watched, users := toldOf(cfg)
	if err := s.told.set.Configure(watched); err != nil {
		return fmt.Errorf("set trackers of health checks: %w", err)
	}
	s.mu.Lock()
	s.told.checks = users
	s.mu.Unlock()
	return nil
}

// news has the checks made at once that are told of what has changed.
func (s *services) news(c track.Change) {
	s.log.Info("tracker", "tracker", c.Key.String(), "state", c.State.String(), "value", c.Value,
		"reason", c.Reason)
	s.mu.Lock()
	ids := s.told.checks[c.Key]
	s.mu.Unlock()
	s.checks.Recheck(ids...)
}

// setSession says that a BFD session is up or not, and why. Of a session that no check is about
// nothing is kept. Calls for one session must not overlap.
func (s *services) setSession(name string, up bool, reason string) {
	s.told.set.SetBFD(name, up, reason)
}

// toldOf returns what the checks of cfg are told of, and the IDs of the checks by that. A file that
// an instance depends on too is made by the trackers of instances.
func toldOf(cfg *config.Config) (track.Config, map[track.Key][]string) {
	var c track.Config
	users := map[track.Key][]string{}
	files, sessions := pool.Known(cfg.VirtualServers)
	others := map[string]bool{}
	if len(files) > 0 {
		for _, f := range tracked(cfg).Files {
			others[f.Name] = true
		}
	}
	for i := range cfg.Files {
		f := &cfg.Files[i]
		if ids := files[f.Name]; ids != nil {
			users[track.Key{Kind: track.FileKind, Name: f.Name}] = ids
			c.Files = append(c.Files, track.File{Name: f.Name, Path: f.File,
				Init: f.Init && !others[f.Name], Value: f.InitValue,
				Overwrite: f.Overwrite && !others[f.Name]})
		}
	}
	for i := range cfg.BFDs {
		name := cfg.BFDs[i].Name
		if ids := sessions[name]; ids != nil {
			users[track.Key{Kind: track.BFDKind, Name: name}] = ids
			c.BFDs = append(c.BFDs, name)
		}
	}
	return c, users
}

// means returns what the checks of cfg need, with those certificates and what set knows.
func means(cfg *config.Config, certificates check.TLS, set *track.Set) pool.Means {
	w := weightsOf(cfg)
	return pool.Means{
		TLS:       certificates,
		Helo:      cfg.Global.Mail.Helo,
		ReportAll: cfg.Global.Alerts.LogAllFailures,
		Script: func(m *config.MiscCheck) (check.Script, time.Duration) {
			return checkScript{
				script.Command{Args: m.Script.Args, Account: accountOf(cfg, miscAccount(m))},
				cfg.Global.ScriptSecurity,
			}, scriptGrace
		},
		Source: func(c *config.Check) check.Source { return sourceOf(c, w, set) },
	}
}

// loadTLS returns what is in the files of the SSL block, if there is an SSL_GET that needs them.
func loadTLS(cfg *config.Config) (check.TLS, error) {
	if cfg.TLS == nil || firstSSL(cfg) == nil {
		return check.TLS{}, nil
	}
	t, err := check.TLSFiles{
		CA: cfg.TLS.CA, Certificate: cfg.TLS.Certificate, Key: cfg.TLS.Key,
		Password: cfg.TLS.Password,
	}.Load()
	if err != nil {
		return check.TLS{}, fmt.Errorf("SSL: %w", err)
	}
	return t, nil
}

// firstSSL returns the first SSL_GET; nil if there is none.
func firstSSL(cfg *config.Config) *config.Check {
	for i := range cfg.VirtualServers {
		for j := range cfg.VirtualServers[i].RealServers {
			checks := cfg.VirtualServers[i].RealServers[j].Checks
			for k := range checks {
				if checks[k].Kind == config.CheckSSL {
					return &checks[k]
				}
			}
		}
	}
	return nil
}

// checkCheckers tells of checks that cannot be carried out. What config has to say of names and of
// what is missing it leaves to that.
func checkCheckers(cfg *config.Config) config.Diagnostics {
	var ds config.Diagnostics
	add := func(at config.Pos, err error) {
		ds = append(ds, config.Diagnostic{Pos: at, Severity: config.Error, Text: err.Error()})
	}
	if _, err := loadTLS(cfg); err != nil {
		add(cfg.TLS.Pos, err)
	}
	m := pool.Means{
		Script: func(*config.MiscCheck) (check.Script, time.Duration) { return checkScript{}, 0 },
		Source: func(*config.Check) check.Source { return source{} },
	}
	for _, f := range pool.Faults(cfg.VirtualServers, m) {
		add(f.Pos, f.Err)
	}
	return ds
}

// checksDiffer says whether the checks of a reload from before to after may differ though their
// blocks do not: by what they inherit from elsewhere, or by files that they read.
func checksDiffer(before, after *config.Config) bool {
	type inherited struct {
		files    []config.FileTracker
		sessions []config.BFD
		account  config.Account
		secure   bool
		groups   bool
		all      bool
		helo     string
		tls      *config.TLS
	}
	of := func(c *config.Config) inherited {
		g := &c.Global
		return inherited{c.Files, c.BFDs, g.ScriptAccount, g.ScriptSecurity,
			g.Start.SupplementaryGroups, g.Alerts.LogAllFailures, g.Mail.Helo, c.TLS}
	}
	return after.TLS != nil || !reflect.DeepEqual(of(before), of(after))
}

// miscAccount returns who is named to run a script, with it or beside it; perhaps nobody.
func miscAccount(m *config.MiscCheck) config.Account {
	if m.Script.Account.User != "" {
		return m.Script.Account
	}
	return m.Account
}

// checkScript is the script of a MISC_CHECK.
type checkScript struct {
	script.Command
	// secure refuses a command that root runs and others can change.
	secure bool
}

// Run implements check.Script.
func (c checkScript) Run(ctx context.Context, timeout time.Duration) check.ScriptExit {
	r := script.Run(ctx, c.Command, script.Options{
		Timeout: timeout, Grace: scriptGrace, Secure: c.secure,
	})
	return check.ScriptExit{Status: r.Status, Signal: r.Signal, TimedOut: r.TimedOut, Err: r.Err,
		Words: r.Reason()}
}

// source is what a FILE_CHECK or a BFD_CHECK is told.
type source struct {
	set *track.Set
	use track.Use
	// alpha has it down before anything is known.
	alpha bool
}

// sourceOf returns what c is told; nil if there is no such file or session in w.
func sourceOf(c *config.Check, w weights, set *track.Set) check.Source {
	s := source{set: set, alpha: c.Alpha}
	weight := config.Weight{}
	if c.Kind == config.CheckBFD {
		s.use.Key = track.Key{Kind: track.BFDKind, Name: c.BFD}
	} else {
		s.use.Key = track.Key{Kind: track.FileKind, Name: c.File.Tracker}
		weight = w[s.use.Key]
		if c.File.HasWeight {
			weight = c.File.Weight
		}
	}
	s.use.Weight = track.Weight{Value: weight.Value, Reverse: weight.Reverse}
	if _, there := w[s.use.Key]; !there {
		return nil
	}
	return s
}

// State implements check.Source. Before anything is known it is up with the configured weight, or
// down with alpha.
func (s source) State() (up bool, w check.Weight, why string) {
	in := s.set.Influences([]track.Use{s.use})[0]
	switch {
	case in.State == track.Unknown:
		return !s.alpha, check.Weight{}, s.use.Key.String() + ": nothing known yet"
	case s.use.Kind == track.FileKind:
		return check.FileState(in.Value, s.use.Weight.Value, s.use.Weight.Reverse)
	}
	return in.State == track.Up, check.Weight{}, s.use.Key.String() + ": " + in.Reason
}

// logFailure logs a failure that has changed nothing. The lock is held.
func (s *services) logFailure(server pool.ID, r check.Report) {
	s.log.Info("check failed", "service", server.Service.String(),
		"server", server.Server.String(), "check", s.index.Text(r.ID),
		"reason", check.ReasonOf(r.Err).String(), "err", r.Err)
}

// server returns the real server of that address.
func (v *service) server(addr netip.AddrPort) *config.RealServer {
	return realServer(v.config, addr)
}

// realServer returns the real server of that address; nil if there is none.
func realServer(vs *config.VirtualServer, addr netip.AddrPort) *config.RealServer {
	for i := range vs.RealServers {
		if rs := &vs.RealServers[i]; rs.Address == addr {
			return rs
		}
	}
	return nil
}
