package kernel

import (
	"fmt"
	"os"
	"time"
)

// timeVariable names the environment variable that chooses the clock.
const timeVariable = "TANDEM_TIME"

// Time says which clock a kernel runs on. The zero Time is RealTime.
type Time int

// The clocks of `--time` and TANDEM_TIME.
const (
	// RealTime is the machine's own clock.
	RealTime Time = iota
	// VirtualTime is a clock that stands still while anything computes and jumps to the next timer
	// while all sleep. It exists in a guest only, whose randomness comes from a seed: the same program
	// with the same seed does the same at the same nanosecond, whatever the machine is doing.
	VirtualTime
)

// VirtualEpoch is the wall-clock time at which every virtual clock starts.
var VirtualEpoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// String returns the clock as it is written on the command line.
func (t Time) String() string {
	switch t {
	case RealTime:
		return "real"
	case VirtualTime:
		return "virtual"
	}
	return fmt.Sprintf("Time(%d)", int(t))
}

// ParseTime reads a clock; the empty string is RealTime.
func ParseTime(s string) (Time, error) {
	switch s {
	case "", "real":
		return RealTime, nil
	case "virtual":
		return VirtualTime, nil
	}
	return 0, fmt.Errorf("parse time %q: want real or virtual", s)
}

// TimeFromEnvironment returns the clock that TANDEM_TIME asks for; unset is RealTime.
func TimeFromEnvironment() (Time, error) {
	t, err := ParseTime(os.Getenv(timeVariable))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", timeVariable, err)
	}
	return t, nil
}
