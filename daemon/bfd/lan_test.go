package bfd

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// shortest and longest are of all intervals that there can be.
const (
	shortest = 10 * time.Millisecond
	longest  = 3 * time.Second
)

// lan is two sessions, a discrete-event clock, and a network between them that loses packets.
type lan struct {
	t          *rapid.T
	start, now time.Time
	ends       [2]*end
	flights    []flight // in order of arrival
	delay      time.Duration
	loss       int     // percent
	cut        [2]bool // what that end sends is lost
	goodSince  time.Time
	numbers    uint32
}

// end is a session with what the test knows of it.
type end struct {
	params  Params
	session *Session
	sentAt  time.Time // the last packet that was no answer
	heardAt time.Time
	heard   Packet
	steady  bool // its params are those it began with
	shrunk  bool // its interval is shorter than when it sent last, or it had to be silent
}

// flight is a packet under way to an end.
type flight struct {
	at     time.Time
	to     int
	packet Packet
}

// TestTwo lets two sessions of any times live on a network that fails them, in every way that a
// network does. Their timers are always right, what they believe of each other is what happened,
// and once the network is good they are soon Up, with the times agreed, and stay so.
func TestTwo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := &lan{t: t, start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		n.now, n.goodSince = n.start, n.start
		passive := rapid.IntRange(0, 2).Draw(t, "passive") // 2: none
		for i := range n.ends {
			n.ends[i] = &end{params: n.params(i == passive)}
			n.boot(i)
		}
		n.delay = shortest / 20
		for range rapid.IntRange(0, 12).Draw(t, "troubles") {
			n.trouble()
			unit := longest / 1000
			n.advance(unit * time.Duration(rapid.IntRange(0, 4000).Draw(t, "wait")))
		}
		n.loss, n.cut = 0, [2]bool{}
		n.advance(n.settling())
		n.checkAgreed()
		n.goodSince = n.now
		n.advance(n.settling())
		n.checkAgreed()
	})
}

func (n *lan) params(passive bool) Params {
	ms := func(name string, most int) time.Duration {
		least := int(shortest / time.Millisecond)
		return time.Duration(rapid.IntRange(least, most).Draw(n.t, name)) * time.Millisecond
	}
	return Params{
		MinTx: ms("tx", 2000), MinRx: ms("rx", 2000), IdleTx: ms("idle", 3000),
		Multiplier: uint8(rapid.IntRange(1, 5).Draw(n.t, "multiplier")), Passive: passive,
	}
}

// settling is how long a good network needs: what is over has to be noticed, by the highest
// multiplier, and then a slow packet each way has to come.
func (n *lan) settling() time.Duration { return (5 + 4) * longest }

// boot begins a session, or begins it anew.
func (n *lan) boot(i int) {
	n.numbers++
	e := n.ends[i]
	e.session = must(NewSession(e.params, n.numbers, func() float64 {
		return rapid.Float64Range(0, 0.999).Draw(n.t, "jitter")
	}))
	e.sentAt, e.heardAt, e.heard, e.steady = time.Time{}, time.Time{}, Packet{}, true
	n.step(i, Start{})
}

func (n *lan) trouble() {
	i := rapid.IntRange(0, 1).Draw(n.t, "end")
	what := rapid.IntRange(0, 6).Draw(n.t, "trouble")
	switch what {
	case 0:
		n.loss, n.cut = 0, [2]bool{}
		n.goodSince = n.now
		return
	case 6: // harmless on a good network
		e := n.ends[i]
		e.params, e.steady = n.params(e.params.Passive), false
		n.step(i, SetParams{e.params})
		return
	}
	n.goodSince = time.Time{}
	switch what {
	case 1:
		n.loss = rapid.IntRange(1, 60).Draw(n.t, "loss")
	case 2:
		n.cut[i] = true
	case 3:
		n.cut = [2]bool{true, true}
	case 4:
		n.boot(i)
	case 5:
		n.step(i, Stop{})
		n.advance(time.Millisecond)
		n.step(i, Start{})
	}
}

// advance runs the network for a while.
func (n *lan) advance(by time.Duration) {
	until := n.now.Add(by)
	for {
		first, act := until, func() {}
		if len(n.flights) > 0 && n.flights[0].at.Before(first) {
			first, act = n.flights[0].at, n.arrive
		}
		for i, e := range n.ends {
			if d := e.session.Deadline(); !d.IsZero() && d.Before(first) {
				first, act = d, func() { n.step(i, Timeout{}) }
			}
		}
		if first.After(n.now) {
			n.now = first
		}
		if act(); first.Equal(until) {
			return
		}
	}
}

func (n *lan) arrive() {
	f := n.flights[0]
	n.flights = n.flights[1:]
	e := n.ends[f.to]
	if f.packet.Yours != 0 && f.packet.Yours != e.session.mine {
		return
	}
	if e.session.State() != AdminDown {
		e.heardAt, e.heard = n.now, f.packet
	}
	n.step(f.to, Received{f.packet})
}

func (n *lan) step(i int, ev Event) {
	e := n.ends[i]
	wasUp := e.session.State() == Up
	interval, mute := e.session.Interval(), e.session.mute()
	actions := e.session.Step(n.now, ev)
	if mute || interval == 0 || e.session.Interval() < interval {
		e.shrunk = true
	}
	for _, a := range actions {
		switch a := a.(type) {
		case Send:
			n.checkSend(i, ev, a.Packet, interval)
			n.send(1-i, a.Packet)
		case Drain:
			n.step(i, Drained{})
		case Transition:
			n.checkTransition(i, a, wasUp)
		case Stalled:
			n.fail("end %d %s", i, a)
		}
	}
}

// send puts a packet on its way, which keeps the order.
func (n *lan) send(to int, p Packet) {
	b := must(p.Append(nil))
	if n.cut[1-to] || n.loss > 0 && rapid.IntRange(0, 99).Draw(n.t, "loss") < n.loss {
		return
	}
	at := n.now.Add(n.delay / 8 * time.Duration(rapid.IntRange(1, 8).Draw(n.t, "delay")))
	for _, f := range n.flights {
		if f.to == to && f.at.After(at) {
			at = f.at
		}
	}
	k := len(n.flights)
	for k > 0 && n.flights[k-1].at.After(at) {
		k--
	}
	n.flights = slices.Insert(n.flights, k, flight{at, to, must(Parse(b))})
}

// checkSend looks at the times of a packet and at what it says.
func (n *lan) checkSend(i int, ev Event, p Packet, interval time.Duration) {
	e := n.ends[i]
	if p.State != Up && p.MinTx < time.Second {
		n.fail("end %d offers %s while %s", i, p.MinTx, p.State)
	}
	if p.Final {
		return
	}
	if _, periodic := ev.(Timeout); periodic && !e.sentAt.IsZero() {
		gap, least := n.now.Sub(e.sentAt), interval*3/4
		most := interval
		if e.params.Multiplier == 1 {
			most = interval * 9 / 10
		}
		late := gap > most && !e.shrunk && e.steady
		if gap < least-time.Nanosecond || late {
			n.fail("end %d sends after %s, want %s to %s", i, gap, least, most)
		}
	}
	e.sentAt, e.shrunk = n.now, false
}

// checkTransition says that silence was silence, of exactly the right length, and that a good
// network lets nobody down.
func (n *lan) checkTransition(i int, a Transition, wasUp bool) {
	e := n.ends[i]
	if a.Reason == ReasonSilence && e.steady {
		p := e.params.withDefaults()
		want := time.Duration(e.heard.Multiplier) * max(p.MinRx, e.heard.MinTx)
		if got := n.now.Sub(e.heardAt); got != want {
			n.fail("end %d believes in silence after %s, want %s", i, got, want)
		}
	}
	if good := n.goodSince; wasUp && !good.IsZero() && n.now.Sub(good) > n.settling() {
		n.fail("end %d goes %s on a good network", i, a)
	}
}

// checkAgreed says that both are Up, have nothing to confirm, and have the same times in mind.
func (n *lan) checkAgreed() {
	for i, e := range n.ends {
		s, other := e.session, n.ends[1-i]
		p, o := e.params.withDefaults(), other.params.withDefaults()
		want := fmt.Sprintf("Up, polls false, sends every %s, detects in %s",
			max(p.MinTx, o.MinRx), time.Duration(o.Multiplier)*max(p.MinRx, o.MinTx))
		got := fmt.Sprintf("%s, polls %t, sends every %s, detects in %s",
			s.State(), s.polling, s.Interval(), s.Detection())
		if got != want {
			n.fail("end %d: %s; want %s", i, got, want)
		}
	}
}

func (n *lan) fail(format string, args ...any) {
	n.t.Helper()
	n.t.Fatalf("at %s: %s", n.now.Sub(n.start), fmt.Sprintf(format, args...))
}
