package netif

import (
	"bytes"
	"testing"
)

// FuzzParsePacket says that whatever the kernel hands over is cut within its bounds.
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
	})
}

// TestKeep says that what an ear delivers is the receiver's: it is no part of the buffer, nor of
// another payload.
func TestKeep(t *testing.T) {
	var r ear
	buf := []byte("first")
	first := r.keep(buf)
	copy(buf, "other")
	second := r.keep(buf)
	_ = append(first, "more"...)
	if string(first) != "first" || string(second) != "other" {
		t.Errorf("kept %q and %q, want %q and %q", first, second, "first", "other")
	}
	long := bytes.Repeat([]byte("x"), 2*keptSize)
	if got := r.keep(long); !bytes.Equal(got, long) {
		t.Errorf("kept %d bytes of %d", len(got), len(long))
	}
	// Hundreds of adverts take one allocation.
	if n := testing.AllocsPerRun(keptSize/len(buf)/4, func() { r.keep(buf) }); n > 0 {
		t.Errorf("%v allocations for a payload", n)
	}
}
