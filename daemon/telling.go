package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/guard"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/notify"
	"github.com/tandemlb/tandem/daemon/pool"
	"github.com/tandemlb/tandem/daemon/script"
	"github.com/tandemlb/tandem/daemon/status"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

const (
	// noteSeq is the key of a number in the ledger that no event has reached: the next director
	// numbers its events from there, so that they go on growing.
	noteSeq = "event number"
	// seqAhead is how far it is above the last event at most.
	seqAhead = 1000
)

// telling tells scripts, pipes and mailboxes what happens to instances and virtual services.
type telling struct {
	notifier *notify.Notifier
	ledger   *guard.Ledger
	log      *slog.Logger
	// secure refuses scripts that root runs and others can change.
	secure atomic.Bool
	// supplementary gives scripts all groups of their user.
	supplementary atomic.Bool
	// why, if not nil, returns which trackers put an instance into fault. It may wait for who tells
	// of priorities.
	why func(instance string) []string

	mu sync.Mutex
	// heard and onBus are called with each event, and do not wait; nil is nobody.
	heard, onBus func(notify.Event)
	// reserved is what noteSeq says.
	reserved uint64
	// last is the last event of each instance and group that is in a state.
	last map[notify.Subject]notify.Event
	// ends is what an instance or group is that ends; those not in it stop with the daemon.
	ends map[notify.Subject]notify.State
	// priorities are the instances whose changes of priority are told.
	priorities map[string]bool
}

// newTelling returns a telling that tells nobody yet, for a director with that ledger, which may be
// nil.
func newTelling(l *guard.Ledger, log *slog.Logger) *telling {
	t := &telling{ledger: l, log: log, last: map[notify.Subject]notify.Event{}}
	if raw, ok := l.Inherited().Notes[noteSeq]; ok {
		if err := json.Unmarshal(raw, &t.reserved); err != nil {
			log.Warn("events are numbered from 1 again", "err", err)
		}
	}
	t.notifier = notify.New(notify.Options{Run: t.runScript, Log: log, Seq: t.reserved})
	t.reserve(t.reserved)
	return t
}

// runScript is notify.Options.Run.
func (t *telling) runScript(ctx context.Context, s notify.Script, args, env []string) error {
	c := script.Command{Args: s.Args, Account: script.Account{
		User: s.User, Group: s.Group, Supplementary: t.supplementary.Load(),
	}}
	result := script.Run(ctx, c, script.Options{
		ExtraArgs: args, Env: env, Secure: t.secure.Load(), Leave: true,
	})
	if result.OK() {
		return nil
	}
	return errors.New(result.Reason())
}

// run delivers until ctx ends, and then what still waits. What cannot be delivered is no failure of
// the director.
func (t *telling) run(ctx context.Context) error {
	if err := t.notifier.Run(ctx); err != nil {
		t.log.Warn("not everybody was told of everything", "err", err)
	}
	return nil
}

// configure makes those of cfg be told from now on.
func (t *telling) configure(cfg *config.Config) error {
	if err := t.notifier.Configure(notifications(cfg)); err != nil {
		return err
	}
	t.secure.Store(cfg.Global.ScriptSecurity)
	t.supplementary.Store(cfg.Global.Start.SupplementaryGroups)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends = nil
	t.priorities = priorityTellers(cfg)
	return nil
}

// part says that the routers which end now, until configure, do so because after is configured
// instead of before: for those told it is a fault, or a deletion if they want to know.
func (t *telling) part(before, after *config.Config) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends = map[notify.Subject]notify.State{}
	for i := range before.Instances {
		c := &before.Instances[i]
		state := notify.Fault
		if c.Notify.TellDeleted && after.Instance(c.Name) == nil {
			state = notify.Deleted
		}
		t.ends[notify.Subject{Kind: notify.Instance, Name: c.Name}] = state
	}
	for i := range before.SyncGroups {
		t.ends[groupSubject(before.SyncGroups[i].Name)] = notify.Fault
	}
}

func groupSubject(name string) notify.Subject {
	return notify.Subject{Kind: notify.Group, Name: name}
}

// follow returns what is to be called with the transitions of a group's router: each is told, and
// what they make of the group once all its members are in one state.
func (t *telling) follow(g instance.Group) func(instance.Transition) {
	name, members := g.Name, len(g.Members) // and nothing that would keep g
	var states map[string]vrrp.State        // of the members; nil without a group
	if name != "" {
		states = map[string]vrrp.State{}
	}
	var group vrrp.State
	return func(tr instance.Transition) {
		t.settle(notify.Event{
			Subject:  notify.Subject{Kind: notify.Instance, Name: tr.Instance},
			Priority: int(tr.Priority), Time: tr.Time, Reason: t.reason(tr),
		}, tr.To)
		if name == "" {
			return
		}
		states[tr.Instance] = tr.To
		if len(states) < members || tr.To == group {
			return
		}
		for _, s := range states {
			if s != tr.To {
				return
			}
		}
		group = tr.To
		t.settle(notify.Event{
			Subject: groupSubject(name), Time: tr.Time, Reason: tr.Reason.String(),
		}, tr.To)
	}
}

// reason returns why there was a transition: "tracker failed: script S: exit status 1".
func (t *telling) reason(tr instance.Transition) string {
	reason := tr.Reason.String()
	if tr.Reason == vrrp.ReasonTracker && t.why != nil {
		if faults := t.why(tr.Instance); len(faults) > 0 {
			reason += ": " + strings.Join(faults, "; ")
		}
	}
	return reason
}

// settle tells that the subject of e is in a state now.
func (t *telling) settle(e notify.Event, to vrrp.State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch to {
	case vrrp.Master:
		e.State = notify.Master
	case vrrp.Backup:
		e.State = notify.Backup
	case vrrp.Faulty:
		e.State = notify.Fault
	case vrrp.Initialize:
		e.State = t.end(e.Subject)
	}
	t.last[e.Subject] = e
	if to == vrrp.Initialize {
		delete(t.last, e.Subject)
	}
	t.tell(e)
}

// end returns what a subject is that ends. The lock is held.
func (t *telling) end(s notify.Subject) notify.State {
	if state := t.ends[s]; state != 0 {
		return state
	}
	return notify.Stop
}

// priority tells that the priority of an instance has changed, to those who want to know.
func (t *telling) priority(name string, to uint8) {
	t.mu.Lock()
	defer t.mu.Unlock()
	subject := notify.Subject{Kind: notify.Instance, Name: name}
	e, known := t.last[subject]
	if !known {
		return
	}
	e.Priority = int(to)
	t.last[subject] = e
	if !t.priorities[name] {
		return
	}
	now := notify.Event{Subject: subject, Priority: int(to), Reason: "tracker"}
	if e.State == notify.Master {
		now.State = notify.MasterPriority
	} else if e.State == notify.Backup {
		now.State = notify.BackupPriority
	} else {
		return
	}
	t.tell(now)
}

// contested tells that an instance, which is master, has heard a lower one.
func (t *telling) contested(name string, priority uint8) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tell(notify.Event{
		Subject: notify.Subject{Kind: notify.Instance, Name: name}, State: notify.LowerPriority,
		Priority: int(priority), Reason: "advert of a lower priority",
	})
}

// condition tells that something has begun to be wrong, or is over.
func (t *telling) condition(c status.Condition, state notify.State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tell(notify.Event{Subject: conditionSubject(c.Subject), State: state,
		Condition: c.Name, Reason: c.Evidence})
}

// firstUp tells that the real servers of after are up which begin that way, if it is to be told:
// those that before does not have. Others are told of when their first check has succeeded.
func (t *telling) firstUp(before, after *config.Config) {
	if !after.Global.Alerts.FirstUp {
		return
	}
	var unchecked pool.Health
	had := map[notify.Subject]bool{}
	for i := range before.VirtualServers {
		vs := &before.VirtualServers[i]
		for j := range vs.RealServers {
			had[serverSubject(vs, &vs.RealServers[j])] = true
		}
	}
	for i := range after.VirtualServers {
		vs := &after.VirtualServers[i]
		for j := range vs.RealServers {
			rs := &vs.RealServers[j]
			s := serverSubject(vs, rs)
			if unchecked.Up(rs) && !had[s] {
				t.server(s, true, "start")
			}
		}
	}
}

// tellFirst has it told what is up from the beginning, once the services of the configuration that
// follows before run.
func (d *director) tellFirst(before *config.Config) {
	if d.began || !d.options.Ledger.Inherited().Resume {
		d.telling.firstUp(before, d.config)
	}
}

// repeat writes the states of all instances and groups to the FIFOs again.
func (t *telling) repeat() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range slices.SortedFunc(maps.Keys(t.last), compareSubjects) {
		e := t.last[s]
		e.Again = true
		t.tell(e)
	}
}

// server tells of a virtual service or a real server.
func (t *telling) server(s notify.Subject, up bool, reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := notify.Event{Subject: s, State: notify.Down, Reason: reason}
	if up {
		e.State = notify.Up
	}
	t.tell(e)
}

// hear has heard called with each event from now on; nil is nobody.
func (t *telling) hear(heard func(notify.Event)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard = heard
}

// hearOnBus is hear for the message bus.
func (t *telling) hearOnBus(heard func(notify.Event)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.onBus = heard
}

// tell has an event delivered. The lock is held, so that numbers are in order.
func (t *telling) tell(e notify.Event) {
	if seq := t.notifier.Tell(e); seq+seqAhead/2 > t.reserved {
		t.reserve(seq)
	}
	for _, heard := range []func(notify.Event){t.heard, t.onBus} {
		if heard != nil {
			heard(e)
		}
	}
}

// reserve notes a number well above seq.
func (t *telling) reserve(seq uint64) {
	t.reserved = seq + seqAhead
	if err := t.ledger.Note(noteSeq, t.reserved); err != nil {
		t.log.Warn("number of events was not noted", "err", err)
	}
}
