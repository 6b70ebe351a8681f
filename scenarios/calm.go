package scenarios

import (
	"fmt"
	"strings"
	"time"

	"github.com/tandemlb/tandem/reports"
)

// calm is the part of a run, from a step to the recording's end, in which nothing is broken.
type calm struct {
	// step begins the name of the step, while says in a sentence what goes on.
	step, while string
	// patience is how long a stall must be, as slack, to explain a transition. 0: on the clock of
	// such a run none can explain anything.
	patience time.Duration
}

// window is the calm of a recording; false: the step did not begin.
func (c calm) window(rec *reports.Recording) (reports.Window, bool) {
	for _, ev := range rec.Events {
		if ev.Kind == reports.StepBegin && strings.HasPrefix(ev.Subject, c.step) {
			return reports.Window{Name: c.while, From: ev.At, To: rec.Length}, true
		}
	}
	return reports.Window{}, false
}

// nothing is the finding where there was no calm, or nothing in it to judge.
func (c calm) nothing(why string) reports.Finding {
	return reports.Finding{Verdict: reports.Inconclusive, Observed: "nothing", Detail: why}
}

// bound makes a bound on the calm.
func (c calm) bound(
	name, doc string,
	judge func(rec *reports.Recording, w reports.Window, slack time.Duration) reports.Finding,
) Bound {
	return Bound{Name: name, Doc: doc, Timing: c.patience > 0, Closed: true,
		Judge: func(rec *reports.Recording, slack time.Duration) reports.Finding {
			w, ok := c.window(rec)
			if !ok {
				return c.nothing("the step was not reached in which " + c.while)
			}
			return judge(rec, w, slack)
		}}
}

// none judges a number that must be 0; first explains it where it is not.
func none(n int, first string) reports.Finding {
	f := reports.Finding{Verdict: reports.Pass, Observed: fmt.Sprint(n), Limit: "0"}
	if n > 0 {
		f.Verdict, f.Detail = reports.Fail, first
	}
	return f
}

// noTransition demands that no VIP moves and nobody begins or ceases to advertise.
func (c calm) noTransition() Bound {
	return c.bound("transitions", "While "+c.while+" no VIP comes or goes, and no director begins "+
		"or ceases to advertise.",
		func(rec *reports.Recording, w reports.Window, slack time.Duration) reports.Finding {
			if c.patience > 0 && slack >= c.patience {
				return none(0, "")
			}
			return none(transitions(rec, w))
		})
}

// transitions counts the transitions in a window and describes the first one.
func transitions(rec *reports.Recording, w reports.Window) (n int, first string) {
	for _, ev := range rec.Events {
		moved := ev.Kind == reports.VIPAdd || ev.Kind == reports.VIPRemove || ev.Kind == reports.State
		if !moved || !w.Contains(ev.At) {
			continue
		}
		if n++; n == 1 {
			first = fmt.Sprintf("at %s: %s %s %s %s", round(ev.At), ev.Node, ev.Kind, ev.Subject,
				ev.Detail)
		}
	}
	return n, first
}

// nothingLost demands that every request is answered. A stall explains one that got no answer in
// time, if it was sent near the stall; one that explains a transition explains any that was lost near
// it.
func (c calm) nothingLost() Bound {
	return c.bound("requests lost", "While "+c.while+" every request is answered.",
		func(rec *reports.Recording, w reports.Window, slack time.Duration) reports.Finding {
			if reports.Count(rec, w).Sent == 0 {
				return c.nothing("no client sent anything")
			}
			_, all := lostIn(rec, w)
			n, first := c.unexplained(rec, w)
			switch {
			case n == 0 && slack > 0:
				return none(0, "")
			case n == 0:
				return none(all, "all of them near a stall of the machine")
			}
			return none(all, fmt.Sprintf("%d that no stall explains, the first one sent at %s: %s", n,
				round(first.Sent), strings.TrimSpace(string(first.Outcome)+" "+first.Detail)))
		})
}

// unexplained counts the lost requests of a window that no stall of the machine explains, and
// returns the first one.
func (c calm) unexplained(
	rec *reports.Recording, w reports.Window,
) (n int, first reports.Request) {
	stalls, slack := stallsOf(rec), stallFactor*Stall(rec)
	moved := c.patience > 0 && slack >= c.patience
	for _, q := range rec.Requests {
		silent := q.Outcome == reports.Timeout || q.Outcome == reports.Late
		if !w.Contains(q.Sent) || q.Outcome == reports.Answered ||
			(silent || moved) && near(q, stalls, slack) {
			continue
		}
		if n++; n == 1 {
			first = q
		}
	}
	return n, first
}

// stallsOf are the planned times of the requests that the machine was late with, however little
// beyond what the probe tolerates: it takes less to lose a request than to be late to send one.
func stallsOf(rec *reports.Recording) []time.Duration {
	var at []time.Duration
	for _, q := range rec.Requests {
		if q.Late > 0 {
			at = append(at, q.Sent)
		}
	}
	return at
}

// near says whether a request was sent within slack of a stall.
func near(q reports.Request, stalls []time.Duration, slack time.Duration) bool {
	for _, at := range stalls {
		if (q.Sent - at).Abs() <= slack {
			return true
		}
	}
	return false
}
