package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   string // empty: valid
	}{
		{"good", func(*Config) {}, ""},
		{"priority 0", func(c *Config) { c.Priority = 0 }, "priority 0: want 1 to 255"},
		{"preempt delay", func(c *Config) { c.PreemptDelay = -1 },
			"preempt delay -1ns: want 0 or more"},
		{"down adverts", func(c *Config) { c.DownAdverts = 101 }, "down adverts 101: want 1 to 100"},
		{"no address", func(c *Config) { c.Addrs, c.Source = nil, netip.Addr{} },
			"no address to advertise: want at least one"},
		{"announce refresh", func(c *Config) { c.AnnounceRefresh = -1 },
			"announce refresh -1ns: want 0 or more"},
		{"lower announce delay", func(c *Config) { c.LowerPrioAnnounceDelay = -1 },
			"announce delay for lower priority -1ns: want 0 or more"},
		{"fast takeover", func(c *Config) { c.FastTakeover = true }, ""},
		{"fast takeover of two", func(c *Config) {
			c.FastTakeover, c.Unicast, c.Peers = true, true, []Peer{{Addr: peer4}}
		}, ""},
		{"fast takeover of three", func(c *Config) {
			c.FastTakeover, c.Unicast, c.Peers = true, true, make([]Peer, 2)
		}, "fast takeover with 2 peers: want one"},
		{"check source of multicast", func(c *Config) { c.CheckUnicastSource = true },
			"check unicast source: want unicast peers"},
		{"check source without peers", func(c *Config) {
			c.Unicast, c.CheckUnicastSource = true, true
		}, "check unicast source: want unicast peers"},
		{"ttl of peer", func(c *Config) { c.Peers = []Peer{{peer4, 200, 0}} }, ""},
		{"ttl of peer upside down", func(c *Config) { c.Peers = []Peer{{peer4, 200, 100}} },
			"peer 192.168.1.3: ttl 200 to 100: want the lower first"},
		{"IPv6 without link-local", func(c *Config) {
			c.Source, c.Addrs = src6, []netip.Addr{global6}
		}, ""},
		{"strict IPv6 without link-local", func(c *Config) {
			c.Source, c.Addrs, c.Strict = src6, []netip.Addr{global6}, true
		}, "first address 2001:db8::1: want a link-local one"},
		{"two at once", func(c *Config) { c.Priority, c.PreemptDelay = 0, -1 },
			"priority 0: want 1 to 255\npreempt delay -1ns: want 0 or more"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{
				Version: V3, VRID: 51, Priority: 100, Interval: time.Second,
				Source: src4, Addrs: []netip.Addr{vip4},
			}
			tt.change(&c)
			got := ""
			if err := c.Validate(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("Validate = %q, want %q", got, tt.want)
			}
		})
	}
}
