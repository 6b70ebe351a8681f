package instance

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/internal/bubbletest"
)

// TestHelper says when a helper works: after each call, when it has asked for it, and not after its
// end.
func TestHelper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var at []time.Duration
		var more int
		h := newHelper(func() time.Time {
			at = append(at, time.Since(begin))
			if more--; more > 0 {
				return time.Now().Add(time.Second)
			}
			return time.Time{}
		})
		see := func(what string, want ...time.Duration) {
			t.Helper()
			synctest.Wait()
			if !slices.Equal(at, want) {
				t.Errorf("%s: worked at %v, want %v", what, at, want)
			}
			at = nil
		}
		see("uncalled")
		h.call()
		see("called", 0)
		more = 3
		h.call()
		bubbletest.Pass(10 * time.Second)
		see("with more to do", 0, time.Second, 2*time.Second)
		more = 2
		h.call()
		bubbletest.Pass(time.Second / 2)
		more = 0
		h.call() // does not wait for the timer
		bubbletest.Pass(time.Second)
		see("called while it waits", 10*time.Second, 10500*time.Millisecond)
		more = 9
		h.call()
		h.finish()
		if h.busy {
			t.Error("busy after its end")
		}
		at = nil
		h.call()
		bubbletest.Pass(time.Minute)
		see("called after its end")
	})
}
