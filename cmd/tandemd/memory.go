package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"golang.org/x/sys/unix"
)

// How much garbage a process keeps, in percent of what it uses. The worker makes much of it while
// it starts and little afterwards, the guard next to none; a thousand instances are to fit into
// 40 MB.
const (
	startGC  = 50
	workerGC = 20
	guardGC  = 20
)

const (
	// tidyEvery is how often a process looks at what it has done and what it needs for it.
	tidyEvery = 2 * time.Second
	// busyCycles is how many garbage collections in that time are a burst of work.
	busyCycles = 4
	// calmShare and busyShare are the shares of a processor in that time, in percent, under which
	// one is enough and over which there are to be all.
	calmShare, busyShare = 10, 30
)

// tidy has the process take no more than it needs, until ctx ends: when a start or another burst of
// work has passed, it gives the kernel back the memory that was needed only then. Work that takes a
// small part of one processor is not spread over several: to wake them would cost as much.
func tidy(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	var p processors
	cycles := []metrics.Sample{{Name: "/gc/cycles/automatic:gc-cycles"}}
	var before uint64
	for busy := true; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.adapt()
		metrics.Read(cycles)
		now := cycles[0].Value.Uint64()
		if now-before >= busyCycles {
			busy = true
		} else if busy {
			busy = false
			debug.FreeOSMemory()
		}
		before = now
	}
}

// processors is how many of them may be at work for the process at once.
type processors struct {
	used time.Duration // of processors' time, at the last look
	one  bool          // it is one
}

// adapt makes them one or all, unless the environment says how many there are.
func (p *processors) adapt() {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return
	}
	used := time.Duration(r.Utime.Nano() + r.Stime.Nano())
	percent := int(100 * (used - p.used) / tidyEvery)
	p.used = used
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
