package instance_test

import (
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// TestUnknown has a stranger send adverts of three virtual routers: this one's, one of another
// instance on the interface, and one of nobody's.
func TestUnknown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		hearAll bool
		unknown uint64
		short   uint64
		lines   int // for the first one and for the second
	}{
		{"hears all", true, 3, 1, 2},
		{"hears its own", false, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := real(t)
			log := &book{}
			d := b.start(0, func(g *instance.Group) {
				g.Members[0].HearAll, g.Members[0].Siblings = tt.hearAll, []uint8{52}
				g.Log = slog.New(slog.NewTextHandler(log, nil))
			})
			b.awaitState(d, vrrp.Master)
			s, err := b.links[1](netiftest.Device).(instance.Opener).Open(netif.Endpoint{VRID: 99})
			if err != nil {
				t.Fatal(err)
			}
			send(t, s, []byte{0x31})
			for range 3 { // the last one is the instance's own
				for _, vrid := range []uint8{53, 52, 51} {
					send(t, s, advertOf(t, vrid))
				}
			}
			status := func() instance.Status { return d.runner.Snapshot()[0] }
			b.await("three adverts", func() bool { return status().Contested == 3 })
			got := status()
			if got.Drops[vrrp.DropVRID] != tt.unknown || got.Drops[vrrp.DropShort] != tt.short {
				t.Errorf("drops %v, want %d unknown and %d short", got.Drops, tt.unknown, tt.short)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			d.halt()
			if n := strings.Count(log.String(), "unknown virtual router"); n != tt.lines {
				t.Errorf("%d lines, want %d:\n%s", n, tt.lines, log)
			}
		})
	}
}

// advertOf returns the advert of a lower master of that virtual router.
func advertOf(t *testing.T, vrid uint8) []byte {
	t.Helper()
	a := vrrp.Advert{
		Version: vrrp.V3, VRID: vrid, Priority: 10, Interval: 100 * time.Millisecond,
		Addrs: []netip.Addr{vip.Addr()}, Checksum: vrrp.ChecksumPseudo,
	}
	b, err := a.Append(nil, hosts[1], vrrp.MulticastAddr(hosts[1]))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func send(t *testing.T, s instance.Socket, b []byte) {
	t.Helper()
	if err := s.Send(b, hosts[1], vrrp.MulticastAddr(hosts[1])); err != nil {
		t.Fatal(err)
	}
}

// book is what was logged.
type book struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns all lines.
func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
