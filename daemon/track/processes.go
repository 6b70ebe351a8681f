package track

import (
	"context"
	"time"
)

const (
	// scan is how often all processes are looked at where the kernel does not tell of them, and
	// rescan where it does.
	scan, rescan = time.Second, time.Minute
	// again is after what time the kernel is asked anew for news, of which some were lost.
	again = 200 * time.Millisecond
	// never is when nothing is due.
	never = 1 << 62
)

// processEvent is something that has happened to a process.
type processEvent struct {
	kind        eventKind
	pid, parent int
}

type eventKind uint8

const (
	eventBegan  eventKind = iota + 1 // another program or name
	eventForked                      // pid is as parent
	eventEnded
)

// processTable is the processes of this machine.
type processTable interface {
	// List returns all processes, with their command lines if full is set.
	List(full bool) ([]Running, error)
	// Read returns one; false if it has ended.
	Read(pid int, full bool) (Running, bool)
	// Watch calls ready and sends what happens from then on, until ctx ends, or events are lost,
	// which is an error. It is one before ready was called where the kernel tells nothing.
	Watch(ctx context.Context, ready func(), events chan<- processEvent) error
}

// watching is the goroutine that hears of events.
type watching struct {
	end    context.CancelFunc // nil: there is none
	events chan processEvent
	ready  chan struct{}
	over   chan error
	heard  bool // it was ready once
}

// processSet is all trackers of processes, in the goroutine of runProcesses.
type processSet struct {
	set   *Set
	table processTable
	census
	watching
	polling bool // the kernel tells nothing
	failed  string
}

// runProcesses follows all processes until ctx ends.
func (s *Set) runProcesses(ctx context.Context) {
	p := processSet{set: s, table: s.table}
	defer p.stop()
	tick := time.NewTimer(never) // to look at all
	defer tick.Stop()
	due := time.NewTimer(never) // to step
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.processesSet:
			if p.configure(ctx) {
				tick.Reset(0)
			}
		case <-p.ready:
			p.ready, p.heard = nil, true
			tick.Reset(0)
		case e := <-p.events:
			p.take(e)
		case err := <-p.over:
			tick.Reset(p.lost(err))
		case <-tick.C:
			if len(p.rules) == 0 {
				break
			}
			p.listen(ctx)
			p.look()
			tick.Reset(p.interval())
		case <-due.C:
		}
		p.report(time.Now())
		wait := time.Duration(never)
		if at := p.deadline(); !at.IsZero() {
			wait = time.Until(at)
		}
		due.Reset(wait)
	}
}

// configure makes the trackers those of the Set, and says whether to look at all processes.
func (p *processSet) configure(ctx context.Context) bool {
	p.set.mu.Lock()
	processes := p.set.processes
	statuses := make([]*Status, len(processes))
	for i := range processes {
		statuses[i] = p.set.status[Key{ProcessKind, processes[i].Name}]
	}
	p.set.mu.Unlock()
	look := p.census.configure(processes, statuses)
	if len(processes) == 0 {
		p.stop()
	}
	return look
}

// interval is from one look at all processes to the next.
func (p *processSet) interval() time.Duration {
	if p.polling {
		return scan
	}
	return rescan
}

// listen starts to hear of events, if that has not been tried in vain.
func (p *processSet) listen(ctx context.Context) {
	if p.end != nil || p.polling {
		return
	}
	own, end := context.WithCancel(ctx)
	w := watching{
		end: end, events: make(chan processEvent), ready: make(chan struct{}),
		over: make(chan error, 1),
	}
	p.watching = w
	go func() {
		w.over <- p.table.Watch(own, func() { close(w.ready) }, w.events)
	}()
}

// stop ends listening and waits for that.
func (p *processSet) stop() {
	if p.end == nil {
		return
	}
	p.end()
	<-p.over
	p.watching = watching{}
}

// lost notes that nothing is heard any more, and returns when to look at all processes.
func (p *processSet) lost(err error) time.Duration {
	if !p.heard {
		p.polling = true
		p.set.log().Warn("the kernel does not tell of processes; looking at all every second",
			"err", err)
	}
	p.end()
	p.watching = watching{}
	return again
}

// take puts one event into the census.
func (p *processSet) take(e processEvent) {
	switch e.kind {
	case eventForked:
		p.forked(e.parent, e.pid)
	case eventEnded:
		p.ended(e.pid)
	case eventBegan:
		if running, ok := p.table.Read(e.pid, p.full()); ok {
			p.began(running)
		} else {
			p.ended(e.pid)
		}
	}
}

// look puts all processes into the census. If they cannot be seen, there are none.
func (p *processSet) look() {
	running, err := p.table.List(p.full())
	p.failed = ""
	if err != nil {
		p.failed = err.Error()
	}
	p.all(running)
}

// report tells of the trackers that have changed, once processes were looked at.
func (p *processSet) report(now time.Time) {
	for _, r := range p.rules {
		if r.pids == nil {
			return
		}
	}
	for _, r := range p.step(now) {
		reason := r.quorum.Reason()
		if p.failed != "" {
			reason = p.failed
		}
		p.set.change(Key{ProcessKind, r.Name}, r.status, r.quorum.State(), 0, reason)
	}
}
