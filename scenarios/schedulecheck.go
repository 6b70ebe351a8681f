package scenarios

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/topology"
)

// Flaw is what is wrong with one act of a schedule.
type Flaw struct {
	// Act is its place in Acts.
	Act int
	// Text says what is wrong and what would be right.
	Text string
}

// Check returns everything that is wrong with a schedule on a topology, in the order of the acts:
// times below zero, faults that cannot be made, targets that match nothing, heals of what is no
// fault, of what has a time of its own and of what has not begun, and faults that exclude each other.
// nil: it can be carried out. Who is master shows only in a run: what @master excludes, Check does
// not know.
func (s Schedule) Check(t topology.Topology) []Flaw {
	var flaws []Flaw
	add := func(act int, err error) {
		if err != nil {
			flaws = append(flaws, Flaw{act, err.Error()})
		}
	}
	for i, a := range s.Acts {
		if a.At < 0 || a.For < 0 {
			add(i, fmt.Errorf("a time below zero: expected 0s or more"))
		}
		switch step := a.Step.(type) {
		case Inject:
			add(i, fits(t, step))
		case Heal:
			add(i, s.heals(i, step))
		default:
			if a.For != 0 {
				add(i, fmt.Errorf("%s lasts as long as it takes: only a fault has a time to last", step))
			}
		}
	}
	spans := s.spans(t)
	for i, later := range spans {
		for _, earlier := range spans[:i] {
			add(later.act, excludes(t, earlier, later))
		}
	}
	slices.SortStableFunc(flaws, func(a, b Flaw) int { return a.Act - b.Act })
	return flaws
}

// fits says what keeps a fault from being injected in a topology.
func fits(t topology.Topology, i Inject) error {
	targets, err := Targets(t, i.Target)
	if err != nil {
		return err
	}
	if t.IPv6() && i.Kind.IPv4Only() {
		return fmt.Errorf("%s works by IPv4: expected a topology of IPv4, such as preset fig7", i.Kind)
	}
	role := strikes(i.Kind)
	for _, where := range targets {
		if _, err := faults.New(i.Kind, where, i.Settings); err != nil {
			return err
		}
		name, detail, _ := strings.Cut(where, ":")
		nodes := []*topology.Node{}
		if n, ok := t.Node(name); ok {
			nodes = append(nodes, n)
		} else {
			nodes = t.NodesOf(topology.Director) // one of them has what @master or @backup stands for
		}
		for _, n := range nodes {
			if role != 0 && n.Role != role {
				return fmt.Errorf("%s strikes a %s: %s is a %s", i.Kind, role, name, n.Role)
			}
			if err := hasInterface(n, detail); i.Kind.Form() == faults.OfInterface && err != nil {
				return err
			}
		}
	}
	return nil
}

// hasInterface says what a node has instead of an interface.
func hasInterface(n *topology.Node, name string) error {
	var names []string
	for _, l := range n.Links {
		if l.Interface == name {
			return nil
		}
		names = append(names, l.Interface)
	}
	return fmt.Errorf("%s has no interface %q: it has %s", n.Name, name, strings.Join(names, ", "))
}

// strikes is the role of the nodes that a kind of fault is for; 0: any.
func strikes(kind faults.Kind) topology.Role {
	switch {
	case kind.Family() == faults.Process, kind.Family() == faults.Configuration,
		kind == faults.IPVSFlushed:
		return topology.Director
	case kind.Family() == faults.Server && kind != faults.EchoIgnored:
		return topology.RealServer
	}
	return 0
}

// heals says what is wrong with the i-th act, a heal.
func (s Schedule) heals(i int, h Heal) error {
	if h.Act < 0 || h.Act >= len(s.Acts) {
		return fmt.Errorf("%s: there are %s", h, plural(len(s.Acts), "act"))
	}
	of := s.Acts[h.Act]
	if _, ok := of.Step.(Inject); !ok {
		return fmt.Errorf("%s: %s is no fault", h, of.Step)
	}
	if of.For > 0 {
		return fmt.Errorf("%s: it heals by itself after %s: leave out one of the two", h, of.For)
	}
	if s.Acts[i].At <= of.At {
		return fmt.Errorf("%s at %s: the fault comes at %s: a heal must come later", h, s.Acts[i].At,
			of.At)
	}
	for _, before := range s.Acts[:i] {
		if b, ok := before.Step.(Heal); ok && b == h {
			return fmt.Errorf("%s: another act heals it too", h)
		}
	}
	return nil
}

// span is the time in which a fault holds by plan.
type span struct {
	act      int
	inject   Inject
	targets  []string
	from, to time.Duration
}

// spans are those of all faults that can be made, in the order in which they begin.
func (s Schedule) spans(t topology.Topology) []span {
	var all []span
	for i, a := range s.Acts {
		inject, ok := a.Step.(Inject)
		targets, err := Targets(t, inject.Target)
		if !ok || err != nil {
			continue
		}
		one := span{i, inject, targets, a.At, a.At + a.For}
		if a.For == 0 {
			one.to = math.MaxInt64
		}
		for _, other := range s.Acts {
			if h, ok := other.Step.(Heal); ok && h.Act == i && a.For == 0 {
				one.to = other.At
			}
		}
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	return all
}

// excludes says why two faults cannot hold at once, if they would. earlier begins no later than
// later.
func excludes(t topology.Topology, earlier, later span) error {
	if later.from >= earlier.to {
		return nil
	}
	until := "the end"
	if earlier.to != math.MaxInt64 {
		until = earlier.to.String()
	}
	for _, first := range earlier.targets {
		for _, second := range later.targets {
			if contrary(t, earlier.inject.Kind, first, later.inject.Kind, second) {
				return fmt.Errorf("%s contradicts %s, which holds on %s from %s to %s: have it begin "+
					"later, or heal the first one before", later.inject, earlier.inject, first,
					earlier.from, until)
			}
		}
	}
	return nil
}

// contrary says that two faults cannot hold at once: they are the same, or both are about what one
// program does, about who pulls one cable or about what one carries; or one takes away the whole node,
// or what the other is seen by.
func contrary(t topology.Topology, a faults.Kind, onA string, b faults.Kind, onB string) bool {
	nodeA, detailA, _ := strings.Cut(onA, ":")
	nodeB, detailB, _ := strings.Cut(onB, ":")
	switch {
	case a == b && onA == onB:
		return true
	case nodeA == nodeB && (a.Family() == faults.Node || b.Family() == faults.Node):
		return true
	case nodeA == nodeB && ofProgram(a) && ofProgram(b):
		return true
	case onA == onB && unplugs(a) && unplugs(b):
		return true
	case a.Family() == faults.Partition && b.Family() == faults.Partition && onA == onB:
		return true
	case sharePath(t, a, onA, b, onB), sharePath(t, b, onB, a, onA):
		return true
	}
	// Whether a path is blocked is seen by what goes over it.
	ends := func(kind faults.Kind, node, detail, over string) bool {
		n, ok := t.Node(node)
		director := ok && n.Role == topology.Director
		return director && (kind.Family() == faults.Node || unplugs(kind) && detail == over)
	}
	return a.Family() == faults.Partition && ends(b, nodeB, detailB, detailA) ||
		b.Family() == faults.Partition && ends(a, nodeA, detailA, detailB)
}

// sharePath says that a fault blocks paths on which another one would have to show.
func sharePath(t topology.Topology, a faults.Kind, onA string, b faults.Kind, onB string) bool {
	if !blocks(b) || !shareNetwork(t, onA, onB) {
		return false
	}
	switch a {
	case faults.Paused, faults.BothWays, faults.LinkFlapping, faults.Rebooted:
		return true
	case faults.OneWay: // two of them, of two directors, go opposite ways
		return b != faults.OneWay && b != faults.AdvertsLost
	}
	return false
}

// blocks says that a fault is seen by what does not come through.
func blocks(kind faults.Kind) bool {
	return kind.Family() == faults.Partition || kind == faults.Paused || kind == faults.LinkMTU
}

// shareNetwork says that two targets are on the same network, by their interface or, without one, by
// any of their node's.
func shareNetwork(t topology.Topology, a, b string) bool {
	return slices.ContainsFunc(networksOf(t, a), func(network string) bool {
		return slices.Contains(networksOf(t, b), network)
	})
}

// networksOf are the networks that a target is on; none of what shows only in a run.
func networksOf(t topology.Topology, target string) []string {
	name, iface, one := strings.Cut(target, ":")
	var networks []string
	if n, ok := t.Node(name); ok {
		for _, l := range n.Links {
			if !one || l.Interface == iface {
				networks = append(networks, l.Network)
			}
		}
	}
	return networks
}

// ofProgram says that a fault is about what a node's program does.
func ofProgram(kind faults.Kind) bool {
	return strikes(kind) != 0 && kind != faults.ServerMarked && kind != faults.IPVSFlushed
}

// unplugs says that a fault leaves a cable without a carrier.
func unplugs(kind faults.Kind) bool {
	return kind == faults.LinkDown || kind == faults.InterfaceOff || kind == faults.LinkFlapping
}
