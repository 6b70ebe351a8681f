package bfd

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// The defaults are keepalived's, but for slowest: RFC 5880, Section 6.8.3, has a session that is
// not Up send once a second at most.
const (
	defaultInterval   = 10 * time.Millisecond
	defaultMultiplier = 5
	slowest           = time.Second
	ttlDirect         = 255
	ttlMultihop       = 64
)

// Params are what a Session can change while it is Up.
type Params struct {
	// MinTx is the least interval in which to send while Up, MinRx the least in which packets are
	// wanted. Both are whole microseconds up to 4294.967295 s; 0 means 10 ms.
	MinTx, MinRx time.Duration
	// IdleTx is the interval while not Up. Less than a second, and 0, means a second.
	IdleTx time.Duration
	// Multiplier is after how many of this end's packets the neighbour may take it for dead; 0
	// means 5. With 1, packets come earlier, so that one is not late by chance.
	Multiplier uint8
	// Passive sends nothing before the neighbour does. One of two has to be active.
	Passive bool
}

// withDefaults replaces what is zero or too little.
func (p Params) withDefaults() Params {
	if p.MinTx == 0 {
		p.MinTx = defaultInterval
	}
	if p.MinRx == 0 {
		p.MinRx = defaultInterval
	}
	if p.Multiplier == 0 {
		p.Multiplier = defaultMultiplier
	}
	p.IdleTx = max(p.IdleTx, slowest)
	return p
}

// validate says what is wrong, all of it.
func (p Params) validate() error {
	var errs []error
	check := func(name string, d time.Duration) {
		if d < 0 || d > maxInterval || d%time.Microsecond != 0 {
			errs = append(errs,
				fmt.Errorf("%s %s: want 0 to %s in microseconds", name, d, maxInterval))
		}
	}
	check("min tx", p.MinTx)
	check("min rx", p.MinRx)
	check("idle tx", p.IdleTx)
	return errors.Join(errs...)
}

// Config is one session of a Speaker. Two that have the same Name, Neighbor, Source and Multihop
// are the same session.
type Config struct {
	// Name is unique and not empty.
	Name string
	// Neighbor is the other end. A link-local address needs the zone: the name of an interface.
	Neighbor netip.Addr
	// Source is this end's address, of the same family and without a zone; invalid means that
	// whatever the routes say will do. It need not exist yet.
	Source netip.Addr
	// Multihop is a session over routers (RFC 5883), to and on another port.
	Multihop bool
	// TTL is what packets are sent with; 0 means 255, or 64 with Multihop.
	TTL uint8
	// MaxHops is what may be missing from TTL in a packet that comes; 255 asks for nothing. The
	// zero value is what RFC 5881 wants over one hop: 255 has to have stayed 255.
	MaxHops uint8
	Params
}

// Validate says what is wrong with c, all of it.
func (c Config) Validate() error {
	var errs []error
	say := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Name == "" {
		say("no name")
	}
	n := c.Neighbor
	switch {
	case !n.IsValid():
		say("no neighbour")
	case n.IsMulticast(), n.IsUnspecified(), n.Is4In6():
		say("neighbour %s: want a unicast address", n)
	case n.Is6() && n.IsLinkLocalUnicast() && n.Zone() == "":
		say("neighbour %s: want the interface too, as in %[1]s%%eth0", n)
	}
	switch s := c.Source; {
	case !s.IsValid():
	case s.Is4() != n.Is4() && n.IsValid():
		say("source %s: want the family of %s", s, n)
	case s.Zone() != "", s.IsMulticast(), s.IsUnspecified(), s.Is4In6():
		say("source %s: want a unicast address without a zone", s)
	}
	if err := c.validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ttl returns what packets are sent with.
func (c Config) ttl() int {
	switch {
	case c.TTL != 0:
		return int(c.TTL)
	case c.Multihop:
		return ttlMultihop
	default:
		return ttlDirect
	}
}

// acceptsTTL reports whether a packet that came with that TTL has not come from too far.
//
// RFC 5881, Section 5: "all received BFD Control packets that are demultiplexed to the session MUST
// be discarded if the received TTL or Hop Limit is not equal to 255."
func (c Config) acceptsTTL(ttl int) bool {
	return ttl >= c.ttl()-int(c.MaxHops)
}
