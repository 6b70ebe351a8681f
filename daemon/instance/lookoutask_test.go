package instance

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/bubbletest"
	"github.com/tandemlb/tandem/daemon/netif"
)

// scout is a link on which a station may have the address too.
type scout struct {
	begin  time.Time
	heard  func(netif.Rival)
	rival  bool          // there is one
	until  time.Duration // it is there no longer; zero: always
	own    bool          // it is another interface of this host
	asked  []time.Duration
	ended  int
	noAddr bool // the link has no Ethernet address
}

func (s *scout) FollowRivals(_ bool, heard func(netif.Rival), _ func(error)) (func(), error) {
	if s.noAddr {
		return nil, netif.ErrNoMAC
	}
	s.heard = heard
	return func() { s.ended++ }, nil
}

func (s *scout) AskRivals(addrs []netip.Addr) error {
	s.asked = append(s.asked, time.Since(s.begin))
	if s.rival && (s.until == 0 || time.Since(s.begin) < s.until) {
		s.heard(netif.Rival{Addr: addrs[0], MAC: netif.MAC{2}})
	}
	return nil
}

func (s *scout) HasMAC(netif.MAC) (bool, error) { return s.own, nil }

// TestLookout says when a station is asked for that may have an address too, and when it is told of.
func TestLookout(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name        string
		scout       scout
		asked, told []time.Duration // within 13 s
	}{
		{"nobody", scout{}, []time.Duration{s, 11 * s}, nil},
		{"somebody", scout{rival: true},
			[]time.Duration{s, 2 * s, 4 * s, 6 * s, 8 * s, 10 * s, 12 * s},
			[]time.Duration{2 * s, 4 * s, 6 * s, 8 * s, 10 * s, 12 * s}},
		{"somebody who goes", scout{rival: true, until: 3 * s},
			[]time.Duration{s, 2 * s, 4 * s, 6 * s, 8 * s, 10 * s}, []time.Duration{2 * s}},
		{"the host itself", scout{rival: true, own: true}, []time.Duration{s, 11 * s}, nil},
		{"no Ethernet", scout{noAddr: true}, []time.Duration{s, 11 * s}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &Lookout{}
				link := &tt.scout
				link.begin = time.Now()
				addr := netip.MustParseAddr("192.168.1.1")
				var told []time.Duration
				end, err := l.guard("eth0", link, []netip.Addr{addr}, func(r netif.Rival) {
					told = append(told, time.Since(link.begin))
				})
				if err != nil {
					t.Fatal(err)
				}
				bubbletest.Pass(13*s - time.Millisecond)
				if link.heard != nil { // of another address
					link.heard(netif.Rival{Addr: addr.Next(), MAC: netif.MAC{2}})
				}
				synctest.Wait()
				end()
				synctest.Wait()
				asked := slices.Clone(link.asked)
				bubbletest.Pass(time.Minute)
				if diff := cmp.Diff(tt.asked, link.asked); diff != "" || len(asked) != len(link.asked) {
					t.Errorf("asked (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tt.told, told); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}
				if link.ended != 1 && !link.noAddr {
					t.Errorf("ended %d times, want once", link.ended)
				}
			})
		})
	}
}

// TestLookoutTakesTurns asks about many addresses one after another.
func TestLookoutTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Lookout{}
		link := &scout{begin: time.Now()}
		var addrs []netip.Addr
		for addr := netip.MustParseAddr("10.0.0.1"); len(addrs) < 200; addr = addr.Next() {
			addrs = append(addrs, addr)
		}
		end, err := l.guard("eth0", link, addrs, func(netif.Rival) {})
		if err != nil {
			t.Fatal(err)
		}
		bubbletest.Pass(21 * time.Second)
		end()
		synctest.Wait()
		for i := 1; i < len(link.asked); i++ {
			if pause := link.asked[i] - link.asked[i-1]; pause < askPause {
				t.Fatalf("two questions within %s, want %s", pause, askPause)
			}
		}
		if n := len(link.asked); n < 200 {
			t.Errorf("%d questions, want 200 at least", n)
		}
	})
}
