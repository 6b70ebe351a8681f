package vrrp

import (
	"net/netip"
	"slices"
	"time"
)

// ConditionKind names something that is wrong on the network for as long as it is. Zero is unset.
type ConditionKind uint8

// The kinds. Those down to ConditionMalformed are a router that claims the same VRID and is not
// understood, or only understood in part, as it is configured: two masters are near.
const (
	// ConditionInterval is another advert interval.
	ConditionInterval ConditionKind = iota + 1 // peer's interval differs
	// ConditionVersion is another protocol version.
	ConditionVersion // peer's version differs
	// ConditionAuthType is another authentication type.
	ConditionAuthType // peer's authentication type differs
	// ConditionPassword is another password.
	ConditionPassword // peer's password differs
	// ConditionAddresses is another list of VIPs.
	ConditionAddresses // peer's addresses differ
	// ConditionTTL is adverts that have passed more routers than they may.
	ConditionTTL // peer's adverts are routed
	// ConditionChecksum is adverts with a wrong checksum.
	ConditionChecksum // peer's checksum is wrong
	// ConditionDestination is unicast where multicast is configured, or the other way round.
	ConditionDestination // peer's destination differs
	// ConditionStranger is unicast adverts of one who is not a peer.
	ConditionStranger // stranger's adverts
	// ConditionMalformed is packets that are no adverts.
	ConditionMalformed // malformed adverts
	// ConditionTwoMasters is another master that does not yield.
	ConditionTwoMasters // two masters
	// ConditionLooped is adverts from this router's own address: its own, or those of another
	// router with the same address.
	ConditionLooped // own address heard
	// ConditionStalled is that this process, or the whole host, does not run when it should.
	ConditionStalled // stalled
	// ConditionTwoOwners is another router of priority 255, where this one is configured with it.
	ConditionTwoOwners // two owners
	// ConditionClaimed is another station that has a VIP of this master too. It shows in what stations
	// say of addresses, of which only a driver hears.
	ConditionClaimed // address claimed
)

// Evidence is what a condition was last concluded from. Fields that say nothing are zero.
type Evidence struct {
	From     netip.Addr
	Priority uint8
	Interval time.Duration // the sender's; the condition is not over before it has been silent
	Got      string
	Want     string
}

// Condition is one thing that is wrong.
type Condition struct {
	Kind ConditionKind
	// Since and Last are when it was noted for the first and for the last time, Count how often.
	Since, Last time.Time
	Count       uint64
	// Evidence is that of Last.
	Evidence Evidence
}

// Conditions are the conditions of one virtual router. Each kind is there once, whoever causes it,
// so that nobody can fill the memory with them. A condition that is not noted again for as long as
// the silence that makes a master dead is over. It is not safe for concurrent use.
type Conditions struct {
	timing timing
	active []Condition // by kind
}

// NewConditions returns the Conditions, none yet, of a router of that configuration, of which only
// its intervals matter.
func NewConditions(c Config) *Conditions { return &Conditions{timing: c.withDefaults().timing()} }

// Note tells that the cause of a condition was seen at now. It reports whether the condition is
// new; one whose time has run out counts as new only after Expire has said so.
func (c *Conditions) Note(now time.Time, kind ConditionKind, e Evidence) bool {
	i, found := slices.BinarySearchFunc(c.active, kind, func(a Condition, k ConditionKind) int {
		return int(a.Kind) - int(k)
	})
	if !found {
		c.active = slices.Insert(c.active, i, Condition{Kind: kind, Since: now})
	}
	a := &c.active[i]
	a.Last, a.Evidence = now, e
	a.Count++
	return !found
}

// NoteAction notes the condition that a shows, if it shows one, and returns its kind and whether
// it is new. The kind is zero when there is none.
func (c *Conditions) NoteAction(now time.Time, a Action) (ConditionKind, bool) {
	var kind ConditionKind
	var e Evidence
	switch a := a.(type) {
	case Drop:
		kind, e = a.Reason.condition(), Evidence{a.From, a.Priority, a.Interval, a.Got, a.Want}
	case Mismatch:
		kind, e = a.Reason.condition(), Evidence{a.From, a.Priority, a.Interval, a.Got, a.Want}
	case Contested:
		kind, e = ConditionTwoMasters, Evidence{From: a.From, Priority: a.Priority}
	case Stalled:
		kind, e = ConditionStalled, Evidence{Got: a.Late.String()}
	}
	if kind == 0 {
		return 0, false
	}
	return kind, c.Note(now, kind, e)
}

// Any reports whether there are conditions, over or not.
func (c *Conditions) Any() bool { return len(c.active) > 0 }

// Expire removes what is over at now and returns it, or nil.
func (c *Conditions) Expire(now time.Time) []Condition {
	var over []Condition
	c.active = slices.DeleteFunc(c.active, func(a Condition) bool {
		if c.end(a).After(now) {
			return false
		}
		over = append(over, a)
		return true
	})
	return over
}

// Deadline returns when the next condition is over if it is not noted again, or the zero time.
func (c *Conditions) Deadline() time.Time {
	var first time.Time
	for _, a := range c.active {
		first = earlier(first, c.end(a))
	}
	return first
}

// Active returns the conditions that there are, by kind. The slice is the caller's.
func (c *Conditions) Active() []Condition { return slices.Clone(c.active) }

// end returns when a is over if it is not noted again. The sender's interval counts when it is
// longer than one's own: a slow peer is not well between two adverts.
func (c *Conditions) end(a Condition) time.Time {
	return a.Last.Add(c.timing.down(max(c.timing.interval, a.Evidence.Interval)))
}

// condition returns what adverts that are refused for r, or believed in spite of it, say about the
// network, or zero: foreign virtual routers share it by right.
func (r DropReason) condition() ConditionKind {
	switch r {
	case DropInterval:
		return ConditionInterval
	case DropVersion:
		return ConditionVersion
	case DropAuthType:
		return ConditionAuthType
	case DropPassword:
		return ConditionPassword
	case DropAddresses, DropLinkLocal:
		return ConditionAddresses
	case DropTTL:
		return ConditionTTL
	case DropChecksum:
		return ConditionChecksum
	case DropDestination:
		return ConditionDestination
	case DropPeer:
		return ConditionStranger
	case DropShort, DropLong, DropType, DropNoAddress, DropFamily:
		return ConditionMalformed
	case DropLooped:
		return ConditionLooped
	case DropTwoOwners:
		return ConditionTwoOwners
	case DropVRID, DropOwner, DropFlood:
	}
	return 0
}
