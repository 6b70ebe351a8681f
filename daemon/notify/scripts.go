package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Why scripts are ended.
var (
	errTime = errors.New("others wait for it")
	errEnd  = errors.New("the daemon ends")
)

// scripts are the runs of scripts, under Notifier.mu: those of one subject one after another in
// their order, those of different subjects beside each other, at most Options.Scripts at once.
type scripts struct {
	lanes   map[Subject]*lane // with something to do
	ready   []*lane           // in the order in which they may begin; none of them runs
	running map[*lane]*active
	counts  Counts
	failing failing
	wake    chan struct{}
}

// lane is what is to be run for one subject.
type lane struct {
	subject Subject
	waiting []scriptRun
	dropped uint64
}

// scriptRun is one run of a script.
type scriptRun struct {
	event  Event
	script *Script
	args   []string
}

// active is a run at work.
type active struct {
	lane *lane
	scriptRun
	since time.Time
	end   context.CancelCauseFunc
	ctx   context.Context
}

func newScripts() scripts {
	return scripts{
		lanes:   make(map[Subject]*lane),
		running: make(map[*lane]*active),
		failing: make(failing),
		wake:    make(chan struct{}, 1),
	}
}

// tellScripts queues the scripts for e. n.mu is held.
func (n *Notifier) tellScripts(e *Event, rules *Rules) {
	own, any := rules.scriptsFor(e)
	if own != nil {
		n.queueScript(scriptRun{event: *e, script: own})
	}
	if any != nil {
		n.queueScript(scriptRun{event: *e, script: any, args: e.args()})
	}
}

func (n *Notifier) queueScript(r scriptRun) {
	s := &n.scripts
	s.counts.Told++
	if n.ended {
		n.dropScript(r, 1, "told after the end")
		return
	}
	l := s.lanes[r.event.Subject]
	if l == nil {
		l = &lane{subject: r.event.Subject}
		s.lanes[r.event.Subject] = l
		s.ready = append(s.ready, l)
	}
	if len(l.waiting) >= maxRuns {
		l.dropped++
		n.dropScript(l.waiting[0], l.dropped, "queue full")
		l.waiting = l.waiting[1:]
	}
	l.waiting = append(l.waiting, r)
	wake(s.wake)
}

// dropScript takes down that a script will not be run, the nth of its subject.
func (n *Notifier) dropScript(r scriptRun, nth uint64, why string) {
	c := &n.scripts.counts
	c.Dropped++
	c.note(time.Now(), why)
	if loud(nth) {
		n.warn("script dropped", "subject", r.event.Subject.String(), "script", r.script.String(),
			"seq", r.event.Seq, "at", r.event.Time, "reason", why, "count", nth)
	}
}

// runScripts runs scripts until ctx ends and none is left, or hard ends.
func (n *Notifier) runScripts(ctx, hard context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	ending := ctx.Done()
	for {
		begun, again, idle := n.scheduleScripts(hard)
		for _, a := range begun {
			running.Go(func() { n.runScript(a) })
		}
		if idle && ending == nil {
			return
		}
		timer.Stop()
		if again > 0 {
			timer.Reset(again)
		}
		select {
		case <-ending:
			ending = nil
		case <-n.scripts.wake:
		case <-timer.C:
		case <-hard.Done():
			return
		}
	}
}

// scheduleScripts takes what may begin, ends what is in the way of others, and returns when to look
// again (0: when something happens) and whether there is nothing to do.
func (n *Notifier) scheduleScripts(ctx context.Context) ([]*active, time.Duration, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &n.scripts
	var begun []*active
	for len(s.ready) > 0 && len(s.running) < n.options.Scripts {
		l := s.ready[0]
		s.ready = s.ready[1:]
		a := &active{lane: l, scriptRun: l.waiting[0], since: time.Now()}
		l.waiting = l.waiting[1:]
		a.ctx, a.end = context.WithCancelCause(ctx)
		s.running[l] = a
		begun = append(begun, a)
	}
	return begun, s.hurry(n.options.Patience), len(s.lanes) == 0
}

// hurry ends the scripts that have run longer than patience and are in the way of others, the
// oldest first and no more than that takes, and returns when the next one will have (0: none).
func (s *scripts) hurry(patience time.Duration) time.Duration {
	oldest := slices.SortedFunc(maps.Values(s.running), func(a, b *active) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.event.Seq, b.event.Seq))
	})
	places := len(s.ready)
	for _, a := range oldest {
		if len(a.lane.waiting) == 0 && places == 0 {
			continue
		}
		if left := patience - time.Since(a.since); left > 0 {
			return left
		}
		a.end(errTime)
		places = max(places-1, 0)
	}
	return 0
}

// runScript runs one script and counts what came of it.
func (n *Notifier) runScript(a *active) {
	err := n.options.Run(a.ctx, *a.script, a.args, a.event.env())
	if err != nil && a.ctx.Err() != nil {
		err = fmt.Errorf("ended because %w: %w", context.Cause(a.ctx), err)
	}
	a.end(nil)
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &n.scripts
	delete(s.running, a.lane)
	if len(a.lane.waiting) > 0 {
		s.ready = append(s.ready, a.lane)
	} else {
		delete(s.lanes, a.lane.subject)
	}
	wake(s.wake)
	if err == nil {
		s.counts.Done++
		s.failing.succeeded(a)
		return
	}
	if !errors.Is(err, errEnd) {
		s.failing.failed(time.Now(), a, err)
	}
	s.counts.Failed++
	s.counts.note(time.Now(), a.script.String()+": "+err.Error())
	n.warn("script failed", "subject", a.event.Subject.String(), "script", a.script.String(),
		"seq", a.event.Seq, "err", err)
}
