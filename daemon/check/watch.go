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
// There are thousands of watches: what many have in common is not in them, nor what most have not.
type watch struct {
	place int32 // in queue, counted from 1; 0: it does not wait. It is the queue's

	mu       sync.Mutex
	id       string
	checker  Checker
	terms    *terms
	tracker  Tracker
	attempts uint64
	at       instant // the end of the last attempt, if there was one
	due      instant // of the attempt that is next, or at work
	extra    *extra  // nil: there is nothing in it

	started bool
	busy    bool // an attempt is under way
	again   bool // another attempt follows at once
	sooner  bool // the task was changed: the next attempt may be due earlier
	paused  bool // no attempts; see Suspend
	void    bool // the attempt under way counts for nothing
	ended   bool
}

// extra is of a watch that has failed, or whose attempts are no knocks.
type extra struct {
	failures map[Reason]uint64  // nil is none
	err      error              // of the last attempt
	cancel   context.CancelFunc // of the attempt under way; nil: it has nothing to end
}

// post is what all watches of a Runner have in common.
type post struct {
	clock clock
	send  func(Report)
	queue *queue
	ctx   context.Context // set before the first start
	done  func()          // called by each watch that was started, when it has ended
}

// terms are what many tasks of a Runner have in common. Nothing changes them.
type terms struct {
	*post
	params          Params
	timeout, warmup time.Duration
	reportAll       bool
}

func termsOf(t *Task, p *post) terms {
	return terms{p, t.Params, t.Timeout, t.Warmup, t.ReportAll}
}

// shared returns those of known that are the same, or else makes them known.
func shared(known map[terms]*terms, t terms) *terms {
	if same := known[t]; same != nil {
		return same
	}
	own := t
	known[t] = &own
	return &own
}

func newWatch(t *Task, terms *terms) *watch {
	return &watch{id: t.ID, checker: t.Checker, terms: terms, tracker: NewTracker(&terms.params)}
}

// more returns what it has beside the usual. Its lock is held.
func (w *watch) more() *extra {
	if w.extra == nil {
		w.extra = &extra{}
	}
	return w.extra
}

// cut ends the attempt under way, if it has to be told. The lock is held.
func (w *watch) cut() {
	if w.extra != nil && w.extra.cancel != nil {
		w.extra.cancel()
	}
}

// start makes the first attempt when it is due.
func (w *watch) start(due time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started = true
	w.due = w.terms.clock.instant(due)
	w.terms.queue.put(w)
}

// end ends the watch, and the attempt under way; a second call does nothing.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.ended = true
	w.cut()
	if w.terms.queue.remove(w) {
		w.terms.done() // otherwise the attempt does
	}
}

// set has it go on with the next attempt as another task of its ID.
func (w *watch) set(id string, c Checker, terms *terms, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.id, w.checker, w.terms = id, c, terms
	w.sooner = true
	w.rearm(terms.clock.instant(now))
}

func (w *watch) recheck() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.started || w.ended {
		return
	}
	w.again = true
	w.rearm(w.terms.clock.instant(time.Now()))
}

// rearm works out anew when the next attempt is due, if it waits for that.
func (w *watch) rearm(now instant) {
	if w.terms.queue.remove(w) {
		w.arm(w.due, now)
	}
}

// arm waits for next, or for earlier if something says so.
func (w *watch) arm(next, now instant) {
	if w.sooner {
		next = min(next, now+instant(w.terms.params.Interval))
	}
	if w.again {
		next = now
	}
	if w.paused {
		next = now + instant(never)
	}
	w.sooner, w.again = false, false
	w.due = next
	w.terms.queue.put(w)
}

func (w *watch) current() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.standing()
	if w.extra != nil {
		s.Failures = maps.Clone(w.extra.failures)
	}
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
	s := State{ID: w.id, Up: w.tracker.Up(), Weight: w.tracker.Weight(), Attempts: w.attempts}
	if w.attempts > 0 {
		s.At = w.terms.clock.time(w.at)
	}
	if w.extra != nil {
		s.Err = w.extra.err
	}
	return s
}

// attempt checks once, and reports what that changed. What the end cut short is no result.
func (w *watch) attempt() {
	t, ok := w.enter()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(t.ctx, t.timeout)
	w.hold(cancel)
	weight, err := weigh(ctx, t.checker)
	w.over(t, weight, err, time.Now())
}

// turn is what an attempt needs of its watch, without the lock.
type turn struct {
	checker Checker
	*terms
}

// enter returns what is to be asked, and false if that is nothing any more. What follows is hold,
// if there is something to end, and over with the result.
func (w *watch) enter() (turn, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		w.terms.done()
		return turn{}, false
	}
	w.again = false
	if w.paused { // it has only begun, or the queue was faster
		w.arm(w.due, w.terms.clock.instant(time.Now()))
		return turn{}, false
	}
	w.busy = true
	return turn{w.checker, w.terms}, true
}

// hold says what ends the attempt under way, in place of what did so before.
func (w *watch) hold(cancel context.CancelFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.more().cancel = cancel
	if w.ended || w.void {
		cancel()
	}
}

// over takes a result of now, reports it if it is worth that, and waits for the next attempt.
func (w *watch) over(t turn, weight Weight, err error, now time.Time) {
	report, next := w.note(weight, err, now)
	if report.matters(t) {
		t.send(report)
		now = time.Now()
	}
	w.rest(next, now)
}

// matters says whether anybody wants to know.
func (r *Report) matters(t turn) bool {
	return r.Change != None || t.reportAll && r.Err != nil
}

// note takes a result, and returns what to report and when to try next.
func (w *watch) note(weight Weight, err error, now time.Time) (Report, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut()
	w.busy = false
	if w.extra != nil {
		w.extra.cancel = nil
	}
	if w.ended || w.void || w.terms.ctx.Err() != nil {
		w.void = false
		return Report{}, now
	}
	w.count(err, now)
	change, next := w.tracker.StepWeight(&w.terms.params, now, weight, err)
	r := Report{ID: w.id, Change: change, Err: err, At: now}
	switch {
	case change == Up:
		r.Weight = weight
	case change == None && !w.tracker.Up():
		r.Err = nil // nothing new
	}
	return r, w.inTurn(now, next)
}

// count keeps a result of now.
func (w *watch) count(err error, now time.Time) {
	w.attempts++
	w.at = w.terms.clock.instant(now)
	if err == nil && w.extra == nil {
		return
	}
	x := w.more()
	if x.err = err; err == nil {
		return
	}
	if x.failures == nil {
		x.failures = make(map[Reason]uint64)
	}
	x.failures[ReasonOf(err)]++
}

// inTurn takes from a next attempt that is a whole interval away the time that this one took and
// was late by. So tasks that were spread once stay so, and attempts are an interval apart.
func (w *watch) inTurn(now, next time.Time) time.Time {
	interval := w.terms.params.Interval
	if next.Sub(now) != interval {
		return next
	}
	late := w.terms.clock.instant(now) - w.due
	return next.Add(-(time.Duration(late) % interval))
}

// rest waits for the next attempt, or ends.
func (w *watch) rest(next, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended || w.terms.ctx.Err() != nil {
		w.ended = true
		w.terms.done()
		return
	}
	w.arm(w.terms.clock.instant(next), w.terms.clock.instant(now))
}
