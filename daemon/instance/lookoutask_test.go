package instance

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/internal/bubbletest"
)

// scout is a link on which a station may have the address too.
type scout struct {
	begin  time.Time
	heard  func(netif.Rival)
	rival  bool          // there is one
	until  time.Duration // it is there no longer; zero: always
	own    bool          // it is another interface of this host
	asked  []time.Duration
	about  map[netip.Addr]bool
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
	if s.about == nil {
		s.about = map[netip.Addr]bool{}
	}
	s.about[addrs[0]] = true
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

// TestLookoutTakesTurns asks about many addresses by and by, together at whole seconds, and about
// each.
func TestLookoutTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Lookout{}
		link := &scout{begin: time.Now()}
		var addrs []netip.Addr
		for addr := netip.MustParseAddr("10.0.0.1"); len(addrs) < 200; addr = addr.Next() {
			addrs = append(addrs, addr)
		}
		for round := range 2 { // those of the first are watched no longer
			bubbletest.Pass(300 * time.Millisecond)
			end, err := l.guard("eth0", link, addrs, func(netif.Rival) {})
			if err != nil {
				t.Fatal(err)
			}
			bubbletest.Pass(42 * time.Second)
			end()
			synctest.Wait()
			asked := map[time.Duration]int{}
			for _, at := range link.asked {
				asked[at]++
			}
			for at, n := range asked {
				if at%askGrid != 0 || n > askMost {
					t.Errorf("round %d: %d questions at %s, want %d at most, at whole seconds", round, n,
						at, askMost)
				}
			}
			if n := len(link.asked); n < 2*200-askMost || len(link.about) != 200 {
				t.Errorf("round %d: %d questions about %d addresses, want each twice", round, n,
					len(link.about))
			}
			link.asked, link.about = nil, nil
		}
	})
}
