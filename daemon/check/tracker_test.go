package check_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/daemon/check"
)

var (
	errDown  = &check.Failure{Reason: check.Refused, Detail: "connect"}
	errLocal = &check.Failure{Reason: check.Local, Detail: "connect"}
)

// TestTracker spells results and what follows as one letter each: result o is success, x failure, l
// a local fault; an outcome is u or d for a change to up or down, else . if the next attempt comes
// after the interval, r if it comes after the retry interval.
func TestTracker(t *testing.T) {
	for _, tt := range []struct {
		name          string
		retries       int
		alpha         bool
		results, want string
	}{
		{"healthy", 1, false, "ooo", "..."},
		{"the first failure of an assumed server decides", 1, false, "xoo", "du."},
		{"a failure is forgiven", 1, false, "oxoxo", ".r.r."},
		{"two in a row are not", 1, false, "oxxo", ".rdu"},
		{"no retries", 0, false, "oxoxx", ".dud."},
		{"three retries", 3, false, "oxxxoxxxx", ".rrr.rrrd"},
		{"down stays at the interval", 1, false, "oxxxxx", ".rd..."},
		{"one success brings it up", 3, false, "oxxxxo", ".rrrdu"},
		{"alpha starts down", 1, true, "xxo", "..u"},
		{"alpha that comes up has credit", 1, true, "oxo", "ur."},
		{"local faults change nothing", 1, false, "lolxlxl", "...r.d."},
		{"local faults do not spend the first result", 1, false, "lx", ".d"},
		{"local faults do not bring up", 1, true, "lo", ".u"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const interval, retry = 60 * time.Second, time.Second
			p := check.Params{
				Interval: interval, RetryInterval: retry, Retries: tt.retries, Alpha: tt.alpha,
			}
			tracker := check.NewTracker(&p)
			now := time.Unix(0, 0)
			var got strings.Builder
			for _, c := range tt.results {
				result := map[rune]error{'o': nil, 'x': errDown, 'l': errLocal}[c]
				change, next := tracker.Step(&p, now, result)
				switch {
				case change == check.Up:
					got.WriteByte('u')
				case change == check.Down:
					got.WriteByte('d')
				case next.Sub(now) == retry:
					got.WriteByte('r')
				default:
					got.WriteByte('.')
				}
				if change != check.None && next.Sub(now) != interval {
					t.Errorf("next attempt %s after a change, want %s", next.Sub(now), interval)
				}
				now = next
			}
			if diff := cmp.Diff(tt.want, got.String()); diff != "" {
				t.Errorf("after %s (-want +got):\n%s", tt.results, diff)
			}
		})
	}
}

func TestTrackerProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := check.Params{
			Interval:      time.Minute,
			RetryInterval: time.Second,
			Retries:       rapid.IntRange(0, 4).Draw(t, "retries"),
			Alpha:         rapid.Bool().Draw(t, "alpha"),
		}
		tracker := check.NewTracker(&p)
		up, failed := !p.Alpha, 0
		for i, ok := range rapid.SliceOf(rapid.Bool()).Draw(t, "results") {
			var result error = errDown
			if failed++; ok {
				result, failed = nil, 0
			}
			change, next := tracker.Step(&p, time.Unix(0, 0), result)
			was := up
			up = ok || was && i > 0 && failed <= p.Retries
			want := check.None
			switch {
			case up && !was:
				want = check.Up
			case was && !up:
				want = check.Down
			}
			if change != want || tracker.Up() != up {
				t.Fatalf("result %d: %s and up %t, want %s and %t",
					i, change, tracker.Up(), want, up)
			}
			if !next.After(time.Unix(0, 0)) {
				t.Fatalf("result %d: next attempt at %s, which is not later", i, next)
			}
		}
	})
}

func TestTrackerKeepsItsStateWhenParamsChange(t *testing.T) {
	p := check.Params{Interval: time.Minute, Retries: 1}
	tracker := check.NewTracker(&p)
	tracker.Step(&p, time.Now(), nil)
	p = check.Params{Interval: time.Second, Retries: 0, Alpha: true}
	if !tracker.Up() {
		t.Error("new parameters brought the server down")
	}
	if change, _ := tracker.Step(&p, time.Now(), errors.New("x")); change != check.Down {
		t.Errorf("change %s, want %s by the new number of retries", change, check.Down)
	}
}
