// Package bubbletest lets time pass in tests of package testing/synctest. It never waits on the real
// clock.
package bubbletest

import (
	"testing/synctest"
	"time"
)

// Pass lets d pass on the clock of a bubble, and everything happen that is due by then. The clock
// jumps: nothing really sleeps. Outside of a bubble it panics.
func Pass(d time.Duration) {
	synctest.Wait() // panics on the real clock, before it is waited on
	time.Sleep(d)
	synctest.Wait()
}
