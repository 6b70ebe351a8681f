package instance

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// member is one instance of a Runner. All but status belongs to the owner.
type member struct {
	index int
	cfg   *Config // never changed; only the owner may read the pointer, or replace it
	ties  ties    // of cfg; never changed
	iface Link
	dests []netip.Addr // of cfg: where adverts go

	known    bool                        // the link has been looked at
	unwell   bool                        // SetTracked said so
	fault    vrrp.Reason                 // of its own, why it cannot take part; zero: it can
	link     netif.State                 // as last looked at
	latest   atomic.Pointer[netif.State] // as last reported
	view     atomic.Pointer[view]        // of cfg
	watched  []string                    // devices
	routed   bool                        // routes and rules are watched
	source   netip.Addr
	sock     Socket // nil: closed
	sockLink int    // index of the interface that sock is bound to
	endpoint netif.Endpoint
	old      map[netip.Addr]bool // peers that send old checksums
	openedAt time.Time
	reopenAt time.Time // when to try to open it again; zero: never
	buf      []byte
	heard    vrrp.Event       // the last advert, a vrrp.Received; nil: none yet
	heardIn  netif.Packet     // what that came in
	rivalAt  time.Time        // when OnContested was last called
	toldAt   time.Time        // when OnRefused was
	unknown  map[uint8]uint64 // adverts of virtual routers that nobody has

	lost    atomic.Uint64 // packets that nobody has looked at
	flooded uint32        // those of them that sock has lost, as last asked
	unasked int           // packets since then

	holds       bool                   // the keeper was last told to add the VIPs
	turn        uint64                 // how often the keeper was told to change them
	settledTurn uint64                 // the last one that it has carried out
	inPlace     bool                   // it has carried out one to add them since
	holding     atomic.Bool            // holds, for the goroutines that watch
	unseen      bool                   // there was news while it had not
	deleted     []place                // what that said was deleted
	before      map[HeldSetting]string // what settings were
	stale       []Config               // earlier ones, until what is only theirs is gone
	claimed     *Claim                 // as last told; nil: nothing was

	// The rest is under Runner.mu. Differences are the conditions of adverts that are believed.
	status                  Status
	conditions, differences *vrrp.Conditions
	mute                    Mute
	muteAfter               time.Duration // how long it may last before it is one
	muteTold                bool
}

func newMember(index int, group string, c *Config, link Link) *member {
	m := &member{
		index: index, cfg: c, ties: tiesOf(*c), iface: link, dests: c.destinations(),
	}
	m.view.Store(viewOf(c))
	m.conditions, m.differences = vrrp.NewConditions(c.Router), vrrp.NewConditions(c.Router)
	m.status = Status{
		Name: c.Name, Group: group, Interface: c.Interface, VRID: c.Router.VRID,
		State: vrrp.Initialize, Priority: c.Router.Priority, VIPs: c.addresses(),
	}
	return m
}

// deliver returns what a socket of the member calls with each packet.
func (r *Runner) deliver(member int) func(netif.Packet) {
	return func(p netif.Packet) {
		if !r.inbox.offer(packet{member, p}) {
			r.members[member].lost.Add(1)
		}
		r.crowd.call(r)
	}
}

// linkChanged makes the member able or unable to take part. The group starts when every link is
// known.
func (r *Runner) linkChanged(m *member, s netif.State, tasks *crew) {
	m.known, m.link, m.reopenAt = true, s, time.Time{}
	if source := m.pickSource(s); source != m.source {
		m.source = source
		r.step(m.index, vrrp.SetSource{Source: source})
	}
	switch {
	case !s.Up && (!m.cfg.DontTrackPrimary || s.Index == 0):
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
func (r *Runner) tracked(m *member, well bool, tasks *crew) {
	m.unwell = !well
	if m.known {
		r.linkChanged(m, m.link, tasks)
	}
}

// pickSource returns the address that adverts come from, or an invalid one.
func (m *member) pickSource(s netif.State) netip.Addr { return m.cfg.pickSource(s) }

func (c Config) pickSource(s netif.State) netip.Addr {
	want := c.Router.Source
	for _, p := range s.Addrs {
		a := p.Addr()
		if a == want || (!want.IsValid() && c.canBeSource(a)) {
			return a
		}
	}
	return netip.Addr{}
}

// canBeSource reports whether adverts can come from the address, if none is configured: not from a
// VIP. Over IPv6 they come from a link-local one (RFC 9568, Section 5.1.2.1), unless they go
// further than the link.
func (c Config) canBeSource(a netip.Addr) bool {
	if a.Is6() != c.IPv6() {
		return false
	}
	peers := c.Router.Peers
	far := c.Router.Unicast && len(peers) > 0 && !peers[0].Addr.IsLinkLocalUnicast()
	if a.Is6() && a.IsLinkLocalUnicast() == far {
		return false
	}
	isVIP := func(v VIP) bool { return v.Prefix.Addr() == a }
	return !slices.ContainsFunc(c.VIPs, isVIP) && !slices.ContainsFunc(c.Excluded, isVIP)
}

// open opens the socket, unless it is open on the interface as it is now, and ends the fault.
func (r *Runner) open(m *member, tasks *crew) {
	if m.sock == nil || m.sockLink != m.link.Index || m.endpoint != m.cfg.endpoint() {
		r.closeSocket(m)
		sock, err := open(m.iface, *m.cfg)
		if err != nil {
			m.reopenAt = time.Now().Add(reopenAfter)
			r.kernelFailed(m.index, err)
			r.fail(m, vrrp.ReasonSocket)
			return
		}
		m.sock, m.sockLink, m.openedAt = sock, m.link.Index, time.Now()
		m.endpoint = m.cfg.endpoint()
		m.askFlood()
		r.hear(m.index, sock, tasks)
	}
	m.fault = 0
	r.step(m.index, vrrp.Recovered{})
}

// hear has what the socket receives delivered until it is closed.
func (r *Runner) hear(member int, sock Socket, tasks *crew) {
	ended := func(err error) { r.put(failure{member, sock, err}) }
	if h, ok := sock.(Hearer); ok {
		h.Hear(r.deliver(member), ended)
		return
	}
	tasks.Go(func() {
		if err := sock.Receive(r.deliver(member)); err != nil {
			ended(err)
		}
	})
}

// fail puts the group into Fault, which may yet resign through the socket, then closes it. Where
// only a tracker has failed the link still works: a master goes on forwarding until it hears its
// successor, for which the socket stays open.
func (r *Runner) fail(m *member, reason vrrp.Reason) {
	m.fault = reason
	graceful := reason == vrrp.ReasonTracker
	r.step(m.index, vrrp.Fault{Reason: reason, Graceful: graceful})
	if !graceful {
		r.closeSocket(m)
	}
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
func (r *Runner) failed(m *member, f failure, tasks *crew) {
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
	r.step(vrrp.All, vrrp.Startup{Resume: r.resume, NotBefore: r.notBefore})
	close(r.ready)
}

// received gives a packet to the group.
func (r *Runner) received(m *member, p netif.Packet) {
	m.noteFlood()
	if r.unknown(m, p) {
		return
	}
	if reason := m.read(p); reason != 0 {
		drop := vrrp.Drop{Reason: reason, From: p.From}
		r.noteCondition(m, time.Now(), drop)
		r.dropped(m, drop)
		return
	}
	resigns := p.Payload[priorityAt] == vrrp.PriorityResign
	r.update(m, func(s *Status) {
		s.Received++
		if resigns {
			s.ZeroReceived++
		}
	})
	r.step(m.index, m.heard)
}

// priorityAt is where an advert has its priority (RFC 9568, Section 5.1).
const priorityAt = 2

// read makes a packet the last advert that was heard, or returns why it is none. A master repeats
// itself: then there is nothing to read.
func (m *member) read(p netif.Packet) vrrp.DropReason {
	last := &m.heardIn
	if m.heard != nil && !m.cfg.oldPossible() && p.From == last.From && p.To == last.To &&
		p.TTL == last.TTL && bytes.Equal(p.Payload, last.Payload) {
		return 0
	}
	a, err := m.parse(p)
	if reason := vrrp.DropReason(0); errors.As(err, &reason) {
		return reason
	}
	m.heard = vrrp.Received{Advert: a, From: p.From, To: p.To, TTL: p.TTL}
	*last = p
	last.Payload = bytes.Clone(p.Payload)
	return 0
}

// parse reads an advert, whose checksum may have the old form if it is unicast.
func (m *member) parse(p netif.Packet) (vrrp.Advert, error) {
	a, err := vrrp.Parse(p.Payload, p.From, p.To)
	if !m.cfg.oldPossible() {
		return a, err
	}
	if err == nil {
		delete(m.old, p.From)
	}
	if !errors.Is(err, vrrp.DropChecksum) {
		return a, err
	}
	a, oldErr := vrrp.Parse(p.Payload, p.From, vrrp.MulticastAddr(p.From))
	if oldErr != nil {
		return a, err
	}
	if m.old == nil {
		m.old = map[netip.Addr]bool{}
	}
	m.old[p.From] = true
	return a, nil
}

// oldPossible says whether there are two forms of checksums.
func (c *Config) oldPossible() bool {
	return c.Router.Unicast && !c.IPv6() && c.Router.Version == vrrp.V3 &&
		c.OldChecksum != OldChecksumNever
}

// covered returns the destination that the checksum of an advert to dst covers.
func (m *member) covered(dst netip.Addr) netip.Addr {
	if m.cfg.oldPossible() && (m.cfg.OldChecksum == OldChecksumAlways || m.old[dst]) {
		return vrrp.MulticastAddr(dst)
	}
	return dst
}

// send sends an advert. One that cannot be sent is as good as lost: the protocol expects losses.
func (r *Runner) send(m *member, priority uint8) {
	if m.sock == nil {
		return
	}
	r.flush()
	var errs []error
	for _, dst := range m.dests {
		errs = append(errs, r.sendTo(m, priority, dst))
	}
	r.sent(m, priority, errors.Join(errs...))
}

// sent notes what became of an advert.
func (r *Runner) sent(m *member, priority uint8, err error) {
	r.noteSent(m, err)
	if err != nil {
		r.kernelFailed(m.index, err)
		return
	}
	r.update(m, func(s *Status) {
		s.Sent++
		if priority == vrrp.PriorityResign {
			s.ZeroSent++
		}
	})
}

func (r *Runner) sendTo(m *member, priority uint8, dst netip.Addr) error {
	b, err := r.encode(m, priority, dst)
	if err != nil {
		return err
	}
	if !m.inPlace {
		// Frames from the virtual MAC address have switches lead requests here: not before the VIPs are.
		if plain, ok := m.sock.(PlainSender); ok {
			return plain.SendPlain(b, m.source, dst)
		}
	}
	return m.sock.Send(b, m.source, dst)
}

// encode returns an advert to dst. It is there until the next call.
func (r *Runner) encode(m *member, priority uint8, dst netip.Addr) ([]byte, error) {
	advert := r.group.Member(m.index).Advert(priority)
	b, err := advert.Append(m.buf[:0], m.source, m.covered(dst))
	if err == nil {
		m.buf = b
	}
	return b, err
}
