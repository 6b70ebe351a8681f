package track

import (
	"fmt"
	"time"
)

// Quorum turns numbers of processes into a state. A change has to last: for ForkDelay if more
// processes have brought it about, for TerminateDelay if fewer have. The first number decides at
// once.
type Quorum struct {
	// Process may be changed between two steps; only its numbers and times count here.
	Process Process

	state State
	count int
	due   time.Time // when the state changes, unless the number does; zero: it does not
}

// State returns what the numbers have led to.
func (q *Quorum) State() State { return q.state }

// Deadline returns when to Step again with the same number; zero if that is not needed.
func (q *Quorum) Deadline() time.Time { return q.due }

// Step takes the number of processes now, and says whether the state has changed.
func (q *Quorum) Step(now time.Time, count int) bool {
	more, fewer := count > q.count, count < q.count
	q.count = count
	to := Down
	if count >= max(q.Process.Quorum, 1) && (!q.Process.HasMax || count <= q.Process.Max) {
		to = Up
	}
	// A quorum of no process at all: HasMax with Max 0.
	if q.Process.HasMax && q.Process.Max == 0 && count == 0 {
		to = Up
	}
	if to == q.state {
		q.due = time.Time{}
		return false
	}
	if q.state != Unknown && q.due.IsZero() {
		switch {
		case more:
			q.due = now.Add(q.Process.ForkDelay)
		case fewer:
			q.due = now.Add(q.Process.TerminateDelay)
		default: // the numbers asked for have changed
			q.due = now
		}
	}
	if q.state != Unknown && now.Before(q.due) {
		return false
	}
	q.state, q.due = to, time.Time{}
	return true
}

// Reason says what the state is due to.
func (q *Quorum) Reason() string {
	if q.Process.HasMax {
		return fmt.Sprintf("%d processes, wanted %d to %d", q.count,
			min(max(q.Process.Quorum, 1), q.Process.Max), q.Process.Max)
	}
	return fmt.Sprintf("%d processes, wanted %d", q.count, max(q.Process.Quorum, 1))
}
