package instance

import (
	"context"
	"sync"
	"time"

	"github.com/tandemlb/tandem/daemon/vrrp"
)

// crew are the goroutines that the owner has begun; those that watch end with watching. Stops end
// what watches without one.
type crew struct {
	sync.WaitGroup
	watching context.Context
	unwatch  context.CancelFunc
	stops    []func()
}

// enter watches the links and has the group turn until it has ended. Whoever has the Runner turn is
// its owner meanwhile.
func (r *Runner) enter(ctx context.Context) {
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	r.tasks = &crew{watching: watching, unwatch: unwatch}
	r.inherit()
	for _, m := range r.members {
		r.watchAll(m, r.tasks)
	}
	r.crowd.join(r)
}

// leave has the group end, and with it what watches the links.
func (r *Runner) leave() {
	r.put(leaving{})
	<-r.gone
	r.crowd.leave()
	r.tasks.unwatch()
	for _, stop := range r.tasks.stops {
		stop()
	}
	for _, m := range r.members {
		r.closeSocket(m)
	}
	r.tasks.Wait()
}

// put has the owner read an item. Any goroutine may call it; it does not wait.
func (r *Runner) put(item any) {
	r.inbox.put(item)
	r.crowd.call(r)
}

// slow reports whether the next turn may have to wait for the kernel, to open a socket or to close
// it. What asks for that later waits for the turn after it.
func (r *Runner) slow() bool { return r.reopening || r.inbox.waits() }

// turn does what there is to do and returns when there will be more, or zero, and whether all is
// over. What has arrived comes before what has not, so packets are read before timers are believed.
// Unless apart, which says that nobody waits for its end, it does not wait for the kernel: what has
// come meanwhile that would have it wait stays unread, and whoever has put it there calls for a turn.
func (r *Runner) turn(apart bool) (next time.Time, over bool) {
	r.apart = apart
	r.read(r.tasks)
	r.timeout(r.tasks)
	for r.read(r.tasks) || r.drain(r.tasks) {
	}
	if r.leaving && r.ended() {
		return time.Time{}, true
	}
	r.keeper.beat(r.now)
	return r.next(), false
}

// next returns when there is something to do, or zero.
func (r *Runner) next() time.Time {
	next := r.group.Deadline()
	r.reopening = false
	for _, m := range r.members {
		if m.reopenAt.IsZero() {
			continue
		}
		r.reopening = true
		if next.IsZero() || m.reopenAt.Before(next) {
			next = m.reopenAt
		}
	}
	if !next.IsZero() && r.crowd.many() && masters(r.group) {
		next = r.now.Add(onGrid(r.now.Add(-gridOffset), next.Sub(r.now), r.grid))
	}
	return next
}

// timeout does what is due.
func (r *Runner) timeout(tasks *crew) {
	r.now = time.Now()
	now := r.now
	if d := r.group.Deadline(); !d.IsZero() && !d.After(now) {
		r.step(vrrp.All, vrrp.Timeout{})
	}
	for _, m := range r.members {
		if !m.reopenAt.IsZero() && !m.reopenAt.After(now) {
			r.linkChanged(m, m.link, tasks)
		}
	}
}

// read handles what the inbox holds and reports whether there was anything.
func (r *Runner) read(tasks *crew) bool {
	packets, items := r.inbox.take(r.apart)
	for _, p := range packets {
		r.received(r.members[p.member], p.Packet)
	}
	for _, item := range items {
		switch item := item.(type) {
		case linkState:
			r.news(r.members[item.member], item, tasks)
		case loss:
			r.lost(r.members[item.member])
		case failure:
			r.failed(r.members[item.member], item, tasks)
		case priority:
			r.step(item.member, vrrp.SetPriority{Priority: item.to})
		case tracked:
			r.tracked(r.members[item.member], item.well, tasks)
		case announcement:
			if m := r.group.Member(item.member); m.State() == vrrp.Master && !m.Leaving() {
				refresh := vrrp.Announce{Cause: vrrp.AnnounceRefresh}
				r.performAll(vrrp.MemberAction{Member: item.member, Action: refresh})
			}
		case change:
			r.change(item, tasks)
		case deprived:
			if r.members[item.member].cfg.StepDown {
				r.step(item.member, vrrp.StepDown{})
			}
		case rival:
			r.rival(r.members[item.member], item.Rival)
		case settled:
			r.settled(r.members[item.member], item)
		case ping:
			close(item)
		case leaving:
			r.leaving = true
			r.started = true // what has not begun by now never does
			r.step(vrrp.All, vrrp.Leave{})
		}
	}
	return len(packets)+len(items) > 0
}

// drain empties the sockets of all members if any has to be drained, and reports whether it did:
// what is unread on one link may decide what silence means on another. Where one fails, that is read
// first.
func (r *Runner) drain(tasks *crew) bool {
	draining := r.draining
	r.draining = nil
	if len(draining) == 0 {
		return false
	}
	for i, m := range r.members {
		if m.sock == nil {
			continue
		}
		if err := m.sock.Drain(r.deliver(i)); err != nil {
			r.put(failure{i, m.sock, err})
			r.draining = draining
			return r.apart
		}
	}
	r.read(tasks)
	for _, i := range draining {
		r.step(i, vrrp.Drained{})
	}
	return true
}

// ended reports whether every member is back in Initialize.
func (r *Runner) ended() bool {
	for i := range r.members {
		if r.group.Member(i).State() != vrrp.Initialize {
			return false
		}
	}
	return true
}

// step tells the group and does what it says.
func (r *Runner) step(member int, ev vrrp.Event) {
	r.now = time.Now()
	actions := r.group.Step(r.now, member, ev)
	if _, due := ev.(vrrp.Timeout); due && goesOn(actions) {
		r.advertise(actions) // nothing else is new
		return
	}
	r.performAll(actions...)
	for i, m := range r.members {
		r.observe(m, r.group.Member(i))
		r.reclaim(m, r.group.Member(i))
	}
}

// performAll does these actions. The keeper learns of all of them at once.
func (r *Runner) performAll(actions ...vrrp.MemberAction) {
	if len(actions) > 0 {
		r.flush() // what was to be done before is done before
	}
	var orders []order
	for _, a := range actions {
		if o := r.perform(r.now, a.Member, a.Action); o.verb != 0 {
			orders = append(orders, o)
		}
	}
	r.keeper.tell(orders...)
}

// hold returns the order by which the keeper adds the VIPs, or removes them.
func (r *Runner) hold(m *member, held bool) order {
	m.holds, m.inPlace = held, false
	m.holding.Store(held)
	if held {
		r.claim(m)
	}
	verb := orderRemove
	if held {
		verb = orderAdd
	}
	m.turn++
	return order{verb: verb, member: m.index, turn: m.turn}
}

// perform does one action, or returns the order that has the keeper do it. None of them waits.
func (r *Runner) perform(now time.Time, i int, action vrrp.Action) order {
	m := r.members[i]
	switch a := action.(type) {
	case vrrp.SendAdvert:
		r.send(m, a.Priority)
	case vrrp.AddVIPs:
		return r.hold(m, true)
	case vrrp.RemoveVIPs:
		return r.hold(m, false)
	case vrrp.Announce:
		return order{verb: orderAnnounce, member: i, cause: a.Cause}
	case vrrp.Drain:
		r.draining = append(r.draining, i)
	case vrrp.Transition:
		r.transition(now, m, a)
	case vrrp.Drop, vrrp.Mismatch, vrrp.Contested, vrrp.Stalled:
		r.noteCondition(m, now, a)
		r.tell(m, a)
	}
	return order{}
}

// tell counts and logs an action that only tells something.
func (r *Runner) tell(m *member, action vrrp.Action) {
	switch a := action.(type) {
	case vrrp.Drop:
		r.dropped(m, a)
	case vrrp.Mismatch:
		r.mismatched(m, a)
	case vrrp.Contested:
		r.contested(m, a)
	case vrrp.Stalled:
		r.stalled(m, a)
	}
}
