package faults

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tandemlb/tandem/lab"
)

func newForger(version int, seed uint64) *forger {
	return &forger{
		random:  rand.New(rand.NewPCG(seed, 0)),
		mac:     net.HardwareAddr{2, 0, 192, 168, 1, 100},
		sources: []netip.Addr{netip.MustParseAddr("192.168.1.100"), netip.MustParseAddr("192.168.1.103")},
		version: version, routers: []uint8{51, 53},
		vips:   []netip.Addr{netip.MustParseAddr("192.168.1.1")},
		advert: time.Second,
	}
}

// believable says whether a router of the forger's network would have to believe a frame.
//
// Source: RFC 3768, Section 7.1; RFC 9568, Section 7.1.
func believable(f *forger, frame []byte) bool {
	ip := frame[14:]
	header := int(ip[0]&0x0f) * 4
	if len(ip) != int(binary.BigEndian.Uint16(ip[2:])) || lab.Checksum(ip[:header]) != 0 {
		return false
	}
	m := ip[header:]
	if ip[8] != 255 || len(m) < 8 || m[0] != uint8(f.version<<4|1) {
		return false
	}
	want := 8 + 4*int(m[3])
	all := m
	switch f.version {
	case 2:
		if want += 8; m[4] != 0 || time.Duration(m[5])*time.Second != f.advert {
			return false
		}
	case 3:
		all = append(append(slices.Clone(ip[12:20]), 0, 112, 0, uint8(len(m))), m...)
	}
	return len(m) >= want && lab.Checksum(all) == 0 && slices.Contains(f.routers, m[1])
}

func TestForgedAdvertsAreNotBelievable(t *testing.T) {
	for _, version := range []int{2, 3} {
		f := newForger(version, 1)
		valid := &forgery{ttl: 255, source: f.sources[0], options: 3, message: f.advertOf(51, 255)}
		f.seal(valid)
		if frame := f.packet(valid); !believable(f, frame) {
			t.Fatalf("version %d: what is not spoiled is not believable: %x", version, frame)
		}
		for i := range 20000 {
			if frame := f.frame(); believable(f, frame) {
				t.Fatalf("version %d, frame %d is believable: %x", version, i, frame)
			}
		}
	}
}

// TestLiesTellApart spoils a packet by each lie alone.
func TestLiesTellApart(t *testing.T) {
	for i, lie := range lies {
		f := newForger(2, uint64(i))
		for range 200 {
			p := &forgery{ttl: 255, source: f.sources[0], message: f.advertOf(51, 0)}
			f.seal(p)
			if lie(f, p); believable(f, f.packet(p)) {
				t.Errorf("lie %d: %+v is believable", i, p)
				break
			}
		}
	}
}

func TestForgerRepeatsItself(t *testing.T) {
	a, b, other := newForger(2, 1), newForger(2, 1), newForger(2, 2)
	same := true
	for i := range 100 {
		frame := a.frame()
		if !bytes.Equal(frame, b.frame()) {
			t.Fatalf("frame %d of the same seed differs", i)
		}
		same = same && bytes.Equal(frame, other.frame())
	}
	if same {
		t.Error("another seed gives the same frames")
	}
}
