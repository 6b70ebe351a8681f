package check_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/daemon/check"
)

func exactly(v int32) check.Weight { return check.Weight{Kind: check.Exactly, Value: v} }
func added(v int32) check.Weight   { return check.Weight{Kind: check.Added, Value: v} }

func TestEffectiveWeight(t *testing.T) {
	for _, tt := range []struct {
		name       string
		configured int
		said       []check.Weight
		want       int
	}{
		{"nothing said", 5, nil, 5},
		{"as configured", 5, []check.Weight{{}}, 5},
		{"exactly", 5, []check.Weight{exactly(10)}, 10},
		{"exactly 0", 5, []check.Weight{exactly(0)}, 0},
		{"added", 5, []check.Weight{added(-2)}, 3},
		{"both", 5, []check.Weight{exactly(10), added(3), {}}, 13},
		{"two exactly", 5, []check.Weight{exactly(10), exactly(7)}, 12},
		{"not below 0", 5, []check.Weight{added(-6)}, 0},
		{"not above the kernel's most", 5, []check.Weight{added(65534), added(65534)}, 65535},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := check.EffectiveWeight(tt.configured, tt.said...); got != tt.want {
				t.Errorf("weight %d, want %d", got, tt.want)
			}
		})
	}
}

func TestEffectiveWeightProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		configured := rapid.IntRange(0, 65535).Draw(t, "configured")
		a := check.Weight{
			Kind:  check.WeightKind(rapid.IntRange(0, 2).Draw(t, "kind")),
			Value: rapid.Int32Range(-65534, 65534).Draw(t, "value"),
		}
		b := exactly(rapid.Int32Range(0, 253).Draw(t, "exactly"))
		one, other := check.EffectiveWeight(configured, a, b), check.EffectiveWeight(configured, b, a)
		if one != other {
			t.Fatalf("the order matters: %d and %d", one, other)
		}
		if one < 0 || one > 65535 {
			t.Fatalf("weight %d", one)
		}
		if got := check.EffectiveWeight(configured, b); int32(got) != b.Value {
			t.Fatalf("weight %d, want exactly %d", got, b.Value)
		}
	})
}

func TestWeightString(t *testing.T) {
	for w, want := range map[check.Weight]string{
		{}: "as configured", exactly(3): "3", added(3): "+3", added(-3): "-3",
	} {
		if got := w.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestFileState(t *testing.T) {
	type state struct {
		Up     bool
		Weight check.Weight
		Why    string
	}
	down := func(why string) state { return state{Why: why} }
	for _, tt := range []struct {
		name          string
		value, weight int
		reverse       bool
		want          state
	}{
		{"0 without weight", 0, 0, false, state{Up: true}},
		{"a number without weight", 3, 0, false, down("file has the number 3")},
		{"0 reversed", 0, 0, true, down("file has the number 0")},
		{"a number reversed", 3, 0, true, state{Up: true}},
		{"weight", 3, 2, false, state{Up: true, Weight: added(6)}},
		{"weight reversed", 3, 2, true, state{Up: true, Weight: added(-6)}},
		{"0 with weight", 0, 2, false, state{Up: true, Weight: added(0)}},
		{"very much", 1 << 31, 1<<31 - 1, false, state{Up: true, Weight: added(65534)}},
		{"very little", -1 << 31, 1<<31 - 1, false,
			down("file has the number -2147483648: -4611686016279904256 for the weight")},
		{"just enough", -65534, 1, false, state{Up: true, Weight: added(-65534)}},
		{"just too little", -65535, 1, false,
			down("file has the number -65535: -65535 for the weight")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got state
			got.Up, got.Weight, got.Why = check.FileState(tt.value, tt.weight, tt.reverse)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTrackerWeights(t *testing.T) {
	p := check.Params{Interval: time.Minute, Retries: 1}
	tracker := check.NewTracker(&p)
	for i, tt := range []struct {
		weight check.Weight
		result error
		change check.Change
		want   check.Weight
	}{
		{check.Weight{}, nil, check.None, check.Weight{}},
		{exactly(3), nil, check.Up, exactly(3)},
		{exactly(3), nil, check.None, exactly(3)},
		{exactly(9), errDown, check.None, exactly(3)},
		{exactly(3), nil, check.None, exactly(3)},
		{exactly(4), errLocal, check.None, exactly(3)},
		{check.Weight{}, errDown, check.None, exactly(3)},
		{check.Weight{}, errDown, check.Down, exactly(3)},
		{exactly(5), nil, check.Up, exactly(5)},
		{check.Weight{}, nil, check.Up, check.Weight{}},
	} {
		change, _ := tracker.StepWeight(&p, time.Unix(0, 0), tt.weight, tt.result)
		if change != tt.change || tracker.Weight() != tt.want {
			t.Errorf("step %d: %s and weight %s, want %s and %s", i, change, tracker.Weight(),
				tt.change, tt.want)
		}
	}
}
