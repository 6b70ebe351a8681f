package daemon

import "time"

// untilNext returns how long it is until what is done every so often is next to be done, so much
// later than now at most: at multiples of the clock's. All that is done as often is done at the
// same times, and wakes the process once.
func untilNext(now time.Time, every time.Duration) time.Duration {
	return every - time.Duration(now.UnixNano())%every
}
