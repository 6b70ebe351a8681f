package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/notify"
	"github.com/tandemlb/tandem/daemon/track"
)

// transition is a plan with all that it needs, made ready so that carrying it out cannot fail half
// way.
type transition struct {
	config *config.Config
	plan   plan
	// routers are the new ones of the steps that restart or start one, by key.
	routers map[string]router
	// statics are the first ones; nil if there are some already, or none are wanted.
	statics *instance.Statics
	// services are the first ones; nil if there are some already, or none are wanted.
	services *services
	// resumed are the instances that take the place of a dead director's.
	resumed map[string]bool
}

// working are the instances whose router stays.
func (t *transition) working() map[string]bool {
	all := map[string]bool{}
	for _, s := range t.plan.routers {
		if s.verb == keep || s.verb == change {
			for _, m := range s.group.Members {
				all[m.Name] = true
			}
		}
	}
	return all
}

// reload reads the file again and takes over what differs in it. A file that cannot be carried out
// changes nothing.
func (d *director) reload(ctx context.Context) (out Outcome) {
	defer d.reloading(&out)()
	cfg, said, err := d.reread()
	if err == nil {
		var next *transition
		if next, err = d.prepare(ctx, cfg); err == nil {
			err = d.carryOut(ctx, next)
		}
		if err == nil {
			return Outcome{Applied: true, Diagnostics: said, Steps: d.report(next.plan)}
		}
	}
	d.log.Error("reload refused; the old configuration stays", "err", err)
	invalid := errors.Is(err, ErrConfig) || errors.Is(err, ErrNoConfig)
	return Outcome{Invalid: invalid, Diagnostics: said, Error: err.Error()}
}

// reread is load, but does not wait for a pipe that somebody may write to.
func (d *director) reread() (*config.Config, string, error) {
	defer d.lock()()
	info, err := os.Stat(d.options.File)
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil, "", fmt.Errorf("read configuration %s: %w: expected a file, got %s",
			d.options.File, ErrConfig, info.Mode().Type())
	}
	return load(d.options)
}

// report logs what a reload has done, and returns it.
func (d *director) report(p plan) []string {
	var lines []string
	for _, s := range p.steps() {
		lines = append(lines, s.String())
		d.log.Info("reload: "+s.verb.String(), "what", s.key, "reason", s.because())
	}
	d.log.Info("reloaded", "instances", len(d.config.Instances),
		"services", len(d.config.VirtualServers), "changes", len(lines))
	return lines
}

// prepare makes everything ready that can fail on the way to cfg, and changes nothing.
func (d *director) prepare(ctx context.Context, cfg *config.Config) (*transition, error) {
	still := len(cfg.Addresses)+len(cfg.Routes)+len(cfg.Rules) > 0
	instances, servers := len(cfg.Instances) > 0 || still, len(cfg.VirtualServers) > 0
	t := &transition{config: cfg, plan: compare(d.config, cfg), routers: map[string]router{},
		resumed: map[string]bool{}}
	d.equip()
	if err := d.stay(cfg); err != nil {
		return nil, err
	}
	if err := checkNotices(cfg); err != nil {
		return nil, err
	}
	want := lvsOf(cfg)
	lvs := !want.empty() || len(markings(cfg)) > 0
	if err := d.open(ctx, instances || lvs, servers || lvs); err != nil {
		return nil, err
	}
	if still {
		// Where there are some already it is made to learn whether it can be.
		var err error
		if t.statics, err = instance.NewStatics(statics(cfg), d.links, d.log); err != nil {
			return nil, err
		}
	}
	if err := d.prepareRouters(t); err != nil {
		return nil, err
	}
	if !servers || d.services != nil {
		return t, nil
	}
	var err error
	t.services, err = servicesOf(cfg, d.table, d.options.KeepServices, d.log)
	if err == nil {
		err = d.inheritHealth(t.services, cfg)
	}
	if err == nil {
		t.services.tell, t.services.announce = d.telling.server, d.refresh
		if d.kernel != nil { // not so for a table in memory, which is on no machine
			err = t.services.lookAround()
		}
	}
	return t, err
}

// prepareRouters makes the routers that restart or start.
func (d *director) prepareRouters(t *transition) error {
	for _, s := range t.plan.routers {
		if s.verb == stop || s.verb == keep {
			continue
		}
		// For a change it is made to learn whether it can be.
		s.group.Log, s.group.OnTransition = d.log, d.telling.follow(s.group)
		s.group.OnContested, s.group.OnRefused = d.telling.contested, d.refused
		s.group.NotBefore = notBefore(&t.config.Global.Start, d.born, upFor())
		d.entrust(&s.group)
		r, err := instance.New(s.group, d.links)
		if err != nil {
			return err
		}
		if s.verb == change {
			continue
		}
		t.routers[s.key] = r
		for _, m := range s.group.Members {
			t.resumed[m.Name] = s.group.Resume
		}
	}
	return nil
}

// checkNotices says what of the trackers and of who is told cannot be.
func checkNotices(cfg *config.Config) error {
	set := track.New(func(track.Change) {})
	if err := set.Configure(tracked(cfg)); err != nil {
		return err
	}
	for _, s := range sessions(cfg) {
		if err := s.Validate(); err != nil {
			return fmt.Errorf("bfd_instance %s: %w", s.Name, err)
		}
	}
	run := func(context.Context, notify.Script, []string, []string) error { return nil }
	return notify.New(notify.Options{Run: run}).Configure(notifications(cfg))
}

// open opens what instances and virtual services need, unless it is open already.
func (d *director) open(ctx context.Context, instances, servers bool) error {
	instances, servers = instances && d.links == nil, servers && d.table == nil
	if err := checkRights(instances, servers); err != nil {
		return err
	}
	var err error
	if instances {
		if d.host, err = netif.Open(); err != nil {
			return err
		}
		d.links = instance.OnHostWith(d.host, &d.delays)
	}
	if servers {
		if d.kernel, err = openTable(ctx, d.place); err != nil {
			return fmt.Errorf("open table of virtual services: %w", err)
		}
		d.table = d.kernel
	}
	return nil
}

// carryOut does what is planned: the virtual services first, so that they are there when VIPs come;
// then all routers leave that have to, so that none meets another with its VIPs; then the others
// change and start. Only the first step can fail, and then nothing has changed.
func (d *director) carryOut(ctx context.Context, t *transition) error {
	unmark, err := d.setMarks(t.config)
	if err != nil {
		return err
	}
	if err := d.setServices(ctx, t); err != nil {
		unmark()
		return err
	}
	d.setLVS(ctx, t.config)
	before := d.config
	d.config = t.config
	d.delays.Set(linkDelays(t.config))
	defer d.settled(ctx)
	d.setReports(t.config)
	d.setStatics(ctx, t)
	d.telling.part(before, t.config)
	d.setManagers(t.config)
	d.setBus(t.config)
	d.leave(t.plan)
	d.setNotices(ctx, t)
	d.tellFirst(before)
	for _, s := range t.plan.routers {
		switch s.verb {
		case change:
			i := slices.IndexFunc(d.routers, func(w *worker) bool { return w.key == s.key })
			if err := d.tracking.change(d.routers[i].router, s.group); err != nil {
				// It was prepared; what it says is that it does not fit what runs.
				d.log.Error("reload: the old settings stay", "what", s.key, "err", err)
			}
		case restart, start:
			d.tracking.attach(s.group, t.routers[s.key])
			d.routers = append(d.routers, beginRouter(ctx, s.key, t.routers[s.key]))
		case keep, stop:
		}
	}
	return nil
}

// setNotices has the trackers of t watched, and those told whom it wants to be. It comes before the
// routers begin, so that they begin with what is known.
func (d *director) setNotices(ctx context.Context, t *transition) {
	// Both outlast the routers, as they are told of their ends.
	ctx = context.WithoutCancel(ctx)
	if err := d.telling.configure(t.config); err != nil {
		d.log.Error("reload: the old notifications stay", "err", err) // they have been prepared
	}
	if d.teller == nil {
		d.teller = begin(ctx, "notifications", d.telling.run)
	} else if t.config.Global.FIFOs.StatesOnReload {
		d.telling.repeat()
	}
	d.tracking.watchInterfaces(ctx, t.config, d.links)
	d.speak(ctx, t.config)
	if err := d.tracking.configure(t.config, t.working(), t.resumed); err != nil {
		d.log.Error("reload: the old trackers stay", "err", err) // they have been prepared
	}
	if d.watcher == nil {
		d.watcher = begin(ctx, "trackers", d.tracking.run)
	}
}

// settled tells the guard of what runs now. What takes its time, of a large configuration, comes
// when the virtual services are as it wants them.
func (d *director) settled(ctx context.Context) {
	d.began = true
	d.publish()
	d.manage(ctx)
	d.comeToBus(ctx)
	d.pulse.follow(d.routers, groups(d.config))
	many := large(d.config)
	if many && d.services != nil {
		d.services.await(ctx)
		d.services.firstChecks()
		runtime.GC() // what follows fits into what it has taken to come here
	}
	if err := bequeath(d.options.Ledger, d.config); err != nil {
		d.log.Warn("configuration was not noted", "err", err)
	}
	if many {
		debug.FreeOSMemory()
	}
}

// large says whether what reading the configuration has used is worth giving back at once: with
// thousands of real servers it is as much again as what is kept. It takes some 10 ms.
func large(cfg *config.Config) bool {
	const many = 1000
	servers := 0
	for i := range cfg.VirtualServers {
		servers += len(cfg.VirtualServers[i].RealServers)
	}
	return servers >= many
}

// setStatics comes before the routers, whose routes may need the addresses.
func (d *director) setStatics(ctx context.Context, t *transition) {
	if d.statics == nil && t.statics != nil {
		d.statics = t.statics
		d.statics.Told = d.tracking.static
		// Their end is not that of ctx: they outlast the routers.
		d.still = begin(context.WithoutCancel(ctx), "statics", d.statics.Run)
	} else if d.statics != nil {
		if err := d.statics.Change(statics(t.config)); err != nil {
			d.log.Error("reload: the old statics stay", "err", err) // they have been prepared
		}
	}
}

func (d *director) setServices(ctx context.Context, t *transition) error {
	switch {
	case t.services != nil:
		d.services = t.services
		d.keepOverrides(t.services, t.config)
		// Their end is not that of ctx: they outlast the routers.
		d.rear = begin(context.WithoutCancel(ctx), "virtual servers", d.services.run)
	case d.services != nil && (len(t.plan.services) > 0 || checksDiffer(d.config, t.config)):
		if err := d.services.configure(t.config); err != nil {
			return err
		}
		d.keepOverrides(d.services, t.config)
	}
	return nil
}

// leave has those routers end that stop or restart, all at once, and waits for them.
func (d *director) leave(p plan) {
	leaving := map[string]bool{}
	for _, s := range p.routers {
		leaving[s.key] = s.verb == stop || s.verb == restart
	}
	for _, w := range d.routers {
		if leaving[w.key] {
			w.cancel()
		}
	}
	d.routers = slices.DeleteFunc(d.routers, func(w *worker) bool {
		if !leaving[w.key] {
			return false
		}
		if err := w.wait(); err != nil {
			d.log.Error("reload: something was left behind", "what", w.key, "err", err)
		}
		return true
	})
}
