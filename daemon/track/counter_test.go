package track_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/daemon/track"
)

// TestCounter spells a good result o, a bad one x, a restart r; a change to up u, to down d, none a
// point.
func TestCounter(t *testing.T) {
	for _, tt := range []struct {
		name          string
		rise, fall    int
		failed        bool
		results, want string
	}{
		{"first good one decides", 3, 3, false, "oo", "u."},
		{"first bad one decides", 3, 3, false, "xx", "d."},
		{"zero counts as one", 0, 0, false, "oxo", "udu"},
		{"fall", 1, 3, false, "oxxxo", "u..du"},
		{"fall in a row", 1, 3, false, "oxxoxxx", "u.....d"},
		{"rise", 3, 1, false, "xooox", "d..ud"},
		{"rise in a row", 3, 1, false, "xooxooo", "d.....u"},
		{"init_fail needs the full rise", 3, 1, true, "ooo", "..u"},
		{"init_fail does not become down", 1, 1, true, "xo", ".u"},
		{"restart when up", 3, 3, false, "orx", "u.d"},
		{"restart when down", 3, 3, false, "xro", "d.u"},
		{"restart is for one result", 3, 3, false, "orox", "u..."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := track.NewCounter(tt.rise, tt.fall, tt.failed)
			var got strings.Builder
			for _, result := range tt.results {
				if result == 'r' {
					c.Restart()
					got.WriteByte('.')
					continue
				}
				switch {
				case !c.Step(result == 'o'):
					got.WriteByte('.')
				case c.State() == track.Up:
					got.WriteByte('u')
				default:
					got.WriteByte('d')
				}
			}
			if diff := cmp.Diff(tt.want, got.String()); diff != "" {
				t.Errorf("after %s (-want +got):\n%s", tt.results, diff)
			}
		})
	}
}

// TestCounterProperties compares a Counter with the last results in a row.
func TestCounterProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rise, fall := rapid.IntRange(1, 4).Draw(t, "rise"), rapid.IntRange(1, 4).Draw(t, "fall")
		c := track.NewCounter(rise, fall, false)
		state, good, bad := track.Unknown, 0, 0
		for _, ok := range rapid.SliceOf(rapid.Bool()).Draw(t, "results") {
			if ok {
				good, bad = good+1, 0
			} else {
				good, bad = 0, bad+1
			}
			was := state
			switch {
			case ok && (was == track.Unknown || good >= rise):
				state = track.Up
			case !ok && (was == track.Unknown || bad >= fall):
				state = track.Down
			}
			if changed := c.Step(ok); changed != (state != was) || c.State() != state {
				t.Fatalf("changed %t to %s, want %s", changed, c.State(), state)
			}
		}
	})
}
