package instance

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// TestRead reads an advert, once more, and one that differs in one thing. Only the same one is not
// read again, and takes no memory.
func TestRead(t *testing.T) {
	advert := vrrp.Advert{
		Version: vrrp.V3, VRID: 51, Priority: 150, Interval: time.Second,
		Addrs: []netip.Addr{netip.MustParseAddr("192.168.1.1")}, Checksum: vrrp.ChecksumPlain,
	}
	from, to := netip.MustParseAddr("192.168.1.2"), netip.MustParseAddr("224.0.0.18")
	packetOf := func(a vrrp.Advert) netif.Packet {
		b, err := a.Append(nil, from, to)
		if err != nil {
			t.Fatal(err)
		}
		return netif.Packet{Payload: b, From: from, To: to, TTL: 255}
	}
	tests := []struct {
		name   string
		change func(*vrrp.Advert, *netif.Packet)
	}{
		{"another advert", func(a *vrrp.Advert, p *netif.Packet) {
			a.Priority = 0
			*p = packetOf(*a)
		}},
		{"another sender", func(_ *vrrp.Advert, p *netif.Packet) { p.From = from.Next() }},
		{"another receiver", func(_ *vrrp.Advert, p *netif.Packet) { p.To = to.Next() }},
		{"another TTL", func(_ *vrrp.Advert, p *netif.Packet) { p.TTL = 254 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &member{cfg: &Config{}}
			a, p := advert, packetOf(advert)
			if reason := m.read(p); reason != 0 {
				t.Fatalf("refused: %s", reason)
			}
			again := p
			again.Payload = bytes.Clone(p.Payload)
			clear(p.Payload) // the receiver has done with it
			if n := testing.AllocsPerRun(10, func() { m.read(again) }); n > 0 {
				t.Errorf("%v allocations for an advert that was read before", n)
			}
			tt.change(&a, &again)
			if reason := m.read(again); reason != 0 {
				t.Fatalf("refused: %s", reason)
			}
			got, _ := m.heard.(vrrp.Received)
			want := vrrp.Received{Advert: a, From: again.From, To: again.To, TTL: again.TTL}
			if !got.Advert.Equal(want.Advert) || got.From != want.From || got.To != want.To ||
				got.TTL != want.TTL {
				t.Errorf("heard %+v, want %+v", got, want)
			}
		})
	}
}
