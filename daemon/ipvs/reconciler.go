package ipvs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Interval is the time between two looks at the table: what another changed in it is right again
// within 2 s.
const Interval = 1500 * time.Millisecond

const stopTimeout = 5 * time.Second

// Options are what a Reconciler can be told. Its zero value is usable.
type Options struct {
	// Owns says of a service that was never wanted whether it is ours all the same, and so to be
	// deleted: what an earlier daemon left. Nil means none is.
	Owns func(Key) bool
	// Keep leaves the table as it is when Run ends.
	Keep bool
	// Changed is called after each pass that did or failed something, from Run's goroutine. Nil
	// means nobody is told.
	Changed func(Status)
	// Log gets one line for each service that fails or recovers and each repair. Nil means none.
	Log *slog.Logger
}

// Status is what a Reconciler has done since it was made, and where it stands.
type Status struct {
	// Passes counts looks at the table, or at services in it.
	Passes uint64
	// Changes counts operations carried out because something else was wanted, Repairs those
	// because somebody else had changed the table, Failures those that failed.
	Changes, Repairs, Failures uint64
	// Synced says that after the last pass the table was what is wanted, so far as it is ours.
	Synced bool
	// Services holds the error of each service that is not what is wanted; nil if all are.
	Services map[Key]error
	// List is why the table could not be read; nil if it could.
	List error
}

// Reconciler makes a table what is wanted, at once and again every Interval. It touches only
// services that are ours: those wanted now or at any time before, until they are seen to be gone.
// A service that is there already when it is first wanted becomes ours, and only what differs in it
// is changed. What is wanted of one service takes a look at that service, not at the table.
type Reconciler struct {
	table   Table
	options Options
	wake    chan struct{}

	mu sync.Mutex
	// passed is closed when all that is wanted has been seen to.
	passed chan struct{}
	want   Services
	// place is where in want a service stands.
	place map[Key]int
	// told says that something was wanted, anew that all of it was since the last look, changed
	// which services were.
	told, anew bool
	changed    map[Key]bool
	status     Status

	// Of Run's goroutine alone:
	due     time.Time // of the next look at the whole table
	relist  retry
	ours    map[Key]bool
	settled map[Key]bool // was right since it was last wanted anew
	retry   map[Key]*retry
	// glances is how many more looks may be by glances before the table is listed.
	glances int
}

// New returns a Reconciler that does nothing before Run, and leaves the table alone before it is
// told what is wanted.
func New(table Table, options Options) *Reconciler {
	if options.Owns == nil {
		options.Owns = func(Key) bool { return false }
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &Reconciler{
		table:   table,
		options: options,
		wake:    make(chan struct{}, 1),
		passed:  make(chan struct{}),
		place:   make(map[Key]int),
		changed: make(map[Key]bool),
		ours:    make(map[Key]bool),
		settled: make(map[Key]bool),
		retry:   make(map[Key]*retry),
	}
}

// Set says what is wanted from now on, all of it; the destinations in it are not to be changed
// afterwards. A failing service is tried again at once. Set never waits, and may be called at any
// time. Of a table that has been read, only the services that are wanted otherwise than before are
// looked at on that account, unless they are the most.
func (r *Reconciler) Set(want Services) {
	r.mu.Lock()
	before, was := r.want, r.place
	r.want, r.place = slices.Clone(want), make(map[Key]int, len(want))
	for i := range want {
		k := want[i].Key
		r.place[k] = i
		if j, wanted := was[k]; !wanted || !before[j].equal(&want[i]) {
			r.changed[k] = true
		}
		delete(was, k)
	}
	for k := range was {
		r.changed[k] = true
	}
	for k := range r.status.Services {
		r.changed[k] = true
	}
	if !r.told || r.status.List != nil || 2*len(r.changed) > len(want) {
		r.anew = true
		r.changed = make(map[Key]bool) // not cleared: the memory of thousands would stay
	}
	r.told = true
	r.unpass()
	r.mu.Unlock()
	r.rouse()
}

// SetService says what is wanted of one service from now on, a new one or one that is wanted
// already; what is wanted of the others stays. It is otherwise like Set.
func (r *Reconciler) SetService(s Service) {
	r.mu.Lock()
	if i, known := r.place[s.Key]; known {
		r.want[i] = s
	} else {
		r.place[s.Key] = len(r.want)
		r.want = append(r.want, s)
	}
	r.told = true
	r.changed[s.Key] = true
	r.unpass()
	r.mu.Unlock()
	r.rouse()
}

// rouse has Run look at once.
func (r *Reconciler) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Status returns a copy of the status after the last pass.
func (r *Reconciler) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status
	s.Services = maps.Clone(s.Services)
	return s
}

// Run works until ctx ends, then deletes all services that are ours, unless Options.Keep is set,
// and returns what could not be deleted, nil if nothing. That takes at most 5 s. Run is called
// once.
func (r *Reconciler) Run(ctx context.Context) error {
	timer := time.NewTimer(Interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			if r.options.Keep {
				return nil
			}
			return r.withdraw(context.WithoutCancel(ctx))
		case <-r.wake:
		case <-timer.C:
		}
		timer.Reset(r.pass(ctx, time.Now()))
	}
}

// pass looks once, at the table or at the services that need it, and does what is needed. It
// returns the time to the next pass.
func (r *Reconciler) pass(ctx context.Context, now time.Time) time.Duration {
	r.mu.Lock()
	told, status := r.told, r.status
	r.mu.Unlock()
	if !told {
		return Interval
	}
	before := status
	switch want, keys := r.take(now); {
	case keys == nil:
		status.Passes++
		r.passAll(ctx, now, want, &status)
	case len(keys) > 0:
		status.Passes++
		r.passSome(ctx, now, want, keys, &status)
	}
	if ctx.Err() != nil {
		return Interval
	}
	status.Services = r.failing()
	status.Synced = status.List == nil && status.Services == nil
	r.mu.Lock()
	r.status = status
	r.passOver()
	r.mu.Unlock()
	if r.options.Changed != nil && worthTelling(before, status) {
		r.options.Changed(r.Status())
	}
	next := r.due
	for _, t := range r.retry {
		if t.at.Before(next) {
			next = t.at
		}
	}
	return max(next.Sub(now), 0)
}

// take returns what is wanted and the keys of the services to look at, sorted: those that changed
// or whose retry is due, and only they are in want then. Nil keys are for the whole table. Whatever
// is wanted anew is tried at once.
func (r *Reconciler) take(now time.Time) (want Services, keys []Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	anew := r.anew
	r.anew = false
	if anew {
		r.relist = retry{}
		r.glances = 0
		clear(r.settled)
		for _, t := range r.retry {
			t.renew()
		}
	}
	for k := range r.changed {
		delete(r.settled, k)
		if t := r.retry[k]; t != nil {
			t.renew()
		}
	}
	if anew || !now.Before(r.due) {
		clear(r.changed)
		return slices.Clone(r.want), nil
	}
	for k, t := range r.retry {
		if !now.Before(t.at) {
			r.changed[k] = true
		}
	}
	keys = slices.AppendSeq(make([]Key, 0, len(r.changed)), maps.Keys(r.changed))
	slices.SortFunc(keys, Key.compare)
	for _, k := range keys {
		if i, wanted := r.place[k]; wanted {
			want = append(want, r.want[i])
		}
	}
	clear(r.changed)
	return want, keys
}

func worthTelling(before, after Status) bool {
	return before.Changes != after.Changes || before.Repairs != after.Repairs ||
		before.Failures != after.Failures || before.Synced != after.Synced ||
		(before.List == nil) != (after.List == nil)
}

// perRepair is after how many operations they are carried out: a large table is filled in the
// memory of a few.
const perRepair = 1000

// repair makes the table what is wanted, which it is not in have, but for services whose retry is
// not due and those that skip names; it counts the operations in status, and returns the services
// that are not right. One that fails does not hold up the others.
func (r *Reconciler) repair(
	ctx context.Context, now time.Time, have, want Services, skip map[Key]bool, status *Status,
) map[Key]bool {
	wrong := make(map[Key]bool)
	left := func(op Op) bool {
		t := r.retry[op.Key]
		if t != nil && now.Before(t.at) {
			wrong[op.Key] = true
		}
		return wrong[op.Key] || skip[op.Key]
	}
	ops := make([]Op, 0, min(sizeOfDiff(have, want), perRepair+perRepair/4))
	var rest error // why nothing is known of what follows; nil is that it can be carried out
	carryOut := func() {
		ops = slices.DeleteFunc(ops, left)
		for k := range r.carryOut(ctx, now, ops, &rest, status) {
			wrong[k] = true
		}
		ops = ops[:0]
	}
	diff(have, want, func(of func([]Op) []Op) {
		if ops = of(ops); len(ops) >= perRepair {
			carryOut()
		}
	})
	carryOut()
	return wrong
}

// carryOut carries out ops in one go, unless rest says that nothing is known of what follows what
// was before; it says so if that becomes the case. It returns the services that are not right.
func (r *Reconciler) carryOut(
	ctx context.Context, now time.Time, ops []Op, rest *error, status *Status,
) map[Key]bool {
	if len(ops) == 0 {
		return nil
	}
	results := slices.Repeat([]error{*rest}, len(ops))
	if *rest == nil {
		results = outcome(ops, r.table.Apply(ctx, ops))
	}
	var last *OpError
	if errors.As(results[len(results)-1], &last) && last.Rest {
		*rest = last
	}
	wrong := make(map[Key]bool)
	for len(ops) > 0 {
		n := 1 // operations of one service, which stand together
		for n < len(ops) && ops[n].Key == ops[0].Key {
			n++
		}
		if !r.judge(now, ops[:n], results[:n], status) {
			wrong[ops[0].Key] = true
		}
		ops, results = ops[n:], results[n:]
	}
	return wrong
}

// judge counts what became of the operations on one service, and says whether it is right now.
func (r *Reconciler) judge(now time.Time, ops []Op, results []error, status *Status) bool {
	k := ops[0].Key
	if !slices.ContainsFunc(results, func(err error) bool { return err != nil }) {
		r.count(k, ops, status)
		return true
	}
	var done []Op
	var errs []error
	for i, err := range results {
		switch {
		case err == nil:
			done = append(done, ops[i])
			continue
		case !errors.Is(err, errLeftOut):
			errs = append(errs, err)
		}
		status.Failures++
	}
	r.count(k, done, status)
	r.fail(now, k, errors.Join(slices.Compact(errs)...))
	return false
}

// count notes operations that were carried out on a service. One that was right, and differs now
// although nothing else is wanted, was changed by another.
func (r *Reconciler) count(k Key, ops []Op, status *Status) {
	if len(ops) == 0 {
		return
	}
	what := "virtual service changed"
	reason := "wanted"
	if r.settled[k] {
		status.Repairs += uint64(len(ops))
		r.options.Log.Warn("virtual service was changed by another; repaired",
			"service", k, "reason", "drift", "operations", len(ops), "first", ops[0])
		what, reason = "virtual service repaired", "drift"
	} else {
		status.Changes += uint64(len(ops))
	}
	if !r.options.Log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	for _, op := range ops {
		r.options.Log.Debug(what, "service", k, "reason", reason, "command", op)
	}
}

// fail notes that a service is not right, and plans the next attempt.
func (r *Reconciler) fail(now time.Time, k Key, err error) {
	t := r.retry[k]
	if t == nil {
		t = &retry{}
		r.retry[k] = t
	}
	r.logChange(t.err, err, "change virtual service", "service", k)
	t.failed(now)
	t.err = err
}

// settle notes that a service is right.
func (r *Reconciler) settle(k Key) {
	if r.retry[k] != nil {
		r.options.Log.Info("virtual service is as wanted again", "service", k)
		delete(r.retry, k)
	}
	r.settled[k] = true
}

// withdraw deletes all that is ours.
func (r *Reconciler) withdraw(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	have, err := r.list(ctx)
	if err != nil {
		// Without a list, what we had is the best guess of what is there.
		for k := range r.ours {
			have = append(have, Service{Key: k})
		}
		slices.SortFunc(have, func(a, b Service) int { return a.Key.compare(b.Key) })
	}
	ops := Diff(have, nil)
	var errs []error
	for _, err := range outcome(ops, r.table.Apply(ctx, ops)) {
		if err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("withdraw: %w", err))
		}
		var oe *OpError
		if errors.As(err, &oe) && oe.Rest {
			break
		}
	}
	return errors.Join(errs...)
}
