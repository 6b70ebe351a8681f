package instance

import (
	"context"
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
)

// view is what says which news of a link matter to a member. It is never changed, so that the
// goroutines that watch may read it.
type view struct {
	cfg Config
	// vips are those that are put back at once, by device: all devices that are watched.
	vips map[string][]netip.Prefix
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

func viewOf(c Config) *view {
	v := &view{cfg: c, vips: map[string][]netip.Prefix{}}
	for _, vip := range c.located() {
		if !vip.NoTrack {
			p := vip.Options.Listed(vip.Prefix)
			v.vips[vip.Device] = append(v.vips[vip.Device], p)
		}
	}
	for _, r := range c.Routes {
		for _, h := range r.Hops {
			if h.Device != "" {
				v.vips[h.Device] = append(v.vips[h.Device], nil...)
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
	vips := v.vips[device]
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

// watch brings the news of a device of m to the inbox until ctx ends, and begins again if that
// fails.
func (r *Runner) watch(ctx context.Context, m *member, device string, link Link) {
	own := device == m.ties.device
	for ctx.Err() == nil {
		var last digest
		first := true
		err := link.Watch(ctx, func(s netif.State) {
			if own {
				m.latest.Store(&s)
			}
			d := m.view.Load().digest(device, s)
			// What is put back and goes again may look as if nothing had happened.
			if first || d != last || d.missing.n > 0 && m.holding.Load() {
				first, last = false, d
				r.inbox.put(linkState{m.index, device, s})
			}
		})
		if ctx.Err() != nil {
			return
		}
		r.inbox.put(failure{m.index, nil, err})
		select {
		case <-time.After(reopenAfter):
		case <-ctx.Done():
		}
	}
}

// watchAll watches the devices of m that are not watched yet.
func (r *Runner) watchAll(m *member, tasks *crew) {
	begin := func(device string, link Link) {
		if !m.watched[device] {
			m.watched[device] = true
			tasks.Go(func() { r.watch(tasks.watching, m, device, link) })
		}
	}
	begin(m.cfg.Interface, m.iface)
	for device := range m.view.Load().vips {
		begin(device, r.links(device))
	}
}

// news handles what a watch has found.
func (r *Runner) news(m *member, n linkState, tasks *crew) {
	held := m.holds
	if n.device == m.ties.device {
		r.linkChanged(m, n.State, tasks)
	}
	made := m.cfg.VMAC != nil && n.device == m.cfg.VMAC.Name // and can be made anew
	if !m.holds || (n.Index == 0 && !made) {
		return
	}
	if m.settledTurn != m.turn {
		m.unseen = m.unseen || held // the keeper is at work on it, or somebody undoes what it has done
		return
	}
	// The kernel removes routes with a link or an address, and says nothing of it.
	routed := len(m.cfg.Routes) > 0 && n.Up
	if routed || m.view.Load().missing(n.device, n.State).n > 0 {
		r.keeper.orders.put(order{verb: orderRestore, member: m.index})
	}
}
