package bfd_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/ipv4"

	"github.com/tandemlb/tandem/daemon/bfd"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// listen opens a socket in a node and closes it with the test.
func listen(t *testing.T, n *netiftest.Node, addr string) *net.UDPConn {
	t.Helper()
	var conn net.PacketConn
	var err error
	n.Do(func() { conn, err = net.ListenPacket("udp4", addr) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	return conn.(*net.UDPConn)
}

// TestSource looks at what comes from a Speaker: the port is one of those that RFC 5881 allows, and
// the same every time, the TTL the one asked for, the packet a good one.
func TestSource(t *testing.T) {
	tests := []struct {
		name   string
		change func(*bfd.Config)
		port   string
		ttl    int
	}{
		{"one hop", func(*bfd.Config) {}, ":3784", 255},
		{"multihop", func(c *bfd.Config) { c.Multihop = true }, ":4784", 64},
		{"TTL given", func(c *bfd.Config) { c.TTL = 7 }, ":3784", 7},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			na, nb := nodes(t)
			conn := listen(t, nb, tt.port)
			in := ipv4.NewPacketConn(conn)
			if err := in.SetControlMessage(ipv4.FlagTTL, true); err != nil {
				t.Fatal(err)
			}
			if err := in.SetReadDeadline(time.Now().Add(limit)); err != nil {
				t.Fatal(err)
			}
			c := to(other, own)
			tt.change(&c)
			d := speak(t, na, c)
			ports := map[uint16]bool{}
			for range 2 {
				b := make([]byte, 100)
				n, cm, from, err := in.ReadFrom(b)
				if err != nil {
					t.Fatal(err)
				}
				p, err := bfd.Parse(b[:n])
				want := bfd.Packet{
					State: bfd.Down, Multiplier: 3, Mine: d.status().Discriminator,
					MinTx: time.Second, MinRx: 50 * time.Millisecond,
				}
				if diff := cmp.Diff(want, p); diff != "" || err != nil {
					t.Errorf("%v, packet (-want +got):\n%s", err, diff)
				}
				end := from.(*net.UDPAddr).AddrPort()
				if end.Addr().Unmap() != own || end.Port() < 49152 || cm.TTL != tt.ttl {
					t.Errorf("from %s with TTL %d, want %s:49152 to 65535 with %d",
						end, cm.TTL, own, tt.ttl)
				}
				ports[end.Port()] = true
			}
			if len(ports) != 1 {
				t.Errorf("sent from ports %v, want one", ports)
			}
		})
	}
}

// TestRouted does not believe a packet that has passed a router (GTSM).
func TestRouted(t *testing.T) {
	na, nb := nodes(t)
	d := speak(t, na, to(other, own))
	conn := listen(t, nb, "192.168.1.3:50000")
	out := ipv4.NewPacketConn(conn)
	b, err := bfd.Packet{
		State: bfd.Down, Multiplier: 3, Mine: 9, MinTx: time.Second, MinRx: time.Second,
	}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	send := func(ttl int) {
		if err := out.SetTTL(ttl); err != nil {
			t.Fatal(err)
		}
		dst := net.UDPAddrFromAddrPort(netip.AddrPortFrom(own, 3784))
		if _, err := conn.WriteTo(b, dst); err != nil {
			t.Error(err)
		}
	}
	await(t, "ear", func() bool { return d.status().State == bfd.Down })
	send(254)
	st := d.await("packet", func(s bfd.Status) bool { return len(s.Drops) > 0 || s.Received > 0 })
	if diff := cmp.Diff(map[bfd.DropReason]uint64{bfd.DropTTL: 1}, st.Drops); diff != "" {
		t.Errorf("drops (-want +got):\n%s", diff)
	}
	send(255)
	d.awaitState(bfd.Init)
}

// TestUnreachable has a neighbour that refuses packets at first: it is logged once, and no packet
// is lost to it.
func TestUnreachable(t *testing.T) {
	na, nb := nodes(t)
	d := speak(t, na, to(other, netip.Addr{}))
	st := d.await("refusal", func(s bfd.Status) bool { return s.SendErrors >= 2 })
	if !strings.Contains(st.Err, "connection refused") || st.State != bfd.Down {
		t.Errorf("%s, error %q, want Down, refused", st.State, st.Err)
	}
	if st.Sent != 1 { // each of the others was refused again, so it came
		t.Errorf("%d packets without an error, want the first one only", st.Sent)
	}
	b := speak(t, nb, to(own, netip.Addr{}))
	for _, d := range []*director{d, b} {
		if st := d.awaitState(bfd.Up); st.Err != "" {
			t.Errorf("error %q, want none", st.Err)
		}
	}
	d.wantLogged(1, "connection refused")
}

// TestLateSource has a source that the host does not have yet, and one that it loses.
func TestLateSource(t *testing.T) {
	na, nb := nodes(t)
	source := netip.MustParseAddr("192.168.1.50")
	d, b := speak(t, na, to(other, source)), speak(t, nb, to(source, netip.Addr{}))
	d.await("error", func(s bfd.Status) bool {
		return strings.Contains(s.Err, "cannot assign requested address")
	})
	eth := na.Host.Interface(netiftest.Device)
	prefix := netip.PrefixFrom(source, 24)
	for range 2 {
		if err := eth.AddAddr(prefix, 0); err != nil {
			t.Fatal(err)
		}
		d.awaitState(bfd.Up)
		b.awaitState(bfd.Up)
		if err := eth.RemoveAddr(prefix); err != nil {
			t.Fatal(err)
		}
		b.awaitState(bfd.Down)
		d.awaitState(bfd.Down)
	}
}

// TestBusy has another daemon hold the port at first.
func TestBusy(t *testing.T) {
	na, nb := nodes(t)
	busy := listen(t, na, ":3784")
	d := speak(t, na, to(other, netip.Addr{}))
	b := speak(t, nb, to(own, netip.Addr{}))
	d.await("error", func(s bfd.Status) bool {
		return strings.Contains(s.Err, "address already in use")
	})
	if err := busy.Close(); err != nil {
		t.Fatal(err)
	}
	d.awaitState(bfd.Up)
	b.awaitState(bfd.Up)
	d.wantLogged(1, "address already in use")
}

// wantLogged says how many lines of the log have that text.
func (d *director) wantLogged(want int, text string) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if got := strings.Count(d.logged.String(), text); got != want {
		d.t.Errorf("%q logged %d times, want %d:\n%s", text, got, want, d.logged.String())
	}
}
