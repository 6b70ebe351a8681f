package netif_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

var (
	localA = netip.MustParsePrefix("fe80::a/64")
	localB = netip.MustParsePrefix("fe80::b/64")
	group6 = netip.MustParseAddr("ff02::12")
	vip6   = netip.MustParsePrefix("2001:db8::1/128")
)

// pair6 is netiftest.Pair with a link-local address of each that can be used at once.
func pair6(t *testing.T) (a, b *netiftest.Node) {
	t.Helper()
	a, b = netiftest.Pair(t)
	ok(t, a.Host.Interface(netiftest.Device).AddAddr(localA, 0))
	ok(t, b.Host.Interface(netiftest.Device).AddAddr(localB, 0))
	return a, b
}

func open(t *testing.T, n *netiftest.Node, e netif.Endpoint) *netif.Conn {
	t.Helper()
	c, err := n.Host.Interface(netiftest.Device).Open(e)
	ok(t, err)
	t.Cleanup(func() { ok(t, c.Close()) })
	return c
}

// drained returns what c has heard once it is n packets.
func drained(t *testing.T, c *netif.Conn, n int) []netif.Packet {
	t.Helper()
	var got []netif.Packet
	for begin := time.Now(); len(got) < n && time.Since(begin) < limit; {
		ok(t, c.Drain(func(p netif.Packet) { got = append(got, p) }))
	}
	return got
}

// TestConn6 sends to a group and to a peer, of which only the last passes for unicast alone, and
// only what is of the virtual router.
func TestConn6(t *testing.T) {
	a, b := pair6(t)
	ca := open(t, a, netif.Endpoint{IPv6: true, Group: group6, TTL: 9})
	multi := open(t, b, netif.Endpoint{VRID: 51, IPv6: true, Group: group6})
	uni := open(t, b, netif.Endpoint{VRID: 51, IPv6: true})
	src := localA.Addr()
	ok(t, ca.Send([]byte("\x31\x34other"), src, group6))
	ok(t, ca.Send([]byte("\x31\x33group"), src, group6))
	ok(t, ca.Send([]byte("\x31\x33peer"), src, localB.Addr()))
	toGroup := netif.Packet{Payload: []byte("\x31\x33group"), From: src, To: group6, TTL: 255}
	toPeer := netif.Packet{Payload: []byte("\x31\x33peer"), From: src, To: localB.Addr(), TTL: 9}
	for _, tt := range []struct {
		name string
		conn *netif.Conn
		want []netif.Packet
	}{
		{"group", multi, []netif.Packet{toGroup, toPeer}},
		{"unicast", uni, []netif.Packet{toPeer}},
	} {
		got := drained(t, tt.conn, len(tt.want))
		if diff := cmp.Diff(tt.want, got, cmp.Comparer(sameAddr)); diff != "" {
			t.Errorf("%s: heard (-want +got):\n%s", tt.name, diff)
		}
	}
	ok(t, ca.Drain(func(p netif.Packet) { t.Errorf("sender hears its own %s", p.Payload) }))
}

// TestConnGroup uses a group that is not the standard one, and a TTL for unicast.
func TestConnGroup(t *testing.T) {
	a, b := netiftest.Pair(t)
	other := netip.MustParseAddr("239.1.2.3")
	ca := open(t, a, netif.Endpoint{Group: other, TTL: 3})
	cb := open(t, b, netif.Endpoint{Group: other})
	standard := listen(t, b)
	ok(t, ca.Send([]byte("to all"), addrA, other))
	ok(t, ca.Send([]byte("to one"), addrA, addrB))
	want := []netif.Packet{
		{Payload: []byte("to all"), From: addrA, To: other, TTL: 255},
		{Payload: []byte("to one"), From: addrA, To: addrB, TTL: 3},
	}
	if diff := cmp.Diff(want, drained(t, cb, 2), cmp.Comparer(sameAddr)); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[1:], drained(t, standard, 1), cmp.Comparer(sameAddr)); diff != "" {
		t.Errorf("the standard group heard (-want +got):\n%s", diff)
	}
	for _, e := range []netif.Endpoint{{Group: group6}, {Group: addrA}, {IPv6: true, Group: other}} {
		if _, err := a.Host.Interface(netiftest.Device).Open(e); err == nil {
			t.Errorf("Open(%+v): no error", e)
		}
	}
}

// TestAnnounce6 reads an advertisement off the wire.
func TestAnnounce6(t *testing.T) {
	a, b := pair6(t)
	var conn *packet.Conn
	var mac net.HardwareAddr
	a.Do(func() {
		if ifi, err := net.InterfaceByName(netiftest.Device); err == nil {
			mac = ifi.HardwareAddr
		}
	})
	b.Do(func() {
		ifi, err := net.InterfaceByName(netiftest.Device)
		if err == nil {
			conn, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_IPV6, nil)
		}
		if err != nil {
			t.Error(err)
		}
	})
	defer conn.Close()
	ok(t, conn.SetReadDeadline(time.Now().Add(limit)))
	ok(t, a.Host.Interface(netiftest.Device).Announce([]netip.Addr{vip6.Addr()}, 2))
	const header = 14 + 40
	for found := 0; found < 2; {
		buf := make([]byte, 200)
		n, _, err := conn.ReadFrom(buf)
		ok(t, err)
		f := buf[:n]
		if n < header || f[20] != unix.IPPROTO_ICMPV6 || !slices.Equal(f[22:38], vip6.Addr().AsSlice()) {
			continue // of the kernel's own
		}
		found++
		m, err := ndp.ParseMessage(f[header:])
		ok(t, err)
		want := &ndp.NeighborAdvertisement{
			Router: true, Override: true, TargetAddress: vip6.Addr(),
			Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: mac}},
		}
		if diff := cmp.Diff(ndp.Message(want), m, cmp.Comparer(sameAddr)); diff != "" {
			t.Errorf("advertisement (-want +got):\n%s", diff)
		}
		checked, err := ndp.MarshalMessageChecksum(m, vip6.Addr(), netip.IPv6LinkLocalAllNodes())
		ok(t, err)
		if f[21] != 255 || !slices.Equal(checked, f[header:]) {
			t.Errorf("hop limit %d and body %x, want 255 and %x", f[21], f[header:], checked)
		}
	}
}

// TestDAD shows an address as unready until nobody has objected.
func TestDAD(t *testing.T) {
	node, _ := netiftest.Pair(t)
	eth := node.Host.Interface(netiftest.Device)
	states := watch(t, eth)
	checked := netip.MustParsePrefix("2001:db8::9/64")
	ok(t, eth.PutAddr(checked, netif.AddrOptions{DAD: true}, 0))
	await(t, states, "unready", func(s netif.State) bool {
		return slices.Contains(s.Unready, checked)
	})
	ok(t, eth.AddAddr(vip6, 0))
	await(t, states, "VIP at once", func(s netif.State) bool { return slices.Contains(s.Addrs, vip6) })
	await(t, states, "ready", func(s netif.State) bool { return slices.Contains(s.Addrs, checked) })
	ok(t, eth.RemoveAddr(checked))
	await(t, states, "gone", func(s netif.State) bool { return !s.Has(checked) && s.Has(vip6) })
}
