package instance_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
)

// chorister is a staged link that announces in one breath with others, and whose changes of addresses
// are noted too.
type chorister struct{ staged }

func (l chorister) AddAddr(p netip.Prefix, lease time.Duration) error {
	l.note("add " + p.Addr().String())
	return l.simLink.AddAddr(p, lease)
}

func (l chorister) AnnounceAll(all []instance.Announcement) []error {
	var addrs []string
	for _, a := range all {
		for _, addr := range a.Addrs {
			addrs = append(addrs, addr.String())
		}
	}
	l.note("announce together " + strings.Join(addrs, " "))
	return nil
}

func (l chorister) Announce(addrs []netip.Addr, _ int) error {
	l.note("announce " + addrs[0].String())
	return nil
}

func (l chorister) note(what string) {
	l.stage.mu.Lock()
	defer l.stage.mu.Unlock()
	l.noted = append(l.noted, what)
}

// TestGroupAnnouncesTogether has a group take over what clients call and what servers answer through:
// both are there before either is announced, and the first announcements are one, or answers would go
// where nobody knows of the calls. What is left to say is said by each, unless it is nothing.
func TestGroupAnnouncesTogether(t *testing.T) {
	for _, tt := range []struct {
		repeat int
		want   []string
	}{
		{1, nil}, {5, []string{"announce 192.168.1.1", "announce 192.168.2.1"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &stage{begin: time.Now()}
			b := &bench{t: t, interval: time.Second, limit: 20 * time.Second}
			links := map[string]instance.Link{}
			for device, own := range map[string]string{
				"eth0": "192.168.1.2/24", "eth1": "192.168.2.2/24",
			} {
				links[device] = chorister{staged{(&simWire{}).join(own), s, device}}
			}
			b.links[0] = func(name string) instance.Link { return links[name] }
			d := b.start(0, func(g *instance.Group) {
				inner := g.Members[0]
				inner.Name, inner.Interface, inner.Router.VRID = "inner", "eth1", 52
				inner.VIPs = []instance.VIP{{Prefix: netip.MustParsePrefix("192.168.2.1/32")}}
				g.Name, g.Members, g.Resume = "both", append(g.Members, inner), true
				for i := range g.Members {
					g.Members[i].Router.AnnounceDelay, g.Members[i].AnnounceRepeat = -1, tt.repeat
				}
			})
			synctest.Wait()
			s.mu.Lock()
			wantTyped(t, "at once", s.noted, append([]string{"add 192.168.1.1", "add 192.168.2.1",
				"announce together 192.168.1.1 192.168.2.1"}, tt.want...)...)
			s.mu.Unlock()
			d.halt()
		})
	}
}
