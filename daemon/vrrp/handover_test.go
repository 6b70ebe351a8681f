package vrrp

import (
	"math/rand/v2"
	"testing"
	"time"
)

// handover is a way for a master to end.
type handover struct {
	name    string
	end     func(n *network, owner, lan int)
	within  func(n *network) time.Duration // zero: the master stays; negative: it may
	gapless bool
}

func handovers() []handover {
	return []handover{
		{"planned stop", func(n *network, owner, _ int) {
			n.step(owner, All, Leave{})
		}, (*network).skews, true},
		{"tracker fails", func(n *network, owner, lan int) {
			n.setFault(owner, lan, ReasonTracker)
		}, (*network).skews, true},
		{"link fails", func(n *network, owner, lan int) {
			n.setFault(owner, lan, ReasonLinkDown)
		}, (*network).skewsIfHeard, false},
		{"silent death", func(n *network, owner, _ int) { n.end(owner, false) },
			(*network).silence, false},
		{"priority falls", func(n *network, owner, lan int) {
			for lan := range n.cut {
				n.step(owner, lan, SetPriority{1})
			}
		}, (*network).silence, true},
		{"worker dies", func(n *network, owner, _ int) {
			d := n.directors[owner]
			n.end(owner, true)
			d.resume = true
			d.bootAt = n.now.Add(n.unit / 100 * time.Duration(n.dice.roll("absence", 190)))
		}, func(*network) time.Duration { return 0 }, true},
		{"tracker fails for a moment", func(n *network, owner, lan int) {
			n.setFault(owner, lan, ReasonTracker)
			n.setFault(owner, lan, 0)
		}, func(n *network) time.Duration {
			for _, d := range n.directors { // another one may be faster than the news
				c := d.group.Member(0).cfg
				if c.succession(c.Interval) <= 2*n.delay {
					return -1
				}
			}
			return 0
		}, true},
	}
}

// TestHandover lets the master of a quiet network end in every way there is, at any phase of its
// adverts, and looks when another is master on all LANs and whether every VIP had an owner
// throughout.
func TestHandover(t *testing.T) {
	for _, tt := range handovers() {
		t.Run(tt.name, func(t *testing.T) {
			runs := uint64(450)
			for seed := uint64(1); seed <= runs; seed++ {
				n := newNetwork(seedDice{rand.New(rand.NewPCG(seed, 1))}, nil)
				if n.crossed { // a tie of two successors costs them a second try
					continue
				}
				n.late = 0 // each wait has to be exact
				owner, took, gap := n.handover(tt.end)
				within := tt.within(n)
				switch {
				case within >= 0 && took > within:
					t.Errorf("seed %d: another master after %s, want %s: %s", seed, took, within, n)
				case within > 0 && took == 0 && !n.stays(owner):
					t.Errorf("seed %d: no other master within %s: %s", seed, within, n)
				}
				if tt.gapless && gap > 0 {
					t.Errorf("seed %d: no owner for %s", seed, gap)
				}
			}
		})
	}
}

// handover lets a quiet network lose its master. It returns who that was, when another was master
// on all LANs, zero if none was, and for how long a VIP had no owner.
func (n *network) handover(end func(n *network, owner, lan int)) (owner int, took,
	gap time.Duration,
) {
	n.advance(n.oneMaster())
	n.advance(n.unit / 1000 * time.Duration(n.dice.roll("phase", 1000)))
	for len(n.flights) > 0 { // an advert that comes after a resignation is believed
		n.advance(n.flights[0].at.Sub(n.now))
	}
	n.checkWhole()
	for i, d := range n.directors {
		if d.vips[0] {
			owner = i
		}
	}
	began, ownerless := n.now, time.Time{}
	n.watch = func() {
		switch whole := n.owned(); {
		case !whole && ownerless.IsZero():
			ownerless = n.now
		case whole && !ownerless.IsZero():
			gap, ownerless = gap+n.now.Sub(ownerless), time.Time{}
		}
		for i, d := range n.directors {
			if took == 0 && i != owner && active(d.group.Member(0)) {
				took = max(n.now.Sub(began), 1)
			}
		}
	}
	end(n, owner, n.dice.roll("lan", len(n.cut)))
	n.advance(n.oneMaster() + n.preempt)
	return owner, took, gap
}

// owned reports whether somebody has the VIPs of each LAN.
func (n *network) owned() bool {
	for lan := range n.cut {
		has := false
		for _, d := range n.directors {
			has = has || d.vips[lan]
		}
		if !has {
			return false
		}
	}
	return true
}

// stays reports whether the owner has stayed master by right although its priority has fallen to
// the lowest.
func (n *network) stays(owner int) bool {
	higher := false
	for i, d := range n.directors {
		higher = higher || i != owner && d.cfgs[0].Priority > 1
	}
	d := n.directors[owner]
	byRight := d.cfgs[0].Priority == PriorityOwner
	return active(d.group.Member(0)) && (byRight || d.cfgs[0].NoPreempt || !higher)
}

// skews is when the others have taken their turn after a resignation.
func (n *network) skews() time.Duration {
	longest := time.Duration(0)
	for _, d := range n.directors {
		c := d.group.Member(0).cfg // an owner may have conceded
		longest = max(longest, c.succession(c.Interval))
	}
	return longest + n.delay + 1
}

// skewsIfHeard is skews if the resignation has another way than the link that failed.
func (n *network) skewsIfHeard() time.Duration {
	if len(n.cut) == 1 {
		return n.silence()
	}
	return n.skews()
}

// silence is when the others have taken their turn after the last advert; a preempt delay counts
// for those that are to preempt.
func (n *network) silence() time.Duration {
	longest := time.Duration(0)
	for _, d := range n.directors {
		longest = max(longest, d.cfgs[0].withDefaults().down(d.cfgs[0].Interval))
	}
	return longest + n.delay + n.preempt + n.unit + 1
}

// TestFastTakeover lets the master of two directors on two LANs end by what leaves it a way to say
// so. The other is then master at once if it may be, and else after its skew.
func TestFastTakeover(t *testing.T) {
	const travel = time.Millisecond
	ends := map[string]func(n *network, owner int){
		"link fails":   func(n *network, owner int) { n.setFault(owner, 0, ReasonLinkDown) },
		"planned stop": func(n *network, owner int) { n.step(owner, All, Leave{}) },
		"steps down":   func(n *network, owner int) { n.step(owner, 0, StepDown{}) },
	}
	for name, end := range ends {
		for _, fast := range []bool{true, false} {
			c := Config{Version: V3, Interval: time.Second, FastTakeover: fast}
			n := emptyNetwork(seedDice{rand.New(rand.NewPCG(1, 1))}, nil)
			n.unit, n.delay = c.Interval, travel
			n.build(c, 2, []uint8{150, 100})
			_, took, _ := n.handover(func(n *network, owner, _ int) { end(n, owner) })
			skew := 156 * c.Interval / 256
			switch {
			case fast && (took == 0 || took > travel):
				t.Errorf("%s: another master after %s, want %s", name, took, travel)
			case !fast && (took < skew || took > skew+travel):
				t.Errorf("%s: another master after %s, want its skew, %s", name, took, skew)
			}
		}
	}
}
