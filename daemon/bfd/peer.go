package bfd

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"
)

// ends are what makes a session itself.
type ends struct {
	neighbor, source netip.Addr
	multihop         bool
}

func (c Config) ends() ends { return ends{c.Neighbor, c.Source, c.Multihop} }

// peer is one session at work. It is of Speaker.mu.
type peer struct {
	config  Config
	session *Session
	status  Status    // what the session does not know itself
	mouth   mouth     // nil: not open yet
	stepAt  time.Time // the session's deadline
	// dialAt is when to open the mouth, anew if there is one; zero: not.
	dialAt time.Time
	err    error  // why it cannot speak; nil if it can
	logged string // the last one that was logged since it was Up
}

// newPeer returns a peer that has not begun. The config is valid.
func newPeer(c Config, discriminator uint32, random func() float64) (*peer, error) {
	session, err := NewSession(c.Params, discriminator, random)
	if err != nil {
		return nil, err
	}
	p := &peer{config: c, session: session, dialAt: time.Now()}
	p.status.Discriminator = discriminator
	p.status.Drops = map[DropReason]uint64{}
	return p, nil
}

// dial opens the mouth if it is time.
func (p *peer) dial(n network, now time.Time, log *slog.Logger) {
	if !due(p.dialAt, now) {
		return
	}
	m, err := n.dial(p.config)
	if err != nil {
		p.dialAt = now.Add(retry)
		p.failed(err, log)
		return
	}
	p.shut()
	p.mouth, p.dialAt = m, time.Time{}
}

// shut closes the mouth, if there is one.
func (p *peer) shut() {
	if p.mouth != nil {
		_ = p.mouth.Close() // it has nothing to lose
		p.mouth = nil
	}
}

// send sends a packet. An error of this host's has the mouth opened anew: its address or its route
// may have changed.
func (p *peer) send(packet Packet, now time.Time, log *slog.Logger) {
	b, err := packet.Append(nil)
	switch {
	case err != nil:
	case p.mouth == nil: // why was said already
		p.status.SendErrors++
		return
	default:
		err = p.mouth.send(b)
	}
	if err == nil {
		p.status.Sent++
		p.err = nil
		return
	}
	p.status.SendErrors++
	p.failed(err, log)
	if !unreachable(err) && p.dialAt.IsZero() {
		p.dialAt = now.Add(retry)
	}
}

// failed keeps an error, and logs it if it is news: one of a neighbour that is away comes and goes.
func (p *peer) failed(err error, log *slog.Logger) {
	p.err = err
	if text := err.Error(); p.logged != text {
		p.logged = text
		log.Warn("BFD cannot be sent", "bfd", p.config.Name, "err", err)
	}
}

// drop counts a packet that is not believed.
func (p *peer) drop(reason DropReason) { p.status.Drops[reason]++ }

// speaksTo reports whether d comes from the neighbour of p to its end, and whether p named that
// end.
func (p *peer) speaksTo(d datagram) (yes, exactly bool) {
	c := p.config
	zone := 0
	if p.mouth != nil {
		zone = p.mouth.index()
	}
	if c.Neighbor.WithZone("") != d.from || zone != d.index {
		return false, false
	}
	return !c.Source.IsValid() || c.Source == d.to, c.Source == d.to
}

// reasonOf returns the reason of a refusal by Parse.
func reasonOf(err error) DropReason {
	var r DropReason
	errors.As(err, &r)
	return r
}
