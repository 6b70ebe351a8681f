package drills

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/scenarios"
)

// contains says whether a plan has all of these, in any order.
func contains(plan []int, all ...int) bool {
	for _, x := range all {
		if !slices.Contains(plan, x) {
			return false
		}
	}
	return true
}

func TestShrink(t *testing.T) {
	long := make([]int, 40)
	for i := range long {
		long[i] = i
	}
	tests := []struct {
		name  string
		plan  []int
		fails func(plan []int) bool
		want  []int
		most  int // how often fails may be asked
	}{
		{"one alone", long, func(p []int) bool { return contains(p, 17) }, []int{17}, 20},
		{"two far from each other", long, func(p []int) bool { return contains(p, 3, 38) },
			[]int{3, 38}, 60},
		{"either of two", long, func(p []int) bool { return contains(p, 5) || contains(p, 30) },
			[]int{5}, 20},
		{"all of them", []int{1, 2, 3}, func(p []int) bool { return len(p) == 3 }, []int{1, 2, 3}, 6},
		{"already one", []int{1}, func([]int) bool { return true }, []int{1}, 0},
		{"nothing", nil, func([]int) bool { return true }, nil, 0},
		{"so many of any", long, func(p []int) bool { return len(p) >= 3 }, []int{2, 3, 4}, 40},
	}
	for _, tt := range tests {
		asked := 0
		got, err := Shrink(tt.plan, func(p []int) (bool, error) {
			asked++
			return tt.fails(p), nil
		})
		if diff := cmp.Diff(tt.want, got, values); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, err, diff)
		}
		if asked > tt.most {
			t.Errorf("%s: asked %d times, want at most %d", tt.name, asked, tt.most)
		}
	}
}

func TestShrinkKeepsTheShortestWhenItMustStop(t *testing.T) {
	stop := errors.New("no more")
	asked := 0
	got, err := Shrink([]int{1, 2, 3, 4, 5, 6, 7, 8}, func(p []int) (bool, error) {
		if asked++; asked > 2 {
			return false, stop
		}
		return contains(p, 2), nil
	})
	if diff := cmp.Diff([]int{1, 2}, got); diff != "" || !errors.Is(err, stop) {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestShrinkFindsNothingToLeaveOut is what a shrunk plan is, whatever makes the plan fail.
func TestShrinkFindsNothingToLeaveOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := rapid.SliceOfN(rapid.IntRange(0, 30), 1, 20).Draw(t, "plan")
		// What fails: each of some sets of numbers; the whole plan does.
		sets := rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom(plan), 1, 4), 1, 3).Draw(t, "sets")
		fails := func(p []int) bool {
			return slices.ContainsFunc(sets, func(set []int) bool { return contains(p, set...) })
		}

		got, err := Shrink(plan, func(p []int) (bool, error) {
			if len(p) == 0 || len(p) == len(plan) {
				t.Fatalf("asked about %d of %d", len(p), len(plan))
			}
			return fails(p), nil
		})
		if err != nil || !fails(got) {
			t.Fatalf("%v does not fail: %v", got, err)
		}
		for i := range got {
			less := slices.Concat(got[:i], got[i+1:])
			if len(less) > 0 && fails(less) {
				t.Fatalf("%v fails too, of %v", less, got)
			}
		}
	})
}

// planned is a drill of faults for 2 s each, at times in seconds, of which the one named x is healed
// by a step.
func planned(t *testing.T, seconds ...int) Drill {
	d := Drill{Name: "planned", Topology: mustPreset(t, "fig7"), Limit: time.Hour}
	for _, at := range seconds {
		d.Method = append(d.Method, Step{At: time.Duration(at) * time.Second, For: 2 * time.Second,
			Do: scenarios.Inject{Kind: faults.ServerStopped, Target: "web1"}})
	}
	return d
}

func TestEventsHaveTheirHeals(t *testing.T) {
	d := planned(t, 20, 1)
	cut := scenarios.Inject{Kind: faults.LinkDown, Target: "lb1:eth0"}
	d.Method = append(d.Method, Step{At: 15 * time.Second, Heals: "cut"},
		Step{Name: "cut", At: 5 * time.Second, Do: cut})
	var got [][]time.Duration
	for _, event := range d.Events() {
		var times []time.Duration
		for _, s := range event {
			times = append(times, s.At/time.Second)
		}
		got = append(got, times)
	}
	if diff := cmp.Diff([][]time.Duration{{1}, {5, 15}, {20}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i, want := range map[int][]string{
		0: {"t+1s inject server-stopped on web1 for 2s"},
		1: {"t+5s inject link-down on lb1:eth0", "t+15s heal cut"},
		2: {"t+5s inject server-stopped on web1 for 2s"},
	} {
		if diff := cmp.Diff(want, d.With(d.Events()[i:i+1]).Ledger()); diff != "" {
			t.Errorf("event %d alone (-want +got):\n%s", i, diff)
		}
	}
}

// TestWithShortensTheCalm: what held at once still does, and no calm is longer than the longest was.
func TestWithShortensTheCalm(t *testing.T) {
	d := planned(t, 5, 6, 13, 20, 27, 28)
	events := d.Events()
	for name, tt := range map[string]struct {
		keep []int
		want []time.Duration
	}{
		"all":                  {[]int{0, 1, 2, 3, 4, 5}, []time.Duration{5, 6, 13, 20, 27, 28}},
		"without the first":    {[]int{2, 3}, []time.Duration{5, 12}},
		"those at once":        {[]int{4, 5}, []time.Duration{5, 6}},
		"a hole in the middle": {[]int{0, 1, 5}, []time.Duration{5, 6, 13}},
	} {
		var kept [][]Step
		for _, i := range tt.keep {
			kept = append(kept, events[i])
		}
		less := d.With(kept)
		var got []time.Duration
		for _, s := range less.Method {
			got = append(got, s.At/time.Second)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if less.Limit != 0 || len(d.Method) != 6 {
			t.Errorf("%s: limit %s, %d steps are left of the whole", name, less.Limit, len(d.Method))
		}
	}
}
