package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// dice makes the choices of a history.
type dice interface {
	// roll returns 0 to n-1.
	roll(what string, n int) int
}

// network is directors on LANs, a discrete-event clock, and what a history does to them.
type network struct {
	dice       dice
	start, now time.Time
	// unit is what the protocol's waits are counted in: the interval, in VRRPv2 at least a second.
	unit      time.Duration
	delay     time.Duration // the longest that an advert is under way
	preempt   time.Duration
	hold      time.Duration // the longest that silence means nothing after a start
	late      time.Duration // the longest that timers are late
	crossed   bool          // the higher address of one LAN is the lower of the other
	directors []*director
	flights   []flight // in order of arrival
	cut       [][][]bool
	loss      int                  // percent
	both      map[pair]time.Time   // since when two masters hear each other
	shared    map[pair]time.Time   // since when two that hear each other have the VIPs
	arrived   map[pair]time.Time   // when the last advert from one to another arrives
	log       func(string, ...any) // nil: nobody reads it
	watch     func()               // looks at every moment; nil: nobody does
}

// pair is director a as heard by, or fighting with, director b on a LAN.
type pair struct{ lan, a, b int }

// director is a Group with its sockets and its addresses.
type director struct {
	group  *Group
	cfgs   []Config
	paused bool
	down   bool
	left   bool      // leaves, or has left
	bootAt time.Time // when a new worker stands in for the one that died; zero: never
	resume bool      // it died as master
	wakeAt time.Time // when a pause ends by itself; zero: never
	lateBy time.Duration
	// notBefore is when it may become master on account of silence.
	notBefore time.Time
	fault     []Reason // by LAN, as the driver sees it; zero: none
	vips      []bool   // by LAN: has them
	socket    [][]Received
}

// flight is an advert under way.
type flight struct {
	at  time.Time
	way pair
	ev  Received
}

// broken is what a history panics with when a promise is.
type broken string

// emptyNetwork is one without directors.
func emptyNetwork(d dice, log func(string, ...any)) *network {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &network{
		dice: d, log: log, start: start, now: start,
		both: map[pair]time.Time{}, shared: map[pair]time.Time{}, arrived: map[pair]time.Time{},
	}
}

// newNetwork is one that the dice choose.
func newNetwork(d dice, log func(string, ...any)) *network {
	n := emptyNetwork(d, log)
	cfg := n.config()
	lans, priorities := 1+d.roll("lans", 2), make([]uint8, 2+d.roll("directors", 2))
	for i := range priorities {
		priorities[i] = n.priority()
		if d.roll("owner", 10) == 0 {
			priorities[i] = PriorityOwner
		}
	}
	n.build(cfg, lans, priorities)
	return n
}

// build gives each director a priority and boots them all at once.
func (n *network) build(cfg Config, lans int, priorities []uint8) {
	count := len(priorities)
	for range lans {
		n.cut = append(n.cut, slices.Collect(func(yield func([]bool) bool) {
			for range count {
				yield(make([]bool, count))
			}
		}))
	}
	for i, priority := range priorities {
		dir := &director{
			fault: make([]Reason, lans), vips: make([]bool, lans), socket: make([][]Received, lans),
		}
		cfg.Priority = priority
		for lan := range lans {
			host := i
			if n.crossed && lan == 1 {
				host = count - 1 - i
			}
			dir.cfgs = append(dir.cfgs, onLAN(cfg, lan, host, count))
		}
		n.directors = append(n.directors, dir)
	}
	n.note("%+v", cfg)
	for i := range n.directors {
		n.boot(i, false)
	}
}

// config returns what all directors have in common, and sets the times that follow from it.
func (n *network) config() Config {
	intervals := []time.Duration{time.Second, 500, 100, 30, 10}
	c := Config{Version: V3, Interval: time.Second}
	if n.dice.roll("version", 3) == 0 {
		c.Version = V2
		c.Interval *= time.Duration(1 + n.dice.roll("interval", 2))
	} else if i := n.dice.roll("interval", len(intervals)); i > 0 {
		c.Interval = intervals[i] * time.Millisecond
	}
	n.unit = c.Interval
	n.delay = c.Interval / 100 * time.Duration(n.dice.roll("delay", 11))
	for _, option := range []*bool{&c.NoPreempt, &c.Unicast, &c.FastTakeover, &c.LowerPrioNoAdvert,
		&c.HigherPrioSendAdvert, &c.Strict} {
		*option = n.dice.roll("option", 3) == 0
	}
	if n.dice.roll("preempt delay", 3) == 0 {
		n.preempt = c.Interval * time.Duration(1+n.dice.roll("preempt delay", 4))
		c.PreemptDelay = n.preempt
	}
	if n.dice.roll("hold", 3) == 0 {
		n.hold = c.Interval * time.Duration(1+n.dice.roll("hold", 8))
	}
	if n.dice.roll("late", 2) == 0 {
		n.late = c.Interval / 20 * time.Duration(n.dice.roll("late", 17))
	}
	if n.dice.roll("late priority", 3) == 0 {
		c.LatePriority = n.priority()
	}
	n.crossed = n.dice.roll("crossed", 3) == 0
	c.AnnounceRefresh = c.Interval * time.Duration(n.dice.roll("refresh", 3))
	c.LowerPrioAnnounceDelay = c.Interval * time.Duration(n.dice.roll("lower delay", 3))
	return c
}

// onLAN makes c the configuration of director i on a LAN.
func onLAN(c Config, lan, i, count int) Config {
	addr := func(host int) netip.Addr {
		return netip.AddrFrom4([4]byte{192, 168, byte(lan + 1), byte(host)})
	}
	c.VRID, c.Source, c.Addrs = uint8(lan+1), addr(i+2), []netip.Addr{addr(1)}
	if !c.Unicast {
		return c
	}
	for other := range count {
		if other != i {
			c.Peers = append(c.Peers, Peer{Addr: addr(other + 2)})
		}
	}
	c.CheckUnicastSource, c.FastTakeover = true, c.FastTakeover && count == 2
	return c
}

// priority is often another director's too.
func (n *network) priority() uint8 {
	if n.dice.roll("usual priority", 3) == 0 {
		return 100
	}
	return uint8(1 + n.dice.roll("priority", 254))
}

// boot starts a new worker, perhaps in place of one that died as master.
func (n *network) boot(i int, resume bool) {
	d := n.directors[i]
	d.group, d.down, d.left, d.bootAt = must(NewGroup(d.cfgs...)), false, false, time.Time{}
	for lan, fault := range d.fault {
		d.socket[lan] = nil
		if fault != 0 {
			n.step(i, lan, Fault{Reason: fault})
		}
	}
	d.notBefore = time.Time{}
	if n.hold > 0 && !resume {
		d.notBefore = n.now.Add(n.hold / 8 * time.Duration(n.dice.roll("hold", 9)))
	}
	n.step(i, All, Startup{Resume: resume, NotBefore: d.notBefore})
}

// end stops what runs of a director. Its addresses stay or go.
func (n *network) end(i int, keep bool) {
	d := n.directors[i]
	d.group, d.down, d.left, d.paused = must(NewGroup(d.cfgs...)), true, false, false
	d.wakeAt = time.Time{}
	if !keep {
		clear(d.vips)
	}
}

// advance runs the network for a while.
func (n *network) advance(by time.Duration) {
	until := n.now.Add(by)
	for {
		next, act := n.next()
		if act == nil || next.After(until) {
			n.now = until
			n.check()
			return
		}
		if next.After(n.now) {
			n.now = next
		}
		act()
		n.check()
	}
}

// next returns what happens next and when; nil if nothing does.
func (n *network) next() (time.Time, func()) {
	var first time.Time
	var act func()
	sooner := func(at time.Time) bool {
		if at.IsZero() || (act != nil && !at.Before(first)) {
			return false
		}
		first = at
		return true
	}
	if len(n.flights) > 0 && sooner(n.flights[0].at) {
		act = n.arrive
	}
	for i, d := range n.directors {
		if !d.paused && sooner(d.deadline()) {
			act = func() { n.timeout(i) }
		}
		if sooner(d.wakeAt) {
			act = func() { n.resume(i) }
		}
		if sooner(d.bootAt) {
			act = func() { n.boot(i, d.resume) }
		}
	}
	return first, act
}

func (n *network) arrive() {
	f := n.flights[0]
	n.flights = n.flights[1:]
	d := n.directors[f.way.b]
	if d.down || d.fault[f.way.lan] == ReasonLinkDown {
		return
	}
	d.socket[f.way.lan] = append(d.socket[f.way.lan], f.ev)
	if !d.paused {
		n.read(f.way.b, f.way.lan)
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

func (n *network) timeout(i int) {
	n.directors[i].lateBy = n.late / 16 * time.Duration(n.dice.roll("late", 17))
	n.step(i, All, Timeout{})
}

// deadline is when the director notices that its group's is over.
func (d *director) deadline() time.Time {
	at := d.group.Deadline()
	if at.IsZero() {
		return at
	}
	return at.Add(d.lateBy)
}

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
		case AddVIPs:
			d.vips[a.Member] = true
		case RemoveVIPs:
			d.vips[a.Member] = false
		case Drop:
			n.fail("director %d %s", i, a)
		case Transition:
			n.note("director %d %s", i, a)
			for p := range n.shared {
				if p.lan == a.Member && (p.a == i || p.b == i) {
					delete(n.shared, p)
				}
			}
		case Stalled, Contested:
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

// send puts an advert on its ways. Each way keeps the order.
func (n *network) send(i, lan int, priority uint8) {
	d := n.directors[i]
	if d.fault[lan] == ReasonLinkDown {
		return
	}
	ev := Received{
		Advert: d.group.Member(lan).Advert(priority), From: d.cfgs[lan].Source, TTL: TTL,
	}
	for to, other := range n.directors {
		if to == i || n.cut[lan][i][to] || (n.loss > 0 && n.dice.roll("loss", 100) < n.loss) {
			continue
		}
		ev.To = MulticastAddr(ev.From)
		if d.cfgs[lan].Unicast {
			ev.To = other.cfgs[lan].Source
		}
		way := pair{lan, i, to}
		at := n.now.Add(n.delay/10 + n.delay/8*time.Duration(n.dice.roll("delay", 8)))
		if last := n.arrived[way]; at.Before(last) {
			at = last
		}
		n.arrived[way] = at
		after := func(f flight, at time.Time) int {
			if f.at.After(at) {
				return 1
			}
			return -1
		}
		k, _ := slices.BinarySearchFunc(n.flights, at, after)
		n.flights = slices.Insert(n.flights, k, flight{at, way, ev})
	}
}

func (n *network) note(format string, args ...any) {
	if n.log != nil {
		n.log("%-14s "+format, append([]any{n.now.Sub(n.start)}, args...)...)
	}
}

func (n *network) fail(format string, args ...any) {
	n.note(format, args...)
	panic(broken(fmt.Sprintf("at %s: ", n.now.Sub(n.start)) + fmt.Sprintf(format, args...)))
}

// String shows who is what.
func (n *network) String() string {
	var b strings.Builder
	for i, d := range n.directors {
		fmt.Fprintf(&b, "%d:", i)
		for lan := range d.cfgs {
			fmt.Fprintf(&b, " %s", d.group.Member(lan).State())
		}
		b.WriteString("; ")
	}
	return b.String()
}
