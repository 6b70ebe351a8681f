package check

import (
	"fmt"
	"time"
)

// Change is what a result changed. Zero is nothing.
type Change uint8

// The changes.
const (
	None Change = iota
	Up
	Down
)

// String returns the change's name.
func (c Change) String() string {
	switch c {
	case None:
		return "none"
	case Up:
		return "up"
	case Down:
		return "down"
	}
	return fmt.Sprintf("Change(%d)", uint8(c))
}

// Params are how a Tracker counts, in keepalived's terms: delay_loop, delay_before_retry, retry and
// alpha.
type Params struct {
	// Interval is from the start of one check to that of the next, RetryInterval from the end of
	// one that failed to the attempt that may forgive it.
	Interval, RetryInterval time.Duration
	// Retries is how many attempts after the first failure must fail as well before the server is
	// down.
	Retries int
	// Alpha starts the server as down.
	Alpha bool
}

// Tracker turns the results of one check into ups and downs:
//
//	     first result failed, or Retries+1 in a row
//	up ────────────────────────────────────────────▶ down
//	   ◀────────────────────────────────────────────
//	                   one success
//
// A failure that does not decide yet is followed by an attempt after RetryInterval, anything else
// by one after Interval. A server that was only assumed to be up (no Alpha) has no credit: its
// first result decides. A fault on this side (Local) says nothing about the server, and changes
// nothing: a director short of descriptors must not empty its pools.
//
// The Params are the caller's, for many Trackers may have the same. They may be others from one
// step to the next: what is known so far stays known.
type Tracker struct {
	weight   Weight
	failures int32
	up, ran  bool
}

// NewTracker returns a Tracker without results: up, or down with Alpha.
func NewTracker(p *Params) Tracker { return Tracker{up: !p.Alpha} }

// AssumeDown makes the server down as if a check had failed, for one who knows that from elsewhere.
func (t *Tracker) AssumeDown() { t.up, t.failures = false, 0 }

// Up says whether the server counts as up.
func (t *Tracker) Up() bool { return t.up }

// Step takes the result of a check that ended now, nil being a success, and returns what it changed
// and when to check next.
func (t *Tracker) Step(p *Params, now time.Time, result error) (Change, time.Time) {
	if ReasonOf(result) == Local {
		return None, now.Add(p.Interval)
	}
	first := !t.ran
	t.ran = true
	if result == nil {
		t.failures = 0
		return t.turn(true), now.Add(p.Interval)
	}
	if !t.up {
		return None, now.Add(p.Interval)
	}
	t.failures++
	if first || int(t.failures) > p.Retries {
		t.failures = 0
		return t.turn(false), now.Add(p.Interval)
	}
	return None, now.Add(p.RetryInterval)
}

// Weight returns what the last success said of the weight.
func (t *Tracker) Weight() Weight { return t.weight }

// StepWeight is Step for a result that comes with a weight, which means nothing unless it is a
// success. The change is Up also if only the weight is another than that of the last success.
func (t *Tracker) StepWeight(
	p *Params, now time.Time, w Weight, result error,
) (Change, time.Time) {
	change, next := t.Step(p, now, result)
	if result == nil && w != t.weight {
		t.weight = w
		return Up, next
	}
	return change, next
}

func (t *Tracker) turn(up bool) Change {
	switch {
	case t.up == up:
		return None
	case up:
		t.up = true
		return Up
	}
	t.up = false
	return Down
}
