package scenarios

import (
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// stage is one fault of a run that has several, or some that held at once, and the calm after it.
type stage struct {
	// fault is the first one, with the window until the last one's heal.
	fault reports.Fault
	// blows are all of them in order, spread the time from the first one's injection to the last one's.
	blows  []blow
	spread time.Duration
	// struck is the window in which no director is healed: after that VIPs may move again.
	struck reports.Window
	// after is from the heal to the next fault, or to the end.
	after reports.Window
	// whole says that after is over, as the scenario has it.
	whole bool
	// whom the first fault struck.
	whom part
}

// blow is one fault of a stage.
type blow struct {
	kind faults.Kind
	whom part
}

// only says that every fault of the stage struck such a part.
func (s stage) only(whom part) bool {
	return !slices.ContainsFunc(s.blows, func(b blow) bool { return b.whom != whom })
}

// part is the part that a node plays when a fault strikes it.
type part int

const (
	partMaster part = iota + 1
	partBackup
	partServer
)

// view is a recording and what is counted out of it once for all stages.
type view struct {
	rec    *reports.Recording
	owners [][]reports.Tenure
	stages []stage
}

// newView finds the stages of a recording. Faults that a step of the scenario did not heal are none,
// nor is a calm one that no step ended: the run was broken off in it.
func newView(rec *reports.Recording) *view {
	v := &view{rec: rec, owners: ownersOf(rec)}
	groups := atOnce(reports.Faults(rec))
	for i, all := range groups {
		if slices.ContainsFunc(all, func(f reports.Fault) bool { return !healedByStep(rec, f) }) {
			continue
		}
		s := stage{fault: all[0], spread: all[len(all)-1].From - all[0].From}
		for _, f := range all {
			s.fault.To = max(s.fault.To, f.To)
			s.blows = append(s.blows, blow{kindOf(f), v.struck(f)})
		}
		s.struck = s.fault.Window
		for i, f := range all {
			if s.blows[i].whom != partServer {
				s.struck.To = min(s.struck.To, f.To)
			}
		}
		s.whom = s.blows[0].whom
		s.after = reports.Window{Name: "after " + s.fault.Name, From: s.fault.To, To: rec.Length}
		if i+1 < len(groups) {
			s.after.To, s.whole = groups[i+1][0].From, true
		} else {
			s.whole = begins(rec, s.after, Finish{})
		}
		v.stages = append(v.stages, s)
	}
	return v
}

// atOnce parts faults, in order of their injection, into those that held one with another.
func atOnce(all []reports.Fault) [][]reports.Fault {
	var groups [][]reports.Fault
	var until time.Duration
	for _, f := range all {
		if n := len(groups); n > 0 && f.From < until {
			groups[n-1] = append(groups[n-1], f)
		} else {
			groups = append(groups, []reports.Fault{f})
		}
		until = max(until, f.To)
	}
	return groups
}

// healedByStep says that a step healed a fault: HealAll, or a Schedule.
func healedByStep(rec *reports.Recording, f reports.Fault) bool {
	return f.Healed && slices.ContainsFunc(rec.Events, func(ev reports.Event) bool {
		return ev.Kind == reports.StepBegin && f.From <= ev.At && ev.At <= f.To &&
			(ev.Subject == HealAll{}.String() || strings.HasPrefix(ev.Subject, healing+f.Name))
	})
}

// kindOf is the sort of a fault; of one that this program does not know the zero Kind, which has the
// limits of a takeover.
func kindOf(f reports.Fault) faults.Kind {
	kind, _ := faults.ParseKind(f.Name)
	return kind
}

// begins says whether a step begins in a window.
func begins(rec *reports.Recording, w reports.Window, step Step) bool {
	return slices.ContainsFunc(rec.Events, func(ev reports.Event) bool {
		return ev.Kind == reports.StepBegin && ev.Subject == step.String() && w.Contains(ev.At)
	})
}

// struck says whom a fault struck: a director that held a VIP just before was the master, and so is
// any where there are no VIPs.
func (v *view) struck(f reports.Fault) part {
	is := func(role topology.Role) bool {
		return slices.ContainsFunc(v.rec.Nodes, func(n reports.Node) bool {
			return n.Name == f.Node && n.Role == role.String()
		})
	}
	switch {
	case is(topology.RealServer):
		return partServer
	case len(v.rec.VIPs) == 0 && is(topology.Director):
		return partMaster
	}
	for _, tenures := range v.owners {
		for _, t := range tenures {
			if t.From < f.From && f.From <= t.To && slices.Contains(t.Nodes, f.Node) {
				return partMaster
			}
		}
	}
	return partBackup
}

// allowance says what each stage of a run may cost.
type allowance struct {
	topology topology.Topology
	// interval is that of the clients' requests: no gap is known better.
	interval time.Duration
}

// of are the limits of a stage: those of all its faults together.
func (a allowance) of(s stage) limits {
	var sum limits
	for _, b := range s.blows {
		l := a.limits(b.kind, b.whom)
		sum.outage += l.outage
		sum.settle += l.settle
		sum.failBack += l.failBack
		sum.together += l.together
	}
	sum.settle += s.spread
	if len(s.blows) > 1 {
		sum.outage += sum.failBack // one may be healed while another holds
	}
	return sum
}

// limits are those of the drills that have the same fault alone. A fault of the backup or of a real
// server moves no VIP; one of the backup costs no client anything.
func (a allowance) limits(kind faults.Kind, whom part) limits {
	check := a.check()
	quiet := Allowance + a.interval
	e, _ := entitlementOf(kind)
	switch {
	case whom == partServer:
		return limits{outage: checkDeadline(check) + quiet, failBack: quiet}
	case whom == partBackup && !e.deaf:
		return limits{outage: quiet, failBack: quiet}
	}
	l := e.limits(a.topology)
	l.outage += a.interval
	l.failBack += a.interval
	if e.rechecks {
		// The master may come back before its next check finds the real servers again.
		l.failBack = max(l.failBack, checkRecovery(check)+quiet)
	}
	return l
}

// outOfService is how long requests may be lost to a real server that is down.
func (a allowance) outOfService() time.Duration {
	return checkDeadline(a.check()) + Allowance + a.interval
}

// inService is how long after a heal each real server may take to answer a request: until it is
// found again, or a director is, which takes failBack, and then until its turn comes.
func (a allowance) inService(failBack time.Duration) time.Duration {
	turn := time.Duration(len(a.topology.NodesOf(topology.RealServer))) * a.interval
	return max(failBack, checkRecovery(a.check())+Allowance) + turn
}

// check is the health check of the topology's service; the zero Check where it has none.
func (a allowance) check() topology.Check {
	if len(a.topology.Services) == 0 {
		return topology.Check{}
	}
	return a.topology.Services[0].Check
}
