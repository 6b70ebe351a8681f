package instance

import (
	"sync/atomic"
	"time"
)

const (
	// manyRunners are as many as make it worth while that they wake up together.
	manyRunners = 32
	// gridsPerInterval is how fine the grid is on which masters then send.
	gridsPerInterval = 64
)

// Crowd counts the Runners of a process that run. The zero value has none.
type Crowd struct{ running atomic.Int64 }

// Gatherer is a Link that knows the Crowd. Where there are many Runners masters send on a common
// grid, up to a 64th of their interval late, always by as much: then a thousand timers wake the
// process as often as 64 would. Each wake-up costs more than the adverts.
type Gatherer interface{ Gather() *Crowd }

// Gather returns c.
func (c *Crowd) Gather() *Crowd { return c }

// join counts a Runner until leave is called.
func (c *Crowd) join() (leave func()) {
	if c == nil {
		return func() {}
	}
	c.running.Add(1)
	return func() { c.running.Add(-1) }
}

func (c *Crowd) many() bool { return c != nil && c.running.Load() >= manyRunners }

// onGrid returns how long to wait, from now, for the first point of the grid after that long. The
// grid is the clock's and so the same for all.
func onGrid(now time.Time, wait, grid time.Duration) time.Duration {
	rest := (time.Duration(now.UnixNano()) + wait) % grid
	if rest == 0 || wait <= 0 {
		return wait
	}
	return wait + grid - rest
}

// gridOf returns the grid for members of these configurations.
func gridOf(configs []Config) time.Duration {
	shortest := configs[0].Router.Interval
	for _, c := range configs[1:] {
		shortest = min(shortest, c.Router.Interval)
	}
	return max(shortest/gridsPerInterval, 1)
}
