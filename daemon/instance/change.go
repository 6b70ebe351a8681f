package instance

import (
	"errors"
	"fmt"
	"time"

	"github.com/tandemlb/tandem/daemon/vrrp"
)

// change is what Change asks of the owner.
type change struct {
	configs  []*Config
	holdings []*holding
	// trial and group decide by the new configuration; both are in Initialize.
	trial, group *vrrp.Group
}

// Change gives a group another configuration while it runs. A master stays master: it sends an
// advert at once, adds and announces its new VIPs, then removes those that it is not to have any
// more. A backup listens for the whole silence again, and begins its preempt delay anew. Sockets
// stay open. Change does not wait; after the end of Run's context it has no effect.
//
// What ties a group to its sockets and its peers cannot change: names, interfaces, versions and
// virtual router IDs. That, or a g that New would refuse, is an error, and then nothing changes.
// OnTransition and Log stay what they were. Change may be called at any time, before Run too.
func (r *Runner) Change(g Group) error {
	err := errors.Join(g.validate(), r.sameTies(g))
	if err != nil {
		return fmt.Errorf("change %s: %w", r, err)
	}
	c := change{configs: g.configs()}
	for _, of := range []**vrrp.Group{&c.trial, &c.group} {
		if *of, err = newMachines(c.configs); err != nil {
			return fmt.Errorf("change %s: %w", r, err)
		}
	}
	for _, cfg := range c.configs {
		c.holdings = append(c.holdings, newHolding(cfg, r.links))
	}
	r.put(c)
	return nil
}

// sameTies says what of g would need other sockets or other peers.
func (r *Runner) sameTies(g Group) error {
	if len(g.Members) != len(r.members) {
		return fmt.Errorf("%d members: want %d", len(g.Members), len(r.members))
	}
	for i, m := range r.members {
		was, now := m.ties, tiesOf(g.Members[i])
		if now != was {
			return fmt.Errorf("instance %q: want %s", g.Members[i].Name, was)
		}
	}
	return nil
}

// ties are what no Change can change of a member.
type ties struct {
	name, device string
	version      vrrp.Version
	vrid         uint8
}

func tiesOf(c Config) ties { return ties{c.Name, c.Interface, c.Router.Version, c.Router.VRID} }

// String returns, for example, "VI_1 on eth0, version 3, virtual router 51".
func (t ties) String() string {
	return fmt.Sprintf("%s on %s, version %d, virtual router %d",
		t.name, t.device, t.version, t.vrid)
}

// change gives the members their new configurations. A Machine takes no other configuration, so
// new ones are led to where the old ones stand, by events that would have led them there.
func (r *Runner) change(c change, tasks *crew) {
	if r.leaving {
		return
	}
	r.keeper.every, r.grid = beatEvery(c.configs), gridOf(c.configs)
	for i, m := range r.members {
		r.adopt(m, c.configs[i])
		m.turn++
		r.keeper.tell(order{
			verb: orderReplace, member: i, next: c.holdings[i], turn: m.turn,
		})
		m.view.Store(viewOf(m.cfg))
		r.watchAll(m, tasks)
		if m.known { // which source it has now, and whether it has one
			r.linkChanged(m, *m.latest.Load(), tasks)
		}
	}
	r.now = time.Now()
	old := r.group
	r.group = c.group
	if masters(old) {
		if took, ok := r.climb(c.trial, r.now); ok {
			actions := r.seat(r.group, r.now.Add(-took))
			r.redo(old, append(actions, rise(r.group)...), true)
			return
		}
	}
	actions := r.seat(r.group, r.now)
	r.redo(old, append(actions, r.rehear(old)...), false)
}

// adopt gives m another configuration. Its ties, which other goroutines read, are the same.
func (r *Runner) adopt(m *member, c *Config) {
	m.stale = append(m.stale, *m.cfg)
	m.cfg, m.dests = c, c.destinations()
	if m.holds {
		r.claim(m)
	}
	r.update(m, func(s *Status) {
		s.VIPs = c.addresses()
		// What is wrong with this one is still to be seen.
		m.conditions, m.differences = vrrp.NewConditions(c.Router), vrrp.NewConditions(c.Router)
	})
}

// seat tells g, which is in Initialize, what is known of the members, and has it begin at that time
// if the group has begun.
func (r *Runner) seat(g *vrrp.Group, at time.Time) []vrrp.MemberAction {
	for i, m := range r.members {
		if m.known {
			g.Step(at, i, vrrp.SetSource{Source: m.source})
		}
		if m.fault != 0 {
			g.Step(at, i, vrrp.Fault{Reason: m.fault})
		}
	}
	if !r.started {
		return nil
	}
	return g.Step(at, vrrp.All, vrrp.Startup{})
}

// climb returns how long g, begun at that time, takes to become master if it hears nobody; false if
// it does not.
func (r *Runner) climb(g *vrrp.Group, at time.Time) (time.Duration, bool) {
	top := at
	r.seat(g, at)
	for !masters(g) {
		next := g.Deadline()
		if next.IsZero() {
			return 0, false
		}
		top = next
		hearNothing(g, next)
	}
	return top.Sub(at), true
}

// rise makes a g that can become master one, by the silence that climb measures, and returns what
// it does in the end.
func rise(g *vrrp.Group) []vrrp.MemberAction {
	var out []vrrp.MemberAction
	for !masters(g) {
		out = append(out, hearNothing(g, g.Deadline())...)
	}
	return out
}

// hearNothing lets g believe the silence until that time.
func hearNothing(g *vrrp.Group, until time.Time) []vrrp.MemberAction {
	out := g.Step(until, vrrp.All, vrrp.Timeout{})
	for _, a := range out {
		if _, ok := a.Action.(vrrp.Drain); ok {
			out = append(out, g.Step(until, a.Member, vrrp.Drained{})...)
		}
	}
	return out
}

// rehear tells the backups of the group whom those of old followed.
func (r *Runner) rehear(old *vrrp.Group) []vrrp.MemberAction {
	var out []vrrp.MemberAction
	for i, m := range r.members {
		leader, _ := old.Member(i).Leader()
		heard, _ := m.heard.(vrrp.Received)
		if old.Member(i).State() == vrrp.Backup && leader.IsValid() && leader == heard.From {
			out = append(out, r.group.Step(r.now, i, m.heard)...)
		}
	}
	return out
}

// redo performs what the way to the present state means for the network, and tells where it is not
// the state of before. Of a master that stays one that is an advert; the keeper knows of its VIPs.
func (r *Runner) redo(old *vrrp.Group, actions []vrrp.MemberAction, held bool) {
	reasons := make([]vrrp.Reason, len(r.members))
	var left []vrrp.MemberAction
	for _, a := range actions {
		switch action := a.Action.(type) {
		case vrrp.Transition:
			reasons[a.Member] = action.Reason
		case vrrp.SendAdvert:
			left = append(left, a)
		case vrrp.AddVIPs, vrrp.RemoveVIPs, vrrp.Announce:
			if !held {
				left = append(left, a)
			}
		}
	}
	r.performAll(left...)
	for i, m := range r.members {
		from, to := old.Member(i).State(), r.group.Member(i).State()
		if from != to {
			r.transition(r.now, m, vrrp.Transition{From: from, To: to, Reason: reasons[i]})
		}
		r.observe(m, r.group.Member(i))
		r.reclaim(m, r.group.Member(i))
	}
}

// masters reports whether all of g are.
func masters(g *vrrp.Group) bool {
	for i := range g.Len() {
		if g.Member(i).State() != vrrp.Master {
			return false
		}
	}
	return true
}
