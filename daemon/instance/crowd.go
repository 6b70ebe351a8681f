package instance

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// manyRunners are as many as make it worth while that they wake up together.
	manyRunners = 32
	// gridsPerInterval is how fine the grid is on which masters then send.
	gridsPerInterval = 8
	// gridOffset is how far the grid is from the clock's full seconds: what the process does once a
	// second is done then, with timers of the runtime, and what it does meanwhile costs more.
	gridOffset = time.Second / 16
)

// Crowd has the Runners of a process take their turns: one goroutine, which is there while any of
// them runs, has each turn that has something to read or to do. A goroutine for each would need
// half as much memory as all else of it, and to wake it costs as much as its advert. A turn that
// may have to wait for the kernel has a goroutine of its own, so that the others need not. The zero
// value is ready.
type Crowd struct {
	// alarm makes what wakes the goroutine; nil is a timer of the runtime.
	alarm   func(ring func()) alarm
	running atomic.Int64

	life  sync.Mutex    // held while the goroutine is begun or ended
	stop  chan struct{} // closed to end it
	ended chan struct{} // closed when it has ended

	adverts adverts // of the goroutine

	mu     sync.Mutex
	wake   chan struct{} // has room for one: it says that there may be called ones
	called []*Runner     // those that wait for their turn
	later  bookings      // those that want one at some time
}

// Gatherer is a Link that knows the Crowd; without one a Runner is a Crowd of its own. Where there
// are many Runners masters send on a common grid, up to an eighth of their interval late, always by as
// much: then a thousand timers wake the process as often as eight would. Each wake-up costs more than
// the adverts.
type Gatherer interface{ Gather() *Crowd }

// Gather returns c.
func (c *Crowd) Gather() *Crowd { return c }

// berth is a Runner's in its Crowd, under Crowd.mu.
type berth struct {
	state berthState
	again bool      // it was called while it turned
	at    time.Time // when it wants a turn; zero: never
	// booked is the time of its booking that counts; zero: it has none.
	booked time.Time
}

type berthState uint8

const (
	berthAway    berthState = iota // it has not joined, or is over
	berthIdle                      // nothing is to be done
	berthCalled                    // it waits for its turn
	berthTurning                   // it turns
)

// join has r take turns, the first one at once, until it is over; then leave has to be called.
func (c *Crowd) join(r *Runner) {
	c.life.Lock()
	defer c.life.Unlock()
	c.mu.Lock()
	if c.wake == nil {
		c.wake = make(chan struct{}, 1)
	}
	r.berth.state = berthIdle
	c.mu.Unlock()
	if c.running.Add(1) == 1 {
		c.stop, c.ended = make(chan struct{}), make(chan struct{})
		go c.run(c.stop, c.ended)
	}
	c.call(r)
}

// leave ends the goroutine with the last Runner.
func (c *Crowd) leave() {
	c.life.Lock()
	defer c.life.Unlock()
	if c.running.Add(-1) == 0 {
		close(c.stop)
		<-c.ended
		c.mu.Lock()
		c.later = nil // of those that have left
		c.mu.Unlock()
	}
}

func (c *Crowd) many() bool { return c.running.Load() >= manyRunners }

// call has r turn soon. It does not wait, and may be called at any time, by any goroutine.
func (c *Crowd) call(r *Runner) {
	c.mu.Lock()
	first := false
	switch r.berth.state {
	case berthAway, berthCalled:
	case berthIdle:
		r.berth.state = berthCalled
		c.called = append(c.called, r)
		first = len(c.called) == 1
	case berthTurning:
		r.berth.again = true
	}
	c.mu.Unlock()
	if first {
		c.rouse()
	}
}

func (c *Crowd) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run has the Runners take their turns until stop.
func (c *Crowd) run(stop <-chan struct{}, ended chan<- struct{}) {
	defer close(ended)
	timer := c.newAlarm()
	defer timer.Close()
	var armed time.Time
	var turning []*Runner
	for {
		select {
		case <-c.wake:
		case <-stop:
			return
		}
		for {
			if turning = c.due(time.Now(), turning[:0]); len(turning) == 0 {
				break
			}
			for _, r := range turning {
				c.take(r)
			}
			c.adverts.send()
			clear(turning)
		}
		if !armed.After(time.Now()) {
			armed = time.Time{}
		}
		// An alarm that is early only has it look.
		if next := c.next(armed.IsZero()); !next.IsZero() && (armed.IsZero() || next.Before(armed)) {
			armed = next
			timer.Set(time.Until(next))
		}
	}
}

// alarm is what wakes a Crowd; netif.Alarm is the real one. See there.
type alarm interface {
	Set(after time.Duration)
	Close()
}

// newAlarm returns what wakes the goroutine, for which nothing is set.
func (c *Crowd) newAlarm() alarm {
	if c.alarm != nil {
		return c.alarm(c.rouse)
	}
	t := time.AfterFunc(time.Hour, c.rouse)
	t.Stop()
	return runtimeAlarm{t}
}

// runtimeAlarm is a timer of the runtime.
type runtimeAlarm struct{ *time.Timer }

func (a runtimeAlarm) Set(after time.Duration) { a.Reset(after) }

func (a runtimeAlarm) Close() { a.Stop() }

// due appends whose turn it is. They turn from now on.
func (c *Crowd) due(now time.Time, to []*Runner) []*Runner {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, r := range c.called {
		r.berth.state = berthTurning
		to = append(to, r)
		c.called[i] = nil
	}
	c.called = c.called[:0]
	for c.tidy(); len(c.later) > 0 && !c.later[0].at.After(now); c.tidy() {
		r := c.later[0].runner
		c.later.pop()
		if r.berth.booked = (time.Time{}); r.berth.state == berthIdle {
			r.berth.state = berthTurning
			to = append(to, r)
		}
	}
	return to
}

// next returns when the first turn is due, or zero. It may be said to be earlier than it is, unless
// exact.
func (c *Crowd) next(exact bool) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if exact {
		c.tidy()
	}
	if len(c.later) == 0 {
		return time.Time{}
	}
	return c.later[0].at
}

// tidy has the first of later be one that is still wanted then. A turn that is put off, as those of
// backups are by each advert, keeps its booking until that comes first. c.mu is held.
func (c *Crowd) tidy() {
	for len(c.later) > 0 {
		first := c.later[0]
		p := &first.runner.berth
		switch {
		case !p.booked.Equal(first.at): // another one counts
			c.later.pop()
		case p.at.IsZero():
			p.booked = time.Time{}
			c.later.pop()
		case p.at.After(first.at):
			p.booked = p.at
			c.later.replace(booking{p.at, first.runner})
		default:
			return
		}
	}
}

// take has r turn, with a goroutine of its own if that may take long.
func (c *Crowd) take(r *Runner) {
	if !r.slow() {
		r.adverts = &c.adverts
		c.turn(r, false)
		if r.adverts = nil; c.adverts.full(r.now) {
			c.adverts.send()
		}
		return
	}
	r.tasks.Go(func() {
		c.turn(r, true)
		c.rouse()
	})
}

// turn has r turn and notes when it wants to again.
func (c *Crowd) turn(r *Runner, apart bool) {
	next, over := r.turn(apart)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch again := r.berth.again; {
	case over:
		r.berth.state = berthAway
		c.put(r, time.Time{})
		close(r.gone)
	case again:
		r.berth.state, r.berth.again = berthCalled, false
		c.called = append(c.called, r)
	default:
		r.berth.state = berthIdle
		c.put(r, next)
	}
}

// put has r turn at that time; zero is never. c.mu is held.
func (c *Crowd) put(r *Runner, at time.Time) {
	p := &r.berth
	p.at = at
	if !at.IsZero() && (p.booked.IsZero() || at.Before(p.booked)) {
		p.booked = at
		c.later.push(booking{at, r})
	}
}

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
func gridOf(configs []*Config) time.Duration {
	shortest := configs[0].Router.Interval
	for _, c := range configs[1:] {
		shortest = min(shortest, c.Router.Interval)
	}
	return max(shortest/gridsPerInterval, 1)
}
