package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// How much garbage a process keeps, in percent of what it uses. The worker makes much of it while
// it starts and little afterwards, the guard next to none; a thousand instances are to fit into
// 40 MB.
const (
	startGC = 50
	// calmGC is for the time after that, where it is no more than spareGC bytes: one with tens of
	// thousands of real servers does not keep megabytes for the little that its checks leave. leastGC
	// bounds what collections cost.
	calmGC  = 20
	spareGC = 1 << 20
	leastGC = 5
	// reloadGC has room for a configuration beside the one that runs.
	reloadGC = 150
	// freeGC has the first collection come when there are 32 MB, which thousands of real servers
	// need not have until they are in the kernel: what it takes to collect, in time and in memory of
	// the collector's own, is more than what it would give back.
	freeGC = 800
)

// startFreely has no garbage collected in a start of usual size. Once there has been a collection,
// those to come follow startGC.
func startFreely() {
	debug.SetGCPercent(freeGC)
	// It goes with the first collection, unless somebody has set another percentage by then.
	runtime.AddCleanup(new([64]byte), func(was int) {
		if now := debug.SetGCPercent(startGC); now != was {
			debug.SetGCPercent(now)
		}
	}, freeGC)
}

const (
	// tidyEvery is how often a process looks at what it has done and what it needs for it.
	tidyEvery = 2 * time.Second
	// wholeCalm is after how many calm looks memory is given back once more, and then every so many if
	// muchFree bytes are free, and more than a quarter of what is used: a garbage collection always
	// leaves some.
	wholeCalm, muchFree = 4, 1 << 20
	// busyCycles is how many garbage collections in that time are a burst of work.
	busyCycles = 4
	// calmShare and busyShare are the shares of a processor in that time, in percent, under which
	// one is enough and over which there are to be all.
	calmShare, busyShare = 10, 30
)

// tidy has the process take no more than it needs, until ctx ends: when a start or another burst of
// work has passed, it gives the kernel back the memory that was needed only then. Work that takes a
// small part of one processor is not spread over several: to wake them would cost as much. While
// aside is set, somebody else says how much garbage there may be; nil is nobody.
func tidy(ctx context.Context, aside *atomic.Bool) {
	timer := time.NewTimer(tidyEvery)
	defer timer.Stop()
	p := processors{looked: time.Now()}
	var h heap
	var g garbage
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := time.Now()
		timer.Reset(untilTidy(now))
		p.adapt(now)
		v := h.look()
		if aside != nil && aside.Load() {
			g = garbage{} // what it said is not so any more
		} else if percent, other := g.adapt(v.live); other {
			debug.SetGCPercent(percent)
		}
		if h.spare(v) {
			debug.FreeOSMemory()
			if h.calm >= wholeCalm { // not in a start, which the guard is calm in
				_ = leaveProgram() // if it stays, all is as it was
			}
		}
	}
}

// untilTidy returns how long it is until the next look: at multiples of the clock's, when a
// director looks at other things, so that the process need not wake up for this one.
func untilTidy(now time.Time) time.Duration {
	rest := tidyEvery - time.Duration(now.UnixNano())%tidyEvery
	if rest < tidyEvery/2 {
		rest += tidyEvery
	}
	return rest
}

// heap is the process's memory, looked at every tidyEvery.
type heap struct {
	cycles uint64 // garbage collections up to the last look
	calm   int    // looks since there were many
}

// garbage is how much there may be of it, in percent of what is in use; 0: nothing was said.
type garbage struct{ percent int }

// adapt returns how much there is to be with live bytes in use, and whether that is another amount
// than before: to say so stops all that runs.
func (g *garbage) adapt(live uint64) (percent int, other bool) {
	was := g.percent
	g.percent = int(min(max(spareGC*100/max(live, 1), leastGC), calmGC))
	return g.percent, g.percent != was
}

// view is what a look at the heap shows, in bytes but for the cycles. Of what is used live is what
// was no garbage at the last collection.
type view struct{ cycles, used, live, free uint64 }

// look reads the runtime's figures.
func (h *heap) look() view {
	s := []metrics.Sample{{Name: "/gc/cycles/automatic:gc-cycles"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(s)
	return view{s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64(), s[3].Value.Uint64()}
}

// spare reports whether it is time to give memory back: a burst of work has just passed, or its
// wake has, which may be work of its own, as when a router becomes master, or much is free that is
// not in use for a while already.
func (h *heap) spare(v view) bool {
	many := v.cycles-h.cycles >= busyCycles
	h.cycles = v.cycles
	if many {
		h.calm = 0
		return false
	}
	h.calm++
	return h.calm == 1 || h.calm == wholeCalm ||
		h.calm%wholeCalm == 0 && v.free > max(muchFree, v.used/4)
}

// processors is how many of them may be at work for the process at once.
type processors struct {
	used   time.Duration // of processors' time, at the last look
	looked time.Time     // when that was
	one    bool          // it is one
}

// adapt makes them one or all, unless the environment says how many there are.
func (p *processors) adapt(now time.Time) {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return
	}
	used := time.Duration(r.Utime.Nano() + r.Stime.Nano())
	percent := int(100 * (used - p.used) / max(now.Sub(p.looked), 1))
	p.used, p.looked = used, now
	was := p.one
	switch p.one = p.oneIsEnough(percent); {
	case p.one && !was:
		runtime.GOMAXPROCS(1)
	case was && !p.one:
		runtime.SetDefaultGOMAXPROCS()
	}
}

// oneIsEnough returns whether one is, after work that took that share of a processor, in percent.
func (p *processors) oneIsEnough(percent int) bool {
	if p.one {
		return percent <= busyShare
	}
	return percent < calmShare
}
