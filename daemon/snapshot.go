package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/notify"
	"github.com/tandemlb/tandem/daemon/status"
	"github.com/tandemlb/tandem/daemon/track"
)

// snapshotPatience is how long a snapshot may wait for the kernel. What has not answered by then is
// told of as an error.
const snapshotPatience = 2 * time.Second

// maxMistakes is how many mistakes of a refused file are kept for snapshots.
const maxMistakes = 20

// witness is a router that says how its instances are; see instance.Runner.
type witness interface {
	// Snapshot returns the status of every instance, at once, for any goroutine.
	Snapshot() []instance.Status
}

// public is what other goroutines than the director's own may know of it: a snapshot does not wait
// for a reload under way. The zero value is that of a director which has not begun.
type public struct {
	started time.Time
	runs    atomic.Pointer[running]

	mu      sync.Mutex
	reloads status.Reloads
	// failed are the scripts that are run once, and have failed.
	failed []status.Condition
}

// running is what runs since the last change of the configuration.
type running struct {
	config  *config.Config
	routers []witness
	// services, lvs, host, tracking and telling are nil where there is none.
	services *services
	lvs      *lvs
	host     *netif.Host
	tracking *tracking
	telling  *telling
}

// publish has snapshots tell of what runs now. It is called by the director's goroutine alone.
func (d *director) publish() {
	r := &running{config: d.config, services: d.services, lvs: d.lvs, host: d.host,
		tracking: d.tracking, telling: d.telling}
	for _, w := range d.routers {
		r.routers = append(r.routers, w.router)
	}
	d.public.runs.Store(r)
}

// reloading tells that a reload is under way; what it returns notes what came of it.
func (d *director) reloading(out *Outcome) func() {
	if d.options.Reloading != nil {
		d.options.Reloading(true)
	}
	return func() {
		d.public.count(*out, time.Now())
		if d.options.Reloading != nil {
			d.options.Reloading(false)
		}
	}
}

// count notes what came of a reload.
func (p *public) count(out Outcome, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reloads.Last, p.reloads.Error = now, ""
	if out.Applied {
		p.reloads.Applied++
		return
	}
	p.reloads.Refused++
	p.reloads.Error = out.Error
	var mistakes []string
	for _, d := range config.ParseDiagnostics(out.Diagnostics) {
		if d.Severity == config.Error {
			mistakes = append(mistakes, d.String())
		}
	}
	if more := len(mistakes) - maxMistakes; more > 0 {
		mistakes = append(mistakes[:maxMistakes], fmt.Sprintf("and %d more", more))
	}
	if out.Invalid && len(mistakes) > 0 {
		p.reloads.Error = strings.Join(mistakes, "\n")
	}
}

// snapshot returns what there is to say of the director. It waits for the kernel at most for
// snapshotPatience, and for nobody else. It may be called at any time, by any goroutine.
func (d *director) snapshot(ctx context.Context) *status.Snapshot { return d.look(ctx, true) }

// look is snapshot, with or without what the table of virtual services counts.
func (d *director) look(ctx context.Context, traffic bool) *status.Snapshot {
	ctx, cancel := context.WithTimeout(ctx, snapshotPatience)
	defer cancel()
	s := &status.Snapshot{Schema: status.Schema, Time: time.Now(), Daemon: status.Daemon{
		Version: d.options.Version, PID: d.pid(), Config: d.options.File,
		Started: d.public.started,
	}}
	if path, err := filepath.Abs(s.Daemon.Config); err == nil {
		s.Daemon.Config = path
	}
	d.public.mu.Lock()
	s.Daemon.Reloads = d.public.reloads
	d.public.mu.Unlock()
	r := d.public.runs.Load()
	if r == nil {
		return s
	}
	s.Daemon.Router = routerName(r.config)
	s.Instances, s.Conditions = r.instances(s.Time)
	s.Conditions = d.public.failures(append(s.Conditions, r.otherConditions(s.Time)...))
	if r.services != nil {
		servers := r.config.VirtualServers
		s.Services = r.services.survey(ctx, servers, traffic)
		if traffic {
			r.services.addTraffic(ctx, servers, d.overrides.get(), s.Services)
		}
		s.Table = r.services.tableStatus()
	}
	if r.tracking != nil {
		s.Trackers = trackersOf(r.tracking.set.Snapshot())
	}
	if r.telling != nil {
		s.Notify = notifyOf(r.telling.notifier.Stats())
	}
	return s
}

// pid is the process that signals are for: the guard's, if there is one.
func (d *director) pid() int {
	if d.options.Ledger != nil {
		return os.Getppid()
	}
	return os.Getpid()
}

// routerName is what the configuration calls this director, or the name of the host.
func routerName(c *config.Config) string {
	if c.Global.RouterID != "" {
		return c.Global.RouterID
	}
	name, err := os.Hostname()
	if err != nil {
		return "" // it is only for the eye
	}
	return name
}

func trackersOf(all []track.Status) []status.Tracker {
	var out []status.Tracker
	for _, t := range all {
		o := status.Tracker{Kind: t.Kind.String(), Name: t.Name, Since: t.At, Reason: t.Reason,
			Runs: t.Runs, Failures: t.Failures, Skipped: t.Skipped}
		switch t.State {
		case track.Up:
			o.Health = status.Up
		case track.Down:
			o.Health = status.Down
		case track.Unknown:
		}
		if t.Kind == track.FileKind && o.Reason == "" {
			o.Reason = fmt.Sprintf("value %d", t.Value)
		}
		out = append(out, o)
	}
	return out
}

func notifyOf(s notify.Stats) status.Notify {
	n := status.Notify{Events: s.Seq, Scripts: deliveryOf(s.Scripts), Mail: deliveryOf(s.Mail),
		LostLogs: s.LostLogs}
	for _, f := range s.FIFOs {
		n.FIFOs = append(n.FIFOs, status.FIFO{Path: f.Path, Delivery: deliveryOf(f.Counts),
			Restarts: f.Restarts})
	}
	return n
}

func deliveryOf(c notify.Counts) status.Delivery {
	return status.Delivery{Done: c.Done, Failed: c.Failed, Dropped: c.Dropped,
		Retries: c.Retries, Waiting: c.Waiting, Error: c.LastError, ErrorAt: c.LastErrorAt}
}
