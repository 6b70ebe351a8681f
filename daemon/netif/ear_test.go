package netif_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// other is a group that is not the standard one.
var other = netip.MustParseAddr("224.0.0.99")

func openConn(t *testing.T, n *netiftest.Node, e netif.Endpoint) *netif.Conn {
	t.Helper()
	c, err := n.Host.Interface(netiftest.Device).Open(e)
	ok(t, err)
	t.Cleanup(func() { ok(t, c.Close()) })
	return c
}

// sockets counts the raw sockets of the node.
func sockets(t *testing.T, n *netiftest.Node) int {
	t.Helper()
	var b []byte
	var err error
	n.Do(func() { b, err = os.ReadFile("/proc/thread-self/net/raw") })
	ok(t, err)
	return strings.Count(string(b), "\n") - 1
}

// TestConnsShare has every virtual router of an interface hear its own adverts, by one socket.
func TestConnsShare(t *testing.T) {
	a, b := netiftest.Pair(t)
	ca := listen(t, a)
	var conns []*netif.Conn
	for vrid := 1; vrid <= 255; vrid++ {
		conns = append(conns, openConn(t, b, netif.Endpoint{VRID: uint8(vrid), Group: group}))
	}
	if n := sockets(t, b); n != 1 {
		t.Errorf("sockets: got %d, want 1", n)
	}
	type heard struct {
		conn int
		vrid byte
	}
	got := make(chan heard, 1000)
	for i, c := range conns {
		c.Hear(func(p netif.Packet) { got <- heard{i, p.Payload[1]} }, nil)
	}
	for round := range 2 {
		for vrid := range 256 {
			ok(t, ca.Send([]byte{0x31, byte(vrid)}, addrA, group))
		}
		want := map[heard]int{}
		for i := round; i < len(conns); i++ {
			want[heard{i, byte(i + 1)}]++
		}
		all := map[heard]int{}
		for len(all) < len(want) {
			select {
			case h := <-got:
				all[h]++
			case <-time.After(limit):
				t.Fatalf("round %d: heard %d of %d", round, len(all), len(want))
			}
		}
		if diff := cmp.Diff(want, all, cmp.AllowUnexported(heard{})); diff != "" {
			t.Errorf("round %d: heard (-want +got):\n%s", round, diff)
		}
		ok(t, conns[0].Close()) // it does not hear the second round
	}
}

// TestConnsOfTwoGroups says that each hears its group and its own address only.
func TestConnsOfTwoGroups(t *testing.T) {
	a, b := netiftest.Pair(t)
	ca := listen(t, a)
	endpoints := map[string]netif.Endpoint{
		"standard": {VRID: 51, Group: group}, "other": {VRID: 51, Group: other}, "none": {VRID: 51},
		"all": {Group: other},
	}
	conns := map[string]*netif.Conn{}
	for name, e := range endpoints {
		conns[name] = openConn(t, b, e)
	}
	for _, dst := range []netip.Addr{group, other, addrB} {
		ok(t, ca.Send([]byte("\x31\x33 to "+dst.String()), addrA, dst))
	}
	want := map[string][]string{
		"standard": {group.String(), addrB.String()}, "other": {other.String(), addrB.String()},
		"none": {addrB.String()}, "all": {other.String(), addrB.String()},
	}
	got := map[string][]string{}
	for begin := time.Now(); time.Since(begin) < limit && !cmp.Equal(want, got); {
		for name, c := range conns {
			ok(t, c.Drain(func(p netif.Packet) {
				got[name] = append(got[name], string(p.Payload[6:]))
			}))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
}

// TestConnsEnd closes the last one, which takes the socket with it, and opens another.
func TestConnsEnd(t *testing.T) {
	a, b := netiftest.Pair(t)
	first := openConn(t, b, netif.Endpoint{VRID: 1, Group: group})
	ok(t, first.Close())
	ok(t, first.Close())
	if n := sockets(t, b); n != 0 {
		t.Errorf("sockets after the last Close: got %d, want 0", n)
	}
	second := openConn(t, b, netif.Endpoint{VRID: 1, Group: group})
	ok(t, listen(t, a).Send([]byte("\x31\x01"), addrA, group))
	var got int
	for begin := time.Now(); got == 0 && time.Since(begin) < limit; {
		ok(t, second.Drain(func(netif.Packet) { got++ }))
	}
	if got != 1 {
		t.Errorf("heard %d packets, want 1", got)
	}
}

// TestConnInVRF has another interface play the routing domain, for not every kernel has those: what
// is sent leaves by it, and what comes there is heard.
func TestConnInVRF(t *testing.T) {
	a, b := netiftest.PairOn(t, 2)
	ca := openConn(t, a, netif.Endpoint{VRID: 51, VRF: "eth1"})
	cb, err := b.Host.Interface("eth1").Open(netif.Endpoint{VRID: 51})
	ok(t, err)
	defer cb.Close()
	ofA, ofB := netip.MustParseAddr("192.168.2.2"), netip.MustParseAddr("192.168.2.3")
	for _, tt := range []struct {
		from, to *netif.Conn
		src, dst netip.Addr
	}{{ca, cb, ofA, ofB}, {cb, ca, ofB, ofA}} {
		ok(t, tt.from.Send([]byte("\x31\x33"), tt.src, tt.dst))
		var got []netip.Addr
		for begin := time.Now(); len(got) == 0 && time.Since(begin) < limit; {
			ok(t, tt.to.Drain(func(p netif.Packet) { got = append(got, p.From) }))
		}
		if diff := cmp.Diff([]netip.Addr{tt.src}, got, cmp.Comparer(sameAddr)); diff != "" {
			t.Errorf("heard from (-want +got):\n%s", diff)
		}
	}
	_, err = a.Host.Interface("eth0").Open(netif.Endpoint{VRID: 51, VRF: "nowhere0"})
	if err == nil || !strings.Contains(err.Error(), "bind to device: no such device") {
		t.Errorf("Open in an absent domain = %v, want no such device", err)
	}
}
