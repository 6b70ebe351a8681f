package bfd

import (
	"fmt"
	"time"
)

// Session is the protocol for one neighbour: state, timers and nothing else. Its zero value is of
// no use; it is not safe for concurrent use.
//
// A change of state is told at once, between the periodic packets. The timers that are offered are
// the slow ones until it is Up, and are confirmed by a Poll Sequence after each change.
type Session struct {
	params Params
	mine   uint32
	random func() float64

	state State
	diag  Diag
	heard Packet // the last one; one of nobody has no discriminator and MinRx 1 µs

	heardAt    time.Time // when; zero: nobody is heard
	graceUntil time.Time // until when s listens that was late itself, or has other times now
	draining   bool      // Drained is to come

	confirmed, polled timers // by the last Poll Sequence that ended, by the one under way
	polling           bool

	sentAt time.Time
	early  float64 // which part of the interval after that is left out

	answer, changed bool // in this step: a Final is owed, the packet says something new
	out             []Action
}

// NewSession returns a Session that is AdminDown. mine is its discriminator, which is not 0 and no
// other session's of this host. random returns numbers from 0 to less than 1; it chooses the jitter
// and must not be nil. The error says which of the Params are wrong, or that mine is 0.
func NewSession(p Params, mine uint32, random func() float64) (*Session, error) {
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("make session: %w", err)
	}
	if mine == 0 {
		return nil, fmt.Errorf("make session: discriminator 0")
	}
	s := &Session{params: p.withDefaults(), mine: mine, random: random, state: AdminDown}
	s.forget()
	return s, nil
}

// State returns what s is.
func (s *Session) State() State { return s.state }

// Diag returns why, as its packets have it.
func (s *Session) Diag() Diag { return s.diag }

// Heard returns the last packet of the neighbour. One without a State is that nobody is heard.
func (s *Session) Heard() Packet { return s.heard }

// Deadline returns when s wants Timeout, or the zero time when it waits for other events only.
func (s *Session) Deadline() time.Time {
	if s.draining {
		return time.Time{}
	}
	at := s.sendAt()
	if e := s.expiry(); at.IsZero() || !e.IsZero() && e.Before(at) {
		return e
	}
	return at
}

// Step tells s that ev happened at now and returns what to do about it, in order. The slice is the
// caller's. now must not go back. An event of a foreign type is a broken invariant and panics.
func (s *Session) Step(now time.Time, ev Event) []Action {
	switch ev := ev.(type) {
	case Start:
		s.start()
	case Stop:
		s.stop()
	case Timeout:
		s.timeout(now)
	case Received:
		s.receive(now, ev.Packet)
	case Drained:
		s.drained(now)
	case SetParams:
		s.setParams(now, ev.Params)
	default:
		panic(fmt.Sprintf("bfd: step with foreign event %T", ev))
	}
	s.tell(now)
	out := s.out
	s.out = nil
	return out
}

// do adds to what this step returns.
func (s *Session) do(a Action) { s.out = append(s.out, a) }

func (s *Session) start() {
	if s.state != AdminDown {
		return
	}
	s.forget()
	s.transit(Down, ReasonStarted, DiagNone)
	s.polling, s.confirmed = false, s.wanted() // nobody has been offered anything else
}

func (s *Session) stop() {
	if s.state == AdminDown {
		return
	}
	s.transit(AdminDown, ReasonStopped, DiagAdminDown)
	s.heardAt, s.graceUntil = time.Time{}, time.Time{}
	s.draining, s.polling = false, false // no answer would be heard
}

// setParams offers others from now on. The multiplier needs no Poll Sequence. A shorter detection
// time is none that has passed already: it begins anew.
func (s *Session) setParams(now time.Time, p Params) {
	before := s.params
	s.params = p.withDefaults()
	if s.state == AdminDown {
		return
	}
	s.poll()
	s.changed = s.params != before
	if due(s.expiry(), now) {
		s.graceUntil = now.Add(s.Detection())
	}
}

// timeout does what is due. Silence comes first: who is drained may have nothing to send any more.
func (s *Session) timeout(now time.Time) {
	if e := s.expiry(); !s.draining && due(e, now) {
		s.doubt(now, now.Sub(e))
		return
	}
	if !s.draining && due(s.sendAt(), now) {
		s.transmit(now)
	}
}

// due reports whether at has come.
func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// doubt has the socket drained before the silence is believed. Who is late by more than an interval
// of the neighbour's has itself not run, and listens for another detection time; once in a silence,
// for on a host that is always late it would never end.
func (s *Session) doubt(now time.Time, late time.Duration) {
	if late > s.remoteInterval() && s.graceUntil.IsZero() {
		s.do(Stalled{late})
		s.graceUntil = now.Add(s.Detection())
	}
	s.draining = true
	s.do(Drain{})
}

// drained believes the silence.
//
// RFC 5880, Section 6.8.4: "if a period of time equal to the Detection Time passes without
// receiving a BFD Control packet from the remote system, and bfd.SessionState is Init or Up, the
// session has gone down -- the local system MUST set bfd.SessionState to Down and bfd.LocalDiag to
// 1". Section 6.8.1 has bfd.RemoteDiscr set to zero then, in any state.
func (s *Session) drained(now time.Time) {
	if !s.draining {
		return
	}
	s.draining = false
	if !due(s.expiry(), now) {
		return
	}
	s.forget()
	if s.state == Init || s.state == Up {
		s.transit(Down, ReasonSilence, DiagExpired)
	}
}

// forget makes the neighbour a stranger.
//
// RFC 5880, Section 6.8.1: bfd.RemoteMinRxInterval "MUST be initialized to 1."
func (s *Session) forget() {
	s.heard = Packet{MinRx: time.Microsecond}
	s.heardAt, s.graceUntil = time.Time{}, time.Time{}
}

// receive is RFC 5880, Section 6.8.6, from where the session is known.
func (s *Session) receive(now time.Time, p Packet) {
	if s.state == AdminDown {
		s.do(Drop{DropStopped})
		return
	}
	s.heard, s.heardAt, s.graceUntil, s.draining = p, now, time.Time{}, false
	if p.Final {
		s.endPoll()
	}
	switch {
	case p.State == AdminDown && s.state != Down:
		s.transit(Down, ReasonAdminDown, DiagSignaled)
	case s.state == Down && p.State == Down:
		s.transit(Init, ReasonHeard, s.diag)
	case s.state == Down && p.State == Init:
		s.transit(Up, ReasonAnswered, DiagNone)
	case s.state == Init && (p.State == Init || p.State == Up):
		s.transit(Up, ReasonAnswered, DiagNone)
	case s.state == Up && p.State == Down:
		s.transit(Down, ReasonSignaled, DiagSignaled)
	}
	s.answer = p.Poll
}

// transit changes the state, and the timers with it.
func (s *Session) transit(to State, reason Reason, diag Diag) {
	s.do(Transition{s.state, to, reason})
	s.state, s.diag, s.changed = to, diag, true
	if to != AdminDown {
		s.poll()
	}
}

// tell sends what cannot wait for its turn. The answer to a poll tells what is new, too, but cannot
// poll itself, and the periodic packets keep their times.
//
// RFC 5880, Section 6.5: "If a BFD Control packet is received with the Poll (P) bit set, the
// receiving system MUST respond with a BFD Control packet with the Poll (P) bit clear and the Final
// (F) bit set, (…) without respect to the transmission timer".
func (s *Session) tell(now time.Time) {
	switch {
	case s.answer:
		p := s.packet()
		p.Poll, p.Final = false, true
		s.do(Send{p})
	case s.changed && !s.mute():
		s.transmit(now)
	}
	s.answer, s.changed = false, false
}

// transmit sends a packet; the next periodic one has its time from this one.
func (s *Session) transmit(now time.Time) {
	s.do(Send{s.packet()})
	s.sentAt, s.early = now, s.roll()
}

// packet returns what s has to say now.
func (s *Session) packet() Packet {
	want := s.wanted()
	return Packet{
		State: s.state, Diag: s.diag, Poll: s.polling, Multiplier: s.params.Multiplier,
		Mine: s.mine, Yours: s.heard.Mine, MinTx: want.tx, MinRx: want.rx,
	}
}
