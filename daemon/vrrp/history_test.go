package vrrp

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	historySeed = flag.Uint64("history", 0, "seed of the one history to tell; 0: run many")
	historyRuns = flag.Int("histories", 2000, "how many histories to run")
)

// faults is how many things a history does to its network.
const faults = 20

// TestProperties runs histories that rapid chooses, and shortens when they break a promise.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		defer func() {
			if b, ok := recover().(broken); ok {
				t.Fatal(b)
			}
		}()
		tell(rapidDice{t}, t.Logf)
	})
}

// TestHistories runs many histories from seeds. One that breaks a promise is told with its seed;
// -history=SEED tells it again.
func TestHistories(t *testing.T) {
	if *historySeed != 0 {
		fails(t, *historySeed, t.Logf)
		return
	}
	runs := *historyRuns
	if testing.Short() {
		runs = min(runs, 500)
	}
	for seed := uint64(1); seed <= uint64(runs) && !t.Failed(); seed++ {
		if !brokenBy(seed, nil) {
			continue
		}
		fails(t, seed, t.Logf)
		t.Errorf("replay with: go test -run TestHistories -history=%d", seed)
	}
}

// BenchmarkHistories measures one history.
func BenchmarkHistories(b *testing.B) {
	for seed := uint64(1); b.Loop(); seed++ {
		if brokenBy(seed, nil) {
			b.Fatalf("history %d breaks a promise", seed)
		}
	}
}

// fails tells the history of that seed.
func fails(t *testing.T, seed uint64, log func(string, ...any)) {
	t.Helper()
	var lines []string
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	bad := brokenBy(seed, line)
	log("history %d:\n%s", seed, strings.Join(lines, "\n"))
	if bad {
		t.Errorf("history %d breaks a promise", seed)
	}
}

// brokenBy reports whether the history of that seed breaks a promise.
func brokenBy(seed uint64, log func(string, ...any)) (bad bool) {
	defer func() {
		switch b := recover().(type) {
		case nil:
		case broken:
			bad = true
		default:
			panic(b)
		}
	}()
	tell(seedDice{rand.New(rand.NewPCG(seed, 0))}, log)
	return false
}

// rapidDice lets rapid choose.
type rapidDice struct{ t *rapid.T }

func (d rapidDice) roll(what string, n int) int { return rapid.IntRange(0, n-1).Draw(d.t, what) }

// seedDice chooses by a seed.
type seedDice struct{ r *rand.Rand }

func (d seedDice) roll(_ string, n int) int { return d.r.IntN(n) }

// tell is one history: directors boot, suffer, and are left alone in the end. Soon after each LAN
// has one master, the same on all LANs, and it stays.
func tell(d dice, log func(string, ...any)) {
	n := newNetwork(d, log)
	for range faults {
		n.advance(n.unit / 1000 * time.Duration(1+d.roll("wait", 4000)))
		n.trouble()
	}
	n.healAll()
	n.advance(n.oneMaster())
	n.checkWhole()
	n.advance(10 * n.waits())
	n.checkWhole()
}

// waits is the longest of the protocol's waits for an interval or its skew.
func (n *network) waits() time.Duration {
	if n.directors[0].cfgs[0].Version == V2 {
		return max(n.unit, time.Second)
	}
	return n.unit
}

// twoMasters is how long two may be master once each hears the other: until the next advert.
func (n *network) twoMasters() time.Duration { return n.unit + 2*n.delay + n.late }

// oneMaster is how long the network may be without exactly one master after its last fault: a
// stalled master steps back and re-elects (a grace period of at most two waits), a lower one wins
// and is preempted (four waits, after the delay of that), a group waits for its last member, the
// outranked one lets go. All that comes after the time in which silence means nothing. Where
// addresses are crossed, directors of equal priority may have to try again.
func (n *network) oneMaster() time.Duration {
	once := 8*n.waits() + n.preempt + n.hold + 8*n.delay + 8*n.late + linger
	if !n.crossed {
		return once
	}
	tries := len(n.directors) - 1
	return once + time.Duration(tries*tries)*(4*n.waits()+n.delay+n.late)
}

// troubles are what can happen to a director or a LAN, and to be undone.
var troubles = []string{"nothing", "pause", "resume", "crash", "die", "leave", "link", "tracker",
	"cut", "deaf", "one way", "loss", "priority", "nap", "freeze all", "power cut", "step down",
	"heal"}

// trouble does one of them.
func (n *network) trouble() {
	i := n.dice.roll("director", len(n.directors))
	lan := n.dice.roll("lan", len(n.cut))
	d := n.directors[i]
	what := troubles[n.dice.roll("trouble", len(troubles))]
	n.note("%s director %d lan %d", what, i, lan)
	clear(n.shared)
	switch what {
	case "pause":
		d.paused = !d.down
	case "resume":
		n.resume(i)
	case "crash":
		n.crash(i)
	case "die":
		n.die(i)
	case "leave":
		if !d.paused && !d.down {
			n.step(i, All, Leave{})
			d.left = true
		}
	case "link":
		n.setFault(i, lan, toggle(d.fault[lan], ReasonLinkDown))
	case "tracker":
		n.setFault(i, lan, toggle(d.fault[lan], ReasonTracker))
	case "nap":
		n.nap(i)
	case "freeze all":
		n.freezeAll()
	case "power cut":
		n.powerCut()
	case "step down":
		if !d.paused && !d.down {
			n.step(i, lan, StepDown{})
		}
	case "one way":
		to := (i + 1 + n.dice.roll("other", len(n.directors)-1)) % len(n.directors)
		n.cut[lan][i][to] = !n.cut[lan][i][to]
	case "cut", "deaf":
		n.cutOff(i, lan, what == "cut")
	case "loss":
		n.loss = n.dice.roll("percent", 60)
	case "priority":
		n.setPriority(i)
	case "heal":
		n.healAll()
	}
}

func toggle(have, want Reason) Reason {
	if have == want {
		return 0
	}
	return want
}

// nap lets a director not run for a while, often for about as long as a backup waits.
func (n *network) nap(i int) {
	d := n.directors[i]
	if d.down || d.paused {
		return
	}
	d.paused = true
	d.wakeAt = n.now.Add(n.unit / 10 * time.Duration(1+n.dice.roll("nap", 60)))
}

// freezeAll lets nobody run for a while, as a host does that all directors are guests of.
func (n *network) freezeAll() {
	until := n.now.Add(n.unit / 10 * time.Duration(1+n.dice.roll("freeze", 100)))
	for _, d := range n.directors {
		if !d.down && !d.paused {
			d.paused, d.wakeAt = true, until
		}
	}
}

// powerCut ends all directors and boots them at once.
func (n *network) powerCut() {
	for i, d := range n.directors {
		n.end(i, false)
		for lan := range d.socket {
			d.socket[lan] = nil
		}
	}
	n.flights = nil
	for i := range n.directors {
		n.boot(i, false)
	}
}

// crash ends all processes of a director, whose addresses expire, or boots it.
func (n *network) crash(i int) {
	if n.directors[i].down {
		n.boot(i, false)
	} else {
		n.end(i, false)
	}
}

// die ends the worker of a director; another stands in for it before a backup's time has come.
func (n *network) die(i int) {
	d := n.directors[i]
	if d.down || d.paused || d.left {
		return
	}
	d.resume = active(d.group.Member(0))
	n.end(i, d.resume)
	d.bootAt = n.now.Add(n.unit / 10 * time.Duration(n.dice.roll("absence", 20)))
}

// setFault changes what a director suffers on a LAN. A link has to be there for a graceful fault.
func (n *network) setFault(i, lan int, fault Reason) {
	d := n.directors[i]
	if d.paused || d.fault[lan] == fault {
		return
	}
	if d.fault[lan] == ReasonLinkDown && fault != 0 {
		return
	}
	d.fault[lan] = fault
	switch {
	case d.down:
	case fault == 0:
		n.step(i, lan, Recovered{})
	default:
		n.step(i, lan, Fault{fault, fault == ReasonTracker})
	}
}

// cutOff lets a director not be heard on a LAN, perhaps not hear either, or ends that.
func (n *network) cutOff(i, lan int, whole bool) {
	off := !n.cut[lan][i][(i+1)%len(n.directors)]
	for other := range n.directors {
		n.cut[lan][i][other] = off
		n.cut[lan][other][i] = off && whole
	}
}

// setPriority changes the priority of a director on all its LANs.
func (n *network) setPriority(i int) {
	d := n.directors[i]
	if d.paused || d.down {
		return
	}
	p := n.priority()
	for lan := range d.cfgs {
		d.cfgs[lan].Priority = p
		n.step(i, lan, SetPriority{p})
	}
}

// resume lets a paused director find its late timer and its full sockets, in any order.
func (n *network) resume(i int) {
	d := n.directors[i]
	if !d.paused {
		return
	}
	d.paused, d.wakeAt = false, time.Time{}
	if n.dice.roll("timer first", 2) == 0 {
		n.timeout(i)
	}
	for lan := range d.socket {
		n.read(i, lan)
	}
}

func (n *network) healAll() {
	n.note("heal all")
	n.loss = 0
	for _, lan := range n.cut {
		for _, from := range lan {
			clear(from)
		}
	}
	for i, d := range n.directors {
		n.resume(i)
		for lan := range d.fault {
			n.setFault(i, lan, 0)
		}
		if (d.down || d.left) && d.bootAt.IsZero() {
			n.boot(i, false)
		}
	}
}

// active reports whether m is master and means to stay so.
func active(m *Machine) bool { return m.State() == Master && !m.Leaving() }

// check judges the present moment.
func (n *network) check() {
	if n.watch != nil {
		n.watch()
	}
	for i, d := range n.directors {
		for lan := range d.cfgs {
			m := d.group.Member(lan)
			if active(m) != active(d.group.Member(0)) {
				n.fail("director %d is master on some of its links: %s", i, n)
			}
			if active(m) && n.now.Before(d.notBefore) {
				n.fail("director %d lan %d is master before %s", i, lan, d.notBefore.Sub(n.start))
			}
			holds := m.State() == Master || !m.letGoAt.IsZero()
			if !d.down && holds != d.vips[lan] {
				n.fail("director %d lan %d: has its VIPs %v, want %v", i, lan, d.vips[lan], holds)
			}
			for other := range i {
				n.checkBoth(pair{lan, other, i})
			}
		}
	}
}

// checkBoth judges two directors: both are master only when they have not heard each other, and
// have the VIPs for longer by a linger after they became what they are.
func (n *network) checkBoth(p pair) {
	a, b := n.directors[p.a], n.directors[p.b]
	hear := n.loss == 0 && !n.cut[p.lan][p.a][p.b] && !n.cut[p.lan][p.b][p.a]
	for _, d := range []*director{a, b} {
		hear = hear && !d.down && !d.paused && d.fault[p.lan] != ReasonLinkDown
	}
	first, second := active(a.group.Member(p.lan)), active(b.group.Member(p.lan))
	n.checkSince(n.both, p, hear && first && second, n.twoMasters(), "are master")
	shared := a.vips[p.lan] && b.vips[p.lan] && (first || second) // two that leave wait for a third
	n.checkSince(n.shared, p, hear && shared, n.twoMasters()+linger, "have the VIPs")
}

// checkSince allows something for a while.
func (n *network) checkSince(times map[pair]time.Time, p pair, is bool, limit time.Duration,
	what string,
) {
	since, known := times[p]
	switch {
	case !is:
		delete(times, p)
	case !known:
		times[p] = n.now
	case n.now.Sub(since) > limit:
		n.fail("directors %d and %d on lan %d both %s for %s, want at most %s",
			p.a, p.b, p.lan, what, n.now.Sub(since), limit)
	}
}

// checkWhole demands that every LAN has one and the same master, and its VIPs one owner.
func (n *network) checkWhole() {
	owner := -1
	for lan := range n.cut {
		for i, d := range n.directors {
			if d.vips[lan] != active(d.group.Member(lan)) {
				n.fail("director %d lan %d: VIPs %v: %s", i, lan, d.vips[lan], n)
			}
			if !d.vips[lan] {
				continue
			}
			if owner >= 0 && owner != i {
				n.fail("lan %d: second owner %d: %s", lan, i, n)
			}
			owner = i
		}
		if owner < 0 {
			n.fail("lan %d: no owner: %s", lan, n)
		}
	}
	for lan := range n.cut {
		if !n.directors[owner].vips[lan] {
			n.fail("lan %d: no owner: %s", lan, n)
		}
	}
}
