package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What the property below allows, in the interval of one second that all its routers have.
const (
	lanDelay = time.Millisecond
	// twoMasters is how long two may be master once each hears the other: until the next advert.
	twoMasters = time.Second + 2*lanDelay
	// oneMaster is how long the network may be without exactly one master after its last fault:
	// a stalled master steps back and re-elects (a grace period of at most 2 s), a lower one wins
	// and is preempted (at most 4 s), a group waits for its last member.
	oneMaster = 8 * time.Second
	// faultsUntil is when the last fault has ended.
	faultsUntil = 30 * time.Second
)

// TestProperties runs two or three directors on one or two networks through loss, cuts, pauses,
// crashes, failing links and planned stops. Whatever happened, two masters that hear each other
// are one after an interval, and soon after the last fault each network has exactly one, the same
// on all networks.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := newNetwork(t)
		for n.now.Before(n.start.Add(faultsUntil)) {
			n.advance(time.Duration(rapid.IntRange(1, 3000).Draw(t, "wait")) * time.Millisecond)
			n.fault()
		}
		n.healAll()
		n.advance(oneMaster)
		n.check(true)
		n.advance(10 * time.Second)
		n.check(true)
	})
}

// network is directors on LANs of one delay, and a discrete-event clock.
type network struct {
	t          *rapid.T
	start, now time.Time
	directors  []*director
	flights    []flight    // in order of arrival, for the delay is the same for all
	cut        []bool      // by LAN
	loss       int         // percent
	both       []time.Time // by LAN: since when two masters hear each other
	log        []string
}

// director is a Group with its sockets.
type director struct {
	group  *Group
	cfgs   []Config
	paused bool
	down   bool
	faulty []bool       // by LAN
	socket [][]Received // by LAN: unread
}

// flight is an advert under way to director to on a LAN.
type flight struct {
	at      time.Time
	to, lan int
	ev      Received
}

func newNetwork(t *rapid.T) *network {
	n := &network{t: t, start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	n.now = n.start
	lans := rapid.IntRange(1, 2).Draw(t, "lans")
	nopreempt := rapid.Bool().Draw(t, "nopreempt")
	n.cut, n.both = make([]bool, lans), make([]time.Time, lans)
	for i := range rapid.IntRange(2, 3).Draw(t, "directors") {
		d := &director{faulty: make([]bool, lans), socket: make([][]Received, lans)}
		priority := rapid.Uint8Range(1, 254).Draw(t, "priority")
		for lan := range lans {
			d.cfgs = append(d.cfgs, Config{
				Version: rapid.Just(V3).Draw(t, "version"), VRID: uint8(lan + 1),
				Priority: priority, Interval: time.Second, NoPreempt: nopreempt,
				Source: netip.AddrFrom4([4]byte{192, 168, byte(lan + 1), byte(i + 2)}),
				Addrs:  []netip.Addr{netip.AddrFrom4([4]byte{192, 168, byte(lan + 1), 1})},
			})
		}
		n.directors = append(n.directors, d)
		n.boot(i)
	}
	return n
}

func (n *network) boot(i int) {
	d := n.directors[i]
	d.group, d.down = must(NewGroup(d.cfgs...)), false
	for lan, faulty := range d.faulty {
		d.socket[lan] = nil
		if faulty {
			n.step(i, lan, Fault{ReasonLinkDown})
		}
	}
	n.step(i, All, Startup{})
}

// fault does one thing to one director or LAN, or undoes it.
func (n *network) fault() {
	i := rapid.IntRange(0, len(n.directors)-1).Draw(n.t, "director")
	lan := rapid.IntRange(0, len(n.cut)-1).Draw(n.t, "lan")
	d := n.directors[i]
	what := rapid.SampledFrom([]string{"nothing", "pause", "crash", "leave", "link", "cut",
		"loss", "resume"}).Draw(n.t, "fault")
	n.note("%s director %d lan %d", what, i, lan)
	switch what {
	case "pause":
		d.paused = true
	case "resume":
		n.resume(i)
	case "crash":
		if d.down {
			n.boot(i)
		} else {
			d.group, d.down, d.paused = must(NewGroup(d.cfgs...)), true, false
		}
	case "leave":
		if !d.paused {
			n.step(i, All, Leave{})
			d.down = true
		}
	case "link":
		n.link(i, lan, !d.faulty[lan])
	case "cut":
		n.cut[lan] = !n.cut[lan]
	case "loss":
		n.loss = rapid.IntRange(0, 60).Draw(n.t, "percent")
	}
}

func (n *network) link(i, lan int, faulty bool) {
	d := n.directors[i]
	if d.paused || d.faulty[lan] == faulty {
		return
	}
	d.faulty[lan] = faulty
	if faulty {
		n.step(i, lan, Fault{ReasonLinkDown})
	} else {
		n.step(i, lan, Recovered{})
	}
}

// resume lets a paused director find its late timer and its full sockets, in any order.
func (n *network) resume(i int) {
	d := n.directors[i]
	d.paused = false
	if rapid.Bool().Draw(n.t, "timer first") {
		n.timeout(i)
	}
	for lan := range d.socket {
		n.read(i, lan)
	}
}

func (n *network) healAll() {
	n.note("heal all")
	n.loss = 0
	clear(n.cut)
	for i, d := range n.directors {
		n.resume(i)
		for lan := range d.faulty {
			n.link(i, lan, false)
		}
		if d.down {
			n.boot(i)
		}
	}
}

// advance runs the network for a while.
func (n *network) advance(by time.Duration) {
	until := n.now.Add(by)
	for {
		next, act := until, func() {}
		if len(n.flights) > 0 && !n.flights[0].at.After(next) {
			next, act = n.flights[0].at, n.arrive
		}
		for i, d := range n.directors {
			at := d.group.Deadline()
			if !d.paused && !at.IsZero() && at.Before(next) {
				next, act = at, func() { n.timeout(i) }
			}
		}
		if next.After(n.now) {
			n.now = next
		}
		if n.now.Equal(until) && (len(n.flights) == 0 || n.flights[0].at.After(until)) {
			return
		}
		act()
		n.check(false)
	}
}

func (n *network) arrive() {
	f := n.flights[0]
	n.flights = n.flights[1:]
	d := n.directors[f.to]
	d.socket[f.lan] = append(d.socket[f.lan], f.ev)
	if !d.paused {
		n.read(f.to, f.lan)
	}
}

func (n *network) read(i, lan int) {
	d := n.directors[i]
	unread := d.socket[lan]
	d.socket[lan] = nil
	for _, ev := range unread {
		n.step(i, lan, ev)
	}
}

func (n *network) timeout(i int) { n.step(i, All, Timeout{}) }

// step is the driver: it drains every socket of the group before it says so.
func (n *network) step(i, lan int, ev Event) {
	d := n.directors[i]
	var drains []int
	for _, a := range d.group.Step(n.now, lan, ev) {
		switch act := a.Action.(type) {
		case SendAdvert:
			n.send(i, a.Member, act.Priority)
		case Drain:
			drains = append(drains, a.Member)
		case Transition, Stalled:
			n.note("director %d %s", i, a)
		}
	}
	if len(drains) == 0 {
		return
	}
	for lan := range d.socket {
		n.read(i, lan)
	}
	for _, lan := range drains {
		n.step(i, lan, Drained{})
	}
}

func (n *network) send(i, lan int, priority uint8) {
	d := n.directors[i]
	if n.cut[lan] || d.faulty[lan] {
		return
	}
	ev := Received{d.group.Member(lan).Advert(priority), d.cfgs[lan].Source, TTL}
	for to, other := range n.directors {
		lost := rapid.IntRange(0, 99).Draw(n.t, "loss") < n.loss
		if to != i && !lost && !other.faulty[lan] {
			n.flights = append(n.flights, flight{n.now.Add(lanDelay), to, lan, ev})
		}
	}
}

// check judges the present moment; whole demands that every LAN has its one master.
func (n *network) check(whole bool) {
	var owner []int
	for lan := range n.cut {
		masters := n.masters(lan)
		if len(masters) < 2 || n.loss > 0 || n.cut[lan] {
			n.both[lan] = time.Time{}
		} else if n.both[lan].IsZero() {
			n.both[lan] = n.now
		} else if n.now.Sub(n.both[lan]) > twoMasters {
			n.fail("lan %d has masters %v since %s", lan, masters, n.both[lan].Sub(n.start))
		}
		if whole && len(masters) != 1 {
			n.fail("lan %d has masters %v", lan, masters)
		}
		owner = append(owner, masters...)
	}
	if whole && len(slices.Compact(owner)) != 1 {
		n.fail("the networks have masters %v", owner)
	}
}

// masters returns who is master on the LAN and running; who leaves is on its way.
func (n *network) masters(lan int) []int {
	var masters []int
	for i, d := range n.directors {
		m := d.group.Member(lan)
		if m.State() == Master && !m.leaving && !d.paused {
			masters = append(masters, i)
		}
	}
	return masters
}

func (n *network) note(format string, args ...any) {
	n.log = append(n.log, fmt.Sprintf("%-14s ", n.now.Sub(n.start))+fmt.Sprintf(format, args...))
}

func (n *network) fail(format string, args ...any) {
	n.note(format, args...)
	n.t.Fatalf("history:\n%s", strings.Join(n.log, "\n"))
}
