package daemon

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/internal/bubbletest"
)

// answering is a router that answers to Ping as long as it is well.
type answering struct {
	leaving
	well atomic.Bool
}

func (a *answering) Ready() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}

func (a *answering) Ping(ctx context.Context) error {
	if a.well.Load() {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// TestStuckRouter says that the beats end while a router hangs, and go on when it turns again.
func TestStuckRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, hangs := &answering{}, &answering{}
		turns.well.Store(true)
		hangs.well.Store(true)
		routers := []router{turns, hangs}
		p := &pulse{}
		p.routers.Store(&routers)
		ctx, cancel := context.WithCancel(t.Context())
		asking := begin(ctx, "pings", p.ask)
		wait := func(d time.Duration) {
			bubbletest.Pass(d)
		}
		wait(10 * time.Second)
		if p.stuck.Load() {
			t.Error("all turn: got stuck")
		}
		hangs.well.Store(false)
		wait(4 * time.Second) // each is asked every other second, and has one to answer
		for range 100 {
			if wait(100 * time.Millisecond); !p.stuck.Load() {
				t.Fatal("one hangs: got not stuck all the time")
			}
		}
		hangs.well.Store(true)
		wait(10 * time.Second)
		if p.stuck.Load() {
			t.Error("all turn again: got stuck")
		}
		cancel()
		if err := asking.wait(); err != nil {
			t.Error(err)
		}
	})
}
