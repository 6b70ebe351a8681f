package instance_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
)

// simWire is a LAN in memory, for testing/synctest. Everything on it arrives at once.
type simWire struct {
	mu    sync.Mutex
	links []*simLink
}

// simLink is one node's interface on a simWire. It notes what is done to it as the commands that
// an operator would type.
type simLink struct {
	wire   *simWire
	own    netip.Prefix
	own6   netip.Prefix
	mu     sync.Mutex
	up     bool
	stuck  chan struct{} // non-nil: Send waits for it
	broken error         // what AddAddr returns
	held   error         // what RemoveAddr returns
	leases map[netip.Prefix]time.Time
	typed  []string
	watch  []chan struct{}
	socks  []*simSocket
}

var (
	_ instance.Link   = (*simLink)(nil)
	_ instance.Opener = (*simLink)(nil)
)

func (w *simWire) join(own string) *simLink {
	l := &simLink{
		wire: w, own: netip.MustParsePrefix(own), up: true,
		leases: map[netip.Prefix]time.Time{},
	}
	local := [16]byte{0: 0xfe, 1: 0x80, 15: l.own.Addr().As4()[3]}
	l.own6 = netip.PrefixFrom(netip.AddrFrom16(local), 64)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.links = append(w.links, l)
	return l
}

func (l *simLink) note(format string, args ...any) {
	l.typed = append(l.typed, fmt.Sprintf(format, args...))
}

// addrs returns what the kernel would list now.
func (l *simLink) addrs() []netip.Prefix {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := []netip.Prefix{l.own}
	for p, until := range l.leases {
		if until.IsZero() || time.Now().Before(until) {
			all = append(all, p)
		}
	}
	return all
}

func (l *simLink) setUp(up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up = up
	for _, c := range l.watch {
		c <- struct{}{}
	}
}

func (l *simLink) Watch(ctx context.Context, changed func(netif.State)) error {
	news := make(chan struct{}, 100)
	l.mu.Lock()
	l.watch = append(l.watch, news)
	l.mu.Unlock()
	for {
		l.mu.Lock()
		s := netif.State{Index: 1, Up: l.up}
		l.mu.Unlock()
		s.Addrs = append(l.addrs(), l.own6)
		changed(s)
		select {
		case <-news:
		case <-ctx.Done():
			return nil
		}
	}
}

func (l *simLink) AddAddr(p netip.Prefix, lease time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return l.broken
	}
	l.leases[p] = time.Time{}
	if lease > 0 {
		l.leases[p] = time.Now().Add(lease)
	}
	l.note("ip addr replace %s valid_lft %s", p, lease)
	return nil
}

func (l *simLink) RemoveAddr(p netip.Prefix) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held != nil {
		return l.held
	}
	delete(l.leases, p)
	l.note("ip addr del %s", p)
	return nil
}

func (l *simLink) Announce(addrs []netip.Addr, repeat int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note("arping -U -c %d %v", repeat, addrs)
	return nil
}

func (l *simLink) Listen(uint8) (instance.Socket, error) {
	return l.Open(netif.Endpoint{Group: netip.MustParseAddr("224.0.0.18")})
}

func (l *simLink) Open(e netif.Endpoint) (instance.Socket, error) {
	s := &simSocket{
		link: l, endpoint: e,
		arrived: make(chan netif.Packet, 1000), closed: make(chan struct{}),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.socks = append(l.socks, s)
	return s, nil
}

// simSocket is an open socket on a simLink.
type simSocket struct {
	link     *simLink
	endpoint netif.Endpoint
	arrived  chan netif.Packet
	closed   chan struct{}
}

func (s *simSocket) Send(payload []byte, src, dst netip.Addr) error {
	s.link.mu.Lock()
	stuck, up := s.link.stuck, s.link.up
	s.link.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	if !up {
		return errors.New("network is down")
	}
	ttl := 255
	if s.endpoint.TTL != 0 && !dst.IsMulticast() {
		ttl = int(s.endpoint.TTL)
	}
	s.link.wire.mu.Lock()
	defer s.link.wire.mu.Unlock()
	for _, l := range s.link.wire.links {
		if l != s.link {
			l.arrive(netif.Packet{Payload: slices.Clone(payload), From: src, To: dst, TTL: ttl})
		}
	}
	return nil
}

func (l *simLink) arrive(p netif.Packet) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.up {
		return
	}
	for _, s := range l.socks {
		if p.To != s.endpoint.Group && p.To != l.own.Addr() && p.To != l.own6.Addr() {
			continue
		}
		select {
		case s.arrived <- p:
		default:
		}
	}
}

func (s *simSocket) Receive(deliver func(netif.Packet)) error {
	for {
		select {
		case p := <-s.arrived:
			deliver(p)
		case <-s.closed:
			return nil
		}
	}
}

func (s *simSocket) Drain(deliver func(netif.Packet)) error {
	for {
		select {
		case p := <-s.arrived:
			deliver(p)
		default:
			return nil
		}
	}
}

func (s *simSocket) Close() error {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	s.link.socks = slices.DeleteFunc(s.link.socks, func(o *simSocket) bool { return o == s })
	close(s.closed)
	return nil
}
