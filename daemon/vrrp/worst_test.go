package vrrp

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// worstCase is what a network of two directors suffers for a while.
type worstCase struct {
	name string
	// begin and end are the trouble, which lasts for some intervals; the network is quiet before.
	begin, end func(n *network)
	lasts      time.Duration
	// within is how many intervals after its end there is one master again for good, besides the
	// time that adverts travel.
	within float64
}

// oneWay lets director from not be heard, or ends that.
func oneWay(from int, off bool) func(*network) {
	return func(n *network) {
		for lan := range n.cut {
			n.cut[lan][from][1-from] = off
		}
	}
}

// both does one thing after another.
func both(first, second func(*network)) func(*network) {
	return func(n *network) {
		first(n)
		second(n)
	}
}

// worstCases have director 0 for the higher one, unless both are equal.
func worstCases() []worstCase {
	wake := func(n *network) {
		for i := range n.directors {
			n.resume(i)
		}
	}
	freeze := func(n *network) {
		for _, d := range n.directors {
			d.paused = true
		}
	}
	return []worstCase{
		// the wait for a master at the lowest priority here
		{"simultaneous start", (*network).powerCut, func(*network) {}, 0, 3.61},
		// a grace period of the same
		{"both frozen", freeze, wake, 20, 1.61},
		// the next advert
		{"the higher one is not heard", oneWay(0, true), oneWay(0, false), 20, 1},
		{"the lower one is not heard", oneWay(1, true), oneWay(1, false), 20, 1},
		{"neither is heard", both(oneWay(0, true), oneWay(1, true)),
			both(oneWay(0, false), oneWay(1, false)), 20, 1},
	}
}

// TestWorstCases lets two directors on two LANs suffer each of them for longer than anybody waits,
// at the longest and the shortest intervals in use, of equal and of different priority.
func TestWorstCases(t *testing.T) {
	for _, interval := range []time.Duration{time.Second, 10 * time.Millisecond} {
		for _, priorities := range [][]uint8{{150, 100}, {100, 100}, {255, 255}} {
			for _, tt := range worstCases() {
				t.Run(fmt.Sprint(tt.name, interval, priorities), func(t *testing.T) {
					for seed := range uint64(20) {
						tt.run(t, interval, priorities, seed)
					}
				})
			}
		}
	}
}

// masters counts the directors that are master, which they are on all LANs.
func (n *network) masters() int {
	count := 0
	for _, d := range n.directors {
		if active(d.group.Member(0)) {
			count++
		}
	}
	return count
}

func (tt worstCase) run(t *testing.T, interval time.Duration, priorities []uint8, seed uint64) {
	n := emptyNetwork(seedDice{rand.New(rand.NewPCG(seed, 2))}, nil)
	n.unit, n.delay = interval, interval/20
	n.build(Config{Version: V3, Interval: interval}, 2, priorities)
	n.advance(10*interval + 2*linger)
	n.checkWhole()
	n.advance(interval / 100 * time.Duration(n.dice.roll("phase", 100)))
	tt.begin(n)
	n.advance(tt.lasts * interval)
	tt.end(n)
	began, whole, one := n.now, n.now, n.masters() == 1
	n.watch = func() {
		was := one
		if one = n.masters() == 1; !one || !was {
			whole = n.now
		}
	}
	n.advance(30*interval + 2*linger)
	n.checkWhole()
	limit := time.Duration(tt.within*float64(interval)) + 2*n.delay
	if took := whole.Sub(began); took > limit {
		t.Errorf("seed %d: one master after %s, want %s: %s", seed, took, limit, n)
	}
}

// evenDice has everything that could be by chance be as soon, and as little, as it can be.
type evenDice struct{}

func (evenDice) roll(string, int) int { return 0 }

// TestEqualDirectorsAgree has directors of equal priority start at once, of which each has the higher
// address on one LAN and the lower one on the other: they take the mastership from each other, but not
// for ever.
func TestEqualDirectorsAgree(t *testing.T) {
	for _, version := range []Version{V2, V3} {
		for count := 2; count <= 5; count++ {
			t.Run(fmt.Sprint(version, count), func(t *testing.T) {
				n := emptyNetwork(evenDice{}, func(string, ...any) {})
				n.unit, n.delay, n.crossed = time.Second, 10*time.Millisecond, true
				n.build(Config{Version: version, Interval: n.unit}, 2, slices.Repeat([]uint8{100}, count))
				n.advance(30 * time.Second)
				for range 100 {
					n.advance(100 * time.Millisecond)
					if n.masters() != 1 {
						t.Fatalf("%d masters after %s", n.masters(), n.now.Sub(n.start))
					}
				}
				n.checkWhole()
			})
		}
	}
}
