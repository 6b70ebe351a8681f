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
