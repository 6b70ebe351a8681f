// Package probe measures a lab: what its clients see, which director's kernel holds each VIP, and
// who advertises on the wire. It observes and records; it never changes the network.
//
// Each probe is a task: New… validates, Run measures until its context ends, Ready tells when it
// does. All of them record on the lab's clock.
package probe

import (
	"cmp"
	"slices"
	"sync"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
)

// Roles are the built-in programs that the probes run on nodes. A program that uses this package
// passes them to lab.Main.
func Roles() []lab.Role {
	return []lab.Role{httpRole(), callerRole(), streamsRole(), flowsRole(),
		echoRole()}
}

// Recorder collects what probes see. Its methods may be called from any goroutine. The zero
// Recorder is empty and ready for use.
type Recorder struct {
	mu       sync.Mutex
	events   []reports.Event
	requests []reports.Request
	calls    []reports.Call
}

// Event records an event.
func (r *Recorder) Event(e reports.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// Request records a request.
func (r *Recorder) Request(q reports.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, q)
}

// Call records a call.
func (r *Recorder) Call(c reports.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, c)
}

// Calls returns a copy of the calls so far in order of the time at which they were opened.
func (r *Recorder) Calls() []reports.Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := slices.Clone(r.calls)
	slices.SortStableFunc(calls, func(a, b reports.Call) int { return cmp.Compare(a.Opened, b.Opened) })
	return calls
}

// Events returns a copy of the events so far in order of their time; those of one time stay as they
// came.
func (r *Recorder) Events() []reports.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := slices.Clone(r.events)
	slices.SortStableFunc(events, func(a, b reports.Event) int { return cmp.Compare(a.At, b.At) })
	return events
}

// Requests returns a copy of the requests so far in order of their planned time of sending.
func (r *Recorder) Requests() []reports.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	requests := slices.Clone(r.requests)
	slices.SortStableFunc(requests, func(a, b reports.Request) int {
		return cmp.Compare(a.Sent, b.Sent)
	})
	return requests
}

// signal wakes everybody who waits for a change. Its owner's lock guards it.
type signal struct{ changed chan struct{} }

// wait returns a channel that is closed at the next change.
func (s *signal) wait() <-chan struct{} {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// notify wakes all who wait.
func (s *signal) notify() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}
