package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// simHost is the interfaces of a host in memory, for testing/synctest. It notes what is sent and
// which addresses there are; nobody else is on its networks.
type simHost struct {
	mu      sync.Mutex
	links   map[string]*simLink
	adverts map[uint8][]simAdvert // by virtual router
	// By virtual router: sockets opened ever, open now, and open at once at most.
	opened, open, most map[uint8]int
}

type simAdvert struct {
	at       time.Time
	priority uint8
}

func newSimHost() *simHost {
	return &simHost{
		links: map[string]*simLink{}, adverts: map[uint8][]simAdvert{},
		opened: map[uint8]int{}, open: map[uint8]int{}, most: map[uint8]int{},
	}
}

func (h *simHost) link(name string) instance.Link {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.links[name] == nil {
		own := netip.MustParsePrefix(fmt.Sprintf("10.0.%d.2/24", len(h.links)))
		h.links[name] = &simLink{host: h, own: own, addrs: map[netip.Prefix]bool{}}
	}
	return h.links[name]
}

// vips lists what the host has beside its own addresses, sorted.
func (h *simHost) vips() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []string
	for name, l := range h.links {
		for p := range l.addrs {
			all = append(all, fmt.Sprintf("%s %s", name, p))
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// gap is the longest silence of a virtual router since that time, until now.
func (h *simHost) gap(vrid uint8, since time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	last, gap := since, time.Duration(0)
	for _, a := range h.adverts[vrid] {
		if a.at.After(since) {
			gap, last = max(gap, a.at.Sub(last)), a.at
		}
	}
	return max(gap, time.Since(last))
}

// resigned says whether a virtual router has sent priority 0 since that time.
func (h *simHost) resigned(vrid uint8, since time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.adverts[vrid], func(a simAdvert) bool {
		return !a.at.Before(since) && a.priority == vrrp.PriorityResign
	})
}

// sockets returns how many sockets a virtual router has opened, and had open at once.
func (h *simHost) sockets(vrid uint8) (opened, most int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.opened[vrid], h.most[vrid]
}

// simLink is one interface of a simHost.
type simLink struct {
	host  *simHost
	own   netip.Prefix
	addrs map[netip.Prefix]bool
}

func (l *simLink) Watch(ctx context.Context, changed func(netif.State)) error {
	changed(netif.State{Index: 1, Up: true, Addrs: []netip.Prefix{l.own}})
	<-ctx.Done()
	return nil
}

func (l *simLink) Listen(vrid uint8) (instance.Socket, error) {
	l.host.mu.Lock()
	defer l.host.mu.Unlock()
	l.host.opened[vrid]++
	l.host.open[vrid]++
	l.host.most[vrid] = max(l.host.most[vrid], l.host.open[vrid])
	return &simSocket{host: l.host, vrid: vrid, closed: make(chan struct{})}, nil
}

func (l *simLink) AddAddr(p netip.Prefix, _ time.Duration) error {
	l.host.mu.Lock()
	defer l.host.mu.Unlock()
	l.addrs[p] = true
	return nil
}

func (l *simLink) RemoveAddr(p netip.Prefix) error {
	l.host.mu.Lock()
	defer l.host.mu.Unlock()
	delete(l.addrs, p)
	return nil
}

func (l *simLink) Announce([]netip.Addr, int) error { return nil }

// simSocket notes what is sent; nothing ever arrives.
type simSocket struct {
	host   *simHost
	vrid   uint8
	closed chan struct{}
}

func (s *simSocket) Send(payload []byte, src, dst netip.Addr) error {
	a, err := vrrp.Parse(payload, src, dst)
	if err != nil {
		return err
	}
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	s.host.adverts[a.VRID] = append(s.host.adverts[a.VRID], simAdvert{time.Now(), a.Priority})
	return nil
}

func (s *simSocket) Receive(func(netif.Packet)) error {
	<-s.closed
	return nil
}

func (s *simSocket) Drain(func(netif.Packet)) error { return nil }

func (s *simSocket) Close() error {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	s.host.open[s.vrid]--
	close(s.closed)
	return nil
}

// pass lets time go by.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	<-time.After(d)
}
