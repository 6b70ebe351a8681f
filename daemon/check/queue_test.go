package check_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/check"
)

// tally is a checker that counts its attempts.
type tally struct{ begun *atomic.Int64 }

func (c tally) Check(context.Context) error {
	c.begun.Add(1)
	return nil
}

// TestLateAttemptsLeaveOthersTheirTurns has thousands of attempts due at once, as after a time
// without a processor: somebody who only wants a turn now and then must not wait for all of them.
func TestLateAttemptsLeaveOthersTheirTurns(t *testing.T) {
	const tasks, most = 5000, 100
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var begun atomic.Int64
	r := check.NewRunner(func(check.Report) {})
	all := make([]check.Task, tasks)
	for i := range all {
		all[i] = check.Task{ID: fmt.Sprint(i), Checker: tally{&begun}, Timeout: time.Minute,
			Params: check.Params{Interval: time.Hour}}
	}
	if err := r.Set(all); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	var longest int64
	for n := int64(0); n < tasks; {
		runtime.Gosched()
		now := begun.Load()
		longest, n = max(longest, now-n), now
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if longest > most {
		t.Errorf("%d attempts began before another had a turn, want at most %d", longest, most)
	}
	t.Logf("at most %d attempts at once", longest)
}
