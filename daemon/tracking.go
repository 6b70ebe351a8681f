package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/guard"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/track"
)

// watchAgainAfter is how long the watch of an interface is let be after it has failed.
const watchAgainAfter = time.Second

// firstLook is how long the first look at interfaces may take.
const firstLook = time.Second

// tracking has what instances depend on watched, and tells their routers what that does to them:
//
//	scripts, files, processes ─▶ track.Set ──changes──▶ tracking ──priority, well or not──▶ routers
//	interfaces ─▶ watches ────────▲
type tracking struct {
	set    *track.Set
	ledger *guard.Ledger
	log    *slog.Logger
	// told, if not nil, is called when the priority of an instance has changed by its trackers.
	told func(name string, priority uint8)

	// watches are those of interfaces, by name; of the director's goroutine alone.
	watches map[string]*worker

	mu sync.Mutex
	// dependents are the instances that depend on anything, by name, and users the same by tracker.
	dependents map[string]*dependent
	users      map[track.Key][]*dependent
	// groups are the track_groups of each instance, lost what is missing of each that is not whole.
	groups map[string][]string
	lost   map[string]string
	// noted are those in the ledger.
	noted map[track.Key]bool
	// before is where trackers stood in the director whose place this one takes.
	before map[string]standing
}

// dependent is an instance that depends on trackers. Its router has been told priority and well.
type dependent struct {
	name     string
	base     uint8
	uses     []track.Use
	router   router // nil until it is attached
	priority uint8
	well     bool
	// trusting takes what has no result yet for well: the instance works already.
	trusting bool
}

// standing is where a tracker stands, for the ledger.
type standing struct {
	State track.State
	Value int
}

// noteTracker and the key of a tracker are the key of its standing in the ledger.
const noteTracker = "tracker "

// newTracking returns a tracking of nothing, for a director with that ledger, which may be nil.
func newTracking(l *guard.Ledger, log *slog.Logger) *tracking {
	t := &tracking{ledger: l, log: log, watches: map[string]*worker{},
		noted: map[track.Key]bool{}, before: map[string]standing{}, lost: map[string]string{}}
	t.set = track.New(t.changed)
	t.set.Log = log
	in := l.Inherited()
	for key, raw := range in.Notes {
		name, ok := strings.CutPrefix(key, noteTracker)
		var s standing
		if ok && in.Resume && json.Unmarshal(raw, &s) == nil {
			t.before[name] = s
		}
	}
	return t
}

// run tracks until ctx ends.
func (t *tracking) run(ctx context.Context) error { return t.set.Run(ctx) }

// configure makes cfg what is tracked. Of the instances, working have a router that stays; they,
// and those that resume, are not put into fault by what has no result yet.
func (t *tracking) configure(cfg *config.Config, working, resumed map[string]bool) error {
	wanted := tracked(cfg)
	if err := t.set.Configure(wanted); err != nil {
		return fmt.Errorf("set trackers: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.dependents
	t.dependents, t.users = map[string]*dependent{}, map[track.Key][]*dependent{}
	t.groups = groupsOf(cfg)
	uses := usesOf(cfg)
	for i := range cfg.Instances {
		c := &cfg.Instances[i]
		d := &dependent{name: c.Name, base: c.Priority, uses: uses[c.Name],
			priority: c.Priority, well: true, trusting: resumed[c.Name]}
		if old := was[c.Name]; old != nil && working[c.Name] {
			d.router, d.priority, d.well, d.trusting = old.router, old.priority, old.well, old.well
		}
		t.dependents[c.Name] = d
		for _, u := range d.uses {
			t.users[u.Key] = append(t.users[u.Key], d)
		}
	}
	for _, d := range t.dependents {
		t.tell(d, "configuration")
	}
	t.forget()
	return nil
}

// forget strikes out of the ledger what is not used any more. The lock is held.
func (t *tracking) forget() {
	for k := range t.noted {
		if t.users[k] == nil {
			delete(t.noted, k)
			t.note(k, nil)
		}
	}
}

// note writes to the ledger where a tracker stands, or that it does not stand.
func (t *tracking) note(k track.Key, value any) {
	if err := t.ledger.Note(noteTracker+k.String(), value); err != nil {
		t.log.Warn("tracker was not noted", "err", err)
	}
}

// attach gives the instances of a group their router, before it runs, and has it told where the
// trackers stand.
func (t *tracking) attach(g instance.Group, r router) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range g.Members {
		if d := t.dependents[m.Name]; d != nil {
			d.router, d.priority, d.well = r, d.base, true
			t.tell(d, "start")
		}
	}
}

// change gives the router of a group another configuration, with the priorities that the trackers
// make of those in g: for no moment has it another.
func (t *tracking) change(r router, g instance.Group) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	g.Members = slices.Clone(g.Members)
	for i := range g.Members {
		m := &g.Members[i]
		if d := t.dependents[m.Name]; d != nil {
			m.Router.Priority, _ = track.Effective(d.base, t.influences(d))
		}
	}
	if err := r.Change(g); err != nil {
		return err
	}
	for _, m := range g.Members {
		if d := t.dependents[m.Name]; d != nil {
			d.priority = m.Router.Priority
		}
	}
	return nil
}

// changed is told by the Set.
func (t *tracking) changed(c track.Change) {
	t.log.Info("tracker", "tracker", c.Key.String(), "state", c.State.String(), "value", c.Value,
		"reason", c.Reason)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users[c.Key] != nil {
		t.noted[c.Key] = true
		t.note(c.Key, standing{c.State, c.Value})
	}
	for _, d := range t.users[c.Key] {
		t.tell(d, c.Key.String())
	}
}

// tell tells the router of d what is new to it. The lock is held, so that it hears of the last
// change last.
func (t *tracking) tell(d *dependent, cause string) {
	if d.router == nil {
		return
	}
	priority, faults := track.Effective(d.base, t.influences(d))
	faults = append(faults, t.missing(d)...)
	if priority != d.priority {
		t.log.Info("priority", "instance", d.name, "from", d.priority, "to", priority,
			"reason", cause)
		t.refused(d, d.router.SetPriority(d.name, priority))
		d.priority = priority
		if t.told != nil {
			t.told(d.name, priority)
		}
	}
	if well := len(faults) == 0; well != d.well {
		if !well {
			t.log.Warn("tracker fault", "instance", d.name, "reason", strings.Join(faults, "; "))
		}
		t.refused(d, d.router.SetTracked(d.name, well))
		d.well = well
	}
}

// faults returns which trackers put an instance into fault, each with what it says, as in "script
// S: exit status 1"; nil if none does.
func (t *tracking) faults(name string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.dependents[name]
	if d == nil || d.well {
		return nil
	}
	_, faults := track.Effective(d.base, t.influences(d))
	return append(faults, t.missing(d)...)
}

// refused logs what no router should say.
func (t *tracking) refused(d *dependent, err error) {
	if err != nil {
		t.log.Error("tracker has no effect", "instance", d.name, "err", err)
	}
}

// influences returns what the trackers do to d now. What has no result yet does what it did in the
// director before, if there was one; an instance that works takes it for well.
func (t *tracking) influences(d *dependent) []track.Influence {
	all := t.set.Influences(d.uses)
	for i := range all {
		in := &all[i]
		if in.State != track.Unknown {
			continue
		}
		if s, ok := t.before[in.Key.String()]; ok {
			in.State, in.Value = s.State, s.Value
		} else if d.trusting && in.Weight.Value == 0 {
			in.State = track.Up
			if in.Weight.Reverse {
				in.State = track.Down
				in.Value = 1
			}
		}
	}
	return all
}

// watchInterfaces has exactly the interfaces watched that cfg tracks, until ctx ends. It returns
// when they have been looked at, so that nobody is in fault for a moment, but waits no longer than
// firstLook.
func (t *tracking) watchInterfaces(ctx context.Context, cfg *config.Config, links instance.Links) {
	wanted := map[string]bool{}
	for _, name := range tracked(cfg).Interfaces {
		wanted[name] = true
	}
	for name, w := range t.watches {
		if !wanted[name] {
			_ = w.end() // it has no error
			delete(t.watches, name)
		}
	}
	var waits []chan struct{}
	for name := range wanted {
		if t.watches[name] == nil {
			link, looked := links(name), make(chan struct{})
			waits = append(waits, looked)
			t.watches[name] = begin(ctx, "interface "+name, func(ctx context.Context) error {
				t.watch(ctx, name, link, sync.OnceFunc(func() { close(looked) }))
				return nil
			})
		}
	}
	limit := time.NewTimer(firstLook)
	defer limit.Stop()
	for _, looked := range waits {
		select {
		case <-looked:
		case <-limit.C:
			return
		}
	}
}

// watch brings the state of an interface to the Set until ctx ends; looked is called each time.
func (t *tracking) watch(
	ctx context.Context, name string, link instance.Link, looked func(),
) {
	for ctx.Err() == nil {
		err := link.Watch(ctx, func(s netif.State) {
			t.set.SetInterface(name, s.Up)
			looked()
		})
		if ctx.Err() != nil {
			return
		}
		t.log.Warn("tracked interface cannot be watched; trying again", "interface", name,
			"err", err)
		select {
		case <-ctx.Done():
		case <-time.After(watchAgainAfter):
		}
	}
}

// unwatch ends the watches of all interfaces.
func (t *tracking) unwatch() {
	for _, w := range t.watches {
		_ = w.end() // it has no error
	}
}
