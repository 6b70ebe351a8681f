package daemon

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/pool"
)

// refusing fails each attempt; weighing says a weight as well.
type refusing struct{}

func (refusing) Check(context.Context) error { return &check.Failure{Reason: check.Refused} }

type weighing struct{ refusing }

func (w weighing) Weigh(ctx context.Context) (check.Weight, error) {
	return check.Weight{}, errors.New("what is no Failure")
}

// hanging answers when its context ends.
type hanging struct{}

func (hanging) Check(ctx context.Context) error {
	<-ctx.Done()
	return &check.Failure{Reason: check.Timeout, Err: ctx.Err()}
}

// TestFailures has checks fail for a minute, all but one of which stay after that.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vss := parse(t, `virtual_server 192.168.1.1 80 {
    protocol TCP
    delay_loop 10
    warmup 0
    retry 0
    real_server 192.168.2.11 80 { TCP_CHECK { } PING_CHECK { } }
    real_server 192.168.2.12 80 { TCP_CHECK { } }
    real_server 192.168.2.13 80 { TCP_CHECK { } }
}
`)
		tasks, index, err := pool.Tasks(vss, pool.Means{})
		if err != nil || len(tasks) != 4 {
			t.Fatalf("got %d tasks, %v", len(tasks), err)
		}
		for i, c := range []check.Checker{refusing{}, weighing{}, hanging{}, refusing{}} {
			tasks[i].Checker, tasks[i].Timeout = c, 4*time.Second
		}
		var f failures
		r := check.NewRunner(func(check.Report) {})
		if err := r.Set(f.counted(tasks, index)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		<-time.After(time.Minute - time.Second)
		synctest.Wait()
		id := func(i int) pool.ID {
			return pool.ID{Service: pool.NameOf(&vss[0]), Server: vss[0].RealServers[i].Address}
		}
		expect := func(when string, i int, want map[check.Reason]uint64) {
			t.Helper()
			if diff := cmp.Diff(want, f.of(id(i))); diff != "" {
				t.Errorf("%s: failures of real server %d (-want +got)\n%s", when, i, diff)
			}
		}
		two := map[check.Reason]uint64{check.Refused: 6, check.Failed: 6}
		expect("after a minute", 0, two)
		expect("after a minute", 1, map[check.Reason]uint64{check.Timeout: 6})
		expect("after a minute", 2, map[check.Reason]uint64{check.Refused: 6})
		if err := r.Set(f.counted(tasks[:3], index)); err != nil {
			t.Fatal(err)
		}
		expect("after a reload", 0, two)
		expect("after a reload", 2, nil)
		<-time.After(2 * time.Second) // an attempt hangs
		cancel()
		<-done
		f.note(t.Context(), id(2), errors.New("too late"))
		expect("at the end", 1, map[check.Reason]uint64{check.Timeout: 6})
		expect("at the end", 2, nil)
	})
}
