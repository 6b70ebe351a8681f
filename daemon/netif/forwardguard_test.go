package netif_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// street is a real server, a director that forwards what it says, and a client, all on one switch.
type street struct {
	server, director, client *netiftest.Node
	// listens is where the client hears datagrams, by family.
	listens map[bool]*net.UDPConn
	// sent is what the last datagrams have in them.
	sent byte
}

// The client's addresses are on no network of the switch.
var (
	client4 = netip.MustParseAddr("10.9.9.9")
	client6 = netip.MustParseAddr("2001:db8:9::9")
	server6 = netip.MustParsePrefix("2001:db8::3/64")
)

func newStreet(t *testing.T) *street {
	director, server := netiftest.Pair(t)
	s := &street{server: server, director: director,
		client:  director.Neighbour(netip.MustParsePrefix("192.168.1.4/24")),
		listens: map[bool]*net.UDPConn{}}
	for n, own := range map[*netiftest.Node]string{
		director: "2001:db8::2/64", server: server6.String(), s.client: "2001:db8::4/64"} {
		ok(t, n.Host.Interface(netiftest.Device).AddAddr(netip.MustParsePrefix(own), 0))
	}
	for _, a := range []netip.Addr{client4, client6} {
		ok(t, s.client.Host.Interface(netiftest.Device).AddAddr(netip.PrefixFrom(a, a.BitLen()), 0))
		route(t, server, a, map[bool]string{false: "192.168.1.2", true: "2001:db8::2"}[a.Is6()])
		route(t, director, a, map[bool]string{false: "192.168.1.4", true: "2001:db8::4"}[a.Is6()])
	}
	set := func(n *netiftest.Node, value string, paths ...string) {
		n.Do(func() {
			for _, path := range paths {
				ok(t, os.WriteFile("/proc/sys/net/"+path, []byte(value), 0))
			}
		})
	}
	set(director, "1", "ipv4/ip_forward", "ipv6/conf/all/forwarding")
	// The director would tell that there is a shorter way.
	set(server, "0", "ipv4/conf/all/accept_redirects", "ipv4/conf/eth0/accept_redirects",
		"ipv6/conf/eth0/accept_redirects")
	s.client.Do(func() {
		for _, a := range []netip.Addr{client4, client6} {
			c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 9000)))
			ok(t, err)
			t.Cleanup(func() { _ = c.Close() })
			s.listens[a.Is6()] = c
		}
	})
	return s
}

func route(t *testing.T, n *netiftest.Node, to netip.Addr, via string) {
	t.Helper()
	n.Do(func() {
		ok(t, netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(via),
			Dst: &net.IPNet{IP: to.AsSlice(), Mask: net.CIDRMask(to.BitLen(), to.BitLen())}}))
	})
}

// free is a port that is never guarded by itself.
const free = 9999

// passes says whether a datagram of the server from that port arrives. Once something comes at all,
// for neighbours have to be found first, it is sent, then one from the free port: the first to come
// tells.
func (s *street) passes(t *testing.T, from netip.Addr, port uint16) bool {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); s.first(t, from, free) == 0; {
		if time.Now().After(deadline) {
			t.Fatalf("nothing comes from %s", from)
		}
	}
	return s.first(t, from, port, free) == port
}

// first sends datagrams from ports, and returns of which one the first came; 0: none did for 200 ms.
func (s *street) first(t *testing.T, from netip.Addr, ports ...uint16) uint16 {
	t.Helper()
	to := client4
	if from.Is6() {
		to = client6
	}
	s.sent++
	for _, port := range ports {
		s.server.Do(func() {
			d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, port))}
			c, err := d.Dial("udp", netip.AddrPortFrom(to, 9000).String())
			ok(t, err)
			_, err = c.Write([]byte{s.sent})
			ok(t, errors.Join(err, c.Close()))
		})
	}
	hear, b := s.listens[from.Is6()], make([]byte, 1)
	ok(t, hear.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	for {
		switch _, a, err := hear.ReadFromUDPAddrPort(b); {
		case err != nil:
			return 0
		case b[0] == s.sent: // not of a call before
			return a.Port()
		}
	}
}

// TestForwardGuard says which replies are forwarded, as what is guarded changes.
func TestForwardGuard(t *testing.T) {
	s := newStreet(t)
	host := s.director.Host
	server4 := netip.MustParseAddr("192.168.1.3")
	reply := func(protocol uint8, a netip.Addr, port uint16) netif.Reply {
		return netif.Reply{Protocol: protocol, Source: netip.AddrPortFrom(a, port)}
	}
	tcp4 := reply(unix.IPPROTO_TCP, server4, 81)
	udp4, udp6 := reply(unix.IPPROTO_UDP, server4, 80), reply(unix.IPPROTO_UDP, server6.Addr(), 80)
	all4, all6 := reply(unix.IPPROTO_UDP, server4, 0), reply(unix.IPPROTO_UDP, server6.Addr(), 0)
	stranger := reply(unix.IPPROTO_UDP, netip.MustParseAddr("192.168.1.77"), 80)
	if err := host.SetForwardGuard([]netif.Reply{udp4}); errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip(err)
	}
	ok(t, host.SetForwardGuard(nil))
	for _, tt := range []struct {
		name  string
		guard []netif.Reply
		// what passes of IPv4's ports 80 and 81, and of IPv6's
		want [4]bool
	}{
		{"nothing", nil, [4]bool{true, true, true, true}},
		{"one port", []netif.Reply{udp4}, [4]bool{false, true, true, true}},
		{"again", []netif.Reply{udp4}, [4]bool{false, true, true, true}},
		{"others", []netif.Reply{tcp4, stranger}, [4]bool{true, true, true, true}},
		{"of IPv6", []netif.Reply{tcp4, udp6}, [4]bool{true, true, false, true}},
		{"both", []netif.Reply{tcp4, udp4, stranger, udp6}, [4]bool{false, true, false, true}},
		{"nothing again", nil, [4]bool{true, true, true, true}},
	} {
		ok(t, host.SetForwardGuard(tt.guard))
		have, err := host.ForwardGuard()
		ok(t, err)
		if diff := cmp.Diff(tt.guard, have, compareAddrPorts); diff != "" {
			t.Errorf("%s: guarded (-want +got)\n%s", tt.name, diff)
		}
		var got [4]bool
		for i, from := range []netip.Addr{server4, server4, server6.Addr(), server6.Addr()} {
			got[i] = s.passes(t, from, uint16(80+i%2))
		}
		if got != tt.want {
			t.Errorf("%s: passes %v, want %v", tt.name, got, tt.want)
		}
	}
	// Without a port all of a real server are guarded.
	ok(t, host.SetForwardGuard([]netif.Reply{all4, all6}))
	have, err := host.ForwardGuard()
	ok(t, err)
	if diff := cmp.Diff([]netif.Reply{all4, all6}, have, compareAddrPorts); diff != "" {
		t.Errorf("guarded (-want +got)\n%s", diff)
	}
	if first := s.first(t, server4, 80, free); first != 0 {
		t.Errorf("with all ports guarded one of %d comes", first)
	}
	ok(t, host.SetForwardGuard([]netif.Reply{reply(unix.IPPROTO_TCP, server4, 0)}))
	if !s.passes(t, server4, 80) {
		t.Error("with all of TCP guarded no UDP passes")
	}
	ok(t, host.SetForwardGuard(nil))
	ok(t, host.SetForwardGuard(nil))
}

var compareAddrPorts = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
