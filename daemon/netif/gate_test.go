package netif_test

import (
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestGate has an interface with many virtual routers that have little to hear, beside one with
// few: the first becomes calm, and hears all that comes; when much comes it is calm no more. All
// are heard in their order, and with the last one everything ends.
func TestGate(t *testing.T) {
	a, b := netiftest.PairOn(t, 2)
	const many = 40
	busy := netiftest.DeviceOf(1)
	calm := make(chan byte, 100_000)
	few := make(chan byte, 100_000)
	var conns []*netif.Conn
	for vrid := 1; vrid <= many; vrid++ {
		c, err := b.Host.Interface(netiftest.Device).Open(
			netif.Endpoint{VRID: uint8(vrid), Group: group})
		ok(t, err)
		c.Hear(func(p netif.Packet) { calm <- p.Payload[2] }, nil)
		conns = append(conns, c)
	}
	c, err := b.Host.Interface(busy).Open(netif.Endpoint{VRID: 1, Group: group})
	ok(t, err)
	c.Hear(func(p netif.Packet) { few <- p.Payload[2] }, nil)
	conns = append(conns, c)
	quiet, err := a.Host.Interface(netiftest.Device).Open(netif.Endpoint{Group: group})
	ok(t, err)
	t.Cleanup(func() { ok(t, quiet.Close()) })
	loud, err := a.Host.Interface(busy).Open(netif.Endpoint{Group: group})
	ok(t, err)
	t.Cleanup(func() { ok(t, loud.Close()) })
	said := map[*netif.Conn]byte{}
	say := func(from *netif.Conn, device string, to chan byte, packets int) {
		t.Helper()
		for i := range packets {
			number := said[from] + byte(i) + 1
			ok(t, from.Send([]byte{0x31, 1, number}, source(t, a, device), group))
		}
		for range packets {
			said[from]++
			select {
			case got := <-to:
				if got != said[from] {
					t.Fatalf("heard packet %d, want %d", got, said[from])
				}
			case <-time.After(limit):
				t.Fatalf("packet %d was not heard", said[from])
			}
		}
	}
	say(quiet, netiftest.Device, calm, 1)
	look := time.NewTicker(time.Millisecond) // the packet is heard before it is
	defer look.Stop()
	for begin := time.Now(); ; <-look.C {
		n, all := b.Host.Calm()
		if n == 1 && all == 2 {
			break
		}
		if time.Since(begin) > limit {
			t.Fatalf("%d of %d calm after the first packet, want 1 of 2", n, all)
		}
	}
	// A hundred packets are followed by the next ones at once: far more than two a second for each.
	for begin, n := time.Now(), 1; n > 0; n, _ = b.Host.Calm() {
		say(loud, busy, few, 1)
		say(quiet, netiftest.Device, calm, 100)
		if time.Since(begin) > limit {
			t.Fatal("much is to be heard, and it stays calm")
		}
	}
	for _, c := range conns {
		ok(t, c.Close())
	}
	if _, all := b.Host.Calm(); all != 0 {
		t.Errorf("%d ears after the last Close, want 0", all)
	}
}

// TestGateBroken has a socket fail: its Conns are told once, it is read no more, and another one
// takes its place.
func TestGateBroken(t *testing.T) {
	a, b := netiftest.Pair(t)
	eth := b.Host.Interface(netiftest.Device)
	first, err := eth.Open(netif.Endpoint{VRID: 1, Group: group})
	ok(t, err)
	ended := make(chan error, 10)
	first.Hear(func(netif.Packet) {}, func(err error) { ended <- err })
	ok(t, b.Host.Break())
	if len(ended) != 1 || <-ended == nil {
		t.Error("nobody was told, or without an error")
	}
	if _, all := b.Host.Calm(); all != 0 {
		t.Errorf("%d ears are read, want 0", all)
	}
	heard := make(chan string, 1)
	second, err := eth.Open(netif.Endpoint{VRID: 1, Group: group})
	ok(t, err)
	second.Hear(func(p netif.Packet) { heard <- string(p.Payload) }, nil)
	ok(t, first.Close())
	ok(t, listen(t, a).Send([]byte("\x31\x01again"), addrA, group))
	select {
	case <-heard:
	case <-time.After(limit):
		t.Error("nothing is heard any more")
	}
	ok(t, second.Close())
}
