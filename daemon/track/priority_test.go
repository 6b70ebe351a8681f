package track_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/daemon/track"
)

// influence is a script s in a state with a weight.
func influence(state track.State, weight int, reverse bool) track.Influence {
	return track.Influence{
		Key: track.Key{Kind: track.ScriptKind, Name: "s"}, State: state,
		Weight: track.Weight{Value: weight, Reverse: reverse},
	}
}

// number is a file f with a number and a weight.
func number(value, weight int, reverse bool) track.Influence {
	return track.Influence{
		Key: track.Key{Kind: track.FileKind, Name: "f"}, State: track.Up, Value: value,
		Weight: track.Weight{Value: weight, Reverse: reverse},
	}
}

func TestEffective(t *testing.T) {
	const up, down, unknown = track.Up, track.Down, track.Unknown
	with := func(is ...track.Influence) []track.Influence { return is }
	exit := influence(down, 0, false)
	exit.Reason = "exit status 1"
	fresh := number(0, 0, true)
	fresh.State = unknown
	for _, tt := range []struct {
		name   string
		base   uint8
		in     []track.Influence
		want   uint8
		faults []string
	}{
		{"nothing", 100, nil, 100, nil},
		{"no weight, up", 100, with(influence(up, 0, false)), 100, nil},
		{"no weight, down", 100, with(influence(down, 0, false)), 100, []string{"script s: down"}},
		{"no weight, down, why", 100, with(exit), 100, []string{"script s: exit status 1"}},
		{"no weight, unknown", 100, with(influence(unknown, 0, false)), 100,
			[]string{"script s: no result yet"}},
		{"no weight, reverse, up", 100, with(influence(up, 0, true)), 100,
			[]string{"script s: up"}},
		{"no weight, reverse, down", 100, with(influence(down, 0, true)), 100, nil},
		{"no weight, reverse, unknown", 100, with(influence(unknown, 0, true)), 100,
			[]string{"script s: no result yet"}},
		{"positive, up", 100, with(influence(up, 20, false)), 120, nil},
		{"positive, down", 100, with(influence(down, 20, false)), 100, nil},
		{"positive, unknown", 100, with(influence(unknown, 20, false)), 100, nil},
		{"positive, reverse, up", 100, with(influence(up, 20, true)), 80, nil},
		{"positive, reverse, down", 100, with(influence(down, 20, true)), 100, nil},
		{"negative, up", 100, with(influence(up, -20, false)), 100, nil},
		{"negative, down", 100, with(influence(down, -20, false)), 80, nil},
		{"negative, unknown", 100, with(influence(unknown, -20, false)), 100, nil},
		{"negative, reverse, up", 100, with(influence(up, -20, true)), 100, nil},
		{"negative, reverse, down", 100, with(influence(down, -20, true)), 120, nil},
		{"sum", 100,
			with(influence(up, 20, false), influence(down, -5, false), number(3, 2, false)),
			121, nil},
		{"sum is clamped, not its parts", 100,
			with(influence(up, 253, false), influence(down, -253, false)), 100, nil},
		{"upper end", 250, with(influence(up, 20, false)), 254, nil},
		{"lower end", 10, with(influence(down, -20, false)), 1, nil},
		{"owner", 255, with(influence(down, -20, false), number(-254, 1, false)), 255, nil},
		{"owner, no weight", 255, with(exit), 255, []string{"script s: exit status 1"}},
		{"several faults", 100, with(exit, number(1, 0, false)), 100,
			[]string{"script s: exit status 1", "file f: 1"}},
		{"file", 100, with(number(-7, 2, false)), 86, nil},
		{"file, reverse", 100, with(number(-7, 2, true)), 114, nil},
		{"file, nearly a fault", 254, with(number(-253, 1, false)), 1, nil},
		{"file, fault", 100, with(number(-127, 2, false)), 100, []string{"file f: -127 times 2"}},
		{"file, fault by a negative weight", 100, with(number(1000, -1, false)), 100,
			[]string{"file f: 1000 times -1"}},
		{"file, most", 1, with(number(1000, 1, false)), 254, nil},
		{"file, no weight, 0", 100, with(number(0, 0, false)), 100, nil},
		{"file, no weight, reverse, 0", 100, with(number(0, 0, true)), 100, []string{"file f: 0"}},
		{"file, no weight, reverse, 1", 100, with(number(1, 0, true)), 100, nil},
		{"file, no weight, unknown", 100, with(fresh), 100, []string{"file f: no result yet"}},
		{"overflow", 100, with(number(math.MaxInt, math.MaxInt, false)), 254, nil},
		{"overflow below", 100, with(number(math.MinInt, math.MaxInt, false)), 100,
			[]string{"file f: -9223372036854775808 times 9223372036854775807"}},
		{"overflow twice", 100, with(number(math.MinInt, math.MinInt, false)), 254, nil},
		{"weight without end", 100, with(influence(down, math.MinInt, false)), 1, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, faults := track.Effective(tt.base, tt.in)
			if got != tt.want {
				t.Errorf("priority %d, want %d", got, tt.want)
			}
			if diff := cmp.Diff(tt.faults, faults); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEffectiveProperties draws trackers and looks at what must hold of all of them.
func TestEffectiveProperties(t *testing.T) {
	states := []track.State{track.Unknown, track.Up, track.Down}
	drawn := rapid.Custom(func(t *rapid.T) track.Influence {
		return track.Influence{
			Key: track.Key{
				Kind: rapid.SampledFrom([]track.Kind{track.ScriptKind, track.FileKind,
					track.ProcessKind, track.InterfaceKind}).Draw(t, "kind"), Name: "n"},
			State: rapid.SampledFrom(states).Draw(t, "state"),
			Value: rapid.Int().Draw(t, "value"),
			Weight: track.Weight{
				Value:   rapid.OneOf(rapid.IntRange(-254, 254), rapid.Int()).Draw(t, "weight"),
				Reverse: rapid.Bool().Draw(t, "reverse"),
			},
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Uint8Range(1, 255).Draw(t, "base")
		all := rapid.SliceOfN(drawn, 0, 6).Draw(t, "influences")
		priority, faults := track.Effective(base, all)
		if (priority == 255) != (base == 255) || priority == 0 {
			t.Fatalf("priority %d from %d", priority, base)
		}
		if len(faults) > len(all) {
			t.Fatalf("%d faults of %d trackers", len(faults), len(all))
		}
		// The order of trackers does not matter, and each is a fault of its own.
		shuffled := rapid.Permutation(all).Draw(t, "shuffled")
		if other, f := track.Effective(base, shuffled); other != priority || len(f) != len(faults) {
			t.Fatalf("priority %d with %d faults in another order", other, len(f))
		}
		alone := 0
		for _, in := range all {
			_, f := track.Effective(base, []track.Influence{in})
			alone += len(f)
		}
		if alone != len(faults) {
			t.Fatalf("%d faults alone, %d together", alone, len(faults))
		}
	})
}
