package scenarios

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tandemlb/tandem/reports"
)

// Act is one thing that a Schedule does, and when.
type Act struct {
	// At is when the step begins, from the begin of the Schedule.
	At time.Duration
	// For is how long the fault of an Inject is to last, from At; 0: until something else heals it.
	// Other steps have 0.
	For time.Duration
	// Step is what is done: an Inject, a Heal, or any step that takes part of the Schedule's time.
	Step Step
}

// End is when the act is over by plan: that of a fault without an end, or of a step that takes as
// long as it takes, is its At.
func (a Act) End() time.Duration {
	if o, ok := a.Step.(Observe); ok {
		return a.At + o.For
	}
	return a.At + a.For
}

// Schedule carries out acts at their times, each on its own, so that faults may overlap:
//
//	0s    5s    10s   15s   20s
//	├─────┼─────┼─────┼─────┤
//	      ████████████            delay on lb1:eth0, at 5s for 10s
//	            ████              server-stopped on web2, at 10s for 3s
//
// What takes longer than planned delays nothing but its own heal. The first act that fails ends the
// schedule; what holds then is healed with the run.
type Schedule struct {
	// Acts may be in any order; those of the same time begin in theirs.
	Acts []Act
}

func (s Schedule) String() string {
	var end time.Duration
	for _, a := range s.Acts {
		end = max(end, a.End())
	}
	return fmt.Sprintf("carry out a schedule of %s in %s", plural(len(s.Acts), "act"), end)
}

func (s Schedule) do(ctx context.Context, r *run) error {
	if flaws := s.Check(r.scenario.Topology); len(flaws) > 0 {
		return fmt.Errorf("%s: act %d: %s", s, flaws[0].Act+1, flaws[0].Text)
	}
	return s.play(ctx, scheduled{r})
}

// Heal, as the step of an Act, heals the fault of another act of the same Schedule, which must have
// begun by then.
type Heal struct {
	// Act is the place of the fault's act in Acts.
	Act int
}

func (h Heal) String() string { return fmt.Sprintf("heal the fault of act %d", h.Act+1) }

// do is never called: a Schedule knows what to heal.
func (h Heal) do(context.Context, *run) error { return fmt.Errorf("%s: no schedule has it", h) }

// player does what a schedule says. It is a run, but in tests.
type player interface {
	// inject injects a fault and returns its heal.
	inject(ctx context.Context, i Inject) (func(context.Context) error, error)
	// step does any other step.
	step(ctx context.Context, s Step) error
	// begin tells that something begins.
	begin(what string)
}

// play carries the acts out. It returns when all have ended.
func (s Schedule) play(ctx context.Context, p player) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	start := time.Now()
	order := make([]int, len(s.Acts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.Acts[a].At, s.Acts[b].At) })
	ends := map[int]chan struct{}{} // of the faults that an act heals, which closes it
	for _, a := range s.Acts {
		if h, ok := a.Step.(Heal); ok {
			ends[h.Act] = make(chan struct{})
		}
	}
	var acting sync.WaitGroup
	for _, i := range order {
		act := s.Acts[i]
		if wait(ctx, start.Add(act.At)) != nil {
			break
		}
		if h, ok := act.Step.(Heal); ok {
			close(ends[h.Act])
			continue
		}
		acting.Go(func() {
			if err := act.play(ctx, p, start, ends[i]); err != nil {
				stop(err)
			}
		})
	}
	acting.Wait()
	return context.Cause(ctx)
}

// play carries one act out, to its heal if it has one. end tells a fault without a time of its own
// that another act heals it; nil: none does.
func (a Act) play(ctx context.Context, p player, start time.Time, end <-chan struct{}) error {
	i, ok := a.Step.(Inject)
	if !ok {
		p.begin(a.Step.String())
		return p.step(ctx, a.Step)
	}
	text := i.String()
	if a.For > 0 {
		text += " for " + a.For.String()
	}
	p.begin(text)
	heal, err := p.inject(ctx, i)
	if err != nil {
		return err
	}
	switch {
	case a.For > 0:
		err = wait(ctx, start.Add(a.For+a.At))
	case end == nil:
		return nil
	default:
		select {
		case <-end:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		return err
	}
	p.begin(healing + i.label())
	return heal(ctx)
}

// healing begins the name of what heals one fault.
const healing = "heal "

// wait lets time pass until a moment.
func wait(ctx context.Context, until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// scheduled is a run as schedules play it.
type scheduled struct{ r *run }

func (s scheduled) inject(
	ctx context.Context, i Inject,
) (func(context.Context) error, error) {
	pending, err := s.r.inject(ctx, i)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return s.r.healOne(ctx, pending) }, nil
}

func (s scheduled) step(ctx context.Context, step Step) error { return step.do(ctx, s.r) }

func (s scheduled) begin(what string) {
	s.r.say(what)
	s.r.event(reports.Event{Kind: reports.StepBegin, Subject: what})
}

// withoutFaults is a schedule that lasts as long and breaks and changes nothing.
func (s Schedule) withoutFaults() Schedule {
	var acts []Act
	for _, a := range s.Acts {
		switch a.Step.(type) {
		case Inject, Heal, Reloads, Misconfigure:
			a = Act{At: a.At, Step: Observe{For: a.For}}
		}
		acts = append(acts, a)
	}
	return Schedule{acts}
}

// flat are steps with those that schedules have in place of these.
func flat(steps []Step) []Step {
	var all []Step
	for _, step := range steps {
		s, ok := step.(Schedule)
		if !ok {
			all = append(all, step)
			continue
		}
		for _, a := range s.Acts {
			all = append(all, a.Step)
		}
	}
	return all
}

// injections are the faults that steps inject by themselves or by a schedule.
func injections(steps []Step) []Inject {
	var all []Inject
	for _, step := range flat(steps) {
		if i, ok := step.(Inject); ok {
			all = append(all, i)
		}
	}
	return all
}
