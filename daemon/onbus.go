package daemon

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandemlb/tandem/daemon/bus"
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/notify"
	"github.com/tandemlb/tandem/daemon/status"
)

// onBus is the director on the message bus.
type onBus struct {
	config.DBus
	bus *bus.Bus
	// worker runs the bus; nil before comeToBus.
	worker *worker
}

// announcer is a router that announces VIPs on demand; see instance.Runner.
type announcer interface{ Announce(name string) error }

// setBus has the message bus told as cfg wants from now on, once comeToBus is called.
func (d *director) setBus(cfg *config.Config) {
	want := cfg.Global.DBus
	if d.onBus != nil && d.onBus.DBus == want || d.onBus == nil && !want.Enable {
		return
	}
	d.leaveBus()
	if !want.Enable {
		return
	}
	b := &onBus{DBus: want, bus: bus.New(bus.Options{Name: want.Service,
		NoInterface: want.NoInterface, Log: d.log, Director: bus.Director{
			Instances:  d.busInstances,
			PrintData:  func(ctx context.Context) error { return d.print(ctx, DumpData) },
			PrintStats: func(ctx context.Context) error { return d.print(ctx, DumpStats) },
			Reload:     d.askReload,
			Announce:   d.announce,
		}})}
	d.onBus = b
	d.telling.hearOnBus(func(e notify.Event) {
		if e.Kind == notify.Instance && !e.Again {
			r := d.public.runs.Load()
			b.bus.Tell(func() (bus.Signal, bool) {
				if r == nil { // it was before the first configuration was carried out
					r = d.public.runs.Load()
				}
				return b.signal(r, e)
			})
		}
	})
}

// comeToBus begins to serve the bus, if setBus wants it and it is not served; otherwise it tells
// the bus of a reload. The end of that is not the director's: the bus is told of it.
func (d *director) comeToBus(ctx context.Context) {
	switch b := d.onBus; {
	case b == nil:
	case b.worker == nil:
		b.worker = begin(context.WithoutCancel(ctx), "message bus", b.bus.Run)
	default:
		b.bus.Tell(func() (bus.Signal, bool) { return bus.Reloaded(), true })
	}
}

// leaveBus ends serving.
func (d *director) leaveBus() {
	if d.onBus == nil {
		return
	}
	d.telling.hearOnBus(nil)
	if d.onBus.worker != nil {
		_ = d.onBus.worker.end() // it has no error to return
	}
	d.onBus = nil
}

// busState is the state of an event about an instance; false is that it has none on the bus.
func busState(s notify.State) (bus.State, bool) {
	switch s {
	case notify.Master:
		return bus.Master, true
	case notify.Backup:
		return bus.Backup, true
	case notify.Fault:
		return bus.Fault, true
	case notify.Stop:
		return bus.Stopped, true
	case notify.Deleted:
		return bus.Deleted, true
	default:
		return 0, false
	}
}

// signal is what the bus is told of an event; false is nothing.
func (b *onBus) signal(r *running, e notify.Event) (bus.Signal, bool) {
	state, ok := busState(e.State)
	if !ok || r == nil {
		return bus.Signal{}, false
	}
	c := r.config.Instance(e.Name)
	if c == nil {
		return bus.Signal{}, false
	}
	i := busInstance(c)
	i.State = state
	return bus.Changed(&i, !b.NoInterface), true
}

func busInstance(c *config.Instance) bus.Instance {
	return bus.Instance{Name: c.Name, Interface: c.Interface, VRID: int(c.VRID), IPv6: c.IPv6()}
}

// busInstances returns the instances that run, in the order of the file.
func (d *director) busInstances() []bus.Instance {
	r := d.public.runs.Load()
	if r == nil {
		return nil
	}
	states := map[string]status.State{}
	for _, w := range r.routers {
		for _, s := range w.Snapshot() {
			states[s.Name] = stateOf(s.State)
		}
	}
	var all []bus.Instance
	for i := range r.config.Instances {
		one := busInstance(&r.config.Instances[i])
		s, known := states[one.Name]
		if known {
			one.State = bus.State(s.Code())
			all = append(all, one)
		}
	}
	return all
}

// print writes one of keepalived's files.
func (d *director) print(ctx context.Context, dump Dump) error {
	path, err := d.dump(ctx, dump)
	if err == nil {
		d.log.Info("status written", "file", path)
	}
	return err
}

// askReload has the director read its file again, and waits for what comes of it.
func (d *director) askReload(ctx context.Context) error {
	q := question{Question: Question{Ask: DoReload}, answer: make(chan Outcome, 1)}
	select {
	case d.questions <- q:
	case <-ctx.Done():
		return errors.New("reload: the director stops")
	}
	select {
	case out := <-q.answer:
		if out.Error != "" {
			return errors.New(out.Error)
		}
		return nil
	case <-ctx.Done():
		return errors.New("reload: who has asked is gone")
	}
}

// announce has an instance announce its VIPs, if it is master.
func (d *director) announce(name string) error {
	r := d.public.runs.Load()
	if r == nil {
		return fmt.Errorf("announce VIPs of %s: no such instance", name)
	}
	for _, w := range r.routers {
		if a, can := w.(announcer); can && a.Announce(name) == nil {
			d.log.Info("announced on demand", "instance", name)
			return nil
		}
	}
	return fmt.Errorf("announce VIPs of %s: no such instance", name)
}
