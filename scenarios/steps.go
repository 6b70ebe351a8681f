package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// Step is one thing that a scenario does. Steps are values; their String is what a person reads.
type Step interface {
	fmt.Stringer
	do(ctx context.Context, r *run) error
}

// steadyLimit is how long a scenario may take to its steady state: several times what the slowest
// director takes on a quiet machine.
const steadyLimit = 45 * time.Second

// steadyAnswers is how many requests in a row must be answered before the state counts as steady.
const steadyAnswers = 20

// Steady starts everything and waits until one director holds every VIP, its table has every real
// server, and the probes' requests are answered. A scenario begins with it. If it is not reached
// the run is inconclusive.
type Steady struct {
	// Within is the limit; 0: steadyLimit.
	Within time.Duration
}

func (Steady) String() string { return "reach the steady state" }

func (s Steady) do(ctx context.Context, r *run) error {
	limit := cmp.Or(s.Within, steadyLimit)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := StartUnits(ctx, r.lab); err != nil {
		return err
	}
	if err := r.awaitSteady(ctx); err != nil {
		return fmt.Errorf("reach the steady state within %s: %w", limit, err)
	}
	if r.tables != nil {
		return r.tables.Look() // those of the steady state are known as they are
	}
	return nil
}

func (r *run) awaitSteady(ctx context.Context) error {
	first := Best(r.scenario.Topology)
	if len(r.scenario.Topology.VIPs) > 0 {
		if err := r.owners.await(ctx, func(n string) bool { return n == first }); err != nil {
			return fmt.Errorf("await the VIPs on %s: %w", first, err)
		}
	}
	for _, n := range r.lab.NodesOf(topology.Director) {
		if err := r.awaitTable(ctx, n); err != nil {
			return err
		}
	}
	if err := r.startProbes(ctx); err != nil {
		return err
	}
	for _, p := range r.probes {
		if err := p.AwaitAnswered(ctx, steadyAnswers); err != nil {
			return err
		}
	}
	return nil
}

// Best is the director that the priorities make master; the first where there is no VRRP.
func Best(t topology.Topology) string {
	name, priority := "", -1
	for _, n := range t.NodesOf(topology.Director) {
		if int(n.Priority) > priority {
			name, priority = n.Name, int(n.Priority)
		}
	}
	return name
}

// Observe lets time pass while the probes run.
type Observe struct{ For time.Duration }

func (s Observe) String() string { return "observe for " + s.For.String() }

func (s Observe) do(ctx context.Context, _ *run) error {
	timer := time.NewTimer(s.For)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Inject injects a fault. Its target is what Targets says. A fault of several nodes strikes them at
// once, and is healed at once.
type Inject struct {
	Kind   faults.Kind
	Target string
	// Settings are those of the kind's parameters that differ from the default.
	Settings faults.Settings
}

func (s Inject) String() string { return "inject " + s.label() }

// label names the fault and its target.
func (s Inject) label() string {
	text := fmt.Sprintf("%s on %s", s.Kind, s.Target)
	for _, name := range slices.Sorted(maps.Keys(s.Settings)) {
		text += fmt.Sprintf(" %s=%s", name, s.Settings[name])
	}
	return text
}

func (s Inject) do(ctx context.Context, r *run) error {
	_, err := r.inject(ctx, s)
	return err
}

// inject injects a fault and returns how to heal it, which it keeps for healAll too.
func (r *run) inject(ctx context.Context, s Inject) (*pendingHeal, error) {
	targets, err := r.targets(s.Target)
	if err != nil {
		return nil, err
	}
	pending := &pendingHeal{}
	all := make([]faults.Fault, len(targets))
	for i, where := range targets {
		if all[i], err = faults.New(s.Kind, where, s.Settings); err != nil {
			return nil, err
		}
		node, detail, _ := strings.Cut(where, ":")
		ev := reports.Event{Kind: reports.FaultInject, Node: node, Subject: s.Kind.String(),
			Detail: detail}
		r.event(ev)
		pending.faults = append(pending.faults, ev)
	}
	pending.heals = make([]faults.Heal, len(all))
	errs, held := make([]error, len(all)), make([]time.Duration, len(all))
	var injecting sync.WaitGroup
	for i, fault := range all {
		injecting.Go(func() {
			if pending.heals[i], errs[i] = fault.Inject(ctx, r.lab); errs[i] == nil {
				held[i] = r.lab.Now()
				r.say(fmt.Sprintf("%s: took hold", fault))
			}
		})
	}
	injecting.Wait()
	for i, ev := range pending.faults {
		if ev.Kind, ev.At = reports.FaultHold, held[i]; errs[i] == nil {
			r.sink(ev)
		}
	}
	if err := errors.Join(errs...); err != nil {
		// What took hold is undone; a heal that fails is reported beside why.
		pending.heals = slices.DeleteFunc(pending.heals, func(h faults.Heal) bool { return h == nil })
		return nil, errors.Join(err, pending.all(context.WithoutCancel(ctx)))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heals = append(r.heals, pending)
	return pending, nil
}

// targets turns a target's selector into nodes, each with what followed the selector.
func (r *run) targets(where string) ([]string, error) {
	targets, err := Targets(r.scenario.Topology, where)
	if err != nil {
		return nil, err
	}
	for i := range targets {
		if targets[i], err = r.resolve(targets[i]); err != nil {
			return nil, err
		}
	}
	return targets, nil
}

// resolve turns @master and @backup into a node's name.
func (r *run) resolve(where string) (string, error) {
	selector, rest, hasRest := strings.Cut(where, ":")
	name := selector
	switch selector {
	case "@master", "@backup":
		var err error
		if name, err = r.directorBy(selector); err != nil {
			return "", fmt.Errorf("resolve %s: %w", where, err)
		}
	}
	if hasRest {
		return name + ":" + rest, nil
	}
	return name, nil
}

func (r *run) directorBy(selector string) (string, error) {
	master, ok := r.owners.sole()
	if len(r.scenario.Topology.VIPs) == 0 {
		master, ok = Best(r.scenario.Topology), true
	}
	if !ok {
		return "", fmt.Errorf("no director alone holds every VIP (%s)", r.owners)
	}
	if selector == "@master" {
		return master, nil
	}
	for _, n := range r.scenario.Topology.NodesOf(topology.Director) {
		if n.Name != master {
			return n.Name, nil
		}
	}
	return "", errors.New("there is one director only")
}

// HealAll heals every fault that holds, the last one first.
type HealAll struct{}

func (HealAll) String() string { return "heal" }

func (HealAll) do(ctx context.Context, r *run) error { return r.healAll(ctx) }

// Requests sends a number of requests from a client, one strictly after the other: who answers is
// what the scheduler decided.
type Requests struct {
	Client string
	Count  int
}

func (s Requests) String() string {
	return fmt.Sprintf("send %d requests one after another from %s", s.Count, s.Client)
}

func (s Requests) do(ctx context.Context, r *run) error {
	n, ok := r.lab.Node(s.Client)
	if !ok {
		return fmt.Errorf("send requests: there is no node %s", s.Client)
	}
	if len(r.scenario.Topology.Services) == 0 {
		return errors.New("send requests: the topology has no virtual service")
	}
	service := r.scenario.Topology.Services[0]
	to := probe.HTTPConfig{Target: service.Addr, Protocol: service.Protocol, Limit: 2 * time.Second}
	requests, err := probe.Serial(ctx, n, to, s.Count)
	for _, q := range requests {
		r.recorder.Request(q)
	}
	return err
}

// Await waits until a condition holds. That it does not within the limit is no error: the bounds
// judge what was seen.
type Await struct {
	Condition Condition
	Limit     time.Duration
}

func (s Await) String() string { return "await " + s.Condition.String() }

func (s Await) do(ctx context.Context, r *run) error {
	limited, cancel := context.WithTimeout(ctx, s.Limit)
	defer cancel()
	err := s.Condition.wait(limited, r)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		text := fmt.Sprint(s.Condition, notCome, round(s.Limit))
		r.say(text)
		r.event(reports.Event{Kind: reports.Note, Subject: text, Detail: err.Error()})
	}
	return nil
}

// Condition is something to wait for.
type Condition interface {
	fmt.Stringer
	wait(ctx context.Context, r *run) error
}

// Takeover holds when another director than the best one alone holds every VIP.
type Takeover struct{}

func (Takeover) String() string { return "the takeover" }

func (Takeover) wait(ctx context.Context, r *run) error {
	first := Best(r.scenario.Topology)
	return r.owners.await(ctx, func(n string) bool { return n != first })
}

// FailBack holds when the best director alone holds every VIP.
type FailBack struct{}

func (FailBack) String() string { return "the fail-back" }

func (FailBack) wait(ctx context.Context, r *run) error {
	first := Best(r.scenario.Topology)
	return r.owners.await(ctx, func(n string) bool { return n == first })
}

// Answers holds when every probe has got so many answers in a row, counted from now.
type Answers struct{ InARow int }

func (c Answers) String() string { return fmt.Sprintf("%d answers in a row", c.InARow) }

func (c Answers) wait(ctx context.Context, r *run) error {
	for _, p := range r.probes {
		if err := p.AwaitAnswered(ctx, c.InARow); err != nil {
			return err
		}
	}
	return nil
}

// FullTable holds when the kernel of every director has every real server in its table.
type FullTable struct{}

func (FullTable) String() string { return "every real server in the table" }

func (FullTable) wait(ctx context.Context, r *run) error {
	for _, n := range r.lab.NodesOf(topology.Director) {
		if err := r.awaitTable(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// startProbes starts the scenario's clients.
func (r *run) startProbes(ctx context.Context) error {
	for _, p := range r.scenario.Probes {
		n, ok := r.lab.Node(p.Client)
		if !ok {
			return fmt.Errorf("start probe: there is no node %s", p.Client)
		}
		if err := r.startProbe(ctx, n, p); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) startProbe(ctx context.Context, n *lab.Node, p Probe) error {
	config := probe.HTTPConfig{Target: p.Target, Rate: p.Rate, Pause: p.Pause,
		Protocol: protocolOf(r.scenario.Topology, p.Target)}
	h, err := probe.NewHTTP(n, config, r.recorder.Request)
	if err != nil {
		return err
	}
	r.probes = append(r.probes, h)
	return r.start(ctx, r.taskContext, h)
}
