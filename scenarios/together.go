package scenarios

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// together is a drill in which the same happens to both directors at once.
func together(s Scenario, kind faults.Kind, hold, again time.Duration) Scenario {
	t := s.Topology
	s.Probes = []Probe{{Client: t.NodesOf(topology.Client)[0].Name, Target: serviceOf(t)}}
	s.Steps = []Step{
		Steady{},
		Observe{For: time.Second},
		Inject{Kind: kind, Target: "@directors"},
		Observe{For: hold},
		HealAll{},
		Observe{For: again + time.Second}, // what is there at once may not stay
	}
	s.Bounds = []Bound{FailBackWithin(again), BackTogetherWithin(again)}
	return s
}

// fig7Boot: the winner's skew time is shorter by so much that it comes first, if both begin
// together.
func fig7Boot() Scenario {
	t := preset("fig7")
	s := together(Scenario{
		Name: "fig7-simultaneous-boot",
		Doc: "Both directors lose power and get it back in the same moment. After what the protocol " +
			"needs one of them has both VIPs, and the other one has never had any.",
		Topology: t,
	}, faults.PowerOff, time.Second, slowest(t)+Allowance+StartAllowance)
	s.Bounds = append(s.Bounds, takenOnce(skewBetween(t)))
	return s
}

func fig5BothKilled() Scenario {
	t := preset("fig5")
	return together(Scenario{
		Name: "fig5-both-killed",
		Doc: "Every process of both directors is killed in the same moment; they are started again " +
			"while the VIP may still be there. One director ends up with it.",
		Topology: t,
	}, faults.DirectorKilled, 2*time.Second, slowest(t)+Allowance+StartAllowance)
}

// fig5BothFrozen is about the fastest adverts that there are, so that nothing hides behind a
// second.
func fig5BothFrozen() Scenario {
	t := preset("fig5")
	t.VRRP = topology.VRRP{Version: 3, Advert: 10 * time.Millisecond}
	return together(Scenario{
		Name: "fig5-both-frozen",
		Doc: "Both directors advertise every 10 ms, stand still for longer than their addresses last, " +
			"and go on in the same moment. Neither can know how long the other one was away; one of " +
			"them ends up with the VIP.",
		Topology: t,
	}, faults.DirectorFrozen, leftover(t.VRRP)+Allowance, slowest(t)+Allowance)
}

// skewBetween is how much sooner the best director takes over than the next one.
func skewBetween(t topology.Topology) time.Duration {
	first := masterDown(t.VRRP, 0)
	for _, n := range t.NodesOf(topology.Director) {
		first = min(first, masterDown(t.VRRP, n.Priority))
	}
	return slowest(t) - first
}

// takenOnce demands that after the heal each VIP is taken once and never given back. A stall as
// long as skew explains that both directors took it.
func takenOnce(skew time.Duration) Bound {
	return Bound{
		Name: "taken once", Timing: true,
		Doc: "After the heal one director takes each VIP, once, and nobody else does.",
		Judge: func(rec *reports.Recording, slack time.Duration) reports.Finding {
			w, ok := after(rec)
			if !ok {
				return noWindow()
			}
			f := reports.Finding{Verdict: reports.Pass, Limit: "1"}
			most := 0
			for _, v := range rec.VIPs {
				taken := 0
				for _, s := range reports.Spans(rec, v.Addr) {
					if w.Contains(s.From) {
						taken++
					}
				}
				most = max(most, taken)
				if taken != 1 && f.Verdict == reports.Pass && (slack < skew || taken == 0) {
					f.Verdict, f.Detail = reports.Fail, v.Name+" was taken "+plural(taken, "time")
				}
			}
			f.Observed = fmt.Sprint(most)
			return f
		},
	}
}

func fig7VIPDeleted() Scenario {
	const back = time.Second
	t := preset("fig7")
	return Scenario{
		Name: "fig7-vip-deleted",
		Doc: "An administrator deletes the outer VIP of the master by hand. It is back within a " +
			"second, and no client goes unserved for longer.",
		Topology: t,
		Probes:   []Probe{{Client: "client1", Target: serviceOf(t)}},
		Steps: []Step{
			Steady{},
			Observe{For: time.Second},
			Inject{Kind: faults.VIPDeleted, Target: "@master:" + t.VIPs[0].Addr.String()},
			Observe{For: 3 * time.Second},
			HealAll{},
			Observe{For: time.Second},
		},
		Bounds: []Bound{OutageWithin(back), OneOwnerWithin(back), BackTogetherWithin(0)},
	}
}

// fig5Starved: a director that gets no processor can neither advertise nor take its VIP off in
// time. Until the others' patience is over it still owns the VIP by right.
func fig5Starved() Scenario {
	t := preset("fig5")
	again := slowest(t) + Allowance + StartAllowance
	return Scenario{
		Name: "fig5-starved",
		Doc: "The programs of the master run for 20 ms at a time, with pauses between that are often " +
			"longer than the backup's patience. Who owns the VIP meanwhile is not promised; that " +
			"there are never two owners for longer than an address outlives its owner is, and that there " +
			"is one owner when there is processor time again.",
		Topology: t,
		Probes:   []Probe{{Client: "client1", Target: serviceOf(t)}},
		Steps: []Step{
			Steady{},
			Observe{For: time.Second},
			Inject{Kind: faults.Starved, Target: "@master"},
			Observe{For: 12 * time.Second},
			HealAll{},
			Observe{For: again + time.Second},
		},
		Bounds: []Bound{
			twoOwnersWithin(leftover(t.VRRP) - 3*t.VRRP.Advert + Allowance),
			BackTogetherWithin(again),
		},
	}
}

// twoOwnersWithin bounds how long at a stretch more than one director holds a VIP.
func twoOwnersWithin(limit time.Duration) Bound {
	return timed("two owners", "No VIP is on two directors for longer than %s at a stretch.", limit,
		func(rec *reports.Recording) (reports.Window, bool) {
			w, ok := during(rec)
			w.To = rec.Length
			return w, ok
		},
		func(rec *reports.Recording, w reports.Window, limit time.Duration) reports.Finding {
			var longest time.Duration
			detail := ""
			for _, v := range rec.VIPs {
				for _, t := range reports.Owners(rec, v.Addr) {
					if len(t.Nodes) > 1 && w.Contains(t.From) && t.Length() > longest {
						longest = t.Length()
						detail = fmt.Sprintf("%s from %s to %s", v.Name, round(t.From), round(t.To))
					}
				}
			}
			f := atMost(longest, limit)
			if f.Verdict != reports.Pass {
				f.Detail = detail
			}
			return f
		})
}
