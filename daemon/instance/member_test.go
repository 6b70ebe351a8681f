package instance

import (
	"net/netip"
	"testing"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// TestPickSource never takes a VIP, which an earlier life may have left as the first address.
func TestPickSource(t *testing.T) {
	vip := netip.MustParsePrefix("192.168.1.1/32")
	own := netip.MustParsePrefix("192.168.1.2/24")
	other := netip.MustParsePrefix("192.168.1.9/24")
	tests := []struct {
		name   string
		source netip.Addr
		addrs  []netip.Prefix
		want   netip.Addr
	}{
		{"first", netip.Addr{}, []netip.Prefix{own, other}, own.Addr()},
		{"not the VIP", netip.Addr{}, []netip.Prefix{vip, own}, own.Addr()},
		{"only the VIP", netip.Addr{}, []netip.Prefix{vip}, netip.Addr{}},
		{"none", netip.Addr{}, nil, netip.Addr{}},
		{"configured", other.Addr(), []netip.Prefix{own, other}, other.Addr()},
		{"configured and absent", other.Addr(), []netip.Prefix{own}, netip.Addr{}},
		{"configured and a VIP", vip.Addr(), []netip.Prefix{own, vip}, vip.Addr()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMember(0, "", Config{
				VIPs:   []VIP{{Prefix: vip}},
				Router: vrrp.Config{Source: tt.source},
			}, nil)
			if got := m.pickSource(netif.State{Addrs: tt.addrs}); got != tt.want {
				t.Errorf("pickSource = %v, want %v", got, tt.want)
			}
		})
	}
}
