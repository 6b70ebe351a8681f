package instance_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// listener notes what priorities the virtual routers of a network send.
type listener struct {
	mu   sync.Mutex
	sent map[uint8][]uint8
	news chan struct{}
}

func (l *listener) hear(p netif.Packet) {
	a, err := vrrp.Parse(p.Payload, p.From, p.To)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[a.VRID] = append(l.sent[a.VRID], a.Priority)
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// TestTogether has many masters send together, and resign one after the other while the others go
// on: each advert counts once, and none comes after the resignation.
func TestTogether(t *testing.T) {
	node, peer := netiftest.Pair(t)
	const routers = 100
	l := &listener{sent: map[uint8][]uint8{}, news: make(chan struct{}, 1)}
	c, err := peer.Host.Interface(netiftest.Device).Open(
		netif.Endpoint{Group: netip.MustParseAddr("224.0.0.18")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Hear(l.hear, nil)
	links := instance.OnHost(node.Host)
	var runners []*instance.Runner
	var stops []context.CancelFunc
	ended := make(chan error, routers)
	for i := range routers {
		r, err := instance.New(instance.Group{
			Members: []instance.Config{{
				Name: fmt.Sprintf("VI_%d", i), Interface: netiftest.Device,
				VIPs: []instance.VIP{{
					Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 32)}},
				Router: vrrp.Config{
					Version: vrrp.V3, VRID: uint8(i + 1), Priority: 100, Interval: 100 * time.Millisecond,
				},
			}},
			Resume: true, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		}, links)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		runners, stops = append(runners, r), append(stops, stop)
		r.Begin(ctx, func(err error) { ended <- err })
	}
	for i := range routers {
		l.await(t, uint8(i+1), 5)
	}
	for _, stop := range stops {
		stop()
	}
	for range routers {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	for i, r := range runners {
		s := r.Snapshot()[0]
		l.await(t, uint8(i+1), int(s.Sent))
		sent := l.sent[uint8(i+1)]
		if len(sent) != int(s.Sent) || s.ZeroSent != 1 || s.Errors != 0 {
			t.Errorf("%s: %d adverts heard; %d counted, %d resignations, %d errors (%s)",
				s.Name, len(sent), s.Sent, s.ZeroSent, s.Errors, s.LastError)
		}
		resignedLast(t, s.Name, sent)
	}
}

// resignedLast checks that of what a router has sent the last advert is a resignation, and no other.
func resignedLast(t *testing.T, name string, sent []uint8) {
	t.Helper()
	for i, priority := range sent {
		if (priority == vrrp.PriorityResign) != (i == len(sent)-1) {
			t.Errorf("%s: priorities %v, want one resignation, at last", name, sent)
			return
		}
	}
}

// await waits until a router has been heard so often.
func (l *listener) await(t *testing.T, vrid uint8, adverts int) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		l.mu.Lock()
		n := len(l.sent[vrid])
		l.mu.Unlock()
		if n >= adverts {
			return
		}
		select {
		case <-l.news:
		case <-deadline:
			t.Fatalf("router %d: heard %d adverts, want %d", vrid, n, adverts)
		}
	}
}

// joining is a Link whose socket calls joined just before an advert is sent together with others.
type joining struct {
	instance.Link
	joined func()
}

func (l joining) Open(e netif.Endpoint) (instance.Socket, error) {
	s, err := l.Link.(instance.Opener).Open(e)
	return joiningSocket{s, l.joined}, err
}

type joiningSocket struct {
	instance.Socket
	joined func()
}

func (s joiningSocket) Join(b *netif.Burst, payload []byte, src, dst netip.Addr) bool {
	s.joined()
	return s.Socket.(instance.Joiner).Join(b, payload, src, dst)
}

// TestNothingWaitsBehindAResignation has a master resign in the very turn in which an advert of its
// own waits for others: that one comes first.
func TestNothingWaitsBehindAResignation(t *testing.T) {
	node, peer := netiftest.Pair(t)
	b := realBench(t, node, peer)
	l := &listener{sent: map[uint8][]uint8{}, news: make(chan struct{}, 1)}
	c, err := peer.Host.Interface(netiftest.Device).Listen(51)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Hear(l.hear, nil)
	var d *director
	count := 0
	real := b.links[0]
	started := make(chan struct{})
	b.links[0] = func(name string) instance.Link {
		return joining{real(name), func() {
			<-started
			if count++; count == 3 {
				if err := d.runner.SetTracked("VI_1", false); err != nil {
					t.Error(err)
				}
			}
		}}
	}
	d = b.start(0, func(g *instance.Group) { g.Resume = true })
	close(started)
	l.await(t, 51, 4)
	d.halt()
	s := d.runner.Snapshot()[0]
	l.await(t, 51, int(s.Sent))
	resignedLast(t, s.Name, l.sent[51])
}
