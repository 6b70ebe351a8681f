package scenarios

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/topology"
)

// hit is a fault that a plan may draw.
type hit struct {
	kind   faults.Kind
	target string
	whom   part
	// settings are those of the fault's parameters that differ from the default.
	settings faults.Settings
	// weight is how often it comes in a round; 0: once.
	weight int
	// alone: nothing else may be drawn at once.
	alone bool
}

// inject is the step that does it.
func (h hit) inject() Inject {
	return Inject{Kind: h.kind, Target: h.target, Settings: h.settings}
}

// node is the name of the node that it strikes.
func (h hit) node() string {
	name, _, _ := strings.Cut(h.target, ":")
	return name
}

// ends says that the fault ends programs, which start anew with its heal.
func (h hit) ends() bool {
	return slices.Contains([]faults.Kind{faults.DirectorKilled, faults.DirectorTerminated,
		faults.PowerOff}, h.kind)
}

// hits are all faults that a topology of two directors can have one at a time, in a fixed order.
func hits(t topology.Topology) []hit {
	var all []hit
	for _, d := range t.NodesOf(topology.Director) {
		whom := partBackup
		if d.Name == Best(t) {
			whom = partMaster
		}
		for _, kind := range []faults.Kind{faults.DirectorKilled, faults.DirectorTerminated,
			faults.DirectorFrozen, faults.PowerOff} {
			all = append(all, hit{kind: kind, target: d.Name, whom: whom})
		}
		for _, l := range d.Links {
			all = append(all,
				hit{kind: faults.LinkDown, target: d.Name + ":" + l.Interface, whom: whom})
		}
	}
	for _, s := range t.NodesOf(topology.RealServer) {
		all = append(all, hit{kind: faults.ServerStopped, target: s.Name, whom: partServer})
	}
	return all
}

// lottery draws from a seed.
type lottery struct {
	random *rand.Rand
	left   []hit // not drawn yet in this round
}

// lotterySalt is the second half of the generator's seed.
const lotterySalt = 0x74616e64656d // "tandem"

func newLottery(seed uint64) *lottery {
	return &lottery{random: rand.New(rand.NewPCG(seed, lotterySalt))}
}

// hit draws a fault: none comes more often than its weight before all others have come so often.
func (l *lottery) hit(from []hit) hit {
	if len(l.left) == 0 {
		l.left = weighed(from)
	}
	i := l.random.IntN(len(l.left))
	h := l.left[i]
	l.left = append(l.left[:i], l.left[i+1:]...)
	return h
}

// any draws a fault by its weight, whatever came before.
func (l *lottery) any(from []hit) hit {
	all := weighed(from)
	return all[l.random.IntN(len(all))]
}

// weighed has each fault as often as it weighs.
func weighed(from []hit) []hit {
	var all []hit
	for _, h := range from {
		all = append(all, slices.Repeat([]hit{h}, max(h.weight, 1))...)
	}
	return all
}

// upTo draws a time below a limit, of whole milliseconds.
func (l *lottery) upTo(limit time.Duration) time.Duration {
	return time.Duration(l.random.Int64N(max(limit.Milliseconds(), 1))) * time.Millisecond
}

// drama is what the stages of a plan have in common.
type drama struct {
	allowance
	// hold is the longest time that a fault lasts beyond what it needs to show.
	hold time.Duration
}

// stage are the steps of one fault: break, see what must happen, heal, see all as before.
func (d drama) stage(h hit, hold time.Duration) []Step {
	l := d.limits(h.kind, h.whom)
	row := d.row()
	answers := time.Duration(row) * d.interval
	hold += d.seen()
	steps := []Step{h.inject()}
	switch h.whom {
	case partMaster:
		steps = append(steps, Await{Condition: Takeover{}, Limit: 2 * l.settle})
	case partBackup:
		hold += d.patience()
	case partServer:
		hold += d.outOfService()
	}
	return append(steps,
		Observe{For: hold},
		HealAll{},
		Await{Condition: FailBack{}, Limit: 2 * max(l.together, StartAllowance)},
		Await{Condition: FullTable{}, Limit: 2 * d.inService(l.failBack)},
		Await{Condition: Answers{InARow: row}, Limit: 2 * (l.failBack + answers)},
	)
}

// row is how many answers in a row say that clients are served.
func (a allowance) row() int { return max(int(time.Second/(2*a.interval)), 3) }

// seen is how long a fault must last at least so that clients see it.
func (a allowance) seen() time.Duration { return max(time.Second, 2*a.interval) }

// patience is how long a backup must be gone so that its own patience would be over.
func (a allowance) patience() time.Duration { return slowest(a.topology).Round(time.Millisecond) }

// bounds are those that hold for every plan.
func (d drama) bounds() []Bound {
	a := d.allowance
	return []Bound{eachOutageWithin(a), eachOneOwner(a), eachFailBackWithin(a), eachBackTogether(a),
		eachOutOfService(a), eachBackInService(a), everythingCame()}
}

// Finish ends a plan: what came before it is judged as a whole.
type Finish struct{}

func (Finish) String() string { return "finish" }

func (Finish) do(context.Context, *run) error { return nil }

// Until lets time pass until the run is so old; if it is already, none.
type Until struct{ At time.Duration }

func (s Until) String() string { return fmt.Sprintf("observe until %s", s.At) }

func (s Until) do(ctx context.Context, r *run) error {
	return Observe{For: s.At - r.lab.Now()}.do(ctx, r)
}
