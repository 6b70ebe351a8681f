package check

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Task is one check of one server, again and again.
type Task struct {
	// ID tells tasks apart; unique and not empty.
	ID string
	// Checker is asked.
	Checker Checker
	// Timeout bounds each attempt, whatever bounds the Checker has of its own; more than 0.
	Timeout time.Duration
	// Params count the results; Interval is more than 0.
	Params Params
	// Warmup bounds the random delay of the first attempt, which spreads tasks with the same
	// interval; 0 is none.
	Warmup time.Duration
}

func (t Task) validate() error {
	switch {
	case t.ID == "":
		return fmt.Errorf("set check: no ID")
	case t.Checker == nil:
		return fmt.Errorf("set check %s: no checker", t.ID)
	case t.Timeout <= 0:
		return fmt.Errorf("set check %s: timeout %s", t.ID, t.Timeout)
	case t.Params.Interval <= 0:
		return fmt.Errorf("set check %s: interval %s", t.ID, t.Params.Interval)
	case t.Params.RetryInterval < 0 || t.Params.Retries < 0 || t.Warmup < 0:
		return fmt.Errorf("set check %s: a time or number below 0", t.ID)
	}
	return nil
}

// Report is a change of one task.
type Report struct {
	ID     string
	Change Change
	// Err is the failure that brought it down; nil when it came up.
	Err error
	// At is when the deciding attempt ended.
	At time.Time
}

// State is where one task stands.
type State struct {
	ID string
	Up bool
	// Attempts and Failures count since the task was first set.
	Attempts, Failures uint64
	// Err is the result of the last attempt, At its end; nil and zero before the first.
	Err error
	At  time.Time
}

// Runner carries out tasks, each on its own clock.
type Runner struct {
	report func(Report)
	wake   chan struct{}

	mu    sync.Mutex
	tasks map[string]*watch

	reporting sync.Mutex
}

// NewRunner returns a Runner without tasks. Changes go to report, one at a time, from the
// goroutines of Run; checks that have changes wait for it. It must not be nil. A task starts with
// what its Params.Alpha says, which is not reported.
func NewRunner(report func(Report)) *Runner {
	return &Runner{
		report: report,
		wake:   make(chan struct{}, 1),
		tasks:  make(map[string]*watch),
	}
}

// Set says which tasks there are from now on. One whose ID is known goes on as it stands, with the
// new checker and times from the next attempt on; one that is not named again ends, and may report
// for the last time while Set runs. An error names a task that cannot be, and then nothing changes.
func (r *Runner) Set(tasks []Task) error {
	named := make(map[string]bool, len(tasks))
	for _, t := range tasks {
		if err := t.validate(); err != nil {
			return err
		}
		if named[t.ID] {
			return fmt.Errorf("set check %s: named twice", t.ID)
		}
		named[t.ID] = true
	}
	r.mu.Lock()
	for _, t := range tasks {
		if w := r.tasks[t.ID]; w != nil {
			w.set(t)
		} else {
			r.tasks[t.ID] = newWatch(t)
		}
	}
	for id, w := range r.tasks {
		if !named[id] {
			if w.end != nil {
				w.end()
			}
			delete(r.tasks, id)
		}
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return nil
}

// AssumeDown makes the tasks of these IDs down, without a report, for one who knows that from before.
// What is known of no task means nothing.
func (r *Runner) AssumeDown(ids map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range ids {
		if w := r.tasks[id]; w != nil {
			w.mu.Lock()
			w.tracker.AssumeDown()
			w.mu.Unlock()
		}
	}
}

// States returns where all tasks stand, sorted by ID.
func (r *Runner) States() []State {
	r.mu.Lock()
	defer r.mu.Unlock()
	var states []State
	for _, w := range r.tasks {
		states = append(states, w.current())
	}
	slices.SortFunc(states, func(a, b State) int { return cmp.Compare(a.ID, b.ID) })
	return states
}

// Run carries out the tasks until ctx ends and all attempts under way have ended with it. It always
// returns nil, and is called once.
func (r *Runner) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		r.mu.Lock()
		for _, w := range r.tasks {
			if w.end == nil {
				own, end := context.WithCancel(ctx)
				w.end = end
				running.Go(func() { w.run(own, r.send) })
			}
		}
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		}
	}
}

func (r *Runner) send(p Report) {
	r.reporting.Lock()
	defer r.reporting.Unlock()
	r.report(p)
}

// watch is one task at work.
type watch struct {
	end     context.CancelFunc // of Runner.mu; nil before run is started
	changed chan struct{}

	mu      sync.Mutex
	task    Task
	tracker Tracker
	state   State
}

func newWatch(t Task) *watch {
	return &watch{changed: make(chan struct{}, 1), task: t, tracker: NewTracker(t.Params)}
}

func (w *watch) set(t Task) {
	w.mu.Lock()
	w.task = t
	w.tracker.Params = t.Params
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *watch) current() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.state
	s.ID, s.Up = w.task.ID, w.tracker.Up()
	return s
}

// run works until ctx ends.
func (w *watch) run(ctx context.Context, send func(Report)) {
	next := time.Now().Add(w.offset())
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.changed:
			next = w.noLaterThan(next)
		case <-timer.C:
			next = w.attempt(ctx, send)
		}
		timer.Reset(time.Until(next))
	}
}

func (w *watch) offset() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.task.Warmup == 0 {
		return 0
	}
	return rand.N(w.task.Warmup)
}

// noLaterThan brings next forward for an interval that was made shorter.
func (w *watch) noLaterThan(next time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if soonest := time.Now().Add(w.task.Params.Interval); soonest.Before(next) {
		return soonest
	}
	return next
}

// attempt checks once, reports what that changed, and returns the time of the next attempt. What
// ctx cut short is no result.
func (w *watch) attempt(ctx context.Context, send func(Report)) time.Time {
	w.mu.Lock()
	task := w.task
	w.mu.Unlock()
	bounded, cancel := context.WithTimeout(ctx, task.Timeout)
	defer cancel()
	err := task.Checker.Check(bounded)
	now := time.Now()
	if ctx.Err() != nil {
		return now
	}
	w.mu.Lock()
	change, next := w.tracker.Step(now, err)
	w.state.Attempts++
	w.state.Err, w.state.At = err, now
	if err != nil {
		w.state.Failures++
	}
	w.mu.Unlock()
	if change != None {
		send(Report{ID: task.ID, Change: change, Err: err, At: now})
	}
	return next
}
