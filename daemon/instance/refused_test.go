package instance_test

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// TestRefused has another router of our VRID speak another version: each of its adverts is refused,
// and told of at most once a second.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		var mu sync.Mutex
		told := map[string]int{}
		d := b.start(0, func(g *instance.Group) {
			g.OnRefused = func(name string, from netip.Addr, why vrrp.DropReason) {
				mu.Lock()
				defer mu.Unlock()
				told[fmt.Sprintf("%s: %s from %s", name, why.String(), from)]++
			}
		})
		b.awaitState(d, vrrp.Master)
		other := b.start(1, func(g *instance.Group) {
			resumed(g)
			g.Members[0].Router.Version = 2
			g.Members[0].Router.Interval = time.Second
		})
		b.awaitState(other, vrrp.Master)
		pass(4500 * time.Millisecond)
		mu.Lock()
		want := map[string]int{"VI_1: bad version from 192.168.1.3": 5}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("told (-want +got)\n%s", diff)
		}
		mu.Unlock()
		if got := d.runner.Snapshot()[0].LastDrop; got != vrrp.DropVersion {
			t.Errorf("last drop: got %v, expected %v", got, vrrp.DropVersion)
		}
		other.halt()
		d.halt()
	})
}
