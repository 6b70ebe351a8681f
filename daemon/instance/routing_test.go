package instance_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// TestLostRoutingComesBack deletes a route and a rule of a master whose next advert, and so its next
// look at them, is far away.
func TestLostRoutingComesBack(t *testing.T) {
	t.Parallel()
	a, node := netiftest.Pair(t)
	b := realBench(t, a, node)
	b.interval = 40 * time.Second
	var g instance.Group
	d := b.start(0, func(started *instance.Group) {
		laden(started)
		started.Members[0].ShieldTable = ""
		started.Members[0].Router.Version = vrrp.V2 // its stop is short
		started.Resume = true
		g = *started
	})
	b.awaitState(d, vrrp.Master)
	has := func(line string) func() bool {
		return func() bool { return slices.Contains(everything(t, a), line) }
	}
	b.await("route", has(ladenRoute))
	b.await("rule", has(ladenRule))
	for range 3 {
		if err := a.Host.DropRoute(g.Members[0].Routes[0]); err != nil {
			t.Fatal(err)
		}
		b.await("the route again", has(ladenRoute))
		if err := a.Host.DropRule(g.Members[0].Rules[0]); err != nil {
			t.Fatal(err)
		}
		b.await("the rule again", has(ladenRule))
	}
}
