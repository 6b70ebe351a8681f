package bench

import "time"

// skew is how long a backup of a priority waits after an advert of priority 0. Adverts of a
// fraction of a second are those of version 3; with adverts of a second both versions have the same.
//
// Source: RFC 3768, Section 6.1; RFC 5798, Section 6.1.
func skew(advert time.Duration, priority int) time.Duration {
	return time.Duration(256-priority) * advert / 256
}

// masterDown is how long a backup of a priority waits for the master's adverts: 3 × advert + skew.
func masterDown(advert time.Duration, priority int) time.Duration {
	return 3*advert + skew(advert, priority)
}
