package netif

import (
	"bytes"
	"testing"
)

// FuzzParsePacket says that whatever the kernel hands over is cut within its bounds and copied.
func FuzzParsePacket(f *testing.F) {
	header := []byte{
		0x45, 0xc0, 0, 24, // version and length, type of service, total length
		0, 0, 0, 0, 255, 112, 0, 0, // TTL, protocol
		192, 168, 1, 2, 224, 0, 0, 18,
	}
	f.Add(append(header, "VRRP"...))
	f.Add(append(header, "VRRP and padding"...))
	f.Add(header)
	f.Add([]byte{0x60})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := parsePacket(b)
		if !ok {
			return
		}
		if !p.From.Is4() || !p.To.Is4() || !bytes.Contains(b, p.Payload) {
			t.Fatalf("parsePacket(%x) = %v", b, p)
		}
		want := bytes.Clone(p.Payload)
		clear(b)
		if !bytes.Equal(p.Payload, want) {
			t.Fatal("payload shares the buffer")
		}
	})
}
