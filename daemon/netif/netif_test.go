package netif_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

var (
	addrA = netip.MustParseAddr("192.168.1.2")
	addrB = netip.MustParseAddr("192.168.1.3")
	group = netip.MustParseAddr("224.0.0.18")
	vip   = netip.MustParsePrefix("192.168.1.1/32")
)

// limit is how long a test waits for anything that should happen.
const limit = 15 * time.Second

func TestAddr(t *testing.T) {
	node, _ := netiftest.Pair(t)
	eth := node.Host.Interface(netiftest.Device)
	ok(t, eth.RemoveAddr(vip)) // absent
	ok(t, eth.AddAddr(vip, 0))
	ok(t, eth.AddAddr(vip, 0)) // present
	if !has(t, eth, vip) {
		t.Error("address is absent after AddAddr")
	}
	ok(t, eth.RemoveAddr(vip))
	if has(t, eth, vip) {
		t.Error("address is present after RemoveAddr")
	}
	absent := node.Host.Interface("nowhere0")
	ok(t, absent.RemoveAddr(vip))
	if err := absent.AddAddr(vip, 0); err == nil {
		t.Error("AddAddr to an absent interface: no error")
	}
}

// TestLease says what a frozen daemon relies on: the kernel ends a lease that nobody renews, and
// no other.
func TestLease(t *testing.T) {
	node, _ := netiftest.Pair(t)
	eth := node.Host.Interface(netiftest.Device)
	kept := netip.MustParsePrefix("192.168.1.4/32")
	ok(t, eth.AddAddr(vip, 800*time.Millisecond))
	ok(t, eth.AddAddr(kept, time.Second))
	begin := time.Now()
	ok(t, eth.AddAddr(kept, time.Hour)) // renewed
	states := watch(t, eth)
	await(t, states, "lease ends", func(s netif.State) bool {
		return !slices.Contains(s.Addrs, vip)
	})
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("lease of 0.8 s ended after %s, want at most 1 s and the kernel's 2 s", took)
	}
	if !has(t, eth, kept) {
		t.Error("a renewed lease ended")
	}
}

func TestConn(t *testing.T) {
	a, b := netiftest.Pair(t)
	ca, cb := listen(t, a), listen(t, b)
	got := make(chan netif.Packet, 10)
	done := make(chan error, 1)
	go func() { done <- cb.Receive(func(p netif.Packet) { got <- p }) }()
	ok(t, ca.Send([]byte("to all"), addrA, group))
	ok(t, ca.Send([]byte("to one"), addrA, addrB))
	want := []netif.Packet{
		{Payload: []byte("to all"), From: addrA, To: group, TTL: 255},
		{Payload: []byte("to one"), From: addrA, To: addrB, TTL: 255},
	}
	for _, w := range want {
		select {
		case p := <-got:
			if diff := cmp.Diff(w, p, cmp.Comparer(sameAddr)); diff != "" {
				t.Errorf("packet (-want +got):\n%s", diff)
			}
		case <-time.After(limit):
			t.Fatalf("%s did not arrive", w.Payload)
		}
	}
	ok(t, ca.Drain(func(p netif.Packet) { t.Errorf("sender hears its own %s", p.Payload) }))
	ok(t, cb.Close())
	if err := <-done; err != nil {
		t.Errorf("Receive after Close: %v", err)
	}
}

// TestDrain says that what has arrived is delivered without waiting, in order.
func TestDrain(t *testing.T) {
	a, b := netiftest.Pair(t)
	ca, cb := listen(t, a), listen(t, b)
	var want, got []string
	for i := range 20 {
		payload := []byte{'a' + byte(i)}
		want = append(want, string(payload))
		ok(t, ca.Send(payload, addrA, group))
	}
	for begin := time.Now(); len(got) < len(want) && time.Since(begin) < limit; {
		ok(t, cb.Drain(func(p netif.Packet) { got = append(got, string(p.Payload)) }))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("drained (-want +got):\n%s", diff)
	}
	ok(t, cb.Drain(func(p netif.Packet) { t.Errorf("drained %s twice", p.Payload) }))
}

// TestListenFilters says that a Conn hears its own virtual router only.
func TestListenFilters(t *testing.T) {
	a, b := netiftest.Pair(t)
	ca := listen(t, a)
	cb, err := b.Host.Interface(netiftest.Device).Listen(51)
	ok(t, err)
	t.Cleanup(func() { ok(t, cb.Close()) })
	var got []string
	for _, payload := range []string{"\x31\x34", "\x31", "\x31\x33mine"} {
		ok(t, ca.Send([]byte(payload), addrA, group))
	}
	for begin := time.Now(); len(got) == 0 && time.Since(begin) < limit; {
		ok(t, cb.Drain(func(p netif.Packet) { got = append(got, string(p.Payload)) }))
	}
	if diff := cmp.Diff([]string{"\x31\x33mine"}, got); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
}

func TestListenErrors(t *testing.T) {
	node, _ := netiftest.Pair(t)
	_, err := node.Host.Interface("nowhere0").Listen(0)
	want := "listen on nowhere0: Link not found"
	if err == nil || err.Error() != want {
		t.Errorf("Listen = %v, want %s", err, want)
	}
}

// hearARP returns what reads the next ARP frame that comes to a device of a node.
func hearARP(t *testing.T, n *netiftest.Node, device string) func() []byte {
	t.Helper()
	var conn *packet.Conn
	n.Do(func() {
		ifi, err := net.InterfaceByName(device)
		if err == nil {
			conn, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_ARP, nil)
		}
		if err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { conn.Close() })
	ok(t, conn.SetReadDeadline(time.Now().Add(limit)))
	return func() []byte {
		b := make([]byte, 100)
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		return b[:n]
	}
}

// gratuitous is the frame that says that an address is at a device of a node.
func gratuitous(t *testing.T, n *netiftest.Node, device string, addr netip.Addr) []byte {
	t.Helper()
	var mac net.HardwareAddr
	n.Do(func() {
		if ifi, err := net.InterfaceByName(device); err == nil {
			mac = ifi.HardwareAddr
		}
	})
	return bytes.Join([][]byte{
		{255, 255, 255, 255, 255, 255}, mac, {8, 6}, // Ethernet: to all, ARP
		{0, 1, 8, 0, 6, 4, 0, 1}, // Ethernet and IPv4, request
		mac, addr.AsSlice(),
		{0, 0, 0, 0, 0, 0}, addr.AsSlice(),
	}, nil)
}

// TestAnnounce reads the frames off the wire.
func TestAnnounce(t *testing.T) {
	a, b := netiftest.Pair(t)
	next := hearARP(t, b, netiftest.Device)
	ok(t, a.Host.Interface(netiftest.Device).Announce([]netip.Addr{vip.Addr()}, 2))
	want := gratuitous(t, a, netiftest.Device, vip.Addr())
	for range 2 {
		if diff := cmp.Diff(want, next()); diff != "" {
			t.Errorf("frame (-want +got):\n%s", diff)
		}
	}
}

// TestAnnounceAll announces on two interfaces at once, beside one that is not there: the others' frames
// are each on their own wire, and only the one that is missing has an error.
func TestAnnounceAll(t *testing.T) {
	a, b := netiftest.PairOn(t, 2)
	var heard []func() []byte
	all := []netif.Announcement{{On: a.Host.Interface("gone"), Addrs: []netip.Addr{vip.Addr()}}}
	for i, addr := range []string{"192.168.1.77", "192.168.2.77"} {
		device := netiftest.DeviceOf(i)
		heard = append(heard, hearARP(t, b, device))
		all = append(all, netif.Announcement{
			On: a.Host.Interface(device), Addrs: []netip.Addr{netip.MustParseAddr(addr)},
		})
	}
	errs := a.Host.AnnounceAll(all)
	if len(errs) != len(all) || errs[0] == nil || errs[1] != nil || errs[2] != nil {
		t.Errorf("errors %v, want one of the first only", errs)
	}
	for i, next := range heard {
		want := gratuitous(t, a, netiftest.DeviceOf(i), all[i+1].Addrs[0])
		if diff := cmp.Diff(want, next()); diff != "" {
			t.Errorf("frame on %s (-want +got):\n%s", netiftest.DeviceOf(i), diff)
		}
	}
	if errs := a.Host.AnnounceAll(all[1:]); errs != nil {
		t.Errorf("errors %v, want none", errs)
	}
}

// TestWatch pulls the cable, then makes the interface vanish.
func TestWatch(t *testing.T) {
	a, _ := netiftest.Pair(t)
	eth := a.Host.Interface(netiftest.Device)
	states := watch(t, eth)
	await(t, states, "up", func(s netif.State) bool { return s.Up && s.Index != 0 })
	ok(t, eth.AddAddr(vip, 0))
	await(t, states, "address", func(s netif.State) bool { return slices.Contains(s.Addrs, vip) })
	a.Plug(false)
	await(t, states, "no carrier", func(s netif.State) bool { return !s.Up })
	if !has(t, eth, vip) {
		t.Error("the kernel removed an address with the carrier")
	}
	a.Plug(true)
	await(t, states, "carrier", func(s netif.State) bool { return s.Up })
	a.SetUp(false)
	await(t, states, "down", func(s netif.State) bool { return !s.Up })
	a.Delete()
	await(t, states, "gone", func(s netif.State) bool { return s.Index == 0 })
}

// watch runs Watch for the length of the test.
func watch(t *testing.T, eth *netif.Interface) <-chan netif.State {
	states := make(chan netif.State, 100)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- eth.Watch(ctx, func(s netif.State) { states <- s }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	return states
}

// await reads states until one holds.
func await(t *testing.T, states <-chan netif.State, what string, holds func(netif.State) bool) {
	t.Helper()
	timeout := time.After(limit)
	for {
		select {
		case s := <-states:
			if holds(s) {
				return
			}
		case <-timeout:
			t.Fatalf("%s: not seen in %s", what, limit)
		}
	}
}

func sameAddr(a, b netip.Addr) bool { return a == b }

func listen(t *testing.T, n *netiftest.Node) *netif.Conn {
	t.Helper()
	c, err := n.Host.Interface(netiftest.Device).Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ok(t, c.Close()) })
	return c
}

func has(t *testing.T, eth *netif.Interface, p netip.Prefix) bool {
	t.Helper()
	s, err := eth.State()
	ok(t, err)
	return slices.Contains(s.Addrs, p)
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
