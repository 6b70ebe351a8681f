package bfd

import (
	"maps"
	"time"
)

// Change is a session that has changed its state.
type Change struct {
	// Name is the session's.
	Name     string
	From, To State
	Reason   Reason
	// Diag is why the neighbour has changed its own state, as it said last; none if it is silent.
	Diag Diag
	// At is when.
	At time.Time
}

// Status is where a session stands, and what has happened to it since it was first set.
type Status struct {
	// Config is what was asked for.
	Config Config
	// State is what it is, Reason why and Since since when. Before Run it is AdminDown without a
	// reason.
	State  State
	Reason Reason
	Since  time.Time
	// Diag is what its packets say.
	Diag Diag
	// Discriminator is its own.
	Discriminator uint32
	// Heard is the neighbour's last packet and HeardAt when that came. One without a State is that
	// the neighbour was not heard, or not for a while.
	Heard   Packet
	HeardAt time.Time
	// Interval is the longest between two packets sent, Detection after how much silence the
	// neighbour is gone; zero is that no packets are to be sent, or nobody is heard.
	Interval, Detection time.Duration
	// Sent and Received count packets, SendErrors those that could not be sent or met nobody, Drops
	// those that came and were not believed.
	Sent, Received, SendErrors uint64
	Drops                      map[DropReason]uint64
	// Stalls counts how often this process, or its host, was too late to believe in silence.
	Stalls uint64
	// Err is why it cannot hear, or cannot speak; empty if it can.
	Err string
}

// States returns where all sessions stand, sorted by name.
func (s *Speaker) States() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Status
	for _, p := range s.sorted() {
		all = append(all, s.status(p))
	}
	return all
}

func (s *Speaker) status(p *peer) Status {
	st := p.status
	st.Config, st.Drops = p.config, maps.Clone(p.status.Drops)
	st.State, st.Diag, st.Heard = p.session.State(), p.session.Diag(), p.session.Heard()
	st.Interval, st.Detection = p.session.Interval(), p.session.Detection()
	if h := s.ears[p.config.door()]; h != nil && h.err != nil {
		st.Err = h.err.Error()
	}
	if p.err != nil {
		st.Err = p.err.Error()
	}
	return st
}

// Drops returns how many packets were not believed that were for none of the sessions.
func (s *Speaker) Drops() map[DropReason]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.drops)
}
