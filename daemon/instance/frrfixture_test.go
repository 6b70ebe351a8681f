package instance_test

import (
	"net/netip"
	"testing"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// frrDevice is the macvlan that has the VIP. FRR finds it by its MAC address.
const frrDevice = "vrrp51"

// besideFRR returns a real bench whose second node has FRR's vrrpd of priority 100, which has not
// been started. conf are the lines of "vrrp 51" that differ.
func besideFRR(t *testing.T, conf []string, p netip.Prefix) (*bench, *netiftest.FRR) {
	t.Helper()
	a, node := netiftest.Pair(t)
	b := realBench(t, a, node)
	b.vip = p
	if p.Addr().Is6() {
		prepareVMAC(t, a, locals[0])
	}
	own := b.addrs
	b.addrs = func(i int) []netip.Prefix {
		if i == 1 {
			return frrAddrs(t, node)
		}
		return own(i)
	}
	family := prepareFRR(t, node, p)
	lines := []string{ // without the second one it refuses adverts in silence
		"debug vrrp protocol", "debug vrrp packets", "interface " + netiftest.Device,
	}
	for _, line := range append(conf, "priority 100", family+" "+p.Addr().String()) {
		lines = append(lines, " vrrp 51 "+line)
	}
	return b, netiftest.NewFRR(t, node, "vrrpd", lines...)
}

// prepareFRR makes the macvlan of FRR's node. It returns what FRR calls the family of the VIP.
func prepareFRR(t *testing.T, node *netiftest.Node, p netip.Prefix) (family string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(node.Host.PutMacvlan(netif.Macvlan{
		Name: frrDevice, Parent: netiftest.Device, MAC: netif.VirtualMAC(51, p.Addr().Is6()),
	}))
	must(node.Host.Interface(frrDevice).AddAddr(p, 0))
	if !p.Addr().Is6() {
		return "ip"
	}
	// Adverts come from the macvlan's own link-local address.
	must(node.Host.Interface(frrDevice).AddAddr(netip.PrefixFrom(locals[1], 64), 0))
	return "ipv6"
}

// frrAddrs lists the addresses of FRR's node that answer: as a backup it takes the carrier of its
// macvlan and leaves the addresses there.
func frrAddrs(t *testing.T, node *netiftest.Node) []netip.Prefix {
	s, err := node.Host.Interface(frrDevice).State()
	if err != nil {
		t.Error(err)
	}
	if !s.Up {
		return nil
	}
	return s.Addrs
}
