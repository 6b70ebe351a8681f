package scenarios

import (
	"time"

	"github.com/tandemlb/tandem/topology"
)

// Allowance is what every bound on time grants beyond the protocol's own: the time until a lost
// request is known to be lost, and as much again for the scheduling of a shared machine.
const Allowance = 500 * time.Millisecond

// StartAllowance is what a bound grants where a healed director's program has to start first: the
// protocol's times count from when it runs.
const StartAllowance = time.Second

// masterDown is how long a backup of a priority waits for the master's adverts: 3 × advert + skew.
//
// Source: RFC 3768, Section 6.1; RFC 5798, Section 6.1.
func masterDown(v topology.VRRP, priority uint8) time.Duration {
	unit := time.Second
	if v.Version == 3 {
		unit = v.Advert
	}
	skew := time.Duration(256-int64(priority)) * unit / 256
	return 3*v.Advert + skew
}

// slowest is the longest master-down time of a topology's directors: no takeover takes longer.
func slowest(t topology.Topology) time.Duration {
	var worst time.Duration
	for _, n := range t.NodesOf(topology.Director) {
		worst = max(worst, masterDown(t.VRRP, n.Priority))
	}
	return worst
}

// checkDeadline is how long a dead real server may stay in service: a whole delay_loop until the
// next check begins, every attempt to its timeout, and the pauses between them.
func checkDeadline(c topology.Check) time.Duration {
	return c.DelayLoop + time.Duration(c.Retry+1)*c.ConnectTimeout +
		time.Duration(c.Retry)*c.DelayBeforeRetry
}

// checkRecovery is how long a real server that is back may stay out of service.
func checkRecovery(c topology.Check) time.Duration { return c.DelayLoop + c.ConnectTimeout }

// leftover is how long the addresses of a dead or frozen director may outlive it: a lease of four
// adverts in whole seconds, which covers any backup's patience, and the 2 s within which the kernel
// carries out an expiry.
//
// Source: net/ipv4/devinet.c, check_lifetime.
func leftover(v topology.VRRP) time.Duration {
	lease := (4*v.Advert + time.Second - 1).Truncate(time.Second)
	return lease + 2*time.Second
}
