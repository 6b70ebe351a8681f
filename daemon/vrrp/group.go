package vrrp

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// All is the member of an event that concerns every member of a Group.
const All = -1

// MemberAction is an Action for the member of that index.
type MemberAction struct {
	Member int
	Action Action
}

// String returns, for example, "1: add VIPs".
func (a MemberAction) String() string { return fmt.Sprintf("%d: %s", a.Member, a.Action) }

// Group is one or more Machines that are master together or not at all, keepalived's
// vrrp_sync_group: a director's outer and inner VIP. A Group of one behaves as its Machine.
//
//   - Nobody is master until every member's timer has run out.
//   - A member that loses its mastership takes it from all.
//   - Of two routers that own the addresses, the one that concedes on one link does so on all.
//   - A member in Fault puts all into Fault; masters among them resign, which the peers' groups
//     hear on the links that still work and conclude for those that do not.
//
// It is not safe for concurrent use.
type Group struct {
	members []*Machine
	first   int      // the member that all routers of its network take for the first
	faults  []Reason // each member's own; zero: none
	// gaveWay is how often giveWay was called in a row, the last time at gaveWayAt.
	gaveWay   int
	gaveWayAt time.Time
	deadline  time.Time // the first of the members'
	out       []MemberAction
}

// NewGroup returns a Group of one Machine for each of cfgs, all in Initialize.
func NewGroup(cfgs ...Config) (*Group, error) {
	if len(cfgs) == 0 {
		return nil, errors.New("make group: no member")
	}
	g := &Group{faults: make([]Reason, len(cfgs))}
	for _, cfg := range cfgs {
		m, err := NewMachine(cfg)
		if err != nil {
			return nil, err
		}
		m.grouped = len(cfgs) > 1
		g.members = append(g.members, m)
	}
	g.first = first(g.members)
	for i, m := range g.members {
		if m.cfg.lonely() {
			g.fail(time.Time{}, i, Fault{Reason: ReasonNoPeer})
		}
	}
	return g, nil
}

// first returns which member has the lowest VRID or, of several, the lowest address: whoever else
// serves the same virtual routers comes to the same result, in whatever order it has them.
func first(members []*Machine) int {
	best := 0
	for i, m := range members {
		was := members[best]
		order := cmp.Compare(m.cfg.VRID, was.cfg.VRID)
		lowest := func(m *Machine) netip.Addr { return slices.MinFunc(m.cfg.Addrs, netip.Addr.Compare) }
		if order < 0 || order == 0 && lowest(m).Less(lowest(was)) {
			best = i
		}
	}
	return best
}

// Len returns the number of members.
func (g *Group) Len() int { return len(g.members) }

// Member returns the Machine of that index, to be looked at; only the Group may step it.
func (g *Group) Member(i int) *Machine { return g.members[i] }

// Deadline returns when g wants Timeout, or the zero time.
func (g *Group) Deadline() time.Time { return g.deadline }

// Step tells member of g that ev happened at now and returns what to do about it, in order.
// Startup, Leave, Shutdown, StepDown and Timeout concern every member, whichever is given.
func (g *Group) Step(now time.Time, member int, ev Event) []MemberAction {
	yielded := false
	switch known := ev.(type) {
	case Leave, Shutdown, StepDown, Timeout:
		g.stepAll(now, ev)
	case Startup:
		g.stepAll(now, ev)
		if len(g.members) > 1 {
			announceLast(g.out)
		}
	case Fault:
		g.fail(now, member, known)
	case Recovered:
		g.recover(now, member)
	case Received:
		yielded = g.receive(now, member, known, ev)
	default:
		g.step(now, member, ev)
	}
	g.settle(now)
	if yielded && member == g.first && len(g.members) > 1 {
		g.giveWay(now)
	}
	g.deadline = time.Time{}
	for _, m := range g.members {
		g.deadline = earlier(g.deadline, m.Deadline())
	}
	out := g.out
	g.out = nil
	return out
}

func (g *Group) stepAll(now time.Time, ev Event) {
	for i := range g.members {
		g.step(now, i, ev)
	}
}

func (g *Group) step(now time.Time, i int, ev Event) {
	g.members[i].handle(now, ev)
	g.collect(i)
}

// collect takes over what member i is to do, and leaves it the room.
func (g *Group) collect(i int) {
	m := g.members[i]
	for _, a := range m.out {
		g.out = append(g.out, MemberAction{i, a})
	}
	clear(m.out)
	m.out = m.out[:0]
}

// inject lets change act on member i as an event of the Group's own.
func (g *Group) inject(i int, change func(*Machine)) {
	change(g.members[i])
	g.collect(i)
}

// fail puts the member into Fault for its own reason and the others for the Group's. They do it as
// it does: what passes a director passes all members of a group, so when the link of one has gone
// nothing is served by the VIPs of the others, which would only attract what they lose.
func (g *Group) fail(now time.Time, member int, f Fault) {
	g.faults[member] = f.Reason
	g.step(now, member, f)
	for i, own := range g.faults {
		if own == 0 {
			own = ReasonGroup
		}
		if i != member {
			g.step(now, i, Fault{own, f.Graceful})
		}
	}
}

// recover ends the member's own fault, and everybody's Fault if it was the last one. Members that
// could stay master do not when another cannot.
func (g *Group) recover(now time.Time, member int) {
	own := g.members[member].cfg.lasting()
	g.faults[member] = own
	if slices.ContainsFunc(g.faults, func(r Reason) bool { return r != 0 }) {
		if own == 0 {
			own = ReasonGroup
		}
		g.step(now, member, Fault{own, true})
		return
	}
	stays := func(m *Machine) bool { return m.stays(now) }
	if g.any(func(m *Machine) bool { return !m.stays(now) }) {
		g.each(stays, func(m *Machine) { m.yield(now, ReasonGroup) })
	}
	g.stepAll(now, Recovered{})
}

// hasten tells the others that the member has heard a router resign, and whether it followed that
// one. Groups move as one, so it has resigned everywhere, only its last adverts may have been lost
// with a link.
func (g *Group) hasten(now time.Time, member int, followed bool) {
	for i, m := range g.members {
		if i != member {
			m.hasten(now, followed)
		}
	}
}

// receive gives an advert to a member, and to the others what it means for them. It reports whether
// the member was master and has yielded to one of the same priority. Event is ev once more: to make
// one of it takes memory.
func (g *Group) receive(now time.Time, member int, ev Received, event Event) bool {
	m := g.members[member]
	was, leader, tie := m.state, m.leader, ev.Advert.Priority == m.cfg.Priority
	g.step(now, member, event)
	if tie && was == Backup && m.state == Backup && m.leader != leader && g.yields(now) {
		g.wait(m)
	}
	if ev.Advert.Priority == PriorityResign && m.cause == ReasonResigned {
		g.hasten(now, member, ev.From == m.leader)
	}
	if m.conceded() {
		g.each(func(m *Machine) bool { return m.owner }, (*Machine).concede)
	}
	return tie && was == Master && m.state == Backup
}

// giveWay has all members wait for longer than a group that had to yield on another link, and for
// longer each time if that happens again soon. Two groups of equal standing of which each has the
// higher address on one link take the mastership from each other; if they had begun at once, and
// waited for equally long, they would do so for ever. So would three, if one that has given way did not
// wait longer after the first advert of another one, too, which may be about to give way to a third.
func (g *Group) giveWay(now time.Time) {
	if !g.yields(now) {
		g.gaveWay = 0
	}
	g.gaveWay, g.gaveWayAt = min(g.gaveWay+1, 4), now
	for _, m := range g.members {
		if m.state == Backup {
			g.wait(m)
		}
	}
}

// yields says whether the group has given way not long ago.
func (g *Group) yields(now time.Time) bool {
	m := g.members[g.first]
	return g.gaveWay > 0 && now.Sub(g.gaveWayAt) <= 10*m.cfg.down(m.master)
}

// wait has a backup wait for longer than others, the more the more often it had to give way.
func (g *Group) wait(m *Machine) {
	m.expiry = m.expiry.Add(time.Duration(g.gaveWay) * m.cfg.grace(m.master))
	m.givesWayUntil = m.expiry
}

// settle brings the members together after one of them has moved.
func (g *Group) settle(now time.Time) {
	if g.stalled() {
		g.each(func(m *Machine) bool { return m.claiming }, func(m *Machine) { m.doubt(now) })
	}
	master := func(m *Machine) bool { return m.state == Master && !m.Leaving() }
	switch {
	case !g.any(func(m *Machine) bool { return m.state == Backup }):
	case g.any(func(m *Machine) bool { return !m.letGoAt.IsZero() }):
		g.each(master, func(m *Machine) { m.yield(now, ReasonGroup) })
	default:
		g.each(master, func(m *Machine) { m.toBackup(now, ReasonGroup) })
	}
	claiming := func(m *Machine) bool { return m.claiming }
	if !g.any(func(m *Machine) bool { return !m.claiming }) {
		before := len(g.out)
		g.each(claiming, func(m *Machine) { m.toMaster(now, m.cause) })
		announceLast(g.out[before:])
	}
}

// announceLast puts the announcements behind all else: requests that follow the first one come back
// through another member's VIP, which must be there by then.
func announceLast(actions []MemberAction) {
	rank := func(a MemberAction) int {
		if _, announce := a.Action.(Announce); announce {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(actions, func(a, b MemberAction) int { return rank(a) - rank(b) })
}

// stalled reports whether this step has found any member late: what the others concluded from
// silence before it is then in doubt.
func (g *Group) stalled() bool {
	for _, a := range g.out {
		if _, ok := a.Action.(Stalled); ok {
			return true
		}
	}
	return false
}

func (g *Group) any(holds func(*Machine) bool) bool {
	for _, m := range g.members {
		if holds(m) {
			return true
		}
	}
	return false
}

func (g *Group) each(holds func(*Machine) bool, change func(*Machine)) {
	for i, m := range g.members {
		if holds(m) {
			g.inject(i, change)
		}
	}
}
