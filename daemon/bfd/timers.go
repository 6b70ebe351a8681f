package bfd

import "time"

// timers are the two intervals that a packet offers.
type timers struct{ tx, rx time.Duration }

// wanted returns what s offers now.
//
// RFC 5880, Section 6.8.3: "When bfd.SessionState is not Up, the system MUST set
// bfd.DesiredMinTxInterval to a value of not less than one second".
func (s *Session) wanted() timers {
	if s.state != Up {
		return timers{s.params.IdleTx, s.params.MinRx}
	}
	return timers{s.params.MinTx, s.params.MinRx}
}

// poll begins a Poll Sequence if the neighbour has not confirmed what s offers. One that is under
// way goes on first: its answer says nothing about what has changed since.
//
// RFC 5880, Section 6.8.3: "If either bfd.DesiredMinTxInterval is changed or
// bfd.RequiredMinRxInterval is changed, a Poll Sequence MUST be initiated".
func (s *Session) poll() {
	if want := s.wanted(); !s.polling && want != s.confirmed {
		s.polling, s.polled = true, want
	}
}

// endPoll is the neighbour's answer.
func (s *Session) endPoll() {
	if s.polling {
		s.polling, s.confirmed = false, s.polled
		s.poll()
	}
}

// Interval returns the longest time between two packets that s sends: the longer of what it wants
// and what the neighbour can take. Zero is that the neighbour wants none, or s is AdminDown.
//
// RFC 5880, Section 6.8.3: "If bfd.DesiredMinTxInterval is increased and bfd.SessionState is Up,
// the actual transmission interval used MUST NOT change until the Poll Sequence (…) has
// terminated."
func (s *Session) Interval() time.Duration {
	if s.heard.MinRx == 0 || s.state == AdminDown {
		return 0
	}
	own := s.wanted().tx
	if s.state == Up && s.polling {
		own = min(own, s.confirmed.tx)
	}
	return max(own, s.heard.MinRx)
}

// Detection returns after how much silence the neighbour is gone; zero while nobody is heard.
//
// RFC 5880, Section 6.8.4: "the value of Detect Mult received from the remote system, multiplied by
// the agreed transmit interval of the remote system (the greater of bfd.RequiredMinRxInterval and
// the last received Desired Min TX Interval)", and Section 6.8.3: "If bfd.RequiredMinRxInterval is
// reduced and bfd.SessionState is Up, the previous value (…) MUST be used (…) until the Poll
// Sequence (…) has terminated."
func (s *Session) Detection() time.Duration {
	return time.Duration(s.heard.Multiplier) * s.remoteInterval()
}

// remoteInterval is the neighbour's, as far as s knows.
func (s *Session) remoteInterval() time.Duration {
	own := s.wanted().rx
	if s.state == Up && s.polling {
		own = max(own, s.confirmed.rx)
	}
	return max(own, s.heard.MinTx)
}

// expiry returns when the silence is long enough; zero: nobody was heard.
func (s *Session) expiry() time.Time {
	if s.heardAt.IsZero() {
		return time.Time{}
	}
	at := s.heardAt.Add(s.Detection())
	if s.graceUntil.After(at) {
		return s.graceUntil
	}
	return at
}

// sendAt returns when the next periodic packet is due; zero: none is.
//
// RFC 5880, Section 6.8.7: "A system MUST NOT transmit BFD Control packets if bfd.RemoteDiscr is
// zero and the system is taking the Passive role. A system MUST NOT periodically transmit BFD
// Control packets if bfd.RemoteMinRxInterval is zero." That it does not either while the neighbour
// is in demand mode is left out: those packets do no harm.
func (s *Session) sendAt() time.Time {
	interval := s.Interval()
	if s.mute() || interval == 0 {
		return time.Time{}
	}
	return s.sentAt.Add(interval - time.Duration(s.early*float64(interval)))
}

// mute reports whether s has to wait for the neighbour.
func (s *Session) mute() bool { return s.params.Passive && s.heard.Mine == 0 }

// roll chooses which part of the interval is left out after the packet that is sent now.
//
// RFC 5880, Section 6.8.7: "The periodic transmission of BFD Control packets MUST be jittered on a
// per-packet basis by up to 25% (…). If bfd.DetectMult is equal to 1, the interval between
// transmitted BFD Control packets MUST be no more than 90% of the negotiated transmission interval,
// and MUST be no less than 75%".
func (s *Session) roll() float64 {
	const most, leastAlone = 0.25, 0.10
	if s.params.Multiplier == 1 {
		return leastAlone + (most-leastAlone)*s.random()
	}
	return most * s.random()
}
