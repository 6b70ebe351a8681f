package instance_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// TestClaimed has two masters that cannot hear each other, for their virtual routers differ, with one
// VIP: both say so, and the one that remains says so no more soon after the other has gone.
func TestClaimed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		vip  netip.Prefix
		vmac bool // both use the virtual MAC addresses of their virtual routers
	}{
		{"IPv4", vip, false},
		{"IPv6", vip6, false},
		{"IPv4 with virtual MAC addresses", vip, true},
		{"IPv6 with virtual MAC addresses", vip6, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			nodeA, nodeB := netiftest.Pair(t)
			b := realBench(t, nodeA, nodeB)
			b.vip = tt.vip
			nodes := []*netiftest.Node{nodeA, nodeB}
			if tt.vmac {
				b.addrs = func(i int) []netip.Prefix { return addrsOf(t, b.links[i]("vmac")) }
			}
			for i, n := range nodes {
				eth := n.Host.Interface(netiftest.Device)
				if err := eth.AddAddr(netip.PrefixFrom(locals[i], 64), 0); err != nil {
					t.Fatal(err)
				}
			}
			begin := func(i int) *director {
				d := b.start(i, func(g *instance.Group) {
					c := &g.Members[0]
					c.VIPs[0].Prefix = tt.vip
					c.Router.VRID += uint8(i)
					if tt.vmac {
						c.VMAC = &netif.Macvlan{Name: "vmac", Parent: netiftest.Device,
							MAC: netif.VirtualMAC(c.Router.VRID, tt.vip.Addr().Is6())}
					}
				})
				b.awaitState(d, vrrp.Master)
				return d
			}
			first := begin(0)
			b.awaitVIP(0, true)
			if c, says := claimed(first); says {
				t.Errorf("alone it says %+v", c)
			}
			second := begin(1)
			for i, d := range []*director{first, second} {
				b.await("address conflict", func() bool { _, says := claimed(d); return says })
				c, _ := claimed(d)
				if c.Evidence.From != tt.vip.Addr() {
					t.Errorf("%d: %+v, want the VIP", i, c)
				}
			}
			second.halt()
			b.await("end of the conflict", func() bool { _, says := claimed(first); return !says })
			first.halt()
		})
	}
}

// claimed returns the condition that another station has a VIP of the director too, if it says so.
func claimed(d *director) (vrrp.Condition, bool) {
	for _, c := range d.runner.Snapshot()[0].Conditions {
		if c.Kind == vrrp.ConditionClaimed {
			return c, true
		}
	}
	return vrrp.Condition{}, false
}

// TestHandoverIsNoConflict lets a VIP go to and fro, for longer than both may have it: while it moves
// nobody says that another one has it too.
func TestHandoverIsNoConflict(t *testing.T) {
	t.Parallel()
	b := real(t)
	low := b.start(1, nil)
	b.awaitState(low, vrrp.Master)
	for range 6 {
		high := b.start(0, nil)
		b.awaitState(high, vrrp.Master)
		b.awaitState(low, vrrp.Backup)
		high.halt()
		b.awaitState(low, vrrp.Master)
		if c, says := claimed(low); says {
			t.Errorf("%+v", c)
		}
	}
	low.halt()
}

// TestRivals hears what stations say of addresses, and asks.
func TestRivals(t *testing.T) {
	nodeA, nodeB := netiftest.Pair(t)
	a, b := nodeA.Host.Interface(netiftest.Device), nodeB.Host.Interface(netiftest.Device)
	// The kernel's own are being checked for duplicates yet.
	for i, eth := range []*netif.Interface{a, b} {
		if err := eth.AddAddr(netip.PrefixFrom(locals[i], 64), 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []netip.Prefix{vip6, vip} {
		down := false
		heard := make(chan netif.Rival, 100)
		failed := func(err error) { t.Errorf("listening: %v", err) }
		stop, err := a.FollowRivals(p.Addr().Is6(), func(r netif.Rival) { heard <- r }, failed)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.AddAddr(p, 0); err != nil {
			t.Fatal(err)
		}
		for _, way := range []struct {
			name string
			do   func() error
		}{
			{"announced after the link was down", func() error {
				if !down && p.Addr().Is4() { // without its link an interface has no IPv6
					nodeA.SetUp(false)
					nodeA.SetUp(true)
				}
				down = true
				return b.Announce([]netip.Addr{p.Addr()}, 1)
			}},
			{"announced", func() error { return b.Announce([]netip.Addr{p.Addr()}, 1) }},
			{"asked for", func() error { return a.AskRivals([]netip.Addr{p.Addr()}) }},
		} {
			r := hear(t, way.name, heard, way.do)
			own, err := nodeB.Host.HasMAC(r.MAC)
			if err != nil || !own || r.Addr != p.Addr() {
				t.Errorf("%s: heard %+v (%v), want %s", way.name, r, err, p.Addr())
			}
			if own, err := nodeA.Host.HasMAC(r.MAC); own || err != nil {
				t.Errorf("%s: %s is its own MAC (%v)", way.name, r.MAC, err)
			}
		}
		stop()
	}
}

// hear does it, again and again, until something is heard of it.
func hear(t *testing.T, what string, heard <-chan netif.Rival, do func() error) netif.Rival {
	t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for range 200 {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		select {
		case r := <-heard:
			return r
		case <-again.C:
		}
	}
	t.Fatalf("%s: nothing heard", what)
	return netif.Rival{}
}
