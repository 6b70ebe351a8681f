package vrrp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var (
	src4 = netip.MustParseAddr("192.168.1.2")
	dst4 = netip.MustParseAddr("224.0.0.18")
	vip4 = netip.MustParseAddr("192.168.1.1")
	src6 = netip.MustParseAddr("fe80::2")
	dst6 = netip.MustParseAddr("ff02::12")
	vip6 = netip.MustParseAddr("fe80::1")

	global6 = netip.MustParseAddr("2001:db8::1")
)

// part is a run of bytes with its meaning.
type part struct {
	name  string
	bytes []byte
}

func join(parts []part) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p.bytes...)
	}
	return b
}

// wire is adverts byte by byte. Their checksums come from another implementation of RFC 1071.
var wire = []struct {
	name     string
	src, dst netip.Addr
	parts    []part
	advert   Advert
}{
	{
		name: "v2 without authentication", src: src4, dst: dst4,
		parts: []part{
			{"version 2, advertisement", []byte{0x21}},
			{"vrid", []byte{51}},
			{"priority", []byte{100}},
			{"one address", []byte{1}},
			{"no authentication", []byte{0}},
			{"every second", []byte{1}},
			{"checksum", []byte{0xb9, 0x20}},
			{"vip", []byte{192, 168, 1, 1}},
			{"authentication data", make([]byte, 8)},
		},
		advert: Advert{
			Version: V2, VRID: 51, Priority: 100, Interval: time.Second,
			Addrs: []netip.Addr{vip4}, Checksum: ChecksumPlain,
		},
	},
	{
		name: "v2 with a password", src: src4, dst: dst4,
		parts: []part{
			{"version 2, advertisement", []byte{0x21}},
			{"vrid", []byte{51}},
			{"priority", []byte{100}},
			{"one address", []byte{1}},
			{"simple password", []byte{1}},
			{"every 255 seconds", []byte{255}},
			{"checksum", []byte{0x52, 0xbc}},
			{"vip", []byte{192, 168, 1, 1}},
			{"authentication data", []byte("1234\x00\x00\x00\x00")},
		},
		advert: Advert{
			Version: V2, VRID: 51, Priority: 100, Interval: 255 * time.Second,
			Addrs: []netip.Addr{vip4}, Checksum: ChecksumPlain,
			Auth: AuthSimple, Password: MakePassword("1234"),
		},
	},
	{
		name: "v3 over IPv4, checksum with pseudo-header", src: src4, dst: dst4,
		parts: []part{
			{"version 3, advertisement", []byte{0x31}},
			{"vrid", []byte{51}},
			{"priority: owner", []byte{255}},
			{"two addresses", []byte{2}},
			{"every 40.95 seconds", []byte{0x0f, 0xff}},
			{"checksum", []byte{0x9a, 0x38}},
			{"vip", []byte{192, 168, 1, 1}},
			{"vip", []byte{192, 168, 1, 2}},
		},
		advert: Advert{
			Version: V3, VRID: 51, Priority: 255, Interval: 40950 * time.Millisecond,
			Addrs: []netip.Addr{vip4, src4}, Checksum: ChecksumPseudo,
		},
	},
	{
		name: "v3 over IPv4, plain checksum", src: src4, dst: dst4,
		parts: []part{
			{"version 3, advertisement", []byte{0x31}},
			{"vrid", []byte{51}},
			{"priority: resign", []byte{0}},
			{"one address", []byte{1}},
			{"every 10 milliseconds", []byte{0, 1}},
			{"checksum", []byte{0x0d, 0x21}},
			{"vip", []byte{192, 168, 1, 1}},
		},
		advert: Advert{
			Version: V3, VRID: 51, Priority: 0, Interval: 10 * time.Millisecond,
			Addrs: []netip.Addr{vip4}, Checksum: ChecksumPlain,
		},
	},
	{
		name: "v3 over IPv6", src: src6, dst: dst6,
		parts: []part{
			{"version 3, advertisement", []byte{0x31}},
			{"vrid", []byte{51}},
			{"priority", []byte{100}},
			{"one address", []byte{1}},
			{"every second", []byte{0, 100}},
			{"checksum", []byte{0x6d, 0xc5}},
			{"vip", []byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
		},
		advert: Advert{
			Version: V3, VRID: 51, Priority: 100, Interval: time.Second,
			Addrs: []netip.Addr{vip6}, Checksum: ChecksumPseudo,
		},
	},
	{
		name: "v3 over IPv6, two addresses", src: src6, dst: dst6,
		parts: []part{
			{"version 3, advertisement", []byte{0x31}},
			{"vrid", []byte{51}},
			{"priority", []byte{200}},
			{"two addresses", []byte{2}},
			{"every 100 milliseconds", []byte{0, 10}},
			{"checksum", []byte{0xdc, 0x53}},
			{"vip", []byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
			{"vip", []byte{0x20, 0x01, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
		},
		advert: Advert{
			Version: V3, VRID: 51, Priority: 200, Interval: 100 * time.Millisecond,
			Addrs: []netip.Addr{vip6, global6}, Checksum: ChecksumPseudo,
		},
	},
	{
		name: "v3 over IPv6, unicast, no link-local address",
		src:  netip.MustParseAddr("2001:db8::2"), dst: netip.MustParseAddr("2001:db8::3"),
		parts: []part{
			{"version 3, advertisement", []byte{0x31}},
			{"vrid", []byte{7}},
			{"priority", []byte{100}},
			{"one address", []byte{1}},
			{"every second", []byte{0, 100}},
			{"checksum", []byte{0xe0, 0xd9}},
			{"vip", []byte{0x20, 0x01, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
		},
		advert: Advert{
			Version: V3, VRID: 7, Priority: 100, Interval: time.Second,
			Addrs: []netip.Addr{global6}, Checksum: ChecksumPseudo,
		},
	},
	{
		name: "v3 over IPv4, unicast, the destination in the pseudo-header",
		src:  src4, dst: netip.MustParseAddr("192.168.1.3"),
		parts: []part{
			{"version 3, advertisement", []byte{0x31}},
			{"vrid", []byte{51}},
			{"priority", []byte{100}},
			{"one address", []byte{1}},
			{"every second", []byte{0, 100}},
			{"checksum", []byte{0x24, 0xeb}},
			{"vip", []byte{192, 168, 1, 1}},
		},
		advert: Advert{
			Version: V3, VRID: 51, Priority: 100, Interval: time.Second,
			Addrs: []netip.Addr{vip4}, Checksum: ChecksumPseudo,
		},
	},
}

func TestWire(t *testing.T) {
	for _, tt := range wire {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(join(tt.parts), tt.src, tt.dst)
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			if diff := cmp.Diff(tt.advert, got); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
			b, err := tt.advert.Append([]byte("kept"), tt.src, tt.dst)
			if err != nil {
				t.Fatalf("Append: %v", err)
			}
			want := append([]byte("kept"), join(tt.parts)...)
			if diff := cmp.Diff(want, b); diff != "" {
				t.Errorf("Append (-want +got):\n%s", diff)
			}
		})
	}
}

// TestParseRefuses gives each refusal its packet: a good one, one change, the checksum mended.
func TestParseRefuses(t *testing.T) {
	v2, v2pass, v3, v6 := wire[0], wire[1], wire[3], wire[4]
	tests := []struct {
		name   string
		packet []byte
		change func([]byte) []byte
		src    netip.Addr
		dst    netip.Addr
		broken bool // leave the checksum wrong
		want   DropReason
	}{
		{name: "nothing", packet: nil, want: DropShort},
		{name: "seven bytes", packet: join(v3.parts)[:7], want: DropShort},
		{name: "half an address", packet: join(v3.parts)[:10], want: DropShort},
		{name: "more addresses than bytes", packet: join(v3.parts), change: set(3, 2),
			want: DropShort},
		{name: "password cut", packet: join(v2pass.parts)[:16], want: DropShort},
		{name: "bytes after v3", packet: append(join(v3.parts), 0), want: DropLong},
		{name: "bytes after v2", packet: append(join(v2.parts), 0), want: DropLong},
		{name: "version 1", packet: join(v3.parts), change: set(0, 0x11), want: DropVersion},
		{name: "version 4", packet: join(v3.parts), change: set(0, 0x41), want: DropVersion},
		{name: "v2 over IPv6", packet: join(v6.parts), change: set(0, 0x21), src: src6, dst: dst6,
			want: DropVersion},
		{name: "type 2", packet: join(v3.parts), change: set(0, 0x32), want: DropType},
		{name: "one bit flipped", packet: join(v3.parts), change: set(2, 1), broken: true,
			want: DropChecksum},
		{name: "IPv6 without pseudo-header", packet: join(v6.parts), src: src6, dst: dst6,
			want: DropChecksum},
		{name: "vrid 0", packet: join(v3.parts), change: set(1, 0), want: DropVRID},
		{name: "v3 interval 0", packet: join(v3.parts), change: set(5, 0), want: DropInterval},
		{name: "v2 interval 0", packet: join(v2.parts), change: set(5, 0), want: DropInterval},
		{name: "IP authentication header", packet: join(v2.parts), change: set(4, 2),
			want: DropAuthType},
		{name: "no address", packet: join(v3.parts), change: set(3, 0), want: DropNoAddress},
		{name: "IPv6 to IPv4", packet: join(v6.parts), src: src6, want: DropFamily},
		{name: "no source", packet: join(v3.parts), src: netip.IPv6Unspecified(), want: DropFamily},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := slices.Clone(tt.packet)
			if tt.change != nil {
				b = tt.change(b)
			}
			if !tt.broken {
				mend(b)
			}
			src, dst := src4, dst4
			if tt.src.IsValid() {
				src = tt.src
			}
			if tt.dst.IsValid() {
				dst = tt.dst
			}
			_, err := Parse(b, src, dst)
			if !errors.Is(err, tt.want) {
				t.Errorf("Parse = %v, want %v", err, tt.want)
			}
		})
	}
}

// TestParseChecksums gives one advert each checksum that routers in the field send, and one that
// is right for another destination.
func TestParseChecksums(t *testing.T) {
	v3over4 := []byte{0x31, 51, 100, 1, 0, 100, 0, 0, 192, 168, 1, 1}
	v3over6 := join(wire[4].parts)
	v2 := join(wire[0].parts)
	tests := []struct {
		name     string
		packet   []byte
		checksum uint16
		src, dst netip.Addr
		want     ChecksumForm // zero: refused
	}{
		{"v3, IPv4, pseudo-header", v3over4, 0x0684, src4, dst4, ChecksumPseudo},
		{"v3, IPv4, message alone", v3over4, 0xa8bd, src4, dst4, ChecksumPlain},
		{"v3, IPv4, pseudo-header of multicast in unicast", v3over4, 0x0684,
			src4, netip.MustParseAddr("192.168.1.3"), 0},
		{"v3, IPv4, message alone in unicast", v3over4, 0xa8bd,
			src4, netip.MustParseAddr("192.168.1.3"), ChecksumPlain},
		{"v3, IPv4, wrong by one", v3over4, 0xa8be, src4, dst4, 0},
		{"v3, IPv6, pseudo-header", v3over6, 0x6dc5, src6, dst6, ChecksumPseudo},
		{"v3, IPv6, message alone", v3over6, 0x6be5, src6, dst6, 0},
		{"v2, message alone", v2, 0xb920, src4, dst4, ChecksumPlain},
		{"v2, pseudo-header", v2, 0x16df, src4, dst4, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := slices.Clone(tt.packet)
			binary.BigEndian.PutUint16(b[checksumAt:], tt.checksum)
			a, err := Parse(b, tt.src, tt.dst)
			if tt.want == 0 && !errors.Is(err, DropChecksum) {
				t.Errorf("Parse = %v, %v, want %v", a, err, DropChecksum)
			}
			if tt.want != 0 && (err != nil || a.Checksum != tt.want) {
				t.Errorf("Parse = %v (checksum %v), %v, want %v", a, a.Checksum, err, tt.want)
			}
		})
	}
}

// TestParseShortAuth accepts what some senders of VRRPv2 leave out.
func TestParseShortAuth(t *testing.T) {
	b := join(wire[0].parts)
	b = b[:len(b)-authLen]
	mend(b)
	if _, err := Parse(b, src4, dst4); err != nil {
		t.Errorf("Parse without authentication data: %v", err)
	}
}

func TestAppendRefuses(t *testing.T) {
	good := wire[3].advert
	tests := []struct {
		name   string
		change func(*Advert)
		src    netip.Addr
		want   string
	}{
		{"vrid 0", func(a *Advert) { a.VRID = 0 }, src4,
			"encode advert: refuse advert: wrong vrid"},
		{"no address", func(a *Advert) { a.Addrs = nil }, src4,
			"encode advert: carry 0 addresses: want 1 to 255"},
		{"too many", func(a *Advert) { a.Addrs = make([]netip.Addr, 256) }, src4,
			"encode advert: carry 256 addresses: want 1 to 255"},
		{"foreign address", func(a *Advert) { a.Addrs = []netip.Addr{vip6} }, src4,
			"encode advert: carry fe80::1: refuse advert: mixed address families"},
		{"no version", func(a *Advert) { a.Version = 0 }, src4,
			"encode advert: v0: refuse advert: bad version"},
		{"v2 fraction", func(a *Advert) { a.Version, a.Interval = V2, 1500*time.Millisecond }, src4,
			"encode advert: interval 1.5s: want 1s to 4m15s in steps of 1s"},
		{"v3 fraction", func(a *Advert) { a.Interval = 15 * time.Millisecond }, src4,
			"encode advert: interval 15ms: want 10ms to 40.95s in steps of 10ms"},
		{"v3 too long", func(a *Advert) { a.Interval = 41 * time.Second }, src4,
			"encode advert: interval 41s: want 10ms to 40.95s in steps of 10ms"},
		{"v3 password", func(a *Advert) { a.Auth = AuthSimple }, src4,
			"encode advert: authentication in v3: refuse advert: wrong authentication type"},
		{"password without type", func(a *Advert) {
			a.Version, a.Interval, a.Password = V2, time.Second, MakePassword("x")
		}, src4, "encode advert: password without authentication: refuse advert: wrong password"},
		{"no checksum form", func(a *Advert) { a.Checksum = 0 }, src4,
			"encode advert: checksum form 0: refuse advert: bad checksum"},
		{"IPv4 address over IPv6", func(*Advert) {}, src6,
			"encode advert: carry 192.168.1.1: refuse advert: mixed address families"},
		{"source of no family", func(*Advert) {}, netip.Addr{},
			"encode advert: from invalid IP to ff02::12: refuse advert: mixed address families"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := good
			tt.change(&a)
			_, err := a.Append(nil, tt.src, MulticastAddr(tt.src))
			if err == nil || err.Error() != tt.want {
				t.Errorf("Append = %v, want %v", err, tt.want)
			}
		})
	}
}

// set returns a change of one byte.
func set(at int, to byte) func([]byte) []byte {
	return func(b []byte) []byte {
		b[at] = to
		return b
	}
}

// mend makes the plain checksum of b right.
func mend(b []byte) {
	if len(b) >= headerLen {
		binary.BigEndian.PutUint16(b[checksumAt:], 0)
		binary.BigEndian.PutUint16(b[checksumAt:], ^fold(sum(0, b)))
	}
}

// FuzzParse says that whatever Parse accepts can be said again and means the same.
func FuzzParse(f *testing.F) {
	for _, w := range wire {
		f.Add(join(w.parts), w.src.Is4())
	}
	f.Fuzz(func(t *testing.T, b []byte, is4 bool) {
		src, dst := src6, dst6
		if is4 {
			src, dst = src4, dst4
		}
		a, err := Parse(b, src, dst)
		if err != nil {
			var reason DropReason
			if !errors.As(err, &reason) || reason == 0 {
				t.Fatalf("Parse = %v: not a DropReason", err)
			}
			return
		}
		again, err := a.Append(nil, src, dst)
		if err != nil {
			t.Fatalf("Append of %v: %v", a, err)
		}
		back, err := Parse(again, src, dst)
		if err != nil || !back.Equal(a) {
			t.Fatalf("Parse of %x = %v, %v, want %v", again, back, err, a)
		}
	})
}

// TestRoundTrip says that whatever Append accepts comes back.
func TestRoundTrip(t *testing.T) {
	forms := []ChecksumForm{ChecksumPseudo, ChecksumPlain}
	rapid.Check(t, func(t *rapid.T) {
		a := Advert{
			Version:  rapid.SampledFrom([]Version{V2, V3}).Draw(t, "version"),
			VRID:     rapid.Uint8Range(1, 255).Draw(t, "vrid"),
			Priority: rapid.Uint8().Draw(t, "priority"),
			Checksum: rapid.SampledFrom(forms).Draw(t, "form"),
		}
		if a.Version == V2 {
			a.Checksum = ChecksumPlain
			a.Interval = time.Duration(rapid.Uint8Range(1, 255).Draw(t, "seconds")) * time.Second
			if rapid.Bool().Draw(t, "auth") {
				a.Auth = AuthSimple
				a.Password = MakePassword(rapid.StringN(0, 8, 8).Draw(t, "password"))
			}
		} else {
			a.Interval = time.Duration(rapid.IntRange(1, 4095).Draw(t, "cs")) * centisecond
		}
		for range rapid.IntRange(1, 255).Draw(t, "count") {
			var ip [4]byte
			binary.BigEndian.PutUint32(ip[:], rapid.Uint32().Draw(t, "addr"))
			a.Addrs = append(a.Addrs, netip.AddrFrom4(ip))
		}
		b, err := a.Append(nil, src4, dst4)
		if err != nil {
			t.Fatalf("Append: %v", err)
		}
		back, err := Parse(bytes.Clone(b), src4, dst4)
		if err != nil || !back.Equal(a) {
			t.Fatalf("Parse = %v, %v, want %v", back, err, a)
		}
	})
}

func TestDropReasons(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range DropReasons() {
		if s := r.String(); seen[s] || s == "" || s[0] == 'D' {
			t.Errorf("DropReason(%d).String() = %q: want a name of its own", r, s)
		} else {
			seen[s] = true
		}
	}
}
