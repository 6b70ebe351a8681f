package bfd

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
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

// wire is packets byte by byte.
var wire = []struct {
	name   string
	parts  []part
	packet Packet
}{
	{
		name: "the first of a session",
		parts: []part{
			{"version 1, no diagnostic", []byte{0x20}},
			{"Down, no flags", []byte{0x40}},
			{"multiplier", []byte{5}},
			{"length", []byte{24}},
			{"sender", []byte{0x12, 0x34, 0x56, 0x78}},
			{"receiver not known", []byte{0, 0, 0, 0}},
			{"sends every second", []byte{0x00, 0x0f, 0x42, 0x40}},
			{"takes every 10 ms", []byte{0x00, 0x00, 0x27, 0x10}},
			{"no echo", []byte{0, 0, 0, 0}},
		},
		packet: Packet{
			State: Down, Multiplier: 5, Mine: 0x12345678,
			MinTx: time.Second, MinRx: 10 * time.Millisecond,
		},
	},
	{
		name: "Up, polls",
		parts: []part{
			{"version 1, no diagnostic", []byte{0x20}},
			{"Up, poll", []byte{0xe0}},
			{"multiplier", []byte{3}},
			{"length", []byte{24}},
			{"sender", []byte{0, 0, 0, 1}},
			{"receiver", []byte{0xff, 0xff, 0xff, 0xff}},
			{"sends every 3.312 ms", []byte{0x00, 0x00, 0x0c, 0xf0}},
			{"wants none", []byte{0, 0, 0, 0}},
			{"takes echo every 50 ms", []byte{0x00, 0x00, 0xc3, 0x50}},
		},
		packet: Packet{
			State: Up, Poll: true, Multiplier: 3, Mine: 1, Yours: 1<<32 - 1,
			MinTx: 3312 * time.Microsecond, MinEchoRx: 50 * time.Millisecond,
		},
	},
	{
		name: "Init, every flag that has a field but poll, reserved diagnostic, longest intervals",
		parts: []part{
			{"version 1, diagnostic 31", []byte{0x3f}},
			{"Init, final, control plane independent, demand", []byte{0x9a}},
			{"multiplier", []byte{255}},
			{"length", []byte{24}},
			{"sender", []byte{0, 0, 0, 9}},
			{"receiver", []byte{0, 0, 0, 8}},
			{"desired min TX", []byte{0xff, 0xff, 0xff, 0xff}},
			{"required min RX", []byte{0xff, 0xff, 0xff, 0xff}},
			{"required min echo RX", []byte{0xff, 0xff, 0xff, 0xff}},
		},
		packet: Packet{
			State: Init, Diag: 31, Final: true, ControlIndependent: true, Demand: true,
			Multiplier: 255, Mine: 9, Yours: 8,
			MinTx: maxInterval, MinRx: maxInterval, MinEchoRx: maxInterval,
		},
	},
	{
		name: "the last of a session",
		parts: []part{
			{"version 1, administratively down", []byte{0x27}},
			{"AdminDown, no flags", []byte{0x00}},
			{"multiplier", []byte{1}},
			{"length", []byte{24}},
			{"sender", []byte{0, 0, 0, 9}},
			{"receiver", []byte{0, 0, 0, 8}},
			{"desired min TX", []byte{0, 0x0f, 0x42, 0x40}},
			{"required min RX", []byte{0, 0, 0, 1}},
			{"required min echo RX", []byte{0, 0, 0, 0}},
		},
		packet: Packet{
			State: AdminDown, Diag: DiagAdminDown, Multiplier: 1, Mine: 9, Yours: 8,
			MinTx: time.Second, MinRx: time.Microsecond,
		},
	},
}

func TestWire(t *testing.T) {
	for _, tt := range wire {
		t.Run(tt.name, func(t *testing.T) {
			b := join(tt.parts)
			got, err := Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.packet, got); diff != "" {
				t.Errorf("packet (-want +got):\n%s", diff)
			}
			back, err := tt.packet.Append([]byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(append([]byte("before"), b...), back); diff != "" {
				t.Errorf("bytes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestParse names each reason by the change to a good packet that it is for.
func TestParse(t *testing.T) {
	set := func(at int, value ...byte) func([]byte) []byte {
		return func(b []byte) []byte {
			copy(b[at:], value)
			return b
		}
	}
	both := func(f, g func([]byte) []byte) func([]byte) []byte {
		return func(b []byte) []byte { return f(g(b)) }
	}
	tests := []struct {
		name   string
		change func([]byte) []byte
		want   DropReason // 0: good
	}{
		{"nothing", func(b []byte) []byte { return b[:0] }, DropShort},
		{"a byte is missing", func(b []byte) []byte { return b[:packetLen-1] }, DropShort},
		{"version 0", set(0, 0), DropVersion},
		{"version 2", set(0, 2<<5), DropVersion},
		{"says it is shorter than a header", set(3, packetLen-1), DropShort},
		{"says it is longer than it is", set(3, packetLen+1), DropLength},
		{"multiplier 0", set(2, 0), DropMultiplier},
		{"multipoint", set(1, 0xc1), DropMultipoint},
		{"authentication without a section", set(1, 0xc4), DropShort},
		{"authentication", func(b []byte) []byte {
			b[1], b[3] = 0xc4, packetLen+4
			return append(b, 1, 4, 7, 'x')
		}, DropAuth},
		{"sender 0", set(4, 0, 0, 0, 0), DropMine},
		{"receiver 0 while Up", set(8, 0, 0, 0, 0), DropYours},
		{"receiver 0 while Init", both(set(1, 0x80), set(8, 0, 0, 0, 0)), DropYours},
		{"receiver 0 while Down", both(set(1, 0x40), set(8, 0, 0, 0, 0)), 0},
		{"receiver 0 while AdminDown", both(set(1, 0), set(8, 0, 0, 0, 0)), 0},
		{"padding", func(b []byte) []byte { return append(b, 1, 2, 3) }, 0},
		{"longer by its own word", func(b []byte) []byte {
			return append(set(3, packetLen+2)(b), 1, 2)
		}, 0},
		{"poll and final", set(1, 0xf0), 0},
	}
	seen := map[DropReason]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.change(join(wire[1].parts)))
			if want := tt.want; want == 0 && err != nil || want != 0 && !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
		seen[tt.want] = true
	}
	for _, r := range DropReasons() {
		if r < DropTTL && !seen[r] {
			t.Errorf("no test of %v", r)
		}
	}
}

// TestAppend refuses what the wire cannot say, or nobody would believe.
func TestAppend(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Packet)
		want   string
	}{
		{"no state", func(p *Packet) { p.State = 0 },
			"encode packet: state 0: want AdminDown to Up"},
		{"unknown state", func(p *Packet) { p.State = Up + 1 },
			"encode packet: state 5: want AdminDown to Up"},
		{"diagnostic", func(p *Packet) { p.Diag = 32 },
			"encode packet: diagnostic 32: want 0 to 31"},
		{"poll and final", func(p *Packet) { p.Final = true },
			"encode packet: poll and final: want one of them"},
		{"multiplier", func(p *Packet) { p.Multiplier = 0 },
			"encode packet: refuse packet: zero multiplier"},
		{"sender", func(p *Packet) { p.Mine = 0 },
			"encode packet: refuse packet: zero discriminator"},
		{"receiver", func(p *Packet) { p.Yours = 0 },
			"encode packet: refuse packet: no discriminator while init or up"},
		{"too long an interval", func(p *Packet) { p.MinTx = maxInterval + time.Microsecond },
			"encode packet: interval 1h11m34.967296s: want 0 to 1h11m34.967295s in microseconds"},
		{"too short an interval", func(p *Packet) { p.MinRx = time.Nanosecond },
			"encode packet: interval 1ns: want 0 to 1h11m34.967295s in microseconds"},
		{"negative interval", func(p *Packet) { p.MinEchoRx = -time.Second },
			"encode packet: interval -1s: want 0 to 1h11m34.967295s in microseconds"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := wire[1].packet
			tt.change(&p)
			b, err := p.Append([]byte{1})
			if err == nil || err.Error() != tt.want || !bytes.Equal(b, []byte{1}) {
				t.Errorf("got %v, %v, want %q and the bytes as they were", b, err, tt.want)
			}
		})
	}
}

// FuzzParse says that nothing makes Parse panic, that each refusal is a reason that it may give,
// and that what it reads can be written again.
func FuzzParse(f *testing.F) {
	for _, tt := range wire {
		f.Add(join(tt.parts))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			if r := reasonOf(err); r == 0 || r >= DropTTL || p != (Packet{}) {
				t.Fatalf("refused for %v with %v", err, p)
			}
			return
		}
		p.Final = p.Final && !p.Poll
		back, err := p.Append(nil)
		if err != nil {
			t.Fatalf("%v cannot be written: %v", p, err)
		}
		want := slices.Clone(b[:packetLen])
		want[3] = packetLen
		if p.Poll {
			want[1] &^= bitFinal
		}
		if diff := cmp.Diff(want, back); diff != "" {
			t.Fatalf("bytes (-want +got):\n%s", diff)
		}
	})
}

// TestRoundTrip writes packets and reads them.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
		interval := func(name string) time.Duration {
			return time.Duration(rapid.Uint32().Draw(t, name)) * time.Microsecond
		}
		p := Packet{
			State: State(rapid.IntRange(1, 4).Draw(t, "state")),
			Diag:  Diag(rapid.IntRange(0, 31).Draw(t, "diag")),
			Poll:  flag("poll"), ControlIndependent: flag("control"), Demand: flag("demand"),
			Multiplier: rapid.Uint8Min(1).Draw(t, "multiplier"),
			Mine:       rapid.Uint32Min(1).Draw(t, "mine"),
			Yours:      rapid.Uint32Min(1).Draw(t, "yours"),
			MinTx:      interval("tx"), MinRx: interval("rx"), MinEchoRx: interval("echo"),
		}
		p.Final = !p.Poll && flag("final")
		b, err := p.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(b)
		if err != nil || got != p {
			t.Fatalf("got %v, %v, want %v", got, err, p)
		}
	})
}

func TestStrings(t *testing.T) {
	tests := []struct{ got, want string }{
		{wire[1].packet.String(), "Up 1->4294967295 tx 3.312ms rx 0s x3 poll"},
		{wire[2].packet.String(),
			"Init 9->8 tx 1h11m34.967295s rx 1h11m34.967295s x255 final demand, reserved"},
		{DropTTL.Error(), "refuse packet: bad ttl"},
		{Drop{DropStopped}.String(), "drop packet: administratively down"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
