package ipvs

import (
	"cmp"
	"time"
)

const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// retry is when to try again what has failed, and how long to wait the time after.
type retry struct {
	at   time.Time
	wait time.Duration
	err  error
}

// failed plans the next attempt, and returns its time. The waits double from firstRetry to
// lastRetry.
func (t *retry) failed(now time.Time) time.Time {
	t.wait = min(cmp.Or(2*t.wait, firstRetry), lastRetry)
	t.at = now.Add(t.wait)
	return t.at
}

// renew makes the next attempt due, and the waits begin anew.
func (t *retry) renew() { t.at, t.wait = time.Time{}, 0 }

// failing returns the error of each service that is not right; nil if all are.
func (r *Reconciler) failing() map[Key]error {
	if len(r.retry) == 0 {
		return nil
	}
	errs := make(map[Key]error, len(r.retry))
	for k, t := range r.retry {
		errs[k] = t.err
	}
	return errs
}

// logChange logs a failure that is not the same as the one before.
func (r *Reconciler) logChange(before, now error, what string, args ...any) {
	if before == nil || before.Error() != now.Error() {
		r.options.Log.Error("cannot "+what, append(args, "err", now)...)
	}
}
