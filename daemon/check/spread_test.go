package check_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/check"
)

// census counts attempts by the time at which they begin.
type census struct {
	mu    sync.Mutex
	start time.Time
	bins  map[int]int // by 100 ms
}

const bin = 100 * time.Millisecond

// resident is a server that a census counts, and that takes up to this long to answer. One in ten
// answers is bad.
type resident struct {
	*census
	takes time.Duration
}

func (r resident) Check(ctx context.Context) error {
	r.mu.Lock()
	r.bins[int(time.Since(r.start)/bin)]++
	r.mu.Unlock()
	wait := time.NewTimer(rand.N(r.takes))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if rand.N(10) == 0 {
		return errDown
	}
	return nil
}

// TestRunnerHasNoBurst has 10,000 tasks whose answers come early and late, and fail now and then.
// Twice the mean is what is promised; chance alone comes close to that, so less is wanted.
func TestRunnerHasNoBurst(t *testing.T) {
	const tasks, rounds = 10000, 4
	for _, interval := range []time.Duration{5 * time.Second, time.Minute} {
		t.Run(interval.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &census{start: time.Now(), bins: make(map[int]int)}
				r := check.NewRunner(func(check.Report) {})
				var all []check.Task
				for i := range tasks {
					all = append(all, check.Task{
						ID: fmt.Sprint(i), Checker: resident{c, 400 * time.Millisecond},
						Timeout: time.Second, Warmup: interval,
						Params: check.Params{Interval: interval},
					})
				}
				if err := r.Set(all); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), rounds*interval)
				defer cancel()
				if err := r.Run(ctx); err != nil {
					t.Fatal(err)
				}
				busiest, sum := 0, 0
				for _, n := range c.bins {
					busiest, sum = max(busiest, n), sum+n
				}
				mean := float64(tasks) / float64(interval/bin)
				if sum < tasks*(rounds-1) || float64(busiest) > 1.5*mean {
					t.Errorf("%d attempts, %d in the busiest %s; want at most half more than the mean of %.1f",
						sum, busiest, bin, mean)
				}
				t.Logf("%d attempts, %d in the busiest %s, mean %.1f", sum, busiest, bin, mean)
			})
		})
	}
}

// TestRunnerKeepsThePhase finds that attempts are an interval apart, however long they take.
func TestRunnerKeepsThePhase(t *testing.T) {
	for _, tt := range []struct {
		takes, want time.Duration
	}{
		{0, 10 * time.Second}, {3 * time.Second, 10 * time.Second},
		{10 * time.Second, 20 * time.Second}, {12 * time.Second, 20 * time.Second},
	} {
		t.Run(tt.takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &patient{takes: tt.takes}
				tk := task("web1", p)
				tk.Timeout = time.Hour
				r := run(t, tk)
				r.after(3*tt.want - time.Second)
				r.stop()
				want := []time.Duration{0, tt.want, tt.want}
				if diff := cmp.Diff(want, p.delays(r.start)); diff != "" {
					t.Errorf("attempts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// source is a Source whose state changes.
type source struct {
	mu    sync.Mutex
	state told
}

func (s *source) set(state told) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

func (s *source) State() (bool, check.Weight, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.State()
}

func TestRunnerRecheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{state: told{up: true}}
		tk := task("web1", check.Known{Source: s, Reason: check.File})
		tk.Params.Retries = 0
		r := run(t, tk)
		r.after(time.Second)
		s.set(told{why: "file has the number 3"})
		r.after(0)
		r.expect()
		r.Recheck("web1", "web9")
		r.after(0)
		r.expect("web1 down at 1s: file has the number 3")
		s.set(told{up: true, weight: added(3)})
		r.after(time.Second)
		r.Recheck("web1")
		r.after(0)
		r.expect("web1 up +3 at 2s: <nil>")
		s.set(told{up: true, weight: added(4)})
		r.Recheck("web1")
		r.after(0)
		r.expect("web1 up +4 at 2s: <nil>")
		r.Recheck("web1")
		r.after(20 * time.Second)
		r.expect()
		if got := r.States()[0]; got.Weight != added(4) || got.Attempts != 7 {
			t.Errorf("state %+v, want weight +4 and 7 attempts", got)
		}
		r.stop()
		r.Recheck("web1")
	})
}

// TestRunnerRecheckOfABusyTask makes another attempt after the one that may have missed the news.
func TestRunnerRecheckOfABusyTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{takes: 2 * time.Second}
		r := run(t, task("web1", p))
		r.after(time.Second)
		r.Recheck("web1")
		r.Recheck("web1")
		r.after(12 * time.Second)
		r.stop()
		want := []time.Duration{0, 2 * time.Second, 10 * time.Second}
		if diff := cmp.Diff(want, p.delays(r.start)); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	})
}

func TestRunnerSetWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{takes: 2 * time.Second}
		r := run(t, task("web1", p))
		r.after(time.Second)
		sooner := task("web1", p)
		sooner.Params.Interval = 3 * time.Second
		if err := r.Set([]check.Task{sooner}); err != nil {
			t.Fatal(err)
		}
		r.after(6 * time.Second)
		r.stop()
		want := []time.Duration{0, 3 * time.Second, 3 * time.Second}
		if diff := cmp.Diff(want, p.delays(r.start)); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		if err := r.Set([]check.Task{task("web2", p)}); err != nil {
			t.Fatal(err)
		}
		r.after(time.Minute)
		if n := len(p.delays(r.start)); n != 3 {
			t.Errorf("%d attempts after the end, want 3", n)
		}
	})
}

// TestRunnerSetFromReport replaces the tasks from within a report of one of them.
func TestRunnerSetFromReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *check.Runner
		var got []string
		r = check.NewRunner(func(p check.Report) {
			got = append(got, p.ID)
			if err := r.Set([]check.Task{task("web2", &patient{})}); err != nil {
				t.Error(err)
			}
		})
		if err := r.Set([]check.Task{task("web1", &patient{result: errDown})}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"web1"}, got); diff != "" {
			t.Errorf("reports (-want +got):\n%s", diff)
		}
	})
}

func TestRunnerStopsWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, task("web1", &patient{}))
		r.after(time.Second)
		r.stop()
		if took := time.Since(r.start); took != time.Second {
			t.Errorf("stopped after %s, want at once", took)
		}
	})
}

// devoted answers only when its context ends, and tells when that was.
type devoted chan time.Time

func (d devoted) Check(ctx context.Context) error {
	<-ctx.Done()
	d <- time.Now()
	return ctx.Err()
}

func TestRunnerCancelsTheAttemptOfATaskThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := make(devoted, 1)
		r := run(t, task("web1", d))
		r.after(time.Second)
		if err := r.Set(nil); err != nil {
			t.Fatal(err)
		}
		if at := (<-d).Sub(r.start); at != time.Second {
			t.Errorf("the attempt ended after %s, want at once", at)
		}
		r.after(time.Minute)
		r.expect()
		r.stop()
	})
}
