package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/topology"
)

// Chance is what a random plan is drawn within.
type Chance struct {
	Topology topology.Topology
	// Length is when the last fault is healed at the latest; so is one fault of the longest kind the
	// least.
	Length time.Duration
	// Rate is that of the clients' requests, in requests a second; 0: probe.DefaultRate.
	Rate int
	// Beyond draws more than the topology survives: several faults at once on whatever they strike, and
	// kinds that nobody can survive. Without it there are always a director and a real server with
	// nothing wrong but what entitles to nothing, such as a full disk, and no more than one other fault
	// of a director.
	Beyond bool
}

const (
	// companions is how many faults there may be at once, beside the first one.
	companions = 2
	// lag is how much later than the first one the others may come.
	lag = 3 * time.Second
	// linger is how much longer than it must a fault may last.
	linger = 5 * time.Second
	// pause is how much longer than it must the calm between may last.
	pause = 3 * time.Second
	// memory is how long a director may remember that its worker has ended: one that ends again
	// hands over, which costs more than either end alone.
	memory = 70 * time.Second
)

// Plan draws faults from a seed, each with its time: of the same seed and Chance always the same
// ones. Episodes of faults that hold at once follow one another:
//
//	├ calm ┤                    ├ calm: all is as before ┤
//	       ██████████████ director-killed on lb1         ████████ server-silent on web3
//	           ████████████ server-stopped on web2
//
// The error says why there is nothing to draw.
func (c Chance) Plan(seed uint64) ([]Act, error) {
	a := c.allowance()
	from := c.hits()
	if len(from) == 0 {
		return nil, errors.New("plan faults: nothing in the topology can fail without the service: it " +
			"takes two directors with a VIP, or two real servers of a service; --beyond draws others")
	}
	l := newLottery(seed)
	var plan []Act
	ended := map[string]time.Duration{} // when a director's worker last did, or may have
	for begin := time.Duration(0); ; {
		begin += 2*StartAllowance + l.upTo(pause)
		episode := c.episode(l, from, begin)
		if !c.Beyond {
			later(episode, ended)
		}
		var end time.Duration
		for _, act := range episode {
			end = max(end, act.End())
		}
		switch {
		case end > c.Length && len(plan) == 0:
			return nil, fmt.Errorf("plan faults: %s is too short for the first one: take at least %s",
				c.Length, end.Round(time.Second)+time.Second)
		case end > c.Length:
			return plan, nil
		}
		plan = append(plan, episode...)
		begin = end + c.calm(a, from, episode)
	}
}

// later has an episode come later, if it must for workers to end no second time while it is remembered
// that they did. It notes when they do.
func later(episode []Act, ended map[string]time.Duration) {
	var wait time.Duration
	for _, act := range episode {
		ends, of := workerOf(act)
		if last, before := ended[of]; ends && before {
			wait = max(wait, last+memory-act.At)
		}
	}
	for n := range episode {
		episode[n].At += wait
		if ends, of := workerOf(episode[n]); ends {
			ended[of] = episode[n].End()
		}
	}
}

// workerOf says whether a fault ends a director's worker and nothing else, or may, and which
// director's.
func workerOf(act Act) (ends bool, director string) {
	i, ok := act.Step.(Inject)
	ends = ok && (i.Kind == faults.WorkerKilled || i.Kind == faults.WorkerFrozen ||
		i.Kind == faults.MemoryLimited)
	return ends, i.Target
}

func (c Chance) allowance() allowance {
	rate := c.Rate
	if rate == 0 {
		rate = probe.DefaultRate
	}
	return allowance{c.Topology, time.Second / time.Duration(rate)}
}

// episode draws faults that hold at once, from a time on.
func (c Chance) episode(l *lottery, from []hit, begin time.Duration) []Act {
	first := l.hit(from)
	struck := []hit{first}
	episode := []Act{c.act(l, first, begin)}
	for range l.random.IntN(companions + 1) {
		next := l.any(from)
		at := begin + l.upTo(lag)
		if c.survives(append(struck, next)) {
			struck = append(struck, next)
			episode = append(episode, c.act(l, next, at))
		}
	}
	return episode
}

// act draws how long a fault lasts.
func (c Chance) act(l *lottery, h hit, at time.Duration) Act {
	a := c.allowance()
	length := a.seen() + l.upTo(linger)
	switch h.whom {
	case partMaster:
		length += max(a.limits(h.kind, h.whom).settle, a.patience())
	case partBackup:
		length += a.patience()
	case partServer:
		length += a.outOfService()
	}
	return Act{At: at, For: length.Round(time.Millisecond), Step: h.inject()}
}

// survives says whether the plan may have such faults at once: none excludes another, no real server
// fails in two ways, and but beyond what the topology survives, one strikes a director at most, and
// a real server is left, of which a director that cannot check knows nothing.
func (c Chance) survives(at []hit) bool {
	servers, directors, blind := map[string]bool{}, 0, false
	for i, h := range at {
		for _, other := range at[:i] {
			if h.alone || other.alone || c.unclear(h, other) || c.unclear(other, h) ||
				contrary(c.Topology, h.kind, h.target, other.kind, other.target) {
				return false
			}
		}
		e, _ := entitlementOf(h.kind)
		switch {
		case h.whom == partServer && servers[h.node()]:
			return false
		case h.whom == partServer:
			servers[h.node()] = true
		case !e.harmless():
			directors++
			blind = blind || e.vips == never && e.table == lasting
		}
	}
	healthy := len(c.Topology.NodesOf(topology.RealServer)) - len(servers)
	return c.Beyond || directors <= 1 && (healthy > 0 && !blind || len(servers) == 0)
}

// unclear says that one fault may lose the very frames by which another one would have to show, or
// the carrier without which a cable cannot be made worse.
func (c Chance) unclear(h, other hit) bool {
	if unplugs(h.kind) && h.target == other.target {
		return true
	}
	return (h.kind == faults.LinkLoss || h.kind == faults.LinkCorrupt) && blocks(other.kind) &&
		shareNetwork(c.Topology, h.target, other.target)
}

// calm is how long it takes after an episode until all is as before.
func (c Chance) calm(a allowance, from []hit, episode []Act) time.Duration {
	var l limits
	for _, act := range episode {
		i := act.Step.(Inject)
		of := slices.IndexFunc(from, func(h hit) bool {
			return h.kind == i.Kind && h.target == i.Target
		})
		one := a.limits(i.Kind, from[of].whom)
		l.failBack += one.failBack
		l.together += one.together
	}
	return max(l.together, a.inService(l.failBack)).Round(time.Millisecond) + a.seen()
}

// EachFault returns the bounds that hold of every fault of a run that topology survives, by rate in
// requests a second (0: probe.DefaultRate): each costs clients no more than it does alone, and after
// each heal all is as before. Faults that hold at once may cost what they do together.
func EachFault(t topology.Topology, rate int) []Bound {
	a := Chance{Topology: t, Rate: rate}.allowance()
	all := []Bound{eachOutageWithin(a)}
	if len(t.VIPs) > 0 {
		all = append(all, eachOneOwner(a))
	}
	if len(t.Services) > 0 {
		all = append(all, eachOutOfService(a))
	}
	return append(all, EachHeal(t, rate)...)
}

// EachHeal returns the bounds that hold after the heal of any faults, whatever they are: all is as
// before, in time.
func EachHeal(t topology.Topology, rate int) []Bound {
	a := Chance{Topology: t, Rate: rate}.allowance()
	all := []Bound{eachFailBackWithin(a)}
	if len(t.VIPs) > 0 {
		all = append(all, eachBackTogether(a))
	}
	if len(t.Services) > 0 {
		all = append(all, eachBackInService(a))
	}
	return append(all, SteadyAgain())
}

// SteadyAgain demands that whatever a run awaits comes: of Recovery, that all is as it was.
func SteadyAgain() Bound { return everythingCame() }

// Recovery are the steps that end a run of faults: what still holds is healed, and for so long all
// is awaited as it was.
func Recovery(t topology.Topology, rate int, limit time.Duration) []Step {
	a := Chance{Topology: t, Rate: rate}.allowance()
	steps := []Step{HealAll{}}
	if len(t.VIPs) > 0 {
		steps = append(steps, Await{Condition: FailBack{}, Limit: limit})
	}
	if len(t.Services) > 0 {
		steps = append(steps, Await{Condition: FullTable{}, Limit: limit})
	}
	return append(steps, Await{Condition: Answers{InARow: a.row()}, Limit: limit},
		Observe{For: time.Second}, Finish{})
}
