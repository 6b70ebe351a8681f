// Package drills reads and writes drills as files, *.drill.yml: a hypothesis, faults at times, and what
// is expected. It makes scenarios of them, draws random ones, and shrinks one that fails. It runs
// nothing and reads no files itself.
package drills

import (
	"fmt"
	"slices"
	"time"

	"github.com/tandemlb/tandem/scenarios"
	"github.com/tandemlb/tandem/topology"
)

// Drill is one drill file as a value. A zero Drill is not valid: Parse and Random make drills.
type Drill struct {
	// Name is what reports call it: lower-case letters, digits and dashes.
	Name string
	// Doc says in a sentence or two what happens and what must hold.
	Doc string
	// Topology is the network.
	Topology topology.Topology
	// Globals are lines of global_defs that every director has.
	Globals []string
	// Limit is how long the whole run may take; 0: what the method, the start and the recovery may.
	Limit time.Duration
	// Recovery is how long each thing may take to be as before, after the method; 0: DefaultRecovery.
	Recovery time.Duration
	// Probes are the clients, at most one on a node.
	Probes []Probe
	// Method is what is done, in any order.
	Method []Step
	// Survives says what every fault, or every heal, is judged by.
	Survives Survival
	// Bounds are further demands on the whole run.
	Bounds []Expectation
	// Invariants name those that the drill is about: they must apply to it.
	Invariants []string
}

// DefaultRecovery is how long each thing may take to be as before where a drill does not say.
const DefaultRecovery = 20 * time.Second

// Probe is a client and what it tolerates.
type Probe struct {
	scenarios.Probe
	// Tolerances are demands on what this client sees.
	Tolerances []Expectation
}

// Step is one thing of the method.
type Step struct {
	// Name is what the heal of a fault calls it; empty: nothing heals it by name.
	Name string
	// At is when it begins, from the end of the steady state's first second on.
	At time.Duration
	// For is how long a fault lasts; 0: until a step heals it, else to the end of the method.
	For time.Duration
	// Do is what is done: scenarios.Inject, Observe, Requests, Calls or Reloads; nil for a heal.
	Do scenarios.Step
	// Heals names the step whose fault it heals; empty: it is no heal.
	Heals string
}

// Survival is what the faults of a drill are judged by, one by one. The zero Survival is nothing.
type Survival string

// The survivals.
const (
	// Faults: each fault costs clients no more than the protocol needs for it, and after each heal all
	// is as before; see scenarios.EachFault.
	Faults Survival = "faults"
	// Heals: whatever the faults cost, after each heal all is as before; see scenarios.EachHeal.
	Heals Survival = "heals"
)

// Acts is the method as a schedule. A heal of what is not there gets the act -1, which Check refuses.
func (d Drill) Acts() []scenarios.Act {
	acts := make([]scenarios.Act, len(d.Method))
	for i, s := range d.Method {
		acts[i] = scenarios.Act{At: s.At, For: s.For, Step: s.Do}
		if s.Heals != "" {
			acts[i].Step = scenarios.Heal{Act: slices.IndexFunc(d.Method,
				func(other Step) bool { return other.Name == s.Heals })}
		}
	}
	return acts
}

// Ends is when the last step of the method is over by plan.
func (d Drill) Ends() time.Duration {
	var end time.Duration
	for _, act := range d.Acts() {
		end = max(end, act.End())
	}
	return end
}

// startLimit is what a run may take before its method begins.
const startLimit = time.Minute

// limit is how long the whole run may take.
func (d Drill) limit() time.Duration {
	if d.Limit > 0 {
		return d.Limit
	}
	// Each of the three things that are awaited at the end may take as long.
	return startLimit + d.Ends() + 4*d.recovery() + startLimit
}

func (d Drill) recovery() time.Duration {
	if d.Recovery > 0 {
		return d.Recovery
	}
	return DefaultRecovery
}

// rate is that of the slowest client; 0: of the default.
func (d Drill) rate() int {
	rate := 0
	for _, p := range d.Probes {
		if p.Rate > 0 && (rate == 0 || p.Rate < rate) {
			rate = p.Rate
		}
	}
	return rate
}

// Scenario returns what carries the drill out: the steady state, the method, and the recovery.
func (d Drill) Scenario() scenarios.Scenario {
	s := scenarios.Scenario{Name: d.Name, Doc: d.Doc, Topology: d.Topology.Clone(),
		Globals: d.Globals, Limit: d.limit()}
	for _, p := range d.Probes {
		s.Probes = append(s.Probes, p.Probe)
		for _, e := range p.Tolerances {
			s.Bounds = append(s.Bounds, e.tolerance(p.Client))
		}
	}
	s.Steps = []scenarios.Step{scenarios.Steady{}, scenarios.Observe{For: time.Second}}
	if len(d.Method) > 0 {
		s.Steps = append(s.Steps, scenarios.Schedule{Acts: d.Acts()})
	}
	s.Steps = append(s.Steps, scenarios.Recovery(d.Topology, d.rate(), d.recovery())...)
	switch d.Survives {
	case Faults:
		s.Bounds = append(s.Bounds, scenarios.EachFault(d.Topology, d.rate())...)
	case Heals:
		s.Bounds = append(s.Bounds, scenarios.EachHeal(d.Topology, d.rate())...)
	default:
		s.Bounds = append(s.Bounds, scenarios.SteadyAgain())
	}
	for _, e := range d.Bounds {
		s.Bounds = append(s.Bounds, e.bounds(d.Topology)...)
	}
	for _, name := range d.Invariants {
		if r, ok := ruleOf(name); ok {
			s.Bounds = append(s.Bounds, r.bound(s))
		}
	}
	return s
}

// String names the drill and its faults, for example "slow-link: 3 faults in 40s".
func (d Drill) String() string {
	return fmt.Sprintf("%s: %d faults in %s", d.Name, len(d.faults()), d.Ends())
}

// faults are the places of the method's faults in it.
func (d Drill) faults() []int {
	var all []int
	for i, s := range d.Method {
		if _, ok := s.Do.(scenarios.Inject); ok {
			all = append(all, i)
		}
	}
	return all
}
