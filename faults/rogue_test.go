package faults

import (
	"encoding/binary"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

// advertSeen is what a router finds in a frame.
type advertSeen struct {
	Version, Router, Priority, TTL uint8
	Auth                           string
	Interval                       time.Duration
	Addrs                          []string
	Checksum                       bool
}

// see reads a frame of an advert.
func see(t *testing.T, frame []byte) advertSeen {
	t.Helper()
	if !isAdvert(frame) {
		t.Fatalf("%x is no advert", frame)
	}
	ip := frame[14:]
	m := ip[4*int(ip[0]&0xf):]
	s := advertSeen{Version: m[0] >> 4, Router: m[1], Priority: m[2], TTL: ip[8]}
	all, rest := m, m[8:]
	for range m[3] {
		s.Addrs = append(s.Addrs, ipv4(rest[:4]))
		rest = rest[4:]
	}
	if s.Version == 2 {
		s.Interval = time.Duration(m[5]) * time.Second
		if m[4] != 0 {
			s.Auth = string(rest[:8])
		}
	} else {
		s.Interval = time.Duration(binary.BigEndian.Uint16(m[4:])) * 10 * time.Millisecond
		all = append(append([]byte{}, ip[12:20]...), 0, 112, 0, uint8(len(m)))
		all = append(all, m...)
	}
	s.Checksum = lab.Checksum(all) == 0
	return s
}

func ipv4(b []byte) string { return net.IP(b).String() }

func TestRogue(t *testing.T) {
	vips := []topology.VIP{{RouterID: 51, Addr: newForger(2, 1).vips[0]}}
	right := advertSeen{Version: 2, Router: 51, Priority: 254, TTL: 255, Interval: time.Second,
		Addrs: []string{"192.168.1.1"}, Checksum: true}
	for _, test := range []struct {
		name     string
		version  int
		password string
		what     string
		change   func(*advertSeen)
	}{
		{"version 2", 2, "", "", func(*advertSeen) {}},
		{"version 3", 3, "", "", func(s *advertSeen) { s.Version = 3 }},
		{"a password", 2, "secret", "", func(s *advertSeen) { s.Auth = "secret\x00\x00" }},
		{"a wrong password", 2, "secret", "password", func(s *advertSeen) { s.Auth = "wrongsec" }},
		{"a password where there is none", 2, "", "password",
			func(s *advertSeen) { s.Auth = "wrong\x00\x00\x00" }},
		{"the double interval", 3, "", "interval",
			func(s *advertSeen) { s.Version, s.Interval = 3, 2*time.Second }},
		{"other addresses", 2, "", "addresses",
			func(s *advertSeen) { s.Addrs = []string{"192.168.1.100"} }},
		{"the other version", 3, "", "version", func(*advertSeen) {}},
	} {
		r := &rogue{forger: newForger(test.version, 1), vips: append([]topology.VIP{}, vips...),
			priority: 254, vrrp: topology.VRRP{Advert: time.Second, Password: test.password}}
		if test.what != "" {
			if err := mismatches[test.what](r); err != nil {
				t.Fatal(err)
			}
		}
		want := right
		test.change(&want)
		frames := r.adverts()
		if len(frames) != 1 {
			t.Fatalf("%s: %d frames", test.name, len(frames))
		}
		if diff := cmp.Diff(want, see(t, frames[0])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	if err := mismatches["password"](&rogue{forger: newForger(3, 1)}); err == nil {
		t.Error("version 3 has a password")
	}
}

func TestIsAdvert(t *testing.T) {
	f := newForger(2, 1)
	advert := func(priority uint8) []byte {
		return f.packet(&forgery{ttl: 255, source: f.sources[0], message: f.advertOf(51, priority)})
	}
	for _, test := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"an advert", advert(100), true},
		{"a good-bye", advert(0), false},
		{"a frame that ends before its priority", advert(100)[:14+20+2], false},
		{"half a header", advert(100)[:20], false},
		{"nothing", nil, false},
	} {
		if got := isAdvert(test.frame); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestIsAdvertOfAnything(t *testing.T) {
	f := newForger(2, 1)
	advert := f.packet(&forgery{ttl: 255, source: f.sources[0], options: 3,
		message: f.advertOf(51, 1)})
	rapid.Check(t, func(t *rapid.T) {
		frame := slices.Clone(advert[:rapid.IntRange(0, len(advert)).Draw(t, "length")])
		if len(frame) > 14 {
			frame[14] = rapid.Byte().Draw(t, "header") // and with it how long the header claims to be
		}
		isAdvert(frame)
	})
}
