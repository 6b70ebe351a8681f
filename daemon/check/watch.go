package check

import (
	"context"
	"maps"
	"sync"
	"time"
)

// watch is one task at work. It is idle, and waits in the queue; or at work, from begin to rest; or
// ended, and then tells done once.
//
//	        start               due
//	new ──────────▶ idle ◀──────────────▶ at work
//	                 │ end        rest      │ end, and the attempt is over
//	                 └───────▶ ended ◀──────┘
//
// There are thousands of watches: what many have in common is not in them.
type watch struct {
	*post

	id    string
	place int // in queue, counted from 1; 0: it does not wait. It is the queue's

	mu      sync.Mutex
	checker Checker
	terms   *terms
	tracker Tracker // its Params are those of the terms

	attempts uint64
	failures map[Reason]uint64 // nil is none
	err      error             // of the last attempt
	at       time.Time         // the end of that

	due     time.Time          // of the attempt that is next, or at work
	cancel  context.CancelFunc // of the attempt under way
	started bool
	again   bool // another attempt follows at once
	sooner  bool // the task was changed: the next attempt may be due earlier
	paused  bool // no attempts; see Suspend
	void    bool // the attempt under way counts for nothing
	ended   bool
}

// post is what all watches of a Runner have in common.
type post struct {
	send  func(Report)
	queue *queue
	ctx   context.Context // set before the first start
	done  func()          // called by each watch that was started, when it has ended
}

// terms are what many tasks have in common. Nothing changes them.
type terms struct {
	params          Params
	timeout, warmup time.Duration
	reportAll       bool
}

func termsOf(t *Task) terms { return terms{t.Params, t.Timeout, t.Warmup, t.ReportAll} }

// shared returns those of known that are the same, or else makes them known.
func shared(known map[terms]*terms, t terms) *terms {
	if same := known[t]; same != nil {
		return same
	}
	own := t
	known[t] = &own
	return &own
}

func newWatch(t *Task, terms *terms, p *post) *watch {
	return &watch{post: p, id: t.ID, checker: t.Checker, terms: terms,
		tracker: NewTracker(&terms.params)}
}

// task is what it does; its lock is held, or it has not been started.
func (w *watch) task() Task {
	return Task{ID: w.id, Checker: w.checker, Timeout: w.terms.timeout, Params: w.terms.params,
		Warmup: w.terms.warmup, ReportAll: w.terms.reportAll}
}

// start makes the first attempt when it is due.
func (w *watch) start(due time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started = true
	w.due = due
	w.queue.put(w)
}

// end ends the watch, and the attempt under way; a second call does nothing.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.ended = true
	if w.cancel != nil {
		w.cancel()
	}
	if w.queue.remove(w) {
		w.done() // otherwise the attempt does
	}
}

// set has it go on with the next attempt as another task of its ID.
func (w *watch) set(id string, c Checker, terms *terms, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.id, w.checker, w.terms, w.tracker.Params = id, c, terms, &terms.params
	w.sooner = true
	w.rearm(now)
}

func (w *watch) recheck() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.started || w.ended {
		return
	}
	w.again = true
	w.rearm(time.Now())
}

// rearm works out anew when the next attempt is due, if it waits for that.
func (w *watch) rearm(now time.Time) {
	if w.queue.remove(w) {
		w.arm(w.due, now)
	}
}

// arm waits for next, or for earlier if something says so.
func (w *watch) arm(next, now time.Time) {
	if soonest := now.Add(w.terms.params.Interval); w.sooner && soonest.Before(next) {
		next = soonest
	}
	if w.again {
		next = now
	}
	if w.paused {
		next = now.Add(never)
	}
	w.sooner, w.again = false, false
	w.due = next
	w.queue.put(w)
}

func (w *watch) current() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.standing()
	s.Failures = maps.Clone(w.failures)
	return s
}

// stands is current without the failures.
func (w *watch) stands() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.standing()
}

// standing is stands for who holds the lock.
func (w *watch) standing() State {
	return State{ID: w.id, Up: w.tracker.Up(), Weight: w.tracker.Weight(), Attempts: w.attempts,
		Err: w.err, At: w.at}
}

// attempt checks once, and reports what that changed. What the end cut short is no result.
func (w *watch) attempt() {
	task, ok := w.enter()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(w.ctx, task.Timeout)
	w.hold(cancel)
	weight, err := weigh(ctx, task.Checker)
	w.over(task, weight, err, time.Now())
}

// enter returns what is to be asked, and false if that is nothing any more. What follows is hold,
// if there is something to end, and over with the result.
func (w *watch) enter() (Task, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		w.done()
		return Task{}, false
	}
	w.again = false
	if w.paused { // it has only begun, or the queue was faster
		w.arm(w.due, time.Now())
		return Task{}, false
	}
	w.cancel = func() {} // what is not held yet needs no end
	return w.task(), true
}

// hold says what ends the attempt under way, in place of what did so before.
func (w *watch) hold(cancel context.CancelFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel = cancel
	if w.ended || w.void {
		cancel()
	}
}

// over takes a result of now, reports it if it is worth that, and waits for the next attempt.
func (w *watch) over(task Task, weight Weight, err error, now time.Time) {
	report, next := w.note(weight, err, now)
	if report.matters(task) {
		w.send(report)
		now = time.Now()
	}
	w.rest(next, now)
}

// matters says whether anybody wants to know.
func (r *Report) matters(t Task) bool {
	return r.Change != None || t.ReportAll && r.Err != nil
}

// note takes a result, and returns what to report and when to try next.
func (w *watch) note(weight Weight, err error, now time.Time) (Report, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel()
	w.cancel = nil
	if w.ended || w.void || w.ctx.Err() != nil {
		w.void = false
		return Report{}, now
	}
	w.attempts++
	w.err, w.at = err, now
	if err != nil {
		if w.failures == nil {
			w.failures = make(map[Reason]uint64)
		}
		w.failures[ReasonOf(err)]++
	}
	change, next := w.tracker.StepWeight(now, weight, err)
	r := Report{ID: w.id, Change: change, Err: err, At: now}
	switch {
	case change == Up:
		r.Weight = weight
	case change == None && !w.tracker.Up():
		r.Err = nil // nothing new
	}
	return r, w.inTurn(now, next)
}

// inTurn takes from a next attempt that is a whole interval away the time that this one took and
// was late by. So tasks that were spread once stay so, and attempts are an interval apart.
func (w *watch) inTurn(now, next time.Time) time.Time {
	interval := w.terms.params.Interval
	if next.Sub(now) != interval {
		return next
	}
	return next.Add(-(now.Sub(w.due) % interval))
}

// rest waits for the next attempt, or ends.
func (w *watch) rest(next, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended || w.ctx.Err() != nil {
		w.ended = true
		w.done()
		return
	}
	w.arm(next, now)
}
