package scenarios

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/reports"
)

// controlBound is the name of the finding on the control run.
const controlBound = "control run"

// Control returns a scenario with everything left out that its run with a seed would break or
// change: the same network, clients and, where nothing has to be waited for, times. It is judged by
// the invariants alone. What it shows is the machine's doing, or a director's that is broken from the
// start.
func Control(s Scenario, seed uint64) Scenario {
	var steps []Step
	for _, step := range s.StepsOf(seed) {
		switch step := step.(type) {
		case Inject, Misconfigure, HealAll:
		case Reloads:
			steps = append(steps, Observe{For: time.Duration(len(step.Files)) * step.Every})
		case Schedule:
			steps = append(steps, step.withoutFaults())
		case Await:
			steps = append(steps, withoutFault(step))
		default:
			steps = append(steps, step)
		}
	}
	s.Name, s.Plan, s.Steps, s.Bounds = s.Name+"-control", nil, steps, nil
	s.Doc = "Control run: nothing is broken. " + s.Doc
	return s
}

// withoutFault is a step that waits, where what it waits for may be a fault's doing. Then half of
// its limit passes, which is how long it is meant to take.
func withoutFault(s Await) Step {
	switch s.Condition.(type) {
	case FailBack, FullTable, Answers:
		return s
	}
	return Observe{For: s.Limit / 2}
}

// NoiseOf returns what the report of a control run of a scenario says of the machine.
func NoiseOf(s Scenario, control reports.Report) reports.Noise {
	rec := &control.Recording
	from, ok := steadyAt(rec)
	if !ok {
		from = rec.Length
	}
	n := reports.NoiseOf(rec, from, s.Topology.VRRP.Advert)
	n.Verdict, n.Summary = control.Verdict, control.Summary
	return n
}

// controlled is the finding on the control run of a recording; false: none was made.
func controlled(rec *reports.Recording) (reports.Finding, bool) {
	n := rec.Noise
	if n == nil {
		return reports.Finding{}, false
	}
	f := reports.Finding{Bound: controlBound, Verdict: n.Verdict,
		Doc: fmt.Sprintf("With nothing broken every invariant holds; what is late then, up to %s, "+
			"widens the limits on time.", round(maxNoise)),
		Observed: fmt.Sprintf("%d of %d requests lost, %s late", n.Lost, n.Requests, round(n.Floor())),
		Limit:    "nothing lost"}
	if n.Verdict != reports.Pass {
		f.Detail = n.Summary
	}
	return f, true
}
