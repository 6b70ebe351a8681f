package reports

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Window is a named part of a recording: From is in it, To is not.
type Window struct {
	Name     string
	From, To time.Duration
}

// Length is the time from From to To.
func (w Window) Length() time.Duration { return w.To - w.From }

// Contains says whether an offset is in the window.
func (w Window) Contains(at time.Duration) bool { return w.From <= at && at < w.To }

// overlap is the time that the window shares with [from, to).
func (w Window) overlap(from, to time.Duration) time.Duration {
	return max(min(w.To, to)-max(w.From, from), 0)
}

// Whole is the window of the whole recording.
func Whole(rec *Recording) Window { return Window{Name: "whole run", To: rec.Length} }

// within returns the requests of a recording that were sent in a window. It relies on their order.
func within(rec *Recording, w Window) []Request {
	first := func(at time.Duration) int {
		i, _ := slices.BinarySearchFunc(rec.Requests, at, func(r Request, at time.Duration) int {
			return cmp.Compare(r.Sent, at)
		})
		return i
	}
	from := first(w.From)
	return rec.Requests[from:max(from, first(w.To))]
}

// Fault is one fault of a recording and the window in which it lasted.
type Fault struct {
	// Name is the fault, Node what it was done to, Detail its target within, as the Event had them.
	Name, Node, Detail string
	// Window is from inject to heal, or to the recording's end.
	Window
	// Healed says that the recording shows the heal.
	Healed bool
	// Held is when it had taken hold, Released when its heal was asked for; zero: not recorded.
	Held, Released time.Duration
}

// Label is the fault and its node in a few words.
func (f Fault) Label() string { return strings.TrimSpace(f.Name + " " + f.Node) }

// Faults returns the faults of a recording in order of their injection. A heal belongs to the
// oldest fault of the same fields that still lasts; failing that, of the same fault and node.
func Faults(rec *Recording) []Fault {
	var faults []Fault
	for _, ev := range rec.Events {
		switch ev.Kind {
		case FaultInject:
			f := Fault{Name: ev.Subject, Node: ev.Node, Detail: ev.Detail}
			f.Window = Window{Name: f.Label(), From: ev.At, To: max(rec.Length, ev.At)}
			faults = append(faults, f)
		case FaultHold, FaultRelease, FaultHeal:
			i := lasting(faults, ev, func(f Fault) bool { return f.Detail == ev.Detail })
			if i < 0 {
				i = lasting(faults, ev, func(Fault) bool { return true })
			}
			if i >= 0 {
				faults[i].turn(ev)
			}
		}
	}
	return faults
}

// turn takes an event in that is about a fault which lasts.
func (f *Fault) turn(ev Event) {
	switch {
	case ev.Kind == FaultHeal:
		f.To, f.Healed = ev.At, true
	case ev.Kind == FaultHold && f.Held == 0:
		f.Held = ev.At
	case ev.Kind == FaultRelease:
		f.Released = ev.At
	}
}

// lasting finds the oldest fault that a heal may end, or another event be about.
func lasting(faults []Fault, heal Event, also func(Fault) bool) int {
	return slices.IndexFunc(faults, func(f Fault) bool {
		return !f.Healed && f.Name == heal.Subject && f.Node == heal.Node && also(f)
	})
}

// Steps returns a window for each step of the scenario, from its begin to the next one's.
func Steps(rec *Recording) []Window {
	var steps []Window
	for _, ev := range rec.Events {
		if ev.Kind != StepBegin {
			continue
		}
		if n := len(steps); n > 0 {
			steps[n-1].To = ev.At
		}
		steps = append(steps, Window{Name: ev.Subject, From: ev.At, To: max(rec.Length, ev.At)})
	}
	return steps
}

// aftermaths returns for each fault the window from its injection to that of the next one after its
// heal, or to the recording's end: what happens in it is the fault's doing, or the heal's.
func aftermaths(rec *Recording, faults []Fault) []Window {
	windows := make([]Window, len(faults))
	for i, f := range faults {
		w := Window{Name: f.Label(), From: f.From, To: max(rec.Length, f.From)}
		for _, next := range faults[i+1:] {
			if next.From >= f.To {
				w.To = next.From
				break
			}
		}
		windows[i] = w
	}
	return windows
}
