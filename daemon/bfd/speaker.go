package bfd

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// retry is how long after it could not be opened a socket is tried again.
const retry = time.Second

// Speaker has the sockets and the clock of any number of sessions. All of a family and a kind hear
// through one socket; each speaks through one of its own.
type Speaker struct {
	log    *slog.Logger
	report func(Change)
	net    network
	random func() float64
	number func() uint32
	wake   chan struct{}

	mu     sync.Mutex
	peers  map[ends]*peer
	mine   map[uint32]*peer // by discriminator
	ears   map[door]*hearing
	drops  map[DropReason]uint64
	wakeAt time.Time // when Run looks at all sessions again; zero: only if woken
	doorAt time.Time // when it looks at the ears again; zero: not
	active bool      // Run has begun and not ended
	old    []ear     // to be closed without mu, for which their readers may wait
}

// NewSpeaker returns a Speaker without sessions. Changes go to report in their order, from the
// goroutines of Run: it must neither block nor call the Speaker. It is not told of the beginning
// and the end of a session. A nil report means that nobody is told, a nil log slog.Default.
func NewSpeaker(log *slog.Logger, report func(Change)) *Speaker {
	if log == nil {
		log = slog.Default()
	}
	if report == nil {
		report = func(Change) {}
	}
	return &Speaker{
		log: log, report: report, net: kernel{}, random: rand.Float64, number: rand.Uint32,
		wake: make(chan struct{}, 1), peers: map[ends]*peer{}, mine: map[uint32]*peer{},
		ears: map[door]*hearing{}, drops: map[DropReason]uint64{},
	}
}

// Set says which sessions there are from now on. One that is there already, whatever its name was,
// goes on as it is, with the new times if they are new; one that is not named again tells its
// neighbour that it is AdminDown, and ends. An error names a session that cannot be, and then
// nothing changes.
func (s *Speaker) Set(sessions []Config) error {
	if err := validate(sessions); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	named := map[ends]bool{}
	for _, c := range sessions {
		named[c.ends()] = true
	}
	for e, p := range s.peers {
		if !named[e] {
			s.remove(p)
		}
	}
	for _, c := range sessions {
		if err := s.set(c); err != nil {
			return err // a broken invariant: all were validated
		}
	}
	s.doorAt = time.Now()
	s.kick()
	return nil
}

// validate says what is wrong with the first one that cannot be.
func validate(sessions []Config) error {
	names, taken := map[string]bool{}, map[ends]string{}
	for _, c := range sessions {
		if err := c.Validate(); err != nil {
			return fmt.Errorf("set session %s: %w", c.Name, err)
		}
		if names[c.Name] {
			return fmt.Errorf("set session %s: named twice", c.Name)
		}
		if other, ok := taken[c.ends()]; ok {
			return fmt.Errorf("set session %s: has the ends of %s", c.Name, other)
		}
		names[c.Name], taken[c.ends()] = true, c.Name
	}
	return nil
}

// set makes a session, or changes the one that there is.
func (s *Speaker) set(c Config) error {
	p := s.peers[c.ends()]
	if p == nil {
		number := s.number()
		for number == 0 || s.mine[number] != nil {
			number = s.number()
		}
		var err error
		if p, err = newPeer(c, number, s.random); err != nil {
			return err
		}
		s.peers[c.ends()], s.mine[number] = p, p
		return nil
	}
	before := p.config
	p.config = c
	if before.ttl() != c.ttl() {
		p.dialAt = time.Now()
	}
	if before.Params != c.Params {
		s.step(p, SetParams{c.Params})
	}
	return nil
}

// remove ends a session.
func (s *Speaker) remove(p *peer) {
	s.step(p, Stop{})
	p.shut()
	delete(s.peers, p.config.ends())
	delete(s.mine, p.status.Discriminator)
}

// sorted returns the peers by name.
func (s *Speaker) sorted() []*peer {
	all := make([]*peer, 0, len(s.peers))
	for _, p := range s.peers {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *peer) int {
		return strings.Compare(a.config.Name, b.config.Name)
	})
	return all
}

// kick has Run look at everything soon.
func (s *Speaker) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run speaks until ctx ends. It then tells every neighbour that it is AdminDown, closes the sockets
// and returns nil when all goroutines have ended. Sockets that cannot be opened are tried again and
// again. It is called once; sockets are opened in the network namespace of its thread.
func (s *Speaker) Run(ctx context.Context) error {
	var listening sync.WaitGroup
	defer listening.Wait()
	defer s.closeOld()
	defer s.end()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Stop()
		if next := s.round(&listening); !next.IsZero() {
			timer.Reset(time.Until(next))
		}
		s.closeOld()
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// round does what is due and returns when the next is needed; zero: when something happens.
func (s *Speaker) round(listening *sync.WaitGroup) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = true
	now := time.Now()
	if due(s.doorAt, now) {
		s.doorAt = s.listen(now, listening)
	}
	next := s.doorAt
	for _, p := range s.peers {
		p.dial(s.net, now, s.log)
		if p.session.State() == AdminDown {
			s.step(p, Start{})
		}
		if due(p.stepAt, now) {
			s.step(p, Timeout{})
		}
		next = earlier(next, earlier(p.dialAt, p.stepAt))
	}
	s.wakeAt = next
	return next
}

// earlier returns the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// end ends all sessions and closes the ears.
func (s *Speaker) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.sorted() {
		s.step(p, Stop{})
		p.shut()
	}
	for d := range s.ears {
		s.close(d)
	}
	s.active = false
}

// step gives a session an event and does what follows.
func (s *Speaker) step(p *peer, ev Event) {
	now := time.Now()
	for _, a := range p.session.Step(now, ev) {
		s.perform(p, a, now)
	}
	p.stepAt = p.session.Deadline()
	if at := p.stepAt; s.active && !at.IsZero() && (s.wakeAt.IsZero() || at.Before(s.wakeAt)) {
		s.wakeAt = at
		s.kick()
	}
}

func (s *Speaker) perform(p *peer, a Action, now time.Time) {
	switch a := a.(type) {
	case Send:
		p.send(a.Packet, now, s.log)
	case Transition:
		p.status.Reason, p.status.Since = a.Reason, now
		if a.To == Up {
			p.logged = ""
		}
		if a.Reason != ReasonStarted && a.Reason != ReasonStopped {
			s.report(Change{
				p.config.Name, a.From, a.To, a.Reason, p.session.Heard().Diag, now,
			})
		}
	case Drop:
		p.drop(a.Reason)
	case Stalled:
		p.status.Stalls++
		s.log.Warn("stalled", "bfd", p.config.Name, "late", a.Late)
	case Drain:
		s.drain(p.config.door())
		s.step(p, Drained{})
	}
}
