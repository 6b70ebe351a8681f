package instance

import (
	"context"
	"hash/maphash"
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
)

// view is what says which news of a link matter to a member. It is never changed, so that the
// goroutines that watch may read it.
type view struct {
	cfg *Config
	// devices are all that are watched. There are few: a map of them would be as large as all else
	// that a member is.
	devices []devicePart
}

// devicePart is a device with those of the VIPs that are put back at once.
type devicePart struct {
	name string
	vips []netip.Prefix
}

// vips returns the VIPs of a device that are put back at once.
func (v *view) vips(device string) []netip.Prefix {
	i := slices.IndexFunc(v.devices, func(p devicePart) bool { return p.name == device })
	if i < 0 {
		return nil
	}
	return v.devices[i].vips
}

// add adds VIPs to those of a device, which need not be any.
func (v *view) add(device string, vips ...netip.Prefix) {
	i := slices.IndexFunc(v.devices, func(p devicePart) bool { return p.name == device })
	if i < 0 {
		i = len(v.devices)
		v.devices = append(v.devices, devicePart{name: device})
	}
	v.devices[i].vips = append(v.devices[i].vips, vips...)
}

// digest is what a member makes of a State. While it stays the same there is no news: of a thousand
// instances on one network each would else look at every VIP that any other one adds.
type digest struct {
	index   int
	up      bool
	source  netip.Addr
	missing gap
}

// gap is what is missing of the VIPs that are put back: how many, and which. One that goes while
// another comes is news too.
type gap struct {
	n   int
	sum uint64
}

// gapSeed is that of sums of gaps.
var gapSeed = maphash.MakeSeed()

func (g *gap) add(p netip.Prefix) {
	g.n++
	g.sum ^= maphash.Comparable(gapSeed, p)
}

func viewOf(c *Config) *view {
	v := &view{cfg: c}
	for _, vip := range c.located() {
		if !vip.NoTrack {
			v.add(vip.Device, vip.Options.Listed(vip.Prefix))
		}
	}
	for _, r := range c.Routes {
		for _, h := range r.Hops {
			if h.Device != "" {
				v.add(h.Device)
			}
		}
	}
	return v
}

func (v *view) digest(device string, s netif.State) digest {
	d := digest{index: s.Index, up: s.Up, missing: v.missing(device, s)}
	if device == v.cfg.Interface {
		d.source = v.cfg.pickSource(s)
	}
	return d
}

// missing returns which of the VIPs that belong on the device are not there.
func (v *view) missing(device string, s netif.State) gap {
	const few = 8
	vips := v.vips(device)
	if len(vips) <= few {
		var missing gap
		for _, p := range vips {
			if !s.Has(p) {
				missing.add(p)
			}
		}
		return missing
	}
	there := make(map[netip.Prefix]bool, len(s.Addrs))
	for _, p := range s.Addrs {
		there[p] = true
	}
	for _, p := range s.Unready {
		there[p] = true
	}
	var missing gap
	for _, p := range vips {
		if !there[p] {
			missing.add(p)
		}
	}
	return missing
}

// deleted returns the VIPs on the device that are put back at once and that somebody has deleted,
// even if they are there again.
func (v *view) deleted(device string, s netif.State) []place {
	var all []place
	for _, p := range s.Deleted {
		if slices.Contains(v.vips(device), p) {
			all = append(all, place{device, p})
		}
	}
	return all
}

// watch brings the news of a device of m to the inbox until ctx ends, and begins again if that
// fails.
func (r *Runner) watch(ctx context.Context, m *member, device string, link Link) {
	for ctx.Err() == nil {
		err := link.Watch(ctx, r.newsOf(m, device))
		if ctx.Err() != nil {
			return
		}
		r.put(failure{m.index, nil, err})
		select {
		case <-time.After(reopenAfter):
		case <-ctx.Done():
		}
	}
}

// follow is watch without a goroutine; when it fails watch goes on.
func (r *Runner) follow(m *member, device string, link Link, f Follower, tasks *crew) {
	again := func(err error) {
		tasks.Go(func() {
			r.put(failure{m.index, nil, err})
			r.watch(tasks.watching, m, device, link)
		})
	}
	stop, err := f.Follow(r.newsOf(m, device), again)
	if err != nil {
		again(err)
		return
	}
	tasks.stops = append(tasks.stops, stop)
}

// newsOf returns what a watch of the device calls, which puts into the inbox what is news to m.
func (r *Runner) newsOf(m *member, device string) func(netif.State) {
	own := device == m.ties.device
	var last digest
	first := true
	return func(s netif.State) {
		if own {
			m.latest.Store(&s)
		}
		d := m.view.Load().digest(device, s)
		// What is put back and goes again may look as if nothing had happened.
		again := d.missing.n > 0 || len(s.Deleted) > 0
		if first || d != last || again && m.holding.Load() {
			first, last = false, d
			r.put(linkState{m.index, device, s})
		}
	}
}

// watchAll watches the devices of m that are not watched yet.
func (r *Runner) watchAll(m *member, tasks *crew) {
	begin := func(device string, link Link) {
		if slices.Contains(m.watched, device) {
			return
		}
		m.watched = append(m.watched, device)
		if f, ok := link.(Follower); ok {
			r.follow(m, device, link, f, tasks)
			return
		}
		tasks.Go(func() { r.watch(tasks.watching, m, device, link) })
	}
	begin(m.cfg.Interface, m.iface)
	for _, d := range m.view.Load().devices {
		begin(d.name, r.links(d.name))
	}
	r.followRouting(m, tasks)
}

// news handles what a watch has found.
func (r *Runner) news(m *member, n linkState, tasks *crew) {
	held := m.holds
	if n.device == m.ties.device {
		r.linkChanged(m, n.State, tasks)
	}
	_, made := m.cfg.macvlan(n.device) // and can be made anew
	if !m.holds || (n.Index == 0 && !made) {
		return
	}
	// The kernel removes routes with a link or an address, and says nothing of it.
	routed := len(m.cfg.Routes) > 0 && n.Up
	v := m.view.Load()
	deleted := v.deleted(n.device, n.State)
	if routed || len(deleted) > 0 || v.missing(n.device, n.State).n > 0 {
		r.restore(m, held, deleted...)
	}
}

// lost handles the loss of a route or a rule.
func (r *Runner) lost(m *member) {
	if m.holds {
		r.restore(m, true)
	}
}

// restore has the keeper put back what m has lost, and what was deleted unless a renewal has done
// so. While it is at work on what m holds, it does so afterwards, if m held that before: somebody
// undoes what it has done.
func (r *Runner) restore(m *member, held bool, deleted ...place) {
	if m.settledTurn != m.turn {
		m.unseen = m.unseen || held
		if held {
			m.deleted = append(m.deleted, deleted...)
		}
		return
	}
	r.keeper.tell(order{verb: orderRestore, member: m.index, deleted: deleted})
}

// followRouting has the inbox told of routes and rules of m that somebody removes. Where it fails
// the keeper finds out, only later.
func (r *Runner) followRouting(m *member, tasks *crew) {
	f, ok := m.iface.(RoutingFollower)
	if m.routed || !ok || len(m.cfg.Routes)+len(m.cfg.Rules) == 0 {
		return
	}
	lost := func(l netif.Loss) {
		if m.holding.Load() && m.view.Load().has(l) {
			r.put(loss{m.index})
		}
	}
	failed := func(err error) { r.put(failure{m.index, nil, err}) }
	stop, err := f.FollowRouting(lost, failed)
	if err != nil {
		failed(err)
		return
	}
	m.routed = true
	tasks.stops = append(tasks.stops, stop)
}

// has reports whether l may be the loss of what the member has.
func (v *view) has(l netif.Loss) bool {
	return slices.ContainsFunc(v.cfg.Routes, l.OfRoute) || slices.ContainsFunc(v.cfg.Rules, l.OfRule)
}
