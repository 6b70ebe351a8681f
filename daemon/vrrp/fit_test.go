package vrrp

import (
	"net/netip"
	"testing"
)

func TestFitAddrs(t *testing.T) {
	v4, v6 := netip.MustParseAddr("10.0.0.0"), netip.MustParseAddr("fe80::")
	tests := []struct {
		name    string
		version Version
		mtu     int
		first   netip.Addr
		count   int
		want    int
	}{
		{"none", V3, 1500, v4, 0, 0},
		{"few", V3, 1500, v4, 3, 3},
		{"more than a byte counts", V3, 1500, v4, 300, 255},
		{"v2 as well", V2, 1500, v4, 300, 255},
		{"v3 fills 576 bytes", V3, 576, v4, 200, 137},
		{"v2 has authentication data", V2, 576, v4, 200, 135},
		{"IPv6", V3, 1500, v6, 200, 90},
		{"IPv6 in its smallest mtu", V3, 1280, v6, 200, 77},
		{"room for one", V3, 32, v4, 2, 1},
		{"room for none", V3, 31, v4, 2, 0},
		{"no mtu", V2, 0, v6, 2, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addrs := make([]netip.Addr, tt.count)
			for i, a := 0, tt.first; i < tt.count; i, a = i+1, a.Next() {
				addrs[i] = a
			}
			fit, rest := FitAddrs(tt.version, tt.mtu, addrs)
			if len(fit) != tt.want || len(fit)+len(rest) != tt.count {
				t.Fatalf("FitAddrs: %d fit, %d do not, want %d to fit", len(fit), len(rest), tt.want)
			}
			for i, a := range append(fit, rest...) {
				if a != addrs[i] {
					t.Fatalf("address %d = %s, want %s", i, a, addrs[i])
				}
			}
			fits(t, tt.version, tt.mtu, fit, rest)
		})
	}
}

// fits encodes an advert of what fits, and one of an address more.
func fits(t *testing.T, version Version, mtu int, fit, rest []netip.Addr) {
	t.Helper()
	if len(fit) == 0 {
		return
	}
	c := Config{Version: version, VRID: 1, Priority: 1, Interval: 1e9, Addrs: fit}.withDefaults()
	src, header := src4, 20
	if fit[0].Is6() {
		src, header = src6, 40
	}
	b, err := c.advert(1).Append(nil, src, MulticastAddr(src))
	if err != nil || header+len(b) > mtu {
		t.Errorf("advert of what fits: %d bytes, %v, want at most %d", header+len(b), err, mtu)
	}
	if len(rest) == 0 {
		return
	}
	c.Addrs = append(fit, rest[0])
	b, err = c.advert(1).Append(nil, src, MulticastAddr(src))
	if err == nil && header+len(b) <= mtu {
		t.Errorf("advert of one more: %d bytes, want none or more than %d", header+len(b), mtu)
	}
}
