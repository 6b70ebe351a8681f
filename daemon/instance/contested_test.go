package instance_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// TestContested has a lower master appear: the higher one tells of it, with its own priority.
func TestContested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		var calls, priority atomic.Int32
		high := b.start(0, func(g *instance.Group) {
			g.OnContested = func(name string, p uint8) {
				if name != "VI_1" {
					t.Errorf("contested: instance %q, want VI_1", name)
				}
				calls.Add(1)
				priority.Store(int32(p))
			}
		})
		b.awaitState(high, vrrp.Master)
		if n := calls.Load(); n != 0 {
			t.Errorf("alone: contested %d times, want never", n)
		}
		low := b.start(1, resumed)
		b.awaitState(low, vrrp.Backup)
		synctest.Wait()
		if n, p := calls.Load(), priority.Load(); n != 1 || p != 150 {
			t.Errorf("contested %d times with priority %d, want once with 150", n, p)
		}
		low.halt()
		high.halt()
	})
}
