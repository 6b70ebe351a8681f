package ipvs

import (
	"cmp"
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

// Interval is the time between two looks at the table.
const Interval = 2 * time.Second

const (
	firstRetry  = 100 * time.Millisecond
	lastRetry   = 30 * time.Second
	stopTimeout = 5 * time.Second
)

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
	// Passes counts looks at the table.
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
// is changed.
type Reconciler struct {
	table   Table
	options Options
	wake    chan struct{}

	mu     sync.Mutex
	want   Services
	order  uint64 // number of the last Set
	status Status

	// Of Run's goroutine alone:
	ours    map[Key]bool
	settled map[Key]uint64 // the Set with which the service was last made right
	retry   map[Key]*retry
	relist  retry
}

// New returns a Reconciler that does nothing before Run, and leaves the table alone before the
// first Set.
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
		ours:    make(map[Key]bool),
		settled: make(map[Key]uint64),
		retry:   make(map[Key]*retry),
	}
}

// Set says what is wanted from now on, all of it; want is not to be changed afterwards. A failing
// service is tried again at once. Set never waits, and may be called at any time.
func (r *Reconciler) Set(want Services) {
	r.mu.Lock()
	r.want = want
	r.order++
	r.mu.Unlock()
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

// pass looks at the table once and does what is needed. It returns the time to the next pass.
func (r *Reconciler) pass(ctx context.Context, now time.Time) time.Duration {
	r.mu.Lock()
	want, order, status := r.want, r.order, r.status
	r.mu.Unlock()
	if order == 0 {
		return Interval
	}
	before := status
	status.Passes++
	for _, s := range want {
		r.ours[s.Key] = true
	}
	have, err := r.list(ctx)
	if ctx.Err() != nil {
		return Interval
	}
	next := now.Add(Interval)
	if status.List = err; err != nil {
		status.Synced = false
		next = r.relist.failed(now, order)
		r.logChange(before.List, err, "read table")
	} else {
		r.relist = retry{}
		r.forget(have, want)
		status.Services = r.repair(ctx, now, order, Diff(have, want), &status)
		status.Synced = status.Services == nil
		for _, t := range r.retry {
			if t.at.Before(next) {
				next = t.at
			}
		}
	}
	r.mu.Lock()
	r.status = status
	r.mu.Unlock()
	if r.options.Changed != nil && worthTelling(before, status) {
		r.options.Changed(r.Status())
	}
	return max(next.Sub(now), 0)
}

func worthTelling(before, after Status) bool {
	return before.Changes != after.Changes || before.Repairs != after.Repairs ||
		before.Failures != after.Failures || before.Synced != after.Synced ||
		(before.List == nil) != (after.List == nil)
}

// list returns our part of the table.
func (r *Reconciler) list(ctx context.Context) (Services, error) {
	all, err := r.table.List(ctx)
	if err != nil {
		return nil, err
	}
	var have Services
	for _, s := range all {
		if r.ours[s.Key] || r.options.Owns(s.Key) {
			have = append(have, s)
		}
	}
	return have, nil
}

// forget drops what is neither wanted nor there any more: if it comes again it is somebody else's.
func (r *Reconciler) forget(have, want Services) {
	keep := make(map[Key]bool, len(want))
	for _, s := range slices.Concat(have, want) {
		keep[s.Key] = true
	}
	gone := func(k Key) bool { return !keep[k] }
	maps.DeleteFunc(r.ours, func(k Key, _ bool) bool { return gone(k) })
	maps.DeleteFunc(r.settled, func(k Key, _ uint64) bool { return gone(k) })
	maps.DeleteFunc(r.retry, func(k Key, _ *retry) bool { return gone(k) })
}

// repair carries out ops service by service, so that one that fails does not hold up the others,
// counts them in status, and returns the errors of all services that are not right; nil if all are.
func (r *Reconciler) repair(
	ctx context.Context, now time.Time, order uint64, ops []Op, status *Status,
) map[Key]error {
	pending := make(map[Key][]Op)
	var keys []Key
	for _, op := range ops {
		k := op.Key
		if len(pending[k]) == 0 {
			keys = append(keys, k)
		}
		pending[k] = append(pending[k], op)
	}
	errs := make(map[Key]error)
	for _, k := range keys {
		if err := r.repairService(ctx, now, order, pending[k], status); err != nil {
			errs[k] = err
		}
	}
	for k := range r.ours {
		if errs[k] != nil {
			continue
		}
		if t := r.retry[k]; t != nil {
			r.options.Log.Info("virtual service is as wanted again", "service", k)
			delete(r.retry, k)
		}
		r.settled[k] = order
	}
	if len(errs) == 0 {
		return nil
	}
	return errs
}

func (r *Reconciler) repairService(
	ctx context.Context, now time.Time, order uint64, ops []Op, status *Status,
) error {
	k := ops[0].Key
	t := r.retry[k]
	if t != nil && t.order == order && now.Before(t.at) {
		return t.err
	}
	err := r.table.Apply(ctx, ops)
	done, failed := outcome(ops, err)
	status.Failures += uint64(failed)
	// A service that was right under the present Set, and differs now, was changed by another.
	drift := r.settled[k] == order && t == nil
	for _, op := range done {
		if drift {
			status.Repairs++
			r.options.Log.Warn("virtual service was changed by another; repaired",
				"service", k, "reason", "drift", "command", op.String())
			continue
		}
		status.Changes++
		r.options.Log.Debug("virtual service changed",
			"service", k, "reason", "wanted", "command", op.String())
	}
	if err == nil {
		return nil
	}
	if t == nil {
		t = &retry{}
		r.retry[k] = t
	}
	r.logChange(t.err, err, "change virtual service", "service", k)
	t.failed(now, order)
	t.err = err
	return err
}

// logChange logs a failure that is not the same as the one before.
func (r *Reconciler) logChange(before, now error, what string, args ...any) {
	if before == nil || before.Error() != now.Error() {
		r.options.Log.Error("cannot "+what, append(args, "err", now)...)
	}
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
	var errs []error
	for _, op := range Diff(have, nil) {
		err := r.table.Apply(ctx, []Op{op})
		if err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("withdraw: %w", err))
		}
	}
	return errors.Join(errs...)
}

// retry is when to try again what has failed, and how long to wait the time after.
type retry struct {
	at    time.Time
	wait  time.Duration
	order uint64
	err   error
}

// failed plans the next attempt, and returns its time. The waits double from firstRetry to
// lastRetry and begin anew with each Set.
func (t *retry) failed(now time.Time, order uint64) time.Time {
	if t.order != order {
		t.wait = 0
	}
	t.wait = min(cmp.Or(2*t.wait, firstRetry), lastRetry)
	t.order = order
	t.at = now.Add(t.wait)
	return t.at
}
