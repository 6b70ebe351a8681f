package scenarios

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/scheduler"
	"github.com/tandemlb/tandem/topology"
)

// conformance is a drill that compares a scheduler of the kernel with its model, choice by choice.
type conformance struct {
	name scheduler.Name
	// suffix makes another drill of the same scheduler.
	suffix  string
	weights []int
	calls   Calls
	// purpose goes on from "The scheduler NAME chooses".
	purpose string
	// change changes the service; nil does not.
	change func(*topology.Service)
	// bounds are those beside Predicted; nil has none.
	bounds func(topology.Topology) []Bound
}

// afterwards is how many connections are opened after each change of the real servers.
const afterwards = 24

// schedules are the drills about schedulers.
func schedules() []Scenario {
	var all []Scenario
	for _, c := range slices.Concat(byTurn(), hashing(), byLocality(), limited()) {
		all = append(all, c.scenario())
	}
	return append(all, twos())
}

// byTurn are the schedulers that go in turn or count connections.
func byTurn() []conformance {
	one, many := []int{1, 1, 1}, []int{3, 1, 2}
	return []conformance{
		{name: scheduler.RoundRobin, weights: one, calls: Calls{Count: 60},
			purpose: "one real server after the other, whatever they can do"},
		{name: scheduler.WeightedRoundRobin, weights: many, calls: Calls{Count: 60},
			purpose: "one after the other, each as often as its weight says"},
		{name: scheduler.LeastConnection, weights: one, calls: Calls{Count: 120, Hold: 12},
			purpose: "the one with the fewest connections, for connections that differ in length"},
		{name: scheduler.WeightedLeastConnection, weights: many, calls: Calls{Count: 120, Hold: 18},
			purpose: "the one with the fewest connections for its weight"},
		{name: scheduler.ShortestExpectedDelay, weights: many, calls: Calls{Count: 120, Hold: 18},
			purpose: "the one that would have the fewest for its weight with this connection"},
		{name: scheduler.NeverQueue, weights: many, calls: Calls{Count: 120, Hold: 6},
			purpose: "an idle one, whatever its weight, and else as sed"},
		{name: scheduler.WeightedFailover, weights: many, calls: Calls{Count: 30, Hold: 6},
			purpose: "the heaviest alone, until it is gone"},
		{name: scheduler.WeightedOverflow, weights: many, calls: Calls{Count: 60, Hold: 7},
			purpose: "the heaviest until it is full, then the next"},
	}
}

// clients are how many addresses call where clients are counted: enough for SharesFit.
const clients = 120

// hashing are the schedulers that look at addresses alone.
func hashing() []conformance {
	weights, port := []int{3, 1, 2}, func(s *topology.Service) { s.HashPort = true }
	fallback := func(s *topology.Service) { s.Fallback = true }
	return []conformance{
		{name: scheduler.SourceHash, weights: weights, calls: Calls{Sources: clients}, bounds: perClient,
			purpose: "always the same one for a client, each its share of the clients"},
		{name: scheduler.SourceHash, suffix: "-port", weights: weights,
			calls: Calls{Count: 60, Sources: 10}, change: port,
			purpose: "with the flag sh-port always the same one for a client and a port of it"},
		{name: scheduler.SourceHash, suffix: "-fallback", weights: weights,
			calls: Calls{Count: 60, Sources: 100}, change: fallback,
			purpose: "with the flag sh-fallback another one while that of a client gets nothing"},
		{name: scheduler.MaglevHash, weights: weights, calls: Calls{Sources: clients}, bounds: perClient,
			purpose: "always the same one for a client; few clients move when one leaves"},
		{name: scheduler.MaglevHash, suffix: "-port", weights: weights,
			calls: Calls{Count: 60, Sources: 10}, change: port,
			purpose: "with the flag mh-port always the same one for a client and a port of it"},
		{name: scheduler.MaglevHash, suffix: "-fallback", weights: weights,
			calls: Calls{Count: 60, Sources: 100}, change: fallback,
			purpose: "with the flag mh-fallback another one while that of a client gets nothing"},
		{name: scheduler.DestinationHash, weights: weights, calls: Calls{Count: 120, Addresses: 40},
			purpose: "always the same one for an address that is called, whatever the weights"},
	}
}

// perClient are the statistics of a scheduler that spreads clients.
func perClient(t topology.Topology) []Bound {
	return []Bound{SharesFit(sharesOf(t, false), sharesOf(t, true)),
		Remapped(t, t.Services[0].RealServers[1].Node)}
}

// byLocality are the schedulers that remember who served an address.
func byLocality() []conformance {
	return []conformance{
		{name: scheduler.LocalityLeastConnection, weights: []int{3, 1, 2},
			calls:   Calls{Count: 160, Addresses: 8, Hold: 16},
			purpose: "always the same one for an address that is called, until it has too much to do"},
		{name: scheduler.LocalityReplicated, weights: []int{3, 1, 2},
			calls: Calls{Count: 160, Addresses: 8, Hold: 16},
			purpose: "one of the few that serve an address that is called, and more of them when these " +
				"have too much to do"},
	}
}

// limited are schedulers whose real servers have thresholds, which held connections reach.
func limited() []conformance {
	thresholds := func(s *topology.Service) {
		for i := range s.RealServers {
			s.RealServers[i].Upper, s.RealServers[i].Lower = 10*(i+1), 4*(i+1)
		}
	}
	var all []conformance
	for _, name := range []scheduler.Name{scheduler.RoundRobin, scheduler.WeightedLeastConnection,
		scheduler.SourceHash} {
		all = append(all, conformance{name: name, suffix: "-thresholds", weights: []int{3, 1, 2},
			calls: Calls{Count: 120, Sources: 20, Hold: 24}, change: thresholds,
			purpose: "none that has its threshold of connections, until it has few again"})
	}
	return all
}

// scenario is the drill.
func (c conformance) scenario() Scenario {
	t := fig6(string(c.name), c.weights...)
	service := &t.Services[0]
	if c.calls.Addresses > 0 {
		service.Marked = netip.MustParsePrefix("10.0.0.0/24")
	}
	if c.change != nil {
		c.change(service)
	}
	c.calls.Client = t.NodesOf(topology.Client)[0].Name
	s := Scenario{
		Name: "scheduler-" + string(c.name) + c.suffix,
		Doc: fmt.Sprintf("The scheduler %s chooses %s. The real servers have weights %s; later one "+
			"leaves, comes back, drains, serves again, and another one gets more weight. Each "+
			"connection goes where a model of the kernel's code says.", c.name, c.purpose,
			strings.Trim(fmt.Sprint(c.weights), "[]")),
		Topology: t,
		Steps:    append([]Step{Steady{}}, c.steps(t)...),
		Bounds:   []Bound{Predicted(t), everythingCame()},
	}
	if c.bounds != nil {
		s.Bounds = append(s.Bounds, c.bounds(t)...)
	}
	return s
}

// steps are the calls, and further ones after each change of the real servers.
func (c conformance) steps(t topology.Topology) []Step {
	all := t.Services[0].RealServers
	one, other := all[1], all[2]
	weighted := func(node string, weight int) []topology.Destination {
		changed := slices.Clone(all)
		for i := range changed {
			if changed[i].Node == node {
				changed[i].Weight = weight
			}
		}
		return changed
	}
	without := slices.DeleteFunc(slices.Clone(all),
		func(d topology.Destination) bool { return d.Node == one.Node })
	after := c.calls
	if after.Count > 0 {
		after.Count = afterwards
	}
	few := after
	few.Count = afterwards
	return []Step{
		c.calls,
		Rearrange{one.Node + " leaves", without}, after,
		Rearrange{one.Node + " comes back", all}, few,
		Rearrange{one.Node + " drains", weighted(one.Node, 0)}, few,
		Rearrange{one.Node + " serves again", all}, few,
		Rearrange{fmt.Sprintf("%s gets weight %d", other.Node, other.Weight+3),
			weighted(other.Node, other.Weight+3)}, few,
	}
}

// twos is the scheduler that draws by lot: there is no model of it, but a spread.
func twos() Scenario {
	const count = 180
	t := fig6("twos", 3, 1, 2)
	client := t.NodesOf(topology.Client)[0].Name
	expected, other := sharesOf(t, false), sharesOf(t, true)
	spread := SharesFit(expected, other)
	return Scenario{
		Name: "scheduler-twos",
		Doc: "The scheduler twos draws two real servers by lot and their weights, and chooses the " +
			"one of them with fewer connections for its weight. The real servers have weights 3 1 2; " +
			"nobody can say where a connection goes, but how many go where.",
		Topology: t,
		// Of the guest kernels the one with a virtual clock has it.
		Needs:  []lab.Capability{lab.VirtualTime},
		Steps:  []Step{Steady{}, Calls{Client: client, Sources: count}},
		Bounds: []Bound{spread},
	}
}
