package check_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/check"
)

// TestSuspend suspends one of two tasks, over a Set too, and lets it go on.
func TestSuspend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, other := &patient{}, &patient{}
		tasks := []check.Task{task("web1", p), task("web2", other)}
		r := run(t, tasks...)
		r.after(15 * time.Second)
		r.Suspend(map[string]bool{"web1": true})
		p.set(errDown)
		r.Recheck("web1")
		r.after(20 * time.Second)
		if err := r.Set(tasks); err != nil {
			t.Fatal(err)
		}
		r.after(time.Hour)
		r.expect()
		r.Suspend(nil)
		r.Suspend(nil)
		r.after(5 * time.Second)
		r.expect("web1 down at 1h0m36s: connect")
		r.stop()
		want := []time.Duration{0, 10 * time.Second, time.Hour + 25*time.Second, time.Second}
		if diff := cmp.Diff(want, p.delays(r.start)); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if n := len(other.delays(r.start)); n != 365 {
			t.Errorf("the other has made %d attempts, want 365", n)
		}
	})
}

// TestSuspendFromTheStart suspends a task before there is one.
func TestSuspendFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{result: errDown}
		r := run(t)
		r.Suspend(map[string]bool{"web1": true})
		if err := r.Set([]check.Task{task("web1", p)}); err != nil {
			t.Fatal(err)
		}
		r.after(time.Hour)
		states := []check.State{{ID: "web1", Up: true}}
		if diff := cmp.Diff(states, r.States()); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
		r.Suspend(nil)
		r.after(time.Second)
		r.expect("web1 down at 1h0m0s: connect")
		r.stop()
	})
}

// TestSuspendEndsAttempts suspends a task whose attempt is under way, and lets it go on before that
// has ended.
func TestSuspendEndsAttempts(t *testing.T) {
	for _, tt := range []struct {
		name string
		gap  time.Duration
		want []time.Duration
	}{
		{"at once", 0, []time.Duration{0, time.Second}},
		{"later", time.Minute, []time.Duration{0, time.Minute + time.Second}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &patient{takes: 3 * time.Second}
				r := run(t, task("web1", p))
				r.after(time.Second)
				r.Suspend(map[string]bool{"web1": true})
				if tt.gap > 0 {
					r.after(tt.gap)
				}
				r.Suspend(nil)
				r.after(5 * time.Second)
				r.expect()
				r.stop()
				if diff := cmp.Diff(tt.want, p.delays(r.start)); diff != "" {
					t.Errorf("attempts (-want +got):\n%s", diff)
				}
				want := []check.State{{ID: "web1", Up: true, Attempts: 1,
					At: r.start.Add(time.Second + tt.gap + 3*time.Second)}}
				if diff := cmp.Diff(want, r.States()); diff != "" {
					t.Errorf("states (-want +got):\n%s", diff)
				}
			})
		})
	}
}
