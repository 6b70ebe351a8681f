package netif_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestMoves has two hosts use one virtual MAC address, one after the other: each hears of the other's
// groups, and not of its own.
func TestMoves(t *testing.T) {
	a, b := netiftest.Pair(t)
	mac := netif.VirtualMAC(51, true)
	hears := map[*netiftest.Node]chan netif.Rival{}
	for _, n := range []*netiftest.Node{a, b} {
		heard := make(chan netif.Rival, 100)
		hears[n] = heard
		failed := func(err error) { t.Errorf("listening: %v", err) }
		eth := n.Host.Interface(netiftest.Device)
		stop, err := eth.FollowMoves(mac, func(r netif.Rival) { heard <- r }, failed)
		ok(t, err)
		defer stop()
	}
	use := func(n *netiftest.Node, vrid uint8) {
		v := netif.Macvlan{Name: "vrrp", Parent: netiftest.Device, MAC: netif.VirtualMAC(vrid, true)}
		ok(t, n.Host.PutMacvlan(v))
		ok(t, n.Host.Interface(v.Name).AddAddr(netip.MustParsePrefix("2001:db8::1/64"), 0))
	}
	wantMove := func(n *netiftest.Node) {
		t.Helper()
		select {
		case r := <-hears[n]:
			if r.MAC != mac {
				t.Errorf("heard of %s, want %s", r.MAC, mac)
			}
		case <-time.After(limit):
			t.Fatal("nothing heard")
		}
	}
	use(a, 51)
	wantMove(b)
	if n := len(hears[a]); n > 0 {
		t.Errorf("heard %d times of its own", n)
	}
	use(b, 51)
	wantMove(a)
}

// TestMovesOfOthers are not told of.
func TestMovesOfOthers(t *testing.T) {
	a, b := netiftest.Pair(t)
	eth := a.Host.Interface(netiftest.Device)
	heard := make(chan netif.Rival, 100)
	failed := func(err error) { t.Errorf("listening: %v", err) }
	stop, err := eth.FollowMoves(netif.VirtualMAC(51, true), func(r netif.Rival) { heard <- r }, failed)
	ok(t, err)
	defer stop()
	for i, vrid := range []uint8{52, 51} {
		v := netif.Macvlan{Name: netiftest.DeviceOf(i + 7), Parent: netiftest.Device,
			MAC: netif.VirtualMAC(vrid, true)}
		ok(t, b.Host.PutMacvlan(v))
		ok(t, b.Host.Interface(v.Name).AddAddr(netip.MustParsePrefix("2001:db8::1/64"), 0))
	}
	select {
	case r := <-heard:
		if r.MAC != netif.VirtualMAC(51, true) {
			t.Errorf("heard of %s", r.MAC)
		}
	case <-time.After(limit):
		t.Fatal("nothing heard")
	}
	if _, err := a.Host.Interface("lo").FollowMoves(netif.MAC{}, nil, nil); err == nil {
		t.Error("an interface without a MAC address: no error")
	}
}
