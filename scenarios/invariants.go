package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// Rule is an invariant: what holds in every run of every scenario that it applies to, whatever is
// broken in it. Every applicable one is judged beside the scenario's own bounds.
type Rule struct {
	// Name is short, and the name of its bound in reports; Doc is what is demanded, in one sentence.
	Name, Doc string
	// Applies says whether the rule means anything for a scenario.
	Applies func(s Scenario) bool
	// judge looks at what was recorded; slack widens its limits on time.
	judge func(h *history, slack time.Duration) reports.Finding
	// sees is the kind of events without which nothing can be judged: recordings of older programs
	// have none of it. Empty: those that all have.
	sees reports.Kind
	// last says that it looks at the end of the run, which a broken-off one does not have.
	last bool
}

// The names of the invariants.
const (
	OneOwner     = "one owner per VIP"
	Together     = "VIPs together"
	Reachable    = "owner is reachable"
	AdvertsCome  = "adverts come"
	InTurn       = "takeover in turn"
	TableRight   = "table is right"
	DeadStaysOut = "dead server stays out"
	NothingLost  = "nothing lost in peace"
	Converges    = "converges"
)

// Invariants returns every invariant, each time new values, in the order of reports.
func Invariants() []Rule {
	return []Rule{
		{Name: OneOwner, Applies: hasVIPs, judge: (*history).oneOwner,
			Doc: fmt.Sprintf("But for the time that a fault of a director or its heal takes, each VIP is "+
				"on one director and on no other, with no exception longer than %s.", round(Allowance))},
		{Name: Together, Applies: hasGroup, judge: (*history).together,
			Doc: fmt.Sprintf("All VIPs of a sync group are on the same director at the same times, with "+
				"no exception longer than %s, but for the time that a fault of a director or its heal "+
				"takes.", round(Allowance))},
		{Name: Reachable, Applies: hasVIPs, judge: (*history).reachable, sees: reports.Bridge,
			Doc: "The one director that has a VIP is the one that says so, by ARP or neighbour " +
				"discovery, and the one to which the network sends frames for the MAC address that it gives."},
		{Name: AdvertsCome, Applies: hasVIPs, judge: (*history).advertsCome,
			Doc: "A director that has VIPs, and suffers from no fault, is never late to advertise them " +
				"by half of its interval."},
		{Name: InTurn, Applies: keepsTime, judge: (*history).inTurn,
			Doc: fmt.Sprintf("A director begins to advertise when its master has been silent for the "+
				"master-down time of its priority, or its skew time after the master has left: not "+
				"later, and not sooner, by more than %s.", round(turnTolerance))},
		{Name: TableRight, Applies: keepsTable, judge: (*history).tableRight, sees: reports.TableSet,
			Doc: "Each director's IPVS table has every configured real server with its weight, but for " +
				"those that are down: these leave, and come back, within the deadline of their check."},
		{Name: DeadStaysOut, Applies: keepsTable, judge: (*history).deadStaysOut,
			sees: reports.TableSet,
			Doc: "A real server that a director has taken out of service gets no new connection from " +
				"it, and does not come back, until it is healed."},
		{Name: NothingLost, Applies: hasClients, judge: (*history).nothingLost,
			Doc: "Every request is answered that is sent while no fault, and no heal, still has a right " +
				"to cost anything: planned changes cost nothing."},
		{Name: Converges, Applies: hasVIPs, judge: (*history).converges, last: true,
			Doc: "Within its limit after the last heal the best director alone has all VIPs, and every " +
				"table every real server, for good."},
	}
}

// Invariant returns the invariant of a name. The error for an unknown name lists the names.
func Invariant(name string) (Rule, error) {
	all := Invariants()
	var names []string
	for _, r := range all {
		if r.Name == name {
			return r, nil
		}
		names = append(names, r.Name)
	}
	return Rule{}, fmt.Errorf("find invariant %q: there are %s", name, strings.Join(names, ", "))
}

// Bound returns the bound that judges a scenario's recordings by the invariant.
func (r Rule) Bound(s Scenario) Bound {
	return Bound{Name: r.Name, Doc: r.Doc, Timing: true, Closed: !r.last,
		Judge: func(rec *reports.Recording, slack time.Duration) reports.Finding {
			h, ok := newHistory(s, rec)
			switch {
			case !ok:
				return reports.Finding{Verdict: reports.Inconclusive, Observed: "nothing",
					Detail: "the steady state was not reached"}
			case !h.has(r.sees):
				return stood("not recorded")
			}
			return r.judge(h, slack)
		}}
}

// boundsOf are the scenario's own bounds, then the invariants that apply and are not among them. A
// run that did not reach its steady state, of which another finding tells, is judged by none.
func boundsOf(s Scenario, rec *reports.Recording) []Bound {
	bounds := s.Bounds[:len(s.Bounds):len(s.Bounds)]
	if _, ok := steadyAt(rec); !ok {
		return bounds
	}
	for _, r := range Invariants() {
		named := slices.ContainsFunc(bounds, func(b Bound) bool { return b.Name == r.Name })
		if !named && r.Applies(s) {
			bounds = append(bounds, r.Bound(s))
		}
	}
	return bounds
}

func hasVIPs(s Scenario) bool { return len(s.Topology.VIPs) > 0 }

func hasGroup(s Scenario) bool { return len(s.Topology.VIPs) > 1 }

func hasClients(s Scenario) bool {
	return len(s.Probes) > 0 || hasStep[Requests](s)
}

// keepsTime says that the directors have the intervals of the topology all the time.
func keepsTime(s Scenario) bool { return hasVIPs(s) && !hasStep[Misconfigure](s) }

// keepsTable says that the configured real servers are those of the topology all the time.
func keepsTable(s Scenario) bool {
	return len(s.Topology.Services) > 0 && !hasStep[Reloads](s) &&
		!hasStep[Misconfigure](s) && !hasStep[Rearrange](s)
}

// hasStep says whether a scenario has a step of a type among those that it always has.
func hasStep[T Step](s Scenario) bool {
	return slices.ContainsFunc(flat(s.Steps), func(step Step) bool {
		_, ok := step.(T)
		return ok
	})
}

// history is a recording as invariants look at it.
type history struct {
	scenario Scenario
	rec      *reports.Recording
	// watched is from the steady state to the end.
	watched reports.Window
	faults  []reports.Fault
	// owners are the tenures of each VIP.
	owners [][]reports.Tenure
}

// newHistory prepares a recording; false: the scenario's second step did not begin.
func newHistory(s Scenario, rec *reports.Recording) (*history, bool) {
	from, ok := steadyAt(rec)
	h := &history{scenario: s, rec: rec, faults: reports.Faults(rec), owners: ownersOf(rec)}
	h.watched = reports.Window{Name: "watched", From: from, To: rec.Length}
	return h, ok
}

// steadyAt is when the steady state was reached: when the second step began.
func steadyAt(rec *reports.Recording) (time.Duration, bool) {
	steps := reports.Steps(rec)
	if len(steps) < 2 {
		return 0, false
	}
	return steps[1].From, true
}

// has says whether the recording has events of a kind; of the empty one every recording has.
func (h *history) has(kind reports.Kind) bool {
	return kind == "" || slices.ContainsFunc(h.rec.Events, func(ev reports.Event) bool {
		return ev.Kind == kind
	})
}

// role is that of a node; "" for one that is not there.
func (h *history) role(node string) string {
	for _, n := range h.rec.Nodes {
		if n.Name == node {
			return n.Role
		}
	}
	return ""
}

// unrest are the windows in which faults may move VIPs, wider by slack.
func (h *history) unrest(slack time.Duration) []reports.Window {
	var all []reports.Window
	for _, f := range h.faults {
		if h.ofServer(f) {
			continue
		}
		l := h.limitsOf(f)
		again := reports.Window{Name: "after " + f.Name, From: f.To, To: f.To + l.together + slack}
		switch h.entitled(f).vips {
		case never:
		case brief:
			all = append(all, again, reports.Window{Name: f.Name, From: f.From,
				To: min(f.To, f.From+l.settle+slack)})
		case lasting:
			again.To += StartAllowance
			all = append(all, again, f.Window)
		}
	}
	return all
}

// astray are the windows in which faults may have frames for a VIP sent to another node than its
// owner, wider by slack: those of unrest among them.
func (h *history) astray(slack time.Duration) []reports.Window {
	all := h.unrest(slack)
	for _, f := range h.faults {
		if !h.ofServer(f) && h.entitled(f).way == lasting {
			all = append(all, reports.Window{Name: f.Name, From: f.From,
				To: f.To + h.limitsOf(f).failBack + slack})
		}
	}
	return all
}

// costly are the windows in which faults may cost requests, wider by slack. A request that was on
// its way when the fault came belongs to it.
func (h *history) costly(slack time.Duration) []reports.Window {
	all := h.unrest(slack)
	for _, f := range h.faults {
		if h.ofServer(f) {
			all = append(all, h.unnoticed(f, slack))
			continue
		}
		e, l := h.entitled(f), h.limitsOf(f)
		back := l.together
		if e.rechecks {
			back += checkRecovery(h.check())
		}
		again := reports.Window{Name: "after " + f.Name, From: f.To, To: f.To + back + slack}
		switch e.requests {
		case never:
		case brief:
			all = append(all, again, reports.Window{Name: f.Name, From: f.From,
				To: min(f.To, f.From+l.outage+slack)})
		case lasting:
			all = append(all, again, f.Window)
		}
	}
	for i := range all {
		all[i].From -= probe.DefaultLimit + h.pause()
	}
	return all
}

// unnoticed is the window in which the fault of a real server may cost requests, wider by slack:
// until the check of every director must have seen it, from when it can.
func (h *history) unnoticed(f reports.Fault, slack time.Duration) reports.Window {
	w := f.Window
	if !mustSee(h.check(), kindOf(f)) {
		return w
	}
	deadline := checkDeadline(h.check()) + Allowance + slack
	w.To = f.From + deadline
	for _, g := range h.faults {
		if !h.ofServer(g) && h.entitled(g).table == lasting && g.From < w.To && f.From < g.To {
			w.To = max(w.To, g.To+h.limitsOf(g).together+deadline)
		}
	}
	w.To = min(w.To, f.To)
	return w
}

// pause is the longest that a client stops within a request.
func (h *history) pause() time.Duration {
	var longest time.Duration
	for _, p := range h.scenario.Probes {
		longest = max(longest, p.Pause)
	}
	return longest
}

// check is the health check of the scenario's first service.
func (h *history) check() topology.Check {
	return allowance{topology: h.scenario.Topology}.check()
}

// inAny says whether an offset is in one of some windows.
func inAny(at time.Duration, windows []reports.Window) bool {
	return slices.ContainsFunc(windows, func(w reports.Window) bool { return w.Contains(at) })
}

// outside returns the parts of a window that are in none of some others, in order.
func outside(w reports.Window, others []reports.Window) []reports.Window {
	sorted := slices.Clone(others)
	slices.SortFunc(sorted, func(a, b reports.Window) int { return int(a.From - b.From) })
	var parts []reports.Window
	for _, o := range sorted {
		if o.To <= w.From || o.From >= w.To {
			continue
		}
		if o.From > w.From {
			parts = append(parts, reports.Window{Name: w.Name, From: w.From, To: o.From})
		}
		w.From = o.To
	}
	if w.From < w.To {
		parts = append(parts, w)
	}
	return parts
}

// stood is the finding that an invariant held, what for.
func stood(what string) reports.Finding {
	return reports.Finding{Verdict: reports.Pass, Observed: what, Limit: "always"}
}

// broken is the finding that it did not, with the counter-example.
func broken(format string, args ...any) reports.Finding {
	return reports.Finding{Verdict: reports.Fail, Observed: "broken", Limit: "always",
		Detail: fmt.Sprintf(format, args...)}
}
