package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/config"
)

// leastLimit is the least processor time between two blocking system calls that costs the real-time
// priority. A collection of garbage alone may take longer than keepalived's 10 ms.
const leastLimit = time.Second

// demand is what a configuration asks of the kernel for the process. keepalived has a process for
// VRRP, one for checks and one for BFD; this is one for all, and has the most of what is asked for
// any.
type demand struct {
	// nice is as in nice(1); 0 leaves it as it is.
	nice int
	// realTime is the priority of SCHED_RR; 0 is without. limit bounds its processor time between
	// two blocking system calls.
	realTime int
	limit    time.Duration
	// noSwap locks the memory.
	noSwap bool
	// processors are those it may run on; nil is all.
	processors []int
	// auto is how far a process that is late by delay raises its real-time priority; not above 0:
	// not at all.
	auto  int
	delay time.Duration
}

// demandOf returns what a configuration asks for.
func demandOf(s *config.Scheduling) demand {
	d := demand{auto: s.MaxAutoPriority, delay: s.MinAutoDelay, limit: leastLimit}
	d.nice = min(s.VRRP.Nice, s.Checker.Nice, s.BFD.Nice)
	for _, p := range []*config.Process{&s.VRRP, &s.Checker, &s.BFD} {
		if p.RTPriority > 0 {
			d.limit = max(d.limit, p.RTLimit)
		}
		d.realTime = max(d.realTime, p.RTPriority)
		d.noSwap = d.noSwap || p.NoSwap
		d.processors = append(d.processors, p.Processors...)
	}
	slices.Sort(d.processors)
	d.processors = slices.Compact(d.processors)
	return d
}

// scheduling is what the process has of the kernel.
type scheduling struct {
	demand
	// priority is the real-time priority of the moment; 0 is none.
	priority int
	log      *slog.Logger
}

// schedule asks for what cfg demands. What is refused is logged, and done without. What it returns
// ends looking after the rest.
func (d *director) schedule(cfg *config.Config) (end func()) {
	s := &scheduling{demand: demandOf(&cfg.Global.Scheduling), log: d.log}
	s.begin()
	if s.priority == 0 && s.auto <= 0 {
		return func() {}
	}
	w := begin(context.Background(), "scheduling", s.run)
	return func() { _ = w.end() } // it has no error to return
}

// begin asks for everything once.
func (s *scheduling) begin() {
	ask := func(what string, err error) {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOMEM) {
			err = fmt.Errorf("%w (needs CAP_SYS_NICE, no_swap CAP_IPC_LOCK)", err)
		}
		if err != nil {
			s.log.Warn("the kernel refuses; going on without", "what", what, "err", err)
		}
	}
	if len(s.processors) > 0 {
		ask("cpu_affinity", setProcessors(s.processors))
	}
	if s.nice != 0 {
		ask("priority", eachThread(func(tid int) error {
			return unix.Setpriority(unix.PRIO_PROCESS, tid, s.nice)
		}))
	}
	if s.noSwap {
		// On fault: otherwise all that is only reserved would be there, and locked.
		ask("no_swap", unix.Mlockall(unix.MCL_CURRENT|unix.MCL_FUTURE|unix.MCL_ONFAULT))
	}
	if s.realTime > 0 {
		ask("rt_priority", s.raise(s.realTime))
	}
}

// run looks after the real-time priority until ctx ends: it goes when the process goes on and on
// without a pause, and it comes when the process is late.
func (s *scheduling) run(ctx context.Context) error {
	exceeded := make(chan os.Signal, 1)
	signal.Notify(exceeded, unix.SIGXCPU)
	defer signal.Stop(exceeded)
	var tick <-chan time.Time
	rhythm := s.delay / 2
	if s.auto > 0 {
		ticker := time.NewTicker(rhythm)
		defer ticker.Stop()
		tick = ticker.C
	}
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-exceeded:
			s.giveUp()
			tick = nil
		case <-tick:
			now := time.Now()
			s.late(now.Sub(last) - rhythm)
			last = now
		}
	}
}

// giveUp goes back to ordinary scheduling. The threads that scripts are started on have it already.
func (s *scheduling) giveUp() {
	ordinary := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL,
		Nice: int32(s.nice)}
	err := eachThread(func(tid int) error { return unix.SchedSetAttr(tid, ordinary, 0) })
	s.log.Error("real-time priority given up: too long without a pause", "limit", s.limit,
		"priority", s.priority, "err", err)
	s.priority = 0
}

// late raises the priority by one of a process that was late by that much, if that is a lot.
func (s *scheduling) late(by time.Duration) {
	if by < s.delay || s.priority >= s.auto {
		return
	}
	err := s.raise(s.priority + 1)
	s.log.Warn("process was late; real-time priority raised", "late", by, "priority", s.priority,
		"err", err)
	if err != nil {
		s.auto = 0 // it will be refused again
	}
}

// raise gives all threads a real-time priority. Those to come inherit it.
func (s *scheduling) raise(priority int) error {
	limit := unix.Rlimit{Cur: uint64(s.limit.Microseconds()), Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_RTTIME, &limit); err != nil {
		return fmt.Errorf("set limit of %s: %w", s.limit, err)
	}
	attr := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR,
		Priority: uint32(priority)}
	err := eachThread(func(tid int) error { return unix.SchedSetAttr(tid, attr, 0) })
	if err == nil {
		s.priority = priority
	}
	return err
}

// setProcessors has all threads run on these processors only.
func setProcessors(processors []int) error {
	set := unix.NewCPUSet(slices.Max(processors) + 1)
	for _, p := range processors {
		set.Set(p)
	}
	return eachThread(func(tid int) error { return unix.SchedSetaffinityDynamic(tid, set) })
}

// eachThread calls set with each thread of this process, and with those that come meanwhile: a
// thread inherits from the one that makes it, which may not have been set yet. It is over when a
// look finds no new one. The first error ends it.
func eachThread(set func(tid int) error) error {
	done := map[int]bool{}
	for more := true; more; {
		more = false
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range tasks {
			tid, err := strconv.Atoi(t.Name())
			if err != nil || done[tid] {
				continue
			}
			if err := set(tid); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
			done[tid], more = true, true
		}
	}
	return nil
}
