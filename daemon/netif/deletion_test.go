package netif_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestDeleted says whose deletions a watch reports: those of others, even of what is there again
// when the watch looks, and not the Host's own, nor the kernel's.
func TestDeleted(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, n *netiftest.Node, first, second netip.Prefix)
		want bool // of the first
	}{
		{"by somebody", func(_ *testing.T, n *netiftest.Node, first, _ netip.Prefix) {
			n.Remove(first)
		}, true},
		{"and added again", func(_ *testing.T, n *netiftest.Node, first, _ netip.Prefix) {
			n.Replace(first)
		}, true},
		// With the first address of a network of IPv4 goes the second.
		{"by the host", func(t *testing.T, n *netiftest.Node, first, second netip.Prefix) {
			eth := n.Host.Interface(netiftest.Device)
			ok(t, eth.RemoveAddr(first))
			ok(t, eth.AddAddr(first, 0))
			ok(t, eth.AddAddr(second, 0))
		}, false},
		{"by the end of its lease", func(t *testing.T, n *netiftest.Node, first, _ netip.Prefix) {
			eth := n.Host.Interface(netiftest.Device)
			ok(t, eth.AddAddr(first, time.Second))
			await(t, watch(t, eth), "end of the lease", func(s netif.State) bool {
				return !s.Has(first)
			})
		}, false},
		{"after a failure of the host", func(t *testing.T, n *netiftest.Node, first, _ netip.Prefix) {
			ok(t, n.Host.Interface(netiftest.Device).RemoveAddr(vip)) // is not there
			n.Replace(first)
		}, true},
	} {
		for name, vips := range map[string][2]netip.Prefix{
			"IPv4": {netip.MustParsePrefix("10.1.1.1/24"), netip.MustParsePrefix("10.1.1.2/24")},
			"IPv6": {netip.MustParsePrefix("2001:db8::1/64"), netip.MustParsePrefix("2001:db8::2/64")},
		} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				node, _ := netiftest.Pair(t)
				eth := node.Host.Interface(netiftest.Device)
				ok(t, eth.AddAddr(vips[0], 0))
				ok(t, eth.AddAddr(vips[1], 0))
				got := deletedBy(t, eth, func() { tt.do(t, node, vips[0], vips[1]) })
				if tt.want != got[vips[0]] || !tt.want && len(got) > 0 {
					t.Errorf("deleted %v, want %s: %t", got, vips[0], tt.want)
				}
			})
		}
	}
}

// deletedBy returns what a watch says that was deleted by do.
func deletedBy(t *testing.T, eth *netif.Interface, do func()) map[netip.Prefix]bool {
	t.Helper()
	states := watch(t, eth)
	await(t, states, "first state", func(netif.State) bool { return true })
	do()
	last := netip.MustParsePrefix("10.9.9.9/32")
	ok(t, eth.AddAddr(last, 0)) // what came before has been told by then
	got := map[netip.Prefix]bool{}
	await(t, states, "last address", func(s netif.State) bool {
		for _, p := range s.Deleted {
			got[p] = true
		}
		return s.Has(last)
	})
	return got
}
