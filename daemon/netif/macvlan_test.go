package netif_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestMacvlan makes one, finds a leftover and a stranger in its place, and removes it.
func TestMacvlan(t *testing.T) {
	node, _ := netiftest.Pair(t)
	m := netif.Macvlan{Name: "vrrp.51", Parent: "eth0", MAC: netif.VirtualMAC(51, false)}
	look := func() string {
		var s string
		node.Do(func() {
			link, err := netlink.LinkByName(m.Name)
			if err != nil {
				s = err.Error()
				return
			}
			a := link.Attrs()
			addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
			if err != nil {
				t.Error(err)
			}
			s = fmt.Sprintf("%s %s up=%t %d addresses", link.Type(), a.HardwareAddr,
				a.RawFlags&unix.IFF_UP != 0, len(addrs))
			if v, ok := link.(*netlink.Macvlan); ok && v.Mode != netlink.MACVLAN_MODE_BRIDGE {
				t.Errorf("mode %d, want bridge", v.Mode)
			}
		})
		return s
	}
	const good, none = "macvlan 00:00:5e:00:01:33 up=true 0 addresses", "Link not found"
	check := func(what, want string) {
		t.Helper()
		if got := look(); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	ok(t, node.Host.DropMacvlan(m)) // absent
	ok(t, node.Host.PutMacvlan(m))
	ok(t, node.Host.PutMacvlan(m)) // present
	check("made", good)
	i := node.Host.Interface(m.Name)
	ok(t, i.AddAddr(vip, 0))
	for _, want := range []netif.Setting{
		{Family: "ipv4", Name: "arp_ignore", Value: "1"}, {Family: "ipv4", Name: "rp_filter", Value: "0"},
		{Family: "ipv6", Name: "delay_first_probe_time", Value: "1000000"},
	} {
		got, err := i.Before(want)
		ok(t, err)
		if got != want.Value {
			t.Errorf("%s: %s", want, got)
		}
	}
	ok(t, node.Host.DropMacvlan(m))
	check("removed", none)

	leftover := m
	leftover.MAC[5] = 99
	ok(t, node.Host.PutMacvlan(leftover))
	ok(t, node.Host.DropMacvlan(m)) // not it
	check("leftover", "macvlan 00:00:5e:00:01:63 up=true 0 addresses")
	ok(t, node.Host.PutMacvlan(m))
	check("replaced", good)
	ok(t, node.Host.DropMacvlan(m))

	m.Name = netiftest.Device
	ok(t, node.Host.DropMacvlan(m))
	err := node.Host.PutMacvlan(m)
	if err == nil || !strings.Contains(err.Error(), "there is a veth of that name") {
		t.Errorf("PutMacvlan in place of a veth: %v", err)
	}
	m.Name, m.Parent = "vrrp.51", "nowhere0"
	if err := node.Host.PutMacvlan(m); err == nil {
		t.Error("PutMacvlan on nothing: no error")
	}
}

// TestIPVLANKernel makes an ipvlan, and one in the place of what an earlier life has left, and
// removes it; it leaves alone what is not it.
func TestIPVLANKernel(t *testing.T) {
	node, _ := netiftest.PairOn(t, 2)
	node.NeedIPVLAN()
	m := netif.Macvlan{Name: "vrrp.51", Parent: "eth0", IPVLAN: "private"}
	address := netip.MustParsePrefix("192.168.1.1/24")
	put := func(m netif.Macvlan, flag netlink.IPVlanFlag) {
		t.Helper()
		ok(t, node.Host.PutMacvlan(m))
		link, err := linkOf(node, m.Name)
		ok(t, err)
		v, is := link.(*netlink.IPVlan)
		if !is || v.Mode != netlink.IPVLAN_MODE_L2 || v.Flag != flag {
			t.Errorf("put %s: got %+v, expected mode l2 and flag %d", m, link, flag)
		}
	}
	has := func(what string, want bool) {
		t.Helper()
		state, err := node.Host.Interface(m.Name).State()
		ok(t, err)
		if got := slices.Contains(state.Addrs, address); got != want {
			t.Errorf("%s: the address is there %t, expected %t", what, got, want)
		}
	}
	put(m, netlink.IPVLAN_FLAG_PRIVATE)
	ok(t, node.Host.Interface(m.Name).AddAddr(address, 0))
	put(m, netlink.IPVLAN_FLAG_PRIVATE)
	m.IPVLAN = "vepa"
	put(m, netlink.IPVLAN_FLAG_VEPA)
	has("passing on otherwise", true)
	macvlan := netif.Macvlan{Name: m.Name, Parent: m.Parent, MAC: netif.VirtualMAC(51, false)}
	elsewhere, nowhere := m, m
	elsewhere.Parent, nowhere.Parent = "eth1", "eth9"
	for _, other := range []netif.Macvlan{macvlan, elsewhere, nowhere} {
		ok(t, node.Host.DropMacvlan(other))
		has("after removing "+other.String(), true)
	}
	put(elsewhere, netlink.IPVLAN_FLAG_VEPA)
	has("on another parent", false)
	ok(t, node.Host.DropMacvlan(elsewhere))
	ok(t, node.Host.PutMacvlan(macvlan))
	ok(t, node.Host.DropMacvlan(m)) // not it
	m.IPVLAN = "bridge"
	put(m, netlink.IPVLAN_FLAG_BRIDGE) // in the place of the macvlan
	for range 2 {                      // the second time it is gone
		ok(t, node.Host.DropMacvlan(m))
	}
	if link, err := linkOf(node, m.Name); err == nil {
		t.Errorf("removed: there is a %s", link.Type())
	}
}

// linkOf returns the node's interface of that name.
func linkOf(node *netiftest.Node, name string) (link netlink.Link, err error) {
	node.Do(func() { link, err = netlink.LinkByName(name) })
	return link, err
}

func TestMacvlanValid(t *testing.T) {
	for _, bad := range []netif.Macvlan{{}, {Name: "x", Parent: "y"},
		{Name: "x", Parent: "y", IPVLAN: "bridge", MAC: netif.VirtualMAC(1, false)},
		{Name: "x", IPVLAN: "bridge"}} {
		if bad.Valid() {
			t.Errorf("%v: expected not to be valid", bad)
		}
	}
}

// TestVirtualMAC sends adverts from a virtual MAC address to one who has a macvlan of the same: its
// parent hears them, with the IP header that the kernel would have made.
func TestVirtualMAC(t *testing.T) {
	a, b := pair6(t)
	tests := []struct {
		name   string
		group  netip.Addr
		source netip.Addr
	}{
		{"IPv4", group, addrA},
		{"IPv6", group6, localA.Addr()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			is6 := tt.group.Is6()
			mac := netif.VirtualMAC(51, is6)
			m := netif.Macvlan{Name: "vrrp.51", Parent: "eth0", MAC: mac}
			ok(t, b.Host.PutMacvlan(m))
			e := netif.Endpoint{VRID: 51, IPv6: is6, Group: tt.group}
			virtual := e
			virtual.MAC = mac
			frames := sniff(t, b, is6)
			defer frames.Close()
			plain, from, to := open(t, a, e), open(t, a, virtual), open(t, b, e)
			ok(t, plain.Send([]byte("\x31\x33advert"), tt.source, tt.group))
			ok(t, from.Send([]byte("\x31\x33advert"), tt.source, tt.group))
			want := netif.Packet{
				Payload: []byte("\x31\x33advert"), From: tt.source, To: tt.group, TTL: 255,
			}
			ok(t, from.SendPlain([]byte("\x31\x33advert"), tt.source, tt.group))
			got := drained(t, to, 3)
			if diff := cmp.Diff([]netif.Packet{want, want, want}, got, cmp.Comparer(sameAddr)); diff != "" {
				t.Errorf("heard (-want +got):\n%s", diff)
			}
			byKernel, ours := nextAdvert(t, frames, is6), nextAdvert(t, frames, is6)
			if got := net.HardwareAddr(ours[6:12]).String(); got != mac.String() {
				t.Errorf("source of the frame: %s, want %s", got, mac)
			}
			if own := nextAdvert(t, frames, is6)[6:12]; !bytes.Equal(own, byKernel[6:12]) {
				t.Errorf("source of a plain frame: %x, want %x", own, byKernel[6:12])
			}
			copy(byKernel[6:12], ours[6:12])
			if !is6 { // the kernel numbers packets, and sums that up
				for _, f := range [][]byte{byKernel, ours} {
					clear(f[18:20])
					clear(f[24:26])
				}
			} else { // and marks flows
				clear(byKernel[16:18])
				byKernel[15] &= 0xf0
			}
			if diff := cmp.Diff(byKernel, ours); diff != "" {
				t.Errorf("frame (-kernel's +ours):\n%s", diff)
			}
			ok(t, b.Host.DropMacvlan(m))
		})
	}
}

// sniff returns a socket that sees all frames of a family that reach the node.
func sniff(t *testing.T, n *netiftest.Node, is6 bool) *packet.Conn {
	t.Helper()
	protocol := unix.ETH_P_IP
	if is6 {
		protocol = unix.ETH_P_IPV6
	}
	var conn *packet.Conn
	n.Do(func() {
		ifi, err := net.InterfaceByName(netiftest.Device)
		if err == nil {
			conn, err = packet.Listen(ifi, packet.Raw, protocol, nil)
		}
		if err != nil {
			t.Error(err)
		}
	})
	ok(t, conn.SetReadDeadline(time.Now().Add(limit)))
	return conn
}

// nextAdvert returns the next frame that carries VRRP.
func nextAdvert(t *testing.T, conn *packet.Conn, is6 bool) []byte {
	t.Helper()
	at := 23
	if is6 {
		at = 20
	}
	for {
		b := make([]byte, 2000)
		n, _, err := conn.ReadFrom(b)
		ok(t, err)
		if n > at && b[at] == 112 {
			return b[:n]
		}
	}
}
