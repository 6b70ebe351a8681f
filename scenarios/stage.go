package scenarios

import (
	"slices"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// stage is one fault of a run that has several, and the calm after it.
type stage struct {
	fault reports.Fault
	// after is from the heal to the next fault, or to the end.
	after reports.Window
	// whole says that after is over, as the scenario has it.
	whole bool
	// whom the fault struck.
	whom part
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

// newView finds the stages of a recording. A fault that was not healed by a step of the scenario is
// none, nor is a calm one that no step ended: the run was broken off in it.
func newView(rec *reports.Recording) *view {
	v := &view{rec: rec, owners: ownersOf(rec)}
	all := reports.Faults(rec)
	for i, f := range all {
		if !f.Healed || !begins(rec, f.Window, HealAll{}) {
			continue
		}
		s := stage{fault: f, whom: v.struck(f)}
		s.after = reports.Window{Name: "after " + f.Name, From: f.To, To: rec.Length}
		if i+1 < len(all) {
			s.after.To, s.whole = max(all[i+1].From, f.To), true
		} else {
			s.whole = begins(rec, s.after, Finish{})
		}
		v.stages = append(v.stages, s)
	}
	return v
}

// kind is the sort of the fault; of one that this program does not know the zero Kind, which has
// the limits of a takeover.
func (s stage) kind() faults.Kind {
	kind, _ := faults.ParseKind(s.fault.Name)
	return kind
}

// begins says whether a step begins in a window.
func begins(rec *reports.Recording, w reports.Window, step Step) bool {
	return slices.ContainsFunc(rec.Events, func(ev reports.Event) bool {
		return ev.Kind == reports.StepBegin && ev.Subject == step.String() && w.Contains(ev.At)
	})
}

// struck says whom a fault struck: a director that held a VIP just before was the master.
func (v *view) struck(f reports.Fault) part {
	isServer := slices.ContainsFunc(v.rec.Nodes, func(n reports.Node) bool {
		return n.Name == f.Node && n.Role == topology.RealServer.String()
	})
	if isServer {
		return partServer
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

// limits are those of the drills that have the same fault alone. A fault of the backup or of a real
// server moves no VIP; one of the backup costs no client anything.
func (a allowance) limits(kind faults.Kind, whom part) limits {
	check := a.check()
	quiet := Allowance + a.interval
	switch whom {
	case partServer:
		return limits{outage: checkDeadline(check) + quiet, failBack: quiet}
	case partBackup:
		return limits{outage: quiet, failBack: quiet}
	case partMaster:
	}
	l := masterLimits(a.topology, kind)
	l.outage += a.interval
	l.failBack += a.interval
	if kind == faults.LinkDown {
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
// found again, or a director is, and then until its turn comes.
func (a allowance) inService(kind faults.Kind, whom part) time.Duration {
	turn := time.Duration(len(a.topology.NodesOf(topology.RealServer))) * a.interval
	return max(a.limits(kind, whom).failBack, checkRecovery(a.check())+Allowance) + turn
}

// check is the health check of the topology's service; the zero Check where it has none.
func (a allowance) check() topology.Check {
	if len(a.topology.Services) == 0 {
		return topology.Check{}
	}
	return a.topology.Services[0].Check
}
