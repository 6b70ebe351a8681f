package scenarios

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/tandemlb/tandem/scheduler"
	"github.com/tandemlb/tandem/topology"
)

// schedules are the drills that compare a scheduler of the kernel with its model, choice by choice.
func schedules() []Scenario {
	var all []Scenario
	for _, s := range []struct {
		name    scheduler.Name
		weights []int
		calls   Calls
		purpose string
	}{
		{scheduler.RoundRobin, []int{1, 1, 1}, Calls{Count: 60},
			"one real server after the other, whatever they can do"},
		{scheduler.WeightedRoundRobin, []int{3, 1, 2}, Calls{Count: 60},
			"one after the other, each as often as its weight says"},
		{scheduler.LeastConnection, []int{1, 1, 1}, Calls{Count: 120, Hold: 12},
			"the one with the fewest connections, for connections that differ in length"},
		{scheduler.WeightedLeastConnection, []int{3, 1, 2}, Calls{Count: 120, Hold: 18},
			"the one with the fewest connections for its weight"},
		{scheduler.ShortestExpectedDelay, []int{3, 1, 2}, Calls{Count: 120, Hold: 18},
			"the one that would have the fewest for its weight with this connection"},
		{scheduler.NeverQueue, []int{3, 1, 2}, Calls{Count: 120, Hold: 6},
			"an idle one, whatever its weight, and else as sed"},
		{scheduler.WeightedFailover, []int{3, 1, 2}, Calls{Count: 30, Hold: 6},
			"the heaviest alone, until it is gone"},
		{scheduler.WeightedOverflow, []int{3, 1, 2}, Calls{Count: 60, Hold: 9},
			"the heaviest until it is full, then the next"},
		{scheduler.SourceHash, []int{3, 1, 2}, Calls{Count: 120, Sources: 100},
			"always the same one for a client, each its share of the clients"},
		{scheduler.MaglevHash, []int{3, 1, 2}, Calls{Count: 120, Sources: 100},
			"always the same one for a client; few clients move when one leaves"},
		{scheduler.DestinationHash, []int{3, 1, 2}, Calls{Count: 120, Addresses: 40},
			"always the same one for an address that is called, whatever the weights"},
		{scheduler.LocalityLeastConnection, []int{3, 1, 2},
			Calls{Count: 160, Addresses: 8, Hold: 16},
			"always the same one for an address that is called, until it has too much to do"},
		{scheduler.LocalityReplicated, []int{3, 1, 2}, Calls{Count: 160, Addresses: 8, Hold: 16},
			"one of the few that serve an address that is called, and more of them when these have " +
				"too much to do"},
	} {
		t := fig6(string(s.name), s.weights...)
		if s.calls.Addresses > 0 {
			t.Services[0].Marked = netip.MustParsePrefix("10.0.0.0/24")
		}
		s.calls.Client = t.NodesOf(topology.Client)[0].Name
		all = append(all, Scenario{
			Name: "scheduler-" + string(s.name),
			Doc: fmt.Sprintf("The scheduler %s chooses %s. The real servers have weights %s; each of %d "+
				"connections goes where a model of the kernel's code says.", s.name, s.purpose,
				strings.Trim(fmt.Sprint(s.weights), "[]"), s.calls.Count),
			Topology: t,
			Steps:    []Step{Steady{}, s.calls},
			Bounds:   []Bound{Predicted(t)},
		})
	}
	return all
}
