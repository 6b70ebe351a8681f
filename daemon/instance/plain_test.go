package instance_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// twoFaced is a link whose sockets can send from two MAC addresses.
type twoFaced struct {
	*simLink
	log *sendLog
}

// sendLog is what its sockets have sent: from which MAC address, and of which priority.
type sendLog struct {
	mu   sync.Mutex
	sent []string
}

type twoFacedSocket struct {
	instance.Socket
	log *sendLog
}

func (l twoFaced) Open(e netif.Endpoint) (instance.Socket, error) {
	s, err := l.simLink.Open(e)
	return twoFacedSocket{s, l.log}, err
}

func (s twoFacedSocket) Send(payload []byte, src, dst netip.Addr) error {
	s.log.note("virtual", payload)
	return s.Socket.Send(payload, src, dst)
}

func (s twoFacedSocket) SendPlain(payload []byte, src, dst netip.Addr) error {
	s.log.note("own", payload)
	return s.Socket.Send(payload, src, dst)
}

func (l *sendLog) note(mac string, advert []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, fmt.Sprintf("%s %d", mac, advert[2]))
}

// take returns what was sent since the last call.
func (l *sendLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := l.sent
	l.sent = nil
	return sent
}

// TestAdvertsBeforeVIPs says that adverts do not come from the virtual MAC address before the VIPs are
// there, for switches would lead requests to where nobody answers; then they do to the last one.
func TestAdvertsBeforeVIPs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := twoFaced{(&simWire{}).join("192.168.1.2/24"), &sendLog{}}
		b := &bench{t: t, interval: time.Second, limit: 20 * time.Second,
			links: [2]instance.Links{only(link)}}
		breakVIPs := func(err error) {
			link.mu.Lock()
			defer link.mu.Unlock()
			link.broken = err
		}
		breakVIPs(errors.New("no buffer space available"))
		want := func(when string, want ...string) {
			t.Helper()
			if got := slices.Compact(link.log.take()); !slices.Equal(got, want) {
				t.Errorf("%s: sent %q, want %q", when, got, want)
			}
		}
		d := b.start(0, nil)
		b.awaitState(d, vrrp.Master)
		pass(3*time.Second + 300*time.Millisecond)
		want("VIPs refused", "own 150")
		breakVIPs(nil)
		b.await("VIP", func() bool { return slices.Contains(link.addrs(), vip) })
		link.log.take()
		pass(3 * time.Second)
		want("VIPs there", "virtual 150")
		link.setUp(false)
		b.awaitState(d, vrrp.Faulty)
		want("link down", "virtual 0")
		link.setUp(true)
		b.awaitState(d, vrrp.Master)
		pass(3 * time.Second)
		want("again", "own 150", "virtual 150")
		d.halt()
		want("stopped", "virtual 0")
	})
}
