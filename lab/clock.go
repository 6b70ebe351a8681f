package lab

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock is the one clock of a lab: CLOCK_MONOTONIC, which all namespaces and processes of a kernel
// share, counted from the lab's start. The zero Clock counts from the kernel's boot.
type Clock struct {
	start time.Duration
}

// NewClock returns a clock that counts from a reading of Monotonic, so that a process of a node can
// carry on the lab's clock.
func NewClock(start time.Duration) Clock { return Clock{start: start} }

// Now returns the time since the clock's start.
func (c Clock) Now() time.Duration { return Monotonic() - c.start }

// Start returns the reading of Monotonic at which the clock stood at zero.
func (c Clock) Start() time.Duration { return c.start }

// Monotonic reads CLOCK_MONOTONIC.
func Monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("read CLOCK_MONOTONIC: " + err.Error())
	}
	return time.Duration(ts.Nano())
}
