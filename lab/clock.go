package lab

import (
	"os"
	"strings"
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

// clockSource is the file that names what the kernel reads its clock from.
const clockSource = "/sys/devices/system/clocksource/clocksource0/current_clocksource"

// VirtualClock reports whether the kernel's clock is a virtual one, which moves on as soon as
// nothing is left to do. A kernel that does not say what its clock is has a real one.
//
// Source: arch/um/kernel/time.c, setup_time_travel.
func VirtualClock() bool {
	name, err := os.ReadFile(clockSource)
	return err == nil && virtualSource(string(name))
}

// virtualSource says whether a clock source is that of a virtual clock that needs nobody else.
func virtualSource(name string) bool { return strings.TrimSpace(name) == "time-travel-clock" }
