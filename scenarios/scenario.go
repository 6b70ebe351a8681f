// Package scenarios holds named drills as data: a network, probes, steps and bounds. Run carries one
// out in a lab and judges what was recorded. It knows directors as programs with a configuration
// file, never from the inside.
package scenarios

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// Scenario is one drill as data. It holds no state: it may be run many times, also at once.
type Scenario struct {
	// Name is unique in the catalogue, for example "fig7-director-killed".
	Name string
	// Doc says in a sentence or two what happens and what must hold.
	Doc string
	// Topology is the network; Run works on a copy.
	Topology topology.Topology
	// Needs are the capabilities beside those of every lab.
	Needs []lab.Capability
	// Globals are lines of global_defs that every director has.
	Globals []string
	// Uplinks are routers that directors depend on by BFD.
	Uplinks []Uplink
	// Probes run from the steady state to the end.
	Probes []Probe
	// Long says that it takes hours of its clock: it is no part of All and runs by its name only.
	Long bool
	// Limit is how long the whole run may take before it is broken off, healed and inconclusive; 0: any
	// time.
	Limit time.Duration
	// Steps are carried out one after another, and after them what Plan draws.
	Steps []Step
	// Plan draws further steps from the seed of the run: of the same seed always the same ones. nil
	// draws none.
	Plan func(seed uint64) []Step
	// Bounds judge the recording, each on its own.
	Bounds []Bound
}

// Probe is an open-loop HTTP client; see lab/probe.
type Probe struct {
	// Client names the node that it runs on.
	Client string
	Target netip.AddrPort
	// Rate is requests a second; 0: probe.DefaultRate.
	Rate int
	// Pause is how long each request stops after its first line; less than probe.DefaultLimit.
	Pause time.Duration
}

// Bound is one thing that must hold. Judge is a pure function of the recording, so that a stored run
// can be judged again.
type Bound struct {
	// Name is short and unique in its scenario, Doc what is demanded, in one sentence.
	Name, Doc string
	// Timing says that a stall of the machine can break the bound.
	Timing bool
	// Judge returns what was observed and the verdict; name and doc are filled in. slack widens a
	// limit on time: zero, but when it is asked whether a stall of the machine explains a failure.
	Judge func(rec *reports.Recording, slack time.Duration) reports.Finding
	// Closed says that it looks at finished parts of the run only, so that it may also fail a run
	// that was broken off later.
	Closed bool
}

// StepsOf returns all steps of a run with a seed.
func (s Scenario) StepsOf(seed uint64) []Step {
	if s.Plan == nil {
		return s.Steps
	}
	return append(s.Steps[:len(s.Steps):len(s.Steps)], s.Plan(seed)...)
}

// Needs returns everything that running the scenario takes of the kernel, each capability once.
func Needs(s Scenario) []lab.Capability {
	needs := []lab.Capability{lab.Root, lab.NetNS, lab.PIDNS, lab.Veth, lab.Bridge}
	if len(s.Topology.Services) > 0 {
		needs = append(needs, lab.IPVS)
	}
	if s.Topology.Tunnels() {
		needs = append(needs, lab.Tunnels)
	}
	if s.Topology.Speaks(topology.SCTP) {
		needs = append(needs, lab.SCTP)
	}
	if s.Topology.IPv6() {
		needs = append(needs, lab.IPv6)
	}
	if s.Topology.VRRP.UseVMAC {
		needs = append(needs, lab.Macvlan)
	}
	for _, c := range append(s.Needs[:len(s.Needs):len(s.Needs)], needsOfFaults(s)...) {
		if !slices.Contains(needs, c) {
			needs = append(needs, c)
		}
	}
	return needs
}

// needsOfFaults are those of the faults that a scenario always injects. What a plan draws needs
// nothing more.
func needsOfFaults(s Scenario) []lab.Capability {
	var needs []lab.Capability
	for _, inject := range injections(s.Steps) {
		// One that cannot be made says so when it is its turn.
		if fault, err := faults.New(inject.Kind, inject.Target, inject.Settings); err == nil {
			needs = append(needs, fault.Needs()...)
		}
	}
	return needs
}

// Clocked parts scenarios into those that a clock can carry, virtual or not, and the others: what
// needs a virtual clock is left by a real one, and what needs time to pass while programs compute by a
// virtual one.
func Clocked(all []Scenario, virtual bool) (fit, left []Scenario) {
	lacks := lab.VirtualTime
	if virtual {
		lacks = lab.RealTime
	}
	for _, s := range all {
		if slices.Contains(Needs(s), lacks) {
			left = append(left, s)
		} else {
			fit = append(fit, s)
		}
	}
	return fit, left
}

// Find returns the scenarios of the catalogue that patterns name, in the catalogue's order, and then
// those of FaultDrills: names, or globs as of path.Match, which name no long ones, and no FaultDrill
// unless they begin as its name does. A pattern that matches nothing is an error that lists the names.
func Find(patterns ...string) ([]Scenario, error) {
	known := Catalogue()
	all := append(known, FaultDrills()...)
	chosen := make([]bool, len(all))
	for _, p := range patterns {
		matched := false
		for i, s := range all {
			ok, err := matchName(p, s.Name)
			if err != nil {
				return nil, err
			}
			single := i >= len(known) && !strings.HasPrefix(p, faultDrill)
			if ok && !single && (!s.Long || p == s.Name) {
				chosen[i], matched = true, true
			}
		}
		if !matched {
			return nil, fmt.Errorf("find scenario %q: there are\n  %s\n  %s and the name of a fault", p,
				strings.Join(names(known), "\n  "), faultDrill)
		}
	}
	var found []Scenario
	for i, s := range all {
		if chosen[i] {
			found = append(found, s)
		}
	}
	return found, nil
}

func names(all []Scenario) []string {
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	return names
}
