package check

import (
	"maps"
	"time"
)

// never is the time to the next attempt of a task that is suspended: a watch that is not at work
// always waits.
const never = 1 << 62 * time.Nanosecond

// Suspend says which tasks make no attempt from now on, whether they are known now or later: they
// stand as they do, and an attempt under way is ended and counts for nothing. Those that are not
// named again make one at once, and go on. Nil is none.
func (r *Runner) Suspend(ids map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paused = maps.Clone(ids)
	for _, w := range r.tasks {
		w.pause(ids[w.id])
	}
}

func (w *watch) pause(paused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.paused == paused {
		return
	}
	w.paused, w.again = paused, !paused
	if paused && w.busy {
		w.void = true
		w.cut()
	}
	w.rearm(w.terms.clock.instant(time.Now()))
}
