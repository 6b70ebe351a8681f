package check

import (
	"cmp"
	"context"
	"fmt"
	"math"
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
	// Warmup bounds the delay of the first attempt, which spreads tasks with the same interval
	// evenly; 0 is none.
	Warmup time.Duration
	// ReportAll also reports the failures that change nothing while it is up, with the change None.
	ReportAll bool
}

func (t *Task) validate() error {
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

// Report is a change of one task, or a failure that changes nothing.
type Report struct {
	ID string
	// Change is Up also if the task is up already and only its weight has changed. It is None only
	// with Task.ReportAll.
	Change Change
	// Weight is that of the deciding attempt; zero with Down, and for a checker that says none.
	Weight Weight
	// Err is the failure that brought it down, or changed nothing; nil when it came up.
	Err error
	// At is when the deciding attempt ended.
	At time.Time
}

// State is where one task stands.
type State struct {
	ID string
	Up bool
	// Weight is what the last success said.
	Weight Weight
	// Attempts and Failures, those by reason, count since the task was first set; nil is no failure.
	Attempts uint64
	Failures map[Reason]uint64
	// Err is the result of the last attempt, At its end; nil and zero before the first.
	Err error
	At  time.Time
}

// Runner carries out tasks, each on its own clock. A task that waits costs neither a timer nor a
// goroutine.
type Runner struct {
	report func(Report)
	post   *post

	mu      sync.Mutex
	tasks   []*watch        // sorted by ID: a map of thousands takes four times the memory
	paused  map[string]bool // see Suspend
	spread  spread
	runs    bool           // Run is at work, and post complete
	running sync.WaitGroup // tasks that are started and not ended

	reporting sync.Mutex
}

// NewRunner returns a Runner without tasks. Changes go to report, one at a time, from the
// goroutines of attempts; checks that have changes wait for it. It must not be nil. A task starts
// with what its Params.Alpha says, which is not reported.
func NewRunner(report func(Report)) *Runner {
	now := clock(time.Now())
	r := &Runner{report: report, spread: make(spread)}
	r.post = &post{clock: now, send: r.send, queue: newQueue(now), done: r.running.Done}
	return r
}

// Set says which tasks there are from now on. One whose ID is known goes on as it stands, with the
// new checker and times from the next attempt on; one that is not named again ends, and may report
// for the last time while Set runs. An error names a task that cannot be, and then nothing changes.
func (r *Runner) Set(tasks []Task) error {
	sorted, err := sortedByID(tasks)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.tasks
	r.tasks = make([]*watch, 0, len(tasks))
	now := time.Now() // for thousands, to ask each time would take longer than all the rest
	known := make(map[terms]*terms)
	for _, n := range sorted {
		t := &tasks[n]
		for len(before) > 0 && before[0].id < t.ID {
			before[0].end()
			before = before[1:]
		}
		terms := shared(known, termsOf(t, r.post))
		if len(before) > 0 && before[0].id == t.ID {
			// The ID as it is given now: it is there once, for whoever gave it keeps it, too.
			before[0].set(t.ID, t.Checker, terms, now)
			r.tasks = append(r.tasks, before[0])
			before = before[1:]
			continue
		}
		w := newWatch(t, terms)
		w.paused = r.paused[t.ID]
		r.tasks = append(r.tasks, w)
		r.start(w, now)
	}
	for _, w := range before {
		w.end()
	}
	return nil
}

// sortedByID returns the numbers of tasks in the order of their IDs, and an error for one that
// cannot be.
func sortedByID(tasks []Task) ([]int32, error) {
	sorted := make([]int32, len(tasks))
	for i := range tasks {
		if err := tasks[i].validate(); err != nil {
			return nil, err
		}
		sorted[i] = int32(i)
	}
	slices.SortFunc(sorted, func(a, b int32) int { return cmp.Compare(tasks[a].ID, tasks[b].ID) })
	for i := range sorted[:max(len(sorted)-1, 0)] {
		if id := tasks[sorted[i]].ID; id == tasks[sorted[i+1]].ID {
			return nil, fmt.Errorf("set check %s: named twice", id)
		}
	}
	return sorted, nil
}

// task returns that of an ID; nil if there is none. The lock is held.
func (r *Runner) task(id string) *watch {
	i, known := slices.BinarySearchFunc(r.tasks, id, func(w *watch, id string) int {
		return cmp.Compare(w.id, id)
	})
	if !known {
		return nil
	}
	return r.tasks[i]
}

// start starts a task if Run is at work.
func (r *Runner) start(w *watch, now time.Time) {
	if !r.runs {
		return
	}
	r.running.Add(1)
	w.start(now.Add(r.spread.next(w.terms.warmup)))
}

// AssumeDown makes the tasks of these IDs down, without a report, for one who knows that from
// before. What is known of no task means nothing.
func (r *Runner) AssumeDown(ids map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range ids {
		if w := r.task(id); w != nil {
			w.mu.Lock()
			w.tracker.AssumeDown()
			w.mu.Unlock()
		}
	}
}

// Recheck has the tasks of these IDs make an attempt now, for one who knows that there is news. One
// whose attempt is under way makes another after it. What is known of no task, and a Runner that is
// not at work, mean nothing.
func (r *Runner) Recheck(ids ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if w := r.task(id); w != nil {
			w.recheck()
		}
	}
}

// States returns where all tasks stand, sorted by ID.
func (r *Runner) States() []State {
	r.mu.Lock()
	defer r.mu.Unlock()
	states := make([]State, 0, len(r.tasks))
	for _, w := range r.tasks {
		states = append(states, w.current())
	}
	return states
}

// Each calls f with where each task stands, but for its Failures, in no order. It must not call the
// Runner.
func (r *Runner) Each(f func(State)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.tasks {
		f(w.stands())
	}
}

// Run carries out the tasks until ctx ends and all attempts under way have ended with it. It always
// returns nil, and is called once.
func (r *Runner) Run(ctx context.Context) error {
	r.mu.Lock()
	r.post.ctx, r.runs = ctx, true
	now := time.Now()
	for _, w := range r.tasks {
		r.start(w, now)
	}
	r.mu.Unlock()
	r.post.queue.run(ctx)
	r.mu.Lock()
	r.runs = false
	for _, w := range r.tasks {
		w.end()
	}
	r.mu.Unlock()
	r.running.Wait()
	return nil
}

func (r *Runner) send(p Report) {
	r.reporting.Lock()
	defer r.reporting.Unlock()
	r.report(p)
}

// spread gives the first attempts of tasks their delays. Those of one warmup start at a random
// point of it, and go on by the golden ratio: that leaves no gap and no heap, however many there
// are, where chance alone would make a burst of some.
type spread map[time.Duration]float64

// next returns a delay of less than warmup; 0 if that is 0.
func (s spread) next(warmup time.Duration) time.Duration {
	if warmup <= 0 {
		return 0
	}
	last, begun := s[warmup]
	if !begun {
		last = rand.Float64()
	}
	_, at := math.Modf(last + 1/math.Phi)
	s[warmup] = at
	return min(time.Duration(at*float64(warmup)), warmup-1)
}
