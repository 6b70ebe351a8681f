package scenarios

import (
	"fmt"
	"strings"
	"time"

	"github.com/tandemlb/tandem/reports"
)

// measured is a time that one stage of a run took.
type measured struct {
	took time.Duration
	// never says that what was waited for did not come, so that took is worse than every limit.
	never bool
	// nothing, if not empty, says why there is nothing to judge.
	nothing string
	// detail explains it.
	detail string
}

// each makes a bound on a time that every stage of a run takes. What it shows is the stage nearest
// to its limit, or furthest beyond. measure is called for the stages that have a limit; slack is
// what their limits are wider by.
func each(
	name, doc string, limit func(stage) (time.Duration, bool),
	measure func(v *view, s stage, limit time.Duration) measured,
) Bound {
	judge := func(rec *reports.Recording, slack time.Duration) reports.Finding {
		v := newView(rec)
		var worst judged
		n, blank := 0, ""
		for _, s := range v.stages {
			at, ok := limit(s)
			if !ok {
				continue
			}
			j := judged{stage: s, limit: at + slack}
			j.measured = measure(v, s, j.limit)
			if j.nothing != "" {
				blank = j.nothing
				continue
			}
			if n++; n == 1 || j.worse(worst) {
				worst = j
			}
		}
		switch {
		case len(v.stages) == 0:
			return noWindow()
		case blank != "":
			return reports.Finding{Verdict: reports.Inconclusive, Observed: "nothing", Detail: blank}
		case n == 0:
			return reports.Finding{Verdict: reports.Pass, Observed: "no such fault", Limit: "none"}
		}
		return worst.finding(n)
	}
	return Bound{Name: name, Doc: doc, Timing: true, Closed: true, Judge: judge}
}

// judged is a stage, what it took and what it may take.
type judged struct {
	measured
	stage stage
	limit time.Duration
}

// worse says whether a stage is further beyond its limit than another one, or where neither is,
// took more of it.
func (j judged) worse(than judged) bool {
	if j.never || than.never {
		return j.never && !than.never
	}
	if j.took > j.limit || than.took > than.limit {
		return j.took-j.limit > than.took-than.limit
	}
	return j.took.Seconds()*than.limit.Seconds() > than.took.Seconds()*j.limit.Seconds()
}

func (j judged) finding(of int) reports.Finding {
	f := atMost(j.took, j.limit)
	if j.never {
		f.Verdict, f.Observed = reports.Fail, "never"
	}
	if f.Verdict != reports.Pass {
		f.Detail = fmt.Sprintf("the worst of %d faults, %s at %s: %s", of, j.stage.fault.Label(),
			round(j.stage.fault.From), j.detail)
	}
	return f
}

// eachFault makes a bound on a time that every fault takes until its heal.
func eachFault(
	name, doc string, limit func(stage) time.Duration,
	measure func(*view, reports.Window) measured,
) Bound {
	return each(name, doc, func(s stage) (time.Duration, bool) { return limit(s), true },
		func(v *view, s stage, _ time.Duration) measured { return measure(v, s.fault.Window) })
}

// eachHeal makes a bound on a time that every heal takes until the next fault.
func eachHeal(
	name, doc string, limit func(stage) time.Duration,
	measure func(*view, reports.Window) measured,
) Bound {
	return each(name, doc, func(s stage) (time.Duration, bool) { return limit(s), s.whole },
		func(v *view, s stage, _ time.Duration) measured { return measure(v, s.after) })
}

// eachOutageWithin bounds the longest gap that any client saw in each fault.
func eachOutageWithin(a allowance) Bound {
	return eachFault(reports.OutageBound, "No client goes unserved after any fault for longer than "+
		"the protocol needs, and not at all for the backup's sake.",
		func(s stage) time.Duration { return a.of(s).outage }, (*view).outage)
}

// eachFailBackWithin bounds the longest gap that any client saw after each heal.
func eachFailBackWithin(a allowance) Bound {
	return eachHeal("fail-back outage", "No client goes unserved after any heal for longer than the "+
		"protocol needs.", func(s stage) time.Duration { return a.of(s).failBack }, (*view).outage)
}

// eachOneOwner demands that in each fault one director alone comes to hold every VIP, and does
// until the heal.
func eachOneOwner(a allowance) Bound {
	return each("one owner", "After each fault all VIPs come to one director in time, and are "+
		"on no other, and stay there; only a fault of the master moves them.",
		func(s stage) (time.Duration, bool) { return a.of(s).settle, true },
		func(v *view, s stage, _ time.Duration) measured { return v.settled(s.struck) })
}

// eachBackTogether demands the same after each heal, until the next fault.
func eachBackTogether(a allowance) Bound {
	return eachHeal("one owner again", "After each heal all VIPs come to one director in time, and "+
		"are on no other, and stay there until the next fault.",
		func(s stage) time.Duration { return a.of(s).together }, (*view).settled)
}

// eachOutOfService demands that no request is lost to a real server that is down, once the check
// has had time to see it.
func eachOutOfService(a allowance) Bound {
	return each("out of service", fmt.Sprintf("No request sent later than %s after a real server "+
		"went down is lost.", round(a.outOfService())),
		func(s stage) (time.Duration, bool) { return a.outOfService() + s.spread, s.only(partServer) },
		func(v *view, s stage, limit time.Duration) measured { return v.lastLost(s, limit) })
}

// eachBackInService demands that every real server answers again after each heal.
func eachBackInService(a allowance) Bound {
	b := eachHeal("back in service", "After each heal every real server answers requests in time.",
		func(s stage) time.Duration { return a.inService(a.of(s).failBack) }, (*view).allAnswered)
	judge := b.Judge
	// A stall enters twice: as in a failover, and then in a check that fails for it and its next turn.
	b.Judge = func(rec *reports.Recording, slack time.Duration) reports.Finding {
		return judge(rec, 2*slack)
	}
	return b
}

// outage measures the longest gap of a window.
func (v *view) outage(w reports.Window) measured {
	if reports.Count(v.rec, w).Sent == 0 {
		return measured{nothing: "no client sent anything"}
	}
	gap := reports.Outage(v.rec, w)
	return measured{took: gap.Length(), detail: fmt.Sprintf(
		"%s got no answer from %s to %s, %d requests", gap.Client, round(gap.From), round(gap.To),
		gap.Lost)}
}

// settled measures how long the VIPs took to their one owner.
func (v *view) settled(w reports.Window) measured {
	at, ok := settled(v.owners, w)
	if !ok {
		return measured{never: true, detail: "at the end of it: " + holdersAt(v.rec, w.To-1)}
	}
	return measured{took: at - w.From, detail: fmt.Sprintf("before %s: %s", round(at),
		holdersAt(v.rec, at-1))}
}

// lastLost measures when the last lost request of a fault was sent.
func (v *view) lastLost(s stage, limit time.Duration) measured {
	w := s.fault.Window
	if w.Length() <= limit {
		return measured{nothing: "the fault did not last longer than the limit"}
	}
	last, lost := lostIn(v.rec, w)
	return measured{took: last - w.From, detail: fmt.Sprintf("%d requests were lost", lost)}
}

// allAnswered measures how long the last of the real servers took to answer.
func (v *view) allAnswered(w reports.Window) measured {
	first := map[string]time.Duration{}
	for _, q := range v.rec.Requests {
		if _, known := first[q.Server]; w.Contains(q.Sent) && q.Outcome == reports.Answered && !known {
			first[q.Server] = q.Sent - w.From
		}
	}
	var m measured
	var silent []string
	for _, server := range reports.Servers(v.rec) {
		took, ok := first[server]
		if !ok {
			silent = append(silent, server)
		}
		if took > m.took {
			m.took, m.detail = took, server+" was the last one"
		}
	}
	if len(silent) > 0 {
		m.never, m.detail = true, strings.Join(silent, " and ")+" answered nothing"
	}
	return m
}

// notCome is in the notes of what a scenario waited for in vain.
const notCome = " did not come within "

// everythingCame demands that whatever the scenario waits for comes. Any stall can explain that it
// does not, for how long it would have taken nobody knows.
func everythingCame() Bound {
	return Bound{
		Name: "steady again", Timing: true, Closed: true,
		Doc: "Whatever the scenario waits for comes: takeover, fail-back, full tables, answers.",
		Judge: func(rec *reports.Recording, slack time.Duration) reports.Finding {
			f := reports.Finding{Verdict: reports.Pass, Observed: "everything", Limit: "everything"}
			if slack > 0 && Stall(rec) > stallTolerance {
				return f
			}
			late := 0
			for _, ev := range rec.Events {
				if ev.Kind != reports.Note || !strings.Contains(ev.Subject, notCome) {
					continue
				}
				if late++; late == 1 {
					f.Detail = fmt.Sprintf("at %s: %s", round(ev.At), ev.Subject)
				}
			}
			if late > 0 {
				f.Verdict, f.Observed = reports.Fail, fmt.Sprintf("%d things did not come", late)
			}
			return f
		},
	}
}

// measureFaults are the figures over the faults of a run that has several.
func measureFaults(rec *reports.Recording, all []reports.Fault) []reports.Measure {
	var worst reports.Gap
	var of reports.Fault
	for _, f := range all {
		if gap := reports.Outage(rec, f.Window); gap.Length() > worst.Length() {
			worst, of = gap, f
		}
	}
	c := reports.Count(rec, reports.Whole(rec))
	measures := []reports.Measure{
		{Name: "faults", Value: fmt.Sprint(len(all)), Doc: "injected one after another"},
		{Name: "worst outage", Value: strings.TrimSpace(round(worst.Length()) + " " + of.Label()),
			Doc: "longest gap of unanswered requests of one client during a fault"},
		{Name: "requests lost", Value: fmt.Sprintf("%d of %d", c.Lost(), c.Sent),
			Doc: "in the whole run"},
	}
	for _, v := range rec.VIPs {
		measures = append(measures, reports.Measure{Name: "both hold " + v.Name,
			Value: round(reports.Both(rec, v.Addr, reports.Whole(rec))),
			Doc:   "time in which more than one director's kernel held the VIP, all faults together"})
	}
	return measures
}
