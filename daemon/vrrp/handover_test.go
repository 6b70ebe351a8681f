package vrrp

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestHandover lets the master of a quiet network end in every way there is, at any phase of its
// adverts, and looks when another is master on all LANs and whether every VIP had an owner
// throughout.
func TestHandover(t *testing.T) {
	tests := []struct {
		name    string
		end     func(n *network, owner, lan int)
		within  func(n *network) time.Duration // zero: the master stays; negative: it may
		gapless bool
	}{
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
			if n.directors[0].cfgs[0].FastTakeover {
				return -1 // the other may be faster
			}
			return 0
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			runs := uint64(300)
			for seed := uint64(1); seed <= runs; seed++ {
				n := newNetwork(seedDice{rand.New(rand.NewPCG(seed, 1))}, nil)
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
	return active(d.group.Member(0)) && (d.cfgs[0].NoPreempt || !higher)
}

// skews is when the others have taken their turn after a resignation.
func (n *network) skews() time.Duration {
	longest := time.Duration(0)
	for _, d := range n.directors {
		longest = max(longest, d.cfgs[0].succession(d.cfgs[0].Interval))
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
