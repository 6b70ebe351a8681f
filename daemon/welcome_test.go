package daemon

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/daemon/check"
)

// TestWelcome has VIPs announced when real servers are up again: at once for the first, and once for
// all that follow within a while.
func TestWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoServers, false)
		defer func() { _ = b.stop() }()
		var announced atomic.Int32
		b.announce = func() { announced.Add(1) }
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go b.welcome(ctx)
		const first, second = "192.168.2.11:80", "192.168.2.12:80"
		refused := &check.Failure{Reason: check.Refused}
		after := func(d time.Duration, server string, change check.Change, err error, times int32) {
			t.Helper()
			<-time.After(d)
			b.tell(server, change, err)
			synctest.Wait()
			if got := announced.Load(); got != times {
				t.Errorf("%s %s: announced %d times, want %d", server, change, got, times)
			}
		}
		after(0, first, check.Down, refused, 0)
		after(0, second, check.Down, refused, 0)
		after(time.Minute, first, check.Up, nil, 1)
		after(welcomePause/2, second, check.Up, nil, 1)
		after(welcomePause, second, check.Down, refused, 2)
		after(time.Minute, second, check.Up, nil, 3)
	})
}
