package netif_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestBurst sends packets of several virtual routers, interfaces and families together, some of
// which cannot leave: those are told, and the others arrive, in their order.
func TestBurst(t *testing.T) {
	a, b := netiftest.PairOn(t, 2)
	stranger := netip.MustParseAddr("192.0.2.1")
	var burst netif.Burst
	var want [3][]string
	var bad []int
	ends := []netif.Endpoint{{Group: group}, {Group: group}, {Group: group6, IPv6: true}}
	devices := []string{netiftest.Device, netiftest.DeviceOf(1), netiftest.Device}
	var conns []*netif.Conn
	var heard [3]chan string
	for i, e := range ends {
		// A Conn for each two virtual routers, so that they share an ear.
		for range 2 {
			c, err := a.Host.Interface(devices[i]).Open(e)
			ok(t, err)
			t.Cleanup(func() { ok(t, c.Close()) })
			conns = append(conns, c)
		}
		peer, err := b.Host.Interface(devices[i]).Open(e)
		ok(t, err)
		t.Cleanup(func() { ok(t, peer.Close()) })
		heard[i] = make(chan string, 1000)
		peer.Hear(func(p netif.Packet) { heard[i] <- string(p.Payload) }, nil)
	}
	ok(t, a.Host.Interface(devices[2]).AddAddr(localA, 0))
	sources := [3]netip.Addr{source(t, a, devices[0]), source(t, a, devices[1]), localA.Addr()}
	for n := range 500 {
		i := n % 3
		text := fmt.Sprintf("packet %d", n)
		src := sources[i]
		if n%7 == 3 && i < 2 {
			src = stranger
			bad = append(bad, n)
		} else {
			want[i] = append(want[i], text)
		}
		if !conns[2*i+n%2].Join(&burst, []byte(text), src, ends[i].Group) {
			t.Fatalf("packet %d does not join", n)
		}
	}
	if burst.Len() != 500 {
		t.Errorf("%d packets wait, want 500", burst.Len())
	}
	errs := burst.Send()
	for n := range 500 {
		if got := errs[n] != nil; got != slices.Contains(bad, n) {
			t.Errorf("packet %d: %v", n, errs[n])
		}
	}
	for i := range want {
		hears(t, heard[i], want[i]...)
	}
	if errs := burst.Send(); errs != nil || burst.Len() != 0 {
		t.Errorf("an empty burst: %v, %d packets wait", errs, burst.Len())
	}
}

// hears has these texts be heard, in that order.
func hears(t *testing.T, heard <-chan string, want ...string) {
	t.Helper()
	for _, text := range want {
		select {
		case got := <-heard:
			if got != text {
				t.Fatalf("heard %q, want %q", got, text)
			}
		case <-time.After(limit):
			t.Fatalf("%q was not heard", text)
		}
	}
}

// TestBurstClosed has packets wait for a Conn that is closed: they are told as not sent, those of
// others are sent.
func TestBurstClosed(t *testing.T) {
	a, b := netiftest.PairOn(t, 2)
	open := func(n *netiftest.Node, device string) *netif.Conn {
		c, err := n.Host.Interface(device).Open(netif.Endpoint{Group: group})
		ok(t, err)
		return c
	}
	closed, kept := open(a, netiftest.DeviceOf(1)), open(a, netiftest.Device)
	peer := open(b, netiftest.Device)
	t.Cleanup(func() {
		ok(t, kept.Close())
		ok(t, peer.Close())
	})
	var burst netif.Burst
	closed.Join(&burst, []byte("lost"), source(t, a, netiftest.DeviceOf(1)), group)
	kept.Join(&burst, []byte("kept"), source(t, a, netiftest.Device), group)
	ok(t, closed.Close())
	if errs := burst.Send(); len(errs) != 2 || errs[0] == nil || errs[1] != nil {
		t.Errorf("errors %v, want one, of the first packet", errs)
	}
	got := make(chan string, 1)
	peer.Hear(func(p netif.Packet) { got <- string(p.Payload) }, nil)
	hears(t, got, "kept")
}

// source returns the node's own IPv4 address on a device.
func source(t *testing.T, n *netiftest.Node, device string) netip.Addr {
	t.Helper()
	s, err := n.Host.Interface(device).State()
	ok(t, err)
	for _, p := range s.Addrs {
		if p.Addr().Is4() {
			return p.Addr()
		}
	}
	t.Fatalf("%s has no address", device)
	return netip.Addr{}
}
