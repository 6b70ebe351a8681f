package daemon

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/config"
)

// notBefore returns until when instances of a director that was started at born, on a machine that
// runs for up, wait for a master to be heard: vrrp_startup_delay and vrrp_delay_after_boot, whichever
// is later; zero if neither is set.
func notBefore(s *config.Start, born time.Time, up time.Duration) time.Time {
	var t time.Time
	if s.Delay > 0 {
		t = born.Add(s.Delay)
	}
	if s.AfterBoot > 0 {
		if boot := time.Now().Add(s.AfterBoot - up); boot.After(t) {
			t = boot
		}
	}
	return t
}

// upFor returns for how long the machine runs, the time that it slept included; zero if the kernel
// does not say.
func upFor() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
