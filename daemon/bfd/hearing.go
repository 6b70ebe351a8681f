package bfd

import (
	"errors"
	"sync"
	"time"
)

// drainRounds bounds what is read before silence is believed: more than any socket's queue holds.
const drainRounds = 128

// hearing is a door with its ear. It is of Speaker.mu.
type hearing struct {
	ear    ear       // nil: could not be opened
	openAt time.Time // when to try again; zero: not
	err    error     // why
}

// listen opens the ears that are wanted and closes those that are not. It returns when to try
// again.
func (s *Speaker) listen(now time.Time, listening *sync.WaitGroup) time.Time {
	wanted := map[door]bool{}
	for _, p := range s.peers {
		wanted[p.config.door()] = true
	}
	for d := range s.ears {
		if !wanted[d] {
			s.close(d)
		}
	}
	var again time.Time
	for d := range wanted {
		h := s.ears[d]
		if h == nil {
			h = &hearing{openAt: now}
			s.ears[d] = h
		}
		if due(h.openAt, now) {
			s.open(d, h, now, listening)
		}
		again = earlier(again, h.openAt)
	}
	return again
}

// open opens an ear and begins to hear.
func (s *Speaker) open(d door, h *hearing, now time.Time, listening *sync.WaitGroup) {
	e, err := s.net.listen(d)
	if err != nil {
		s.deaf(h, now, err)
		return
	}
	*h = hearing{ear: e}
	listening.Go(func() {
		err := e.hear(func() { s.receive(d, e) })
		s.mu.Lock()
		defer s.mu.Unlock()
		if h := s.ears[d]; h != nil && h.ear == e { // it was not closed here
			_ = e.Close() // why it failed says more
			if err == nil {
				err = errors.New("closed")
			}
			s.deaf(h, time.Now(), err)
			s.kick()
		}
	})
}

// deaf keeps why a door has no ear, and logs it if it is news.
func (s *Speaker) deaf(h *hearing, now time.Time, err error) {
	if h.err == nil || h.err.Error() != err.Error() {
		s.log.Error("BFD cannot be heard", "err", err)
	}
	*h = hearing{openAt: now.Add(retry), err: err}
	s.doorAt = earlier(s.doorAt, h.openAt)
}

// close has the ear of a door, if it has one, closed by closeOld.
func (s *Speaker) close(d door) {
	if e := s.ears[d].ear; e != nil {
		s.old = append(s.old, e)
	}
	delete(s.ears, d)
}

// closeOld closes the ears that are not wanted any more. To close one waits for its reader, which
// may wait for mu.
func (s *Speaker) closeOld() {
	s.mu.Lock()
	old := s.old
	s.old = nil
	s.mu.Unlock()
	for _, e := range old {
		_ = e.Close() // it has nothing to lose
	}
}

// receive reads what waits. The lock is let go between, for timers. At the end of Run it reads no
// more: a neighbour that was told answers one that is not there.
func (s *Speaker) receive(d door, e ear) {
	for more := true; more; {
		s.mu.Lock()
		more = s.active && s.read(d, e)
		s.mu.Unlock()
	}
}

// drain reads all that waits at a door.
func (s *Speaker) drain(d door) {
	h := s.ears[d]
	if h == nil || h.ear == nil {
		return
	}
	for i := 0; i < drainRounds && s.read(d, h.ear); i++ {
	}
}

// read delivers some of what waits and says whether there may be more.
func (s *Speaker) read(d door, e ear) bool {
	more, err := e.drain(func(dg datagram) { s.deliver(d, dg) })
	if err != nil && more {
		s.log.Debug("BFD packet lost", "err", err)
	}
	return more
}

// deliver gives a datagram to the session that it is for.
//
// RFC 5880, Section 6.8.6: "If the Your Discriminator field is nonzero, it MUST be used to select
// the session with which this BFD packet is associated. If no session is found, the packet MUST be
// discarded. If the Your Discriminator field is zero, the session MUST be selected based on some
// combination of other fields".
func (s *Speaker) deliver(at door, d datagram) {
	packet, err := Parse(d.payload)
	if err != nil {
		s.drop(s.find(at, d), reasonOf(err))
		return
	}
	p := s.mine[packet.Yours]
	switch {
	case packet.Yours == 0:
		if p = s.find(at, d); p == nil {
			s.drop(nil, DropNeighbor)
			return
		}
	case p == nil:
		s.drop(s.find(at, d), DropUnknown)
		return
	case p.config.door() != at:
		s.drop(p, DropPort)
		return
	}
	if !p.config.acceptsTTL(d.ttl) {
		s.drop(p, DropTTL)
		return
	}
	p.status.Received++
	p.status.HeardAt = time.Now()
	s.step(p, Received{packet})
}

// find returns the session whose neighbour sent d, nil if there is none. One that names its own end
// comes first.
func (s *Speaker) find(at door, d datagram) *peer {
	var found *peer
	for _, p := range s.peers {
		if p.config.door() != at {
			continue
		}
		yes, exactly := p.speaksTo(d)
		if exactly {
			return p
		} else if yes {
			found = p
		}
	}
	return found
}

// drop counts a packet that is not believed, for its session if that is known.
func (s *Speaker) drop(p *peer, reason DropReason) {
	if p == nil {
		s.drops[reason]++
		return
	}
	p.drop(reason)
}
