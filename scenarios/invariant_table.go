package scenarios

import (
	"fmt"
	"slices"
	"time"

	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// tableTolerance is how long a table may be wrong: twice what the recording can be late to see that
// it is right again.
const tableTolerance = 2 * tablePoll

// tenancy is a time in which a node had the same IPVS table.
type tenancy struct {
	node  string
	table reports.Table
	reports.Window
}

// tables are those of every director, node by node, each node's in order of time.
func (h *history) tables() []tenancy {
	var all []tenancy
	for _, n := range h.scenario.Topology.NodesOf(topology.Director) {
		current := tenancy{node: n.Name}
		for _, ev := range h.rec.Events {
			if ev.Kind != reports.TableSet || ev.Node != n.Name {
				continue
			}
			table, err := reports.ParseTable(ev.Detail)
			if err != nil {
				continue // the recording is of another program
			}
			current.To = ev.At
			all = append(all, current)
			current = tenancy{node: n.Name, table: table, Window: reports.Window{From: ev.At}}
		}
		current.To = max(h.rec.Length, current.From)
		all = append(all, current)
	}
	return all
}

// serviceName is a service of the topology as tables name it.
func serviceName(t topology.Topology, s topology.Service) string {
	if s.Marked.IsValid() {
		return fmt.Sprintf("FWM %d", markOf(t, s))
	}
	return s.Protocol.Transport() + " " + s.Addr.String()
}

// differs says in what a table is not as the configuration has it, but for some real servers, of
// which nothing is demanded; "": in nothing.
func (h *history) differs(have reports.Table, but map[string]bool) string {
	t := h.scenario.Topology
	if len(have) > len(t.Services) {
		return fmt.Sprintf("%d services, %d are configured", len(have), len(t.Services))
	}
	for _, s := range t.Services {
		name := serviceName(t, s)
		got, ok := have.Service(name)
		if !ok {
			return name + " is not there"
		}
		if got.Scheduler != s.Scheduler {
			return fmt.Sprintf("%s has scheduler %s, configured is %s", name, got.Scheduler, s.Scheduler)
		}
		known := 0
		for _, d := range s.RealServers {
			weight := got.Weight(addressOf(t, d))
			if slices.ContainsFunc(got.Servers, func(g reports.TableServer) bool {
				return g.Addr == addressOf(t, d)
			}) {
				known++
			}
			if !but[d.Node] && weight != d.Weight {
				return fmt.Sprintf("%s has %s with weight %d, configured is %d", name, d.Node, weight,
					d.Weight)
			}
		}
		if known < len(got.Servers) {
			return name + " has a real server that is not configured"
		}
	}
	return ""
}

// tableRight looks for a table that was wrong for longer than it takes to put it right.
func (h *history) tableRight(slack time.Duration) reports.Finding {
	checked := 0
	for _, t := range h.tables() {
		free := h.free(t.node, slack)
		for _, part := range outside(h.watchedPart(t.From, t.To), free) {
			for _, p := range h.parts(part, slack) {
				checked++
				if f, ok := h.wrongIn(t, p, slack); ok {
					return f
				}
			}
		}
	}
	if checked == 0 {
		return stood("no time to judge")
	}
	return stood("always right")
}

// free are the windows in which faults may spoil the table of a director.
func (h *history) free(node string, slack time.Duration) []reports.Window {
	var all []reports.Window
	for _, f := range h.faults {
		e, w := h.entitled(f), f.Window
		unknown := len(e.kinds) == 0
		if h.ofServer(f) || f.Node != node && !unknown {
			continue
		}
		switch e.table {
		case never:
			continue
		case brief:
			w.To = min(f.To, f.From+repair+Allowance+slack)
		case lasting:
			w.To += h.limitsOf(f).together + h.inService() + StartAllowance + slack
		}
		all = append(all, w)
	}
	return all
}

// parts parts a window where it begins or ceases to be open whether a real server is in service.
func (h *history) parts(w reports.Window, slack time.Duration) []reports.Window {
	cuts := []time.Duration{w.From, w.To}
	for _, f := range h.faults {
		if !h.ofServer(f) {
			continue
		}
		out, back := h.open(f, slack)
		for _, at := range []time.Duration{out.From, out.To, back.From, back.To} {
			if w.Contains(at) {
				cuts = append(cuts, at)
			}
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var all []reports.Window
	for i := range len(cuts) - 1 {
		all = append(all, reports.Window{From: cuts[i], To: cuts[i+1]})
	}
	return all
}

// open are the windows after a real server's fault, and after its heal, in which it may be in
// service or not. Where a check need not see the fault, or may see it only at times, the first one
// lasts until the heal.
func (h *history) open(f reports.Fault, slack time.Duration) (out, back reports.Window) {
	out = f.Window
	if mustSee(h.check(), kindOf(f)) {
		out.To = min(f.To, f.From+checkDeadline(h.check())+Allowance+slack)
	}
	return out, reports.Window{From: f.To, To: f.To + h.inService() + slack}
}

// wrongIn judges a part of the time of a table, in which it is known of every real server whether
// it must be in service.
func (h *history) wrongIn(
	t tenancy, part reports.Window, slack time.Duration,
) (reports.Finding, bool) {
	either := map[string]bool{}
	for _, f := range h.faults {
		if !h.ofServer(f) {
			continue
		}
		out, back := h.open(f, slack)
		if out.Contains(part.From) || back.Contains(part.From) {
			either[f.Node] = true
			continue
		}
		if !f.Window.Contains(part.From) {
			continue
		}
		if d, ok := h.inTable(t.table, f.Node); ok {
			return broken("table of %s from %s on, %s after %s: %s is in it with weight %d", t.node,
				round(part.From), round(part.From-f.From), f.Label(), f.Node, d.Weight), true
		}
		either[f.Node] = true
	}
	// At the steady state tables were read just before, and found right, but for what a stall of the
	// machine can do to them meanwhile.
	steady := part.From == h.watched.From && (slack == 0 || Stall(h.rec) <= stallTolerance)
	if !steady && part.Length() <= tableTolerance+slack {
		return reports.Finding{}, false
	}
	if what := h.differs(t.table, either); what != "" {
		return broken("table of %s from %s to %s: %s", t.node, round(part.From), round(part.To),
			what), true
	}
	return reports.Finding{}, false
}

// inTable returns the entry of a real server that gets connections.
func (h *history) inTable(table reports.Table, node string) (reports.TableServer, bool) {
	t := h.scenario.Topology
	for _, s := range t.Services {
		have, _ := table.Service(serviceName(t, s))
		for _, d := range s.RealServers {
			if d.Node != node {
				continue
			}
			if weight := have.Weight(addressOf(t, d)); weight > 0 {
				return reports.TableServer{Addr: addressOf(t, d), Weight: weight}, true
			}
		}
	}
	return reports.TableServer{}, false
}

// deadStaysOut looks for a real server that came back into a table, or answered, before its heal.
func (h *history) deadStaysOut(slack time.Duration) reports.Finding {
	n := 0
	for _, f := range h.faults {
		if !h.ofServer(f) || !mustSee(h.check(), kindOf(f)) {
			continue
		}
		known := map[string]time.Duration{} // since when each director has it out of service
		for _, t := range h.tables() {
			if t.To <= f.From || t.From >= f.To || inAny(t.From, h.free(t.node, slack)) {
				continue
			}
			_, in := h.inTable(t.table, f.Node)
			since, out := known[t.node]
			if in && out {
				return broken("%s has %s in its table again at %s; it took it out at %s, and %s "+
					"lasted from %s to %s", t.node, f.Node, round(t.From), round(since),
					f.Label(), round(f.From), round(f.To))
			}
			if !in && !out {
				n++
				known[t.node] = max(t.From, f.From)
			}
		}
		if q, ok := h.servedBy(f, known, slack); ok {
			return broken("%s answered a request that %s sent at %s, though every director had "+
				"taken it out of service before", f.Node, q.Client, round(q.Sent))
		}
	}
	if n == 0 {
		return stood("none was taken out")
	}
	return stood(plural(n, "time") + " out until the heal")
}

// servedBy returns a request that a real server answered although every director knew it for dead.
func (h *history) servedBy(
	f reports.Fault, known map[string]time.Duration, slack time.Duration,
) (reports.Request, bool) {
	since := time.Duration(0)
	for _, n := range h.scenario.Topology.NodesOf(topology.Director) {
		at, ok := known[n.Name]
		if !ok {
			return reports.Request{}, false
		}
		since = max(since, at)
	}
	w := reports.Window{From: since + tableTolerance + slack, To: f.To}
	for _, q := range h.rec.Requests {
		if w.Contains(q.Sent) && w.Contains(q.Sent+q.Latency) && q.Server == f.Node &&
			q.Outcome == reports.Answered {
			return q, true
		}
	}
	return reports.Request{}, false
}
