package main

import "testing"

// TestProcessors says how many processors are at work as the work changes: one while there is
// little of it, all while there is much, and what there was in between.
func TestProcessors(t *testing.T) {
	var p processors
	for _, step := range []struct {
		percent int
		one     bool
	}{
		{50, false}, {20, false}, {10, false}, {9, true}, {30, true}, {31, false}, {10, false}, {0, true},
	} {
		if p.one = p.oneIsEnough(step.percent); p.one != step.one {
			t.Errorf("at %d %%: one is enough: %v, want %v", step.percent, p.one, step.one)
		}
	}
}

// TestSpare says when memory is given back, look by look.
func TestSpare(t *testing.T) {
	const mb = 1 << 20
	var h heap
	for i, step := range []struct {
		view
		want bool
	}{
		{view{9, 10 * mb, 9 * mb, 50 * mb}, false}, // the start
		{view{12, 10 * mb, 9 * mb, 50 * mb}, true}, // it has passed
		{view{12, 10 * mb, 9 * mb, mb}, false},
		{view{13, 10 * mb, 9 * mb, 8 * mb}, false},
		{view{13, 10 * mb, 9 * mb, 0}, true}, // its wake
		{view{14, 10 * mb, 9 * mb, 8 * mb}, false},
		{view{14, 10 * mb, 9 * mb, 8 * mb}, false},
		{view{14, 10 * mb, 9 * mb, 8 * mb}, false},
		{view{14, 10 * mb, 9 * mb, 2 * mb}, false}, // less than a quarter
		{view{14, 10 * mb, 9 * mb, 8 * mb}, false},
		{view{14, 10 * mb, 9 * mb, 8 * mb}, false},
		{view{14, 10 * mb, 9 * mb, 8 * mb}, false},
		{view{14, 10 * mb, 9 * mb, 3 * mb}, true},
		{view{18, 10 * mb, 9 * mb, 8 * mb}, false}, // a burst
		{view{18, 10 * mb, 9 * mb, 0}, true},
	} {
		if got := h.spare(step.view); got != step.want {
			t.Errorf("look %d: gives back: %v, want %v", i, got, step.want)
		}
	}
}

// TestGarbage lets a process keep little garbage, whatever it needs.
func TestGarbage(t *testing.T) {
	const mb = 1 << 20
	var g garbage
	for i, step := range []struct {
		live    uint64
		percent int
		other   bool
	}{
		{0, 20, true}, {4 * mb, 20, false}, {10 * mb, 10, true}, {10*mb + 1000, 9, true},
		{18 * mb, 5, true}, {900 * mb, 5, false}, {3 * mb, 20, true},
	} {
		percent, other := g.adapt(step.live)
		if percent != step.percent || other != step.other {
			t.Errorf("step %d: %d%%, other %t; want %d%%, %t", i, percent, other, step.percent,
				step.other)
		}
	}
}
