package check_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/internal/bubbletest"
)

// patient is a server that answers with its present result, after a while.
type patient struct {
	mu     sync.Mutex
	result error
	takes  time.Duration
	asked  []time.Time
}

func (p *patient) set(result error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result = result
}

func (p *patient) Check(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, time.Now())
	if p.takes > 0 {
		wait := time.NewTimer(p.takes)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return p.result
}

// delays returns the times between attempts, the first counted from start.
func (p *patient) delays(start time.Time) []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ds []time.Duration
	for _, at := range p.asked {
		ds = append(ds, at.Sub(start))
		start = at
	}
	return ds
}

// running is a Runner at work in a synctest bubble.
type running struct {
	*check.Runner
	t       *testing.T
	start   time.Time
	reports chan check.Report
	stop    func()
}

func run(t *testing.T, tasks ...check.Task) *running {
	reports := make(chan check.Report, 100)
	r := check.NewRunner(func(p check.Report) { reports <- p })
	if err := r.Set(tasks); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop := func() {
		cancel()
		<-ended
	}
	return &running{Runner: r, t: t, start: time.Now(), reports: reports, stop: stop}
}

// after lets d pass on the bubble's clock, which jumps: nothing really sleeps.
func (r *running) after(d time.Duration) {
	bubbletest.Pass(d)
}

// expect compares the reports since the last call: "ID change at seconds: error", with the weight
// after the change if there is one.
func (r *running) expect(want ...string) {
	r.t.Helper()
	var got []string
	for {
		select {
		case p := <-r.reports:
			at := p.At.Sub(r.start)
			change := p.Change.String()
			if p.Weight != (check.Weight{}) {
				change += " " + p.Weight.String()
			}
			got = append(got, fmt.Sprintf("%s %s at %s: %v", p.ID, change, at, p.Err))
			continue
		default:
		}
		break
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("reports (-want +got):\n%s", diff)
	}
}

func task(id string, c check.Checker) check.Task {
	return check.Task{ID: id, Checker: c, Timeout: 5 * time.Second, Params: check.Params{
		Interval: 10 * time.Second, RetryInterval: time.Second, Retries: 1,
	}}
}

func TestRunnerReportsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		r := run(t, task("web1", p))
		r.after(5 * time.Second)
		r.expect()
		p.set(errDown)
		r.after(10 * time.Second)
		r.expect("web1 down at 11s: connect")
		p.set(nil)
		r.after(10 * time.Second)
		r.expect("web1 up at 21s: <nil>")
		r.stop()
		want := []time.Duration{0, 10 * time.Second, time.Second, 10 * time.Second}
		if diff := cmp.Diff(want, p.delays(r.start)); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
		states := []check.State{
			{ID: "web1", Up: true, Attempts: 4, At: r.start.Add(21 * time.Second),
				Failures: map[check.Reason]uint64{check.ReasonOf(errDown): 2}},
		}
		if diff := cmp.Diff(states, r.States()); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
	})
}

func TestRunnerReportsAllFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		tk := task("web1", p)
		tk.ReportAll = true
		r := run(t, tk)
		r.after(5 * time.Second)
		r.expect()
		p.set(errDown)
		r.after(5500 * time.Millisecond)
		r.expect("web1 none at 10s: connect")
		r.after(time.Minute)
		r.expect("web1 down at 11s: connect")
		p.set(errLocal)
		r.after(10 * time.Second)
		r.expect()
		p.set(nil)
		r.after(10 * time.Second)
		p.set(errLocal)
		r.expect("web1 up at 1m21s: <nil>")
		r.after(10 * time.Second)
		r.expect("web1 none at 1m31s: connect")
		r.stop()
	})
}

func TestRunnerBoundsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, task("slow", &patient{takes: time.Hour}))
		r.after(5 * time.Second)
		r.expect("slow down at 5s: context deadline exceeded")
		r.stop()
	})
}

func TestRunnerTasksDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quick := &patient{result: errDown}
		r := run(t, task("slow", &patient{takes: time.Hour}), task("quick", quick))
		r.after(0)
		r.expect("quick down at 0s: connect")
		r.stop()
	})
}

func TestRunnerSpreadsTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const warmup = 10 * time.Second
		var tasks []check.Task
		var servers []*patient
		for i := range 100 {
			servers = append(servers, &patient{})
			tk := task(fmt.Sprint(i), servers[i])
			tk.Warmup = warmup
			tasks = append(tasks, tk)
		}
		r := run(t, tasks...)
		r.after(warmup)
		r.stop()
		early := 0
		for i, p := range servers {
			ds := p.delays(r.start)
			if len(ds) == 0 || ds[0] >= warmup {
				t.Fatalf("task %d: first attempts after %v, want less than %s", i, ds, warmup)
			}
			if ds[0] < warmup/2 {
				early++
			}
		}
		// 20 or fewer of 100 in one half happens once in 10^9 runs.
		if early <= 20 || early >= 80 {
			t.Errorf("%d of 100 tasks start in the first half of the warmup", early)
		}
	})
}

func TestRunnerSetKeepsWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, q := &patient{result: errDown}, &patient{result: errDown}
		r := run(t, task("web1", p), task("web2", q))
		r.after(time.Second)
		r.expectDown("web1", "web2")

		// web1 gets a better checker and a shorter interval, web2 ends, web3 begins.
		better := task("web1", &patient{})
		better.Params.Interval = 3 * time.Second
		if err := r.Set([]check.Task{better, task("web3", &patient{})}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.expect()
		r.after(3 * time.Second)
		r.expect("web1 up at 4s: <nil>")
		r.after(time.Minute)
		r.expect()
		if n := len(q.delays(r.start)); n != 1 {
			t.Errorf("the task that ended was asked %d times, want 1", n)
		}
		ids := cmpopts.IgnoreFields(check.State{}, "Attempts", "Failures", "At")
		want := []check.State{{ID: "web1", Up: true}, {ID: "web3", Up: true}}
		if diff := cmp.Diff(want, r.States(), ids); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
		r.stop()
	})
}

// expectDown takes the down reports of ids, which may come in any order.
func (r *running) expectDown(ids ...string) {
	r.t.Helper()
	left := make(map[string]bool)
	for range ids {
		left[(<-r.reports).ID] = true
	}
	for _, id := range ids {
		if !left[id] {
			r.t.Errorf("no report of %s", id)
		}
	}
}

func TestRunnerEndsATaskInTheMiddleOfAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &patient{takes: 4 * time.Second, result: errDown}
		r := run(t, task("slow", slow))
		r.after(time.Second)
		if err := r.Set(nil); err != nil {
			t.Fatal(err)
		}
		r.after(time.Minute)
		r.expect()
		r.stop()
	})
}

func TestRunnerStopsInTheMiddleOfAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, task("slow", &patient{takes: time.Hour}))
		r.after(time.Second)
		r.stop()
		r.expect()
		if took := time.Since(r.start); took != time.Second {
			t.Errorf("stopped after %s, want at once", took)
		}
	})
}

func TestRunnerSetErrors(t *testing.T) {
	good := task("web1", &patient{})
	bad := func(change func(*check.Task)) check.Task {
		b := task("web2", &patient{})
		change(&b)
		return b
	}
	for _, tt := range []struct {
		task check.Task
		want string
	}{
		{bad(func(t *check.Task) { t.ID = "" }), "set check: no ID"},
		{bad(func(t *check.Task) { t.ID = "web1" }), "set check web1: named twice"},
		{bad(func(t *check.Task) { t.Checker = nil }), "set check web2: no checker"},
		{bad(func(t *check.Task) { t.Timeout = 0 }), "set check web2: timeout 0s"},
		{bad(func(t *check.Task) { t.Params.Interval = 0 }), "set check web2: interval 0s"},
		{bad(func(t *check.Task) { t.Warmup = -1 }), "set check web2: a time or number below 0"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			r := check.NewRunner(func(check.Report) {})
			err := r.Set([]check.Task{good, tt.task})
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if n := len(r.States()); n > 0 {
				t.Errorf("%d tasks after the error, want none", n)
			}
		})
	}
}

// TestRunnerWithRealServer drives a real checker on loopback through a change each way.
func TestRunnerWithRealServer(t *testing.T) {
	target := serve(t, silent)
	reports := make(chan check.Report, 10)
	r := check.NewRunner(func(p check.Report) { reports <- p })
	tk := task("web1", check.TCP{Target: refused(t), Timeout: time.Second})
	tk.Params.Interval = 10 * time.Millisecond
	if err := r.Set([]check.Task{tk}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	next := func() check.Report {
		select {
		case p := <-reports:
			return p
		case <-time.After(10 * time.Second):
			t.Fatal("no report within 10 s")
		}
		return check.Report{}
	}
	if p := next(); p.Change != check.Down || check.ReasonOf(p.Err) != check.Refused {
		t.Errorf("report %+v, want down because refused", p)
	}
	tk.Checker = check.TCP{Target: target, Timeout: time.Second}
	if err := r.Set([]check.Task{tk}); err != nil {
		t.Fatal(err)
	}
	if p := next(); p.Change != check.Up {
		t.Errorf("report %+v, want up", p)
	}
	cancel()
	if err := <-ended; err != nil || errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
