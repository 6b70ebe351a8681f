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
			m := newMember(0, "", &Config{
				VIPs:   []VIP{{Prefix: vip}},
				Router: vrrp.Config{Source: tt.source},
			}, nil)
			if got := m.pickSource(netif.State{Addrs: tt.addrs}); got != tt.want {
				t.Errorf("pickSource = %v, want %v", got, tt.want)
			}
		})
	}
}

// TestPickSourceOfIPv6 takes a link-local address, unless peers are further away, and none that
// cannot be used yet.
func TestPickSourceOfIPv6(t *testing.T) {
	vip := netip.MustParsePrefix("fe80::1/64")
	four := netip.MustParsePrefix("192.168.1.2/24")
	local, wide := netip.MustParsePrefix("fe80::2/64"), netip.MustParsePrefix("2001:db8::2/64")
	all := netif.State{Addrs: []netip.Prefix{four, wide, vip, local}}
	unicast := func(peer string) vrrp.Config {
		return vrrp.Config{Unicast: true, Peers: []vrrp.Peer{{Addr: netip.MustParseAddr(peer)}}}
	}
	tests := []struct {
		name   string
		router vrrp.Config
		state  netif.State
		want   netip.Addr
	}{
		{"multicast", vrrp.Config{}, all, local.Addr()},
		{"peer on the link", unicast("fe80::3"), all, local.Addr()},
		{"peer elsewhere", unicast("2001:db8::3"), all, wide.Addr()},
		{"unready", vrrp.Config{}, netif.State{Unready: []netip.Prefix{local}}, netip.Addr{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMember(0, "", &Config{VIPs: []VIP{{Prefix: vip}}, Router: tt.router}, nil)
			if got := m.pickSource(tt.state); got != tt.want {
				t.Errorf("pickSource = %v, want %v", got, tt.want)
			}
		})
	}
}
