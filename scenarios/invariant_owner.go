package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/reports"
)

// oneOwner looks for the longest time outside all unrest in which a VIP had no owner, or several.
func (h *history) oneOwner(slack time.Duration) reports.Finding {
	unrest := h.unrest(slack)
	var worst reports.Tenure
	which := ""
	for i, tenures := range h.owners {
		for _, t := range tenures {
			if len(t.Nodes) == 1 {
				continue
			}
			for _, part := range outside(h.watchedPart(t.From, t.To), unrest) {
				if part.Length() > worst.Length() {
					worst = reports.Tenure{Nodes: t.Nodes, From: part.From, To: part.To}
					which = h.rec.VIPs[i].Name
				}
			}
		}
	}
	f := atMost(worst.Length(), Allowance+slack)
	if f.Verdict == reports.Fail {
		f.Detail = fmt.Sprintf("%s was on %s from %s to %s", which, whom(worst.Nodes),
			round(worst.From), round(worst.To))
	}
	return f
}

// watchedPart is what of a time was watched; it may be empty.
func (h *history) watchedPart(from, to time.Duration) reports.Window {
	from = max(from, h.watched.From)
	return reports.Window{From: from, To: max(from, min(to, h.watched.To))}
}

// whom names the holders of a VIP.
func whom(nodes []string) string {
	if len(nodes) == 0 {
		return "nobody"
	}
	return strings.Join(nodes, " and ")
}

// constellation is a time in which the holders of all VIPs stay the same.
type constellation struct {
	reports.Window
	// holders are those of each VIP.
	holders [][]string
}

// constellations parts what was watched where a VIP comes or goes.
func (h *history) constellations() []constellation {
	cuts := []time.Duration{h.watched.From, h.watched.To}
	for _, tenures := range h.owners {
		for _, t := range tenures {
			if h.watched.Contains(t.From) {
				cuts = append(cuts, t.From)
			}
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	places := make([]int, len(h.owners))
	var all []constellation
	for i := range len(cuts) - 1 {
		m := constellation{Window: reports.Window{From: cuts[i], To: cuts[i+1]}}
		for v, tenures := range h.owners {
			for places[v] < len(tenures)-1 && tenures[places[v]].To <= cuts[i] {
				places[v]++
			}
			var nodes []string
			if places[v] < len(tenures) {
				nodes = tenures[places[v]].Nodes
			}
			m.holders = append(m.holders, nodes)
		}
		all = append(all, m)
	}
	return all
}

// apart says whether the VIPs of a constellation are not all on the same directors.
func (m constellation) apart() bool {
	return slices.ContainsFunc(m.holders, func(nodes []string) bool {
		return !slices.Equal(nodes, m.holders[0])
	})
}

// together looks for the longest time outside all unrest in which the VIPs were not on the same
// directors.
func (h *history) together(slack time.Duration) reports.Finding {
	unrest := h.unrest(slack)
	var worst, current reports.Window
	for _, m := range h.constellations() {
		if !m.apart() {
			continue
		}
		for _, part := range outside(m.Window, unrest) {
			if part.From != current.To {
				current.From = part.From
			}
			current.To = part.To
			if current.Length() > worst.Length() {
				worst = current
			}
		}
	}
	f := atMost(worst.Length(), Allowance+slack)
	if f.Verdict == reports.Fail {
		f.Detail = fmt.Sprintf("from %s to %s: %s", round(worst.From), round(worst.To),
			holdersAt(h.rec, worst.From))
	}
	return f
}

// converges measures how long after the last heal something was not yet as it should be.
func (h *history) converges(slack time.Duration) reports.Finding {
	from, limit := h.lastHeal()
	limit += slack
	at, what := h.unsettled(from)
	end := h.watched.To
	switch {
	case at >= end && end-from <= limit:
		// It still had time, and nothing says that it would not have used it.
		return reports.Finding{Verdict: reports.Pass, Limit: round(limit),
			Observed: fmt.Sprintf("watched for %s only", round(end-from))}
	case at >= end:
		return reports.Finding{Verdict: reports.Fail, Observed: "never", Limit: round(limit),
			Detail: fmt.Sprintf("at the end, %s after the last heal: %s", round(end-from), what)}
	}
	f := atMost(at-from, limit)
	if f.Verdict == reports.Fail {
		f.Detail = fmt.Sprintf("until %s: %s", round(at), what)
	}
	return f
}

// lastHeal is when the last fault of a director or a real server was healed, or the steady state
// was reached, and how long after that everything may take.
func (h *history) lastHeal() (at, limit time.Duration) {
	at, limit = h.watched.From, Allowance
	for _, f := range h.faults {
		if h.entitled(f).harmless() || f.To < at {
			continue
		}
		at = f.To
		limit = max(h.limitsOf(f).together+StartAllowance, h.inService())
		if h.warms() {
			limit += backWarm
		}
	}
	return at, limit
}

// warms says that a director which comes back waits until it has heard of the connections.
func (h *history) warms() bool {
	return slices.ContainsFunc(h.scenario.Globals, func(line string) bool {
		return strings.HasPrefix(line, "lvs_sync_daemon ")
	})
}

// inService is how long a table may take to have a healed real server again.
func (h *history) inService() time.Duration {
	return checkRecovery(h.check()) + Allowance + tablePoll
}

// unsettled returns the last time from an offset on until which something was not as it should be,
// and what; the offset itself: nothing.
func (h *history) unsettled(from time.Duration) (at time.Duration, what string) {
	at, first := from, Best(h.scenario.Topology)
	for _, m := range h.constellations() {
		if m.To <= from {
			continue
		}
		for i, nodes := range m.holders {
			if !slices.Equal(nodes, []string{first}) && m.To >= at {
				at, what = m.To, fmt.Sprintf("%s on %s, not on %s alone", h.rec.VIPs[i].Name,
					whom(nodes), first)
			}
		}
	}
	if !keepsTable(h.scenario) || !h.has(reports.TableSet) {
		return at, what
	}
	for _, t := range h.tables() {
		if bad := h.differs(t.table, nil); bad != "" && t.To > from && t.To > at {
			at, what = t.To, fmt.Sprintf("table of %s: %s", t.node, bad)
		}
	}
	return at, what
}
