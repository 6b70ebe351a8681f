package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/notify"
	"github.com/tandemlb/tandem/daemon/pool"
	"github.com/tandemlb/tandem/daemon/snmp"
	"github.com/tandemlb/tandem/daemon/snmp/agentx"
	"github.com/tandemlb/tandem/daemon/status"
	"github.com/tandemlb/tandem/daemon/track"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// readAfresh is how old what managers of SNMP read may be: they ask for one variable after another,
// and are to see one director.
const readAfresh = time.Second

// managed is what of a configuration concerns managers of SNMP.
type managed struct {
	snmp.Settings
	socket string
}

func managedBy(cfg *config.Config) managed {
	m := managed{snmp.SettingsOf(&cfg.Global.SNMP), cfg.Global.SNMP.Socket}
	if !m.Any() {
		return managed{}
	}
	return m
}

// checkManagers tells of a socket that is none: the director does without SNMP then.
func checkManagers(cfg *config.Config) config.Diagnostics {
	m := managedBy(cfg)
	if _, _, err := agentx.ParseSocket(m.socket); err != nil {
		return config.Diagnostics{{Pos: config.At(cfg.File, 0, 0), Severity: config.Warning,
			Text: "snmp_socket: " + err.Error()}}
	}
	return nil
}

// managers is who serves the managers of SNMP, with one agent.
type managers struct {
	managed
	agent *agentx.Agent
	// look returns the status as Run's agent sees it; traffic says whether counters of the kernel
	// are to be read.
	look func(ctx context.Context, traffic bool) *status.Snapshot
	runs *atomic.Pointer[running]
	// worker runs the agent; nil before begin.
	worker *worker

	// The rest is of the agent's goroutine: what was made last, of what and when.
	tree    agentx.Tree
	of      *running
	made    time.Time
	epoch   time.Time
	traffic *status.Snapshot
}

// newManagers returns who will serve the managers that m is of.
func newManagers(m managed, look func(context.Context, bool) *status.Snapshot,
	runs *atomic.Pointer[running], version string, log *slog.Logger) (*managers, error) {
	s := &managers{managed: m, look: look, runs: runs}
	var err error
	s.agent, err = agentx.New(agentx.Options{Socket: m.socket, Name: snmp.Subagent(),
		Text: "Tandem " + version, Regions: m.Regions(), Tree: s.read, Log: log})
	return s, err
}

// setManagers has the managers of cfg told from now on; they are served when manage is called.
// Others are let go.
func (d *director) setManagers(cfg *config.Config) {
	want := managedBy(cfg)
	if d.managers != nil && d.managers.managed == want || d.managers == nil && !want.Any() {
		return
	}
	d.letManagersGo()
	if !want.Any() {
		return
	}
	m, err := newManagers(want, d.look, &d.public.runs, d.options.Version, d.log)
	if err != nil {
		d.log.Warn("no SNMP", "err", err)
		return
	}
	d.managers = m
	if want.Traps {
		d.telling.hear(m.tell)
		d.trapping.Store(m)
	}
}

// manage begins to serve those that setManagers wants, unless they are served. Their end is not
// that of the director: they are told of that.
func (d *director) manage(ctx context.Context) {
	if m := d.managers; m != nil && m.worker == nil {
		m.worker = begin(context.WithoutCancel(ctx), "managers", m.agent.Run)
	}
}

// letManagersGo ends serving.
func (d *director) letManagersGo() {
	m := d.managers
	if m == nil {
		return
	}
	d.telling.hear(nil)
	d.trapping.Store(nil)
	if m.worker != nil {
		_ = m.worker.end() // it has no error to return
	}
	d.managers = nil
}

// read returns what there is to read now; see agentx.Options.
func (m *managers) read(ctx context.Context, epoch time.Time) agentx.Tree {
	now := time.Now()
	r := m.runs.Load()
	if m.tree == nil || r != m.of || epoch != m.epoch || now.Sub(m.made) >= readAfresh {
		m.of, m.epoch, m.made = r, epoch, now
		m.tree = m.view(ctx, r, m.Checker).Tree()
	}
	return m.tree
}

// view returns the director of r, which may be nil, with or without its services.
func (m *managers) view(ctx context.Context, r *running, services bool) *snmp.View {
	if r == nil {
		r = &running{config: &config.Config{}}
	}
	v := &snmp.View{Config: r.config, Snapshot: m.snapshot(ctx, r, services), Epoch: m.epoch,
		Settings: m.Settings, Values: valuesOf(r.tracking)}
	if r.host != nil {
		v.Links = linksOf(r.host)
	}
	v.Services = servicesByServer(r.config, v.Snapshot.Services)
	return v
}

// snapshot returns a snapshot whose counters of the kernel are as old as the configuration allows.
func (m *managers) snapshot(ctx context.Context, r *running, services bool) *status.Snapshot {
	c := &r.config.Global.SNMP
	limit := c.ServiceInterval
	if c.ServerInterval > 0 {
		limit = min(limit, c.ServerInterval)
	}
	fresh := m.traffic != nil && m.of == r && time.Since(m.traffic.Time) < limit
	s := m.look(ctx, services && !fresh)
	switch {
	case fresh:
		s.KeepTraffic(m.traffic)
	case services:
		m.traffic = s
	}
	return s
}

// valuesOf returns the numbers in tracked files, by name.
func valuesOf(t *tracking) map[string]int {
	if t == nil {
		return nil
	}
	all := map[string]int{}
	for _, s := range t.set.Snapshot() {
		if s.Kind == track.FileKind {
			all[s.Name] = s.Value
		}
	}
	return all
}

// linksOf returns the interfaces of the host; none if the kernel does not say.
func linksOf(h *netif.Host) map[string]snmp.Link {
	links, err := h.Links()
	if err != nil {
		return nil
	}
	all := make(map[string]snmp.Link, len(links))
	for _, l := range links {
		all[l.Name] = snmp.Link{Index: l.Index, MAC: l.MAC}
	}
	return all
}

// servicesByServer returns what the services say of each virtual server; nil for one of which
// they say nothing.
func servicesByServer(cfg *config.Config, services []status.Service) []*status.Service {
	type key struct{ name, protocol string }
	known := make(map[key]*status.Service, len(services))
	for i := range services {
		known[key{services[i].Name, services[i].Protocol}] = &services[i]
	}
	all := make([]*status.Service, len(cfg.VirtualServers))
	for i := range cfg.VirtualServers {
		name, protocol := statusName(pool.NameOf(&cfg.VirtualServers[i]))
		all[i] = known[key{name, protocol}]
	}
	return all
}

// refused has managers told of an advert that an instance has refused.
func (d *director) refused(name string, from netip.Addr, why vrrp.DropReason) {
	if m := d.trapping.Load(); m != nil {
		m.trap(func(*config.Config) snmp.Event {
			return snmp.Refused{Name: name, From: from, Reason: why}
		})
	}
}

// tell has managers told of an event, if it is one for them. It does not wait.
func (m *managers) tell(e notify.Event) {
	m.trap(func(cfg *config.Config) snmp.Event { return managersEvent(cfg, e) })
}

// trap has managers told of what event makes of the configuration of this moment, if it is not nil.
func (m *managers) trap(event func(*config.Config) snmp.Event) {
	r := m.runs.Load()
	m.agent.Tell(func() []agentx.Notification {
		if r == nil { // it was before the first configuration was carried out
			r = m.runs.Load()
		}
		if r == nil {
			return nil
		}
		what := event(r.config)
		if what == nil {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), snapshotPatience)
		defer cancel()
		return m.view(ctx, r, false).Notifications(what)
	})
}
