package instance

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// member is one instance of a Runner. All but status belongs to the owner.
type member struct {
	index int
	cfg   Config
	ties  ties // of cfg
	iface Link

	known    bool        // the link has been looked at
	unwell   bool        // SetTracked said so
	fault    vrrp.Reason // of its own, why it cannot take part; zero: it can
	link     netif.State // as last looked at
	source   netip.Addr
	sock     Socket // nil: closed
	sockLink int    // index of the interface that sock is bound to
	openedAt time.Time
	reopenAt time.Time // when to try to open it again; zero: never
	buf      []byte
	heard    vrrp.Received // the last advert

	status Status // under Runner.mu
}

func newMember(index int, group string, c Config, link Link) *member {
	m := &member{index: index, cfg: c, ties: tiesOf(c), iface: link}
	m.status = Status{
		Name: c.Name, Group: group, Interface: c.Interface, VRID: c.Router.VRID,
		State: vrrp.Initialize, Priority: c.Router.Priority, VIPs: c.addresses(),
	}
	return m
}

// watch brings the states of m's link to the inbox until ctx ends, and begins again if it fails.
func (r *Runner) watch(ctx context.Context, m *member) {
	for ctx.Err() == nil {
		err := m.iface.Watch(ctx, func(s netif.State) { r.inbox.put(linkState{m.index, s}) })
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

// deliver returns what a socket of the member calls with each packet.
func (r *Runner) deliver(member int) func(netif.Packet) {
	return func(p netif.Packet) { r.inbox.offer(packet{member, p}, maxUnread) }
}

// linkChanged makes the member able or unable to take part. The group starts when every link is
// known.
func (r *Runner) linkChanged(m *member, s netif.State, tasks *sync.WaitGroup) {
	m.known, m.link, m.reopenAt = true, s, time.Time{}
	if source := m.pickSource(s); source != m.source {
		m.source = source
		r.step(m.index, vrrp.SetSource{Source: source})
	}
	switch {
	case !s.Up:
		r.fail(m, vrrp.ReasonLinkDown)
	case !m.source.IsValid():
		r.fail(m, vrrp.ReasonNoSource)
	case m.unwell:
		r.fail(m, vrrp.ReasonTracker)
	default:
		r.open(m, tasks)
	}
	r.start()
}

// tracked notes what SetTracked said.
func (r *Runner) tracked(m *member, well bool, tasks *sync.WaitGroup) {
	m.unwell = !well
	if m.known {
		r.linkChanged(m, m.link, tasks)
	}
}

// pickSource returns the address that adverts come from, or an invalid one.
func (m *member) pickSource(s netif.State) netip.Addr {
	want := m.cfg.Router.Source
	for _, p := range s.Addrs {
		isVIP := slices.ContainsFunc(m.cfg.addresses(), func(v VIP) bool {
			return v.Prefix.Addr() == p.Addr()
		})
		if p.Addr() == want || (!want.IsValid() && !isVIP) {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// open opens the socket, unless it is open on the interface as it is now, and ends the fault.
func (r *Runner) open(m *member, tasks *sync.WaitGroup) {
	if m.sock == nil || m.sockLink != m.link.Index {
		r.closeSocket(m)
		sock, err := m.iface.Listen(m.cfg.Router.VRID)
		if err != nil {
			m.reopenAt = time.Now().Add(reopenAfter)
			r.kernelFailed(m.index, err)
			r.fail(m, vrrp.ReasonSocket)
			return
		}
		m.sock, m.sockLink, m.openedAt = sock, m.link.Index, time.Now()
		tasks.Go(func() {
			if err := sock.Receive(r.deliver(m.index)); err != nil {
				r.inbox.put(failure{m.index, sock, err})
			}
		})
	}
	m.fault = 0
	r.step(m.index, vrrp.Recovered{})
}

// fail puts the group into Fault, which may yet resign through the socket, then closes it.
func (r *Runner) fail(m *member, reason vrrp.Reason) {
	m.fault = reason
	r.step(m.index, vrrp.Fault{Reason: reason})
	r.closeSocket(m)
}

// closeSocket closes m's socket if it is open.
func (r *Runner) closeSocket(m *member) {
	if m.sock == nil {
		return
	}
	if err := m.sock.Close(); err != nil {
		r.kernelFailed(m.index, err)
	}
	m.sock = nil
}

// failed handles the end of a watch, which begins again by itself, or of the socket, which is
// opened again, but not more often than every reopenAfter.
func (r *Runner) failed(m *member, f failure, tasks *sync.WaitGroup) {
	r.kernelFailed(m.index, f.err)
	if f.sock == nil || f.sock != m.sock {
		return
	}
	r.closeSocket(m)
	if time.Since(m.openedAt) < reopenAfter {
		m.reopenAt = m.openedAt.Add(reopenAfter)
		r.fail(m, vrrp.ReasonSocket)
		return
	}
	r.open(m, tasks)
}

// start begins the group once every link is known.
func (r *Runner) start() {
	if r.started || slices.ContainsFunc(r.members, func(m *member) bool { return !m.known }) {
		return
	}
	r.started = true
	r.step(vrrp.All, vrrp.Startup{})
	close(r.ready)
}

// received gives a packet to the group.
func (r *Runner) received(m *member, p netif.Packet) {
	a, err := vrrp.Parse(p.Payload, p.From, p.To)
	if reason := vrrp.DropReason(0); errors.As(err, &reason) {
		r.dropped(m, vrrp.Drop{Reason: reason, From: p.From})
		return
	}
	r.update(m, func(s *Status) { s.Received++ })
	m.heard = vrrp.Received{Advert: a, From: p.From, TTL: p.TTL}
	r.step(m.index, m.heard)
}

// send sends an advert. One that cannot be sent is as good as lost: the protocol expects losses.
func (r *Runner) send(m *member, priority uint8) {
	if m.sock == nil {
		return
	}
	dst := vrrp.MulticastAddr(m.source)
	b, err := r.group.Member(m.index).Advert(priority).Append(m.buf[:0], m.source, dst)
	if err == nil {
		m.buf = b
		err = m.sock.Send(b, m.source, dst)
	}
	if err != nil {
		r.kernelFailed(m.index, err)
		return
	}
	r.update(m, func(s *Status) { s.Sent++ })
}
