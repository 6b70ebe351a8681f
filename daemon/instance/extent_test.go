package instance_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// TestDontTrackPrimary takes the carrier from a master, which is to stay one.
func TestDontTrackPrimary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		d := b.start(0, func(g *instance.Group) { g.Members[0].DontTrackPrimary = true })
		b.awaitState(d, vrrp.Master)
		b.setUp(0, false)
		pass(10 * time.Second)
		s := d.runner.Snapshot()[0]
		if s.State != vrrp.Master || s.BecameMaster != 1 || s.Mute == nil {
			t.Errorf("without a carrier: %s, master %d times, mute %+v; want a mute master",
				s.State, s.BecameMaster, s.Mute)
		}
		b.setUp(0, true)
		pass(5 * time.Second)
		if s := d.runner.Snapshot()[0]; s.State != vrrp.Master || s.Mute != nil {
			t.Errorf("with it: %s, mute %+v; want a master", s.State, s.Mute)
		}
	})
}

// TestFaultNoPeer has an instance by unicast without peers.
func TestFaultNoPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		d := b.start(0, func(g *instance.Group) {
			g.Members[0].Router.Unicast, g.Members[0].Router.FaultNoPeer = true, true
		})
		b.awaitState(d, vrrp.Faulty)
		pass(10 * time.Second)
		if s := d.runner.Snapshot()[0]; s.State != vrrp.Faulty || s.Fault != vrrp.ReasonNoPeer {
			t.Errorf("without peers: %s because of %s, want Fault because of %s",
				s.State, s.Fault, vrrp.ReasonNoPeer)
		}
	})
}

// TestAddrVMACs has a VIP on another interface found at the virtual MAC address, and leaves nothing.
func TestAddrVMACs(t *testing.T) {
	t.Parallel()
	a, node := netiftest.PairOn(t, 2)
	b := realBench(t, a, node)
	b.vip = netip.MustParsePrefix("192.168.2.1/32")
	on := netif.Macvlan{Name: "vrrp.51.1", Parent: "eth1", MAC: netif.VirtualMAC(51, false)}
	b.addrs = func(int) []netip.Prefix { return addrsOf(t, b.links[0](on.Name)) }
	before := everything(t, a)
	var book ledger
	d := b.start(0, func(g *instance.Group) {
		c := &g.Members[0]
		c.VIPs = append(c.VIPs, instance.VIP{Prefix: b.vip, Device: "eth1"})
		c.AddrVMACs = []netif.Macvlan{on}
		g.Claims = book.note
	})
	b.awaitVIP(0, true)
	if c := book.take(); !slices.Contains(c[len(c)-1].Macvlans, on) {
		t.Errorf("claimed macvlans: %v, want %s", c[len(c)-1].Macvlans, on)
	}
	s, err := a.Host.Interface("eth0").State()
	if err != nil || !slices.Contains(s.Addrs, vip) {
		t.Errorf("addresses of eth0: %v, %v; want %s", s.Addrs, err, vip)
	}
	b.await("neighbor", func() bool {
		return neighbor(t, node, b.vip.Addr()) == on.MAC.String()
	})
	d.halt()
	after := strings.Join(everything(t, a), "\n")
	if want := strings.Join(before, "\n"); after != want {
		t.Errorf("left:\n%s\nwant:\n%s", after, want)
	}
}

func TestAddrVMACsRefused(t *testing.T) {
	mac := netif.VirtualMAC(51, false)
	for _, tt := range []struct {
		name string
		on   []netif.Macvlan
	}{
		{"no name", []netif.Macvlan{{Parent: "eth1", MAC: mac}}},
		{"no parent", []netif.Macvlan{{Name: "v", MAC: mac}}},
		{"no address", []netif.Macvlan{{Name: "v", Parent: "eth1"}}},
		{"interface's name", []netif.Macvlan{{Name: "eth0", Parent: "eth1", MAC: mac}}},
		{"on the interface", []netif.Macvlan{{Name: "v", Parent: "eth0", MAC: mac}}},
		{"two of a name", []netif.Macvlan{
			{Name: "v", Parent: "eth1", MAC: mac}, {Name: "v", Parent: "eth2", MAC: mac},
		}},
		{"two of a parent", []netif.Macvlan{
			{Name: "v", Parent: "eth1", MAC: mac}, {Name: "w", Parent: "eth1", MAC: mac},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := (&bench{interval: time.Second}).config(0)
			c.AddrVMACs = tt.on
			g := instance.Group{Members: []instance.Config{c}}
			if _, err := instance.New(g, func(string) instance.Link { return nil }); err == nil {
				t.Error("New: no error")
			}
		})
	}
}
