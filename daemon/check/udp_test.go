package check_test

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/check"
)

func pattern(t testing.TB, text string) check.BytePattern {
	t.Helper()
	p, err := check.ParseBytePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestUDP(t *testing.T) {
	const short, long = 300 * time.Millisecond, 5 * time.Second
	echo := serveUDP(t, func(b []byte) []byte { return b })
	wants := func(text string) *check.UDPReply {
		return &check.UDPReply{Start: pattern(t, text)}
	}
	for _, tt := range []struct {
		name    string
		target  netip.AddrPort
		payload string
		reply   *check.UDPReply
		timeout time.Duration
		reason  check.Reason
		want    string
	}{
		{"answers", echo, "ab", nil, long, 0, "<nil>"},
		{"answers with nothing", serveUDP(t, func([]byte) []byte { return []byte{} }), "ab",
			wants("ab"), long, 0, "<nil>"},
		{"says nothing", serveUDP(t, mute), "ab", nil, short, 0, "<nil>"},
		{"says nothing, and must", serveUDP(t, mute), "ab", wants(""), short,
			check.Timeout, "datagram to ADDR: no answer within 300ms"},
		{"is not there", refusedUDP(t), "ab", nil, long,
			check.Refused, "datagram to ADDR: connection refused"},
		{"is not there, and must answer", refusedUDP(t), "ab", wants(""), long,
			check.Refused, "datagram to ADDR: connection refused"},
		{"answers as wanted", echo, "\x01\x02\x03", wants("01x2"), long, 0, "<nil>"},
		{"answers less", echo, "\x01", wants("0102"), long, 0, "<nil>"},
		{"answers otherwise", echo, "\x01\x02", wants("01x3"), long,
			check.Reply, "answer starts with 0102, wanted 01x3"},
		{"answers much otherwise", echo, strings.Repeat("x", 200), wants("00"), long,
			check.Reply, "answer starts with " + strings.Repeat("78", 16) + ", wanted 00"},
		{"answers too little", echo, "\x01", &check.UDPReply{Min: 2}, long,
			check.Reply, "answer of 1 bytes, wanted 2 at least"},
		{"answers too much", echo, "\x01\x02\x03", &check.UDPReply{Max: 2}, long,
			check.Reply, "answer of more than 2 bytes"},
		{"answers just enough", echo, "\x01\x02", &check.UDPReply{Min: 2, Max: 2}, long, 0,
			"<nil>"},
		{"answers too much by default", echo, strings.Repeat("x", 256), wants(""), long,
			check.Reply, "answer of more than 255 bytes"},
		{"answers much that nobody wants", echo, strings.Repeat("x", 1000), nil, long, 0,
			"<nil>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := check.UDP{Target: tt.target, Timeout: tt.timeout, Payload: []byte(tt.payload),
				Reply: tt.reply}
			judge(t, c, tt.target, tt.timeout, tt.reason, tt.want)
		})
	}
}

func TestUDPWrongSource(t *testing.T) {
	other, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		b := make([]byte, 100)
		_, from, err := conn.ReadFromUDPAddrPort(b)
		if err == nil {
			_, _ = other.WriteToUDPAddrPort(b, from)
		}
	}()
	target := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	c := check.UDP{Target: target, Timeout: 300 * time.Millisecond, Reply: &check.UDPReply{}}
	judge(t, c, target, c.Timeout, check.Timeout, "datagram to ADDR: no answer within 300ms")
	_ = conn.Close()
	<-answered
}

func TestUDPSendsSomething(t *testing.T) {
	got := make(chan []byte, 2)
	target := serveUDP(t, func(b []byte) []byte {
		got <- bytes.Clone(b)
		return b
	})
	c := check.UDP{Target: target, Timeout: 5 * time.Second}
	judge(t, c, target, c.Timeout, 0, "<nil>")
	judge(t, c, target, c.Timeout, 0, "<nil>")
	if a, b := <-got, <-got; len(a) != 32 || bytes.Equal(a, b) {
		t.Errorf("sent %x and %x, want 32 random bytes each", a, b)
	}
}

func TestUDPBind(t *testing.T) {
	target := serveUDP(t, func(b []byte) []byte { return b })
	bind := netip.MustParseAddrPort("127.0.0.7:0")
	c := check.UDP{Target: target, Bind: bind, Timeout: 5 * time.Second}
	judge(t, c, target, c.Timeout, 0, "<nil>")
	c.Bind = netip.MustParseAddrPort("192.0.2.1:0")
	if err := c.Check(t.Context()); check.ReasonOf(err) != check.Local {
		t.Errorf("error %v, want %s", err, check.Local)
	}
}

func TestBytePattern(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		matches    []string
		not        []string
	}{
		{"", "", []string{"", "a"}, nil},
		{"61", "61", []string{"", "a", "ab"}, []string{"b"}},
		{"6X 6x", "6x6x", []string{"ab", "`o"}, []string{"aB", "1a"}},
		{"xF", "xf", []string{"\x0f\x1f", "\xff"}, []string{"\xf0"}},
	} {
		p := pattern(t, tt.text)
		if diff := cmp.Diff(tt.want, p.String()); diff != "" {
			t.Errorf("pattern %q (-want +got):\n%s", tt.text, diff)
		}
		for _, b := range tt.matches {
			if !p.Matches([]byte(b)) {
				t.Errorf("%s does not match %q", p, b)
			}
		}
		for _, b := range tt.not {
			if p.Matches([]byte(b)) {
				t.Errorf("%s matches %q", p, b)
			}
		}
	}
	for _, text := range []string{"0", "0g", "x", "0x1"} {
		if p, err := check.ParseBytePattern(text); err == nil {
			t.Errorf("%q is %s, want an error", text, p)
		}
	}
}

func FuzzBytePattern(f *testing.F) {
	f.Add("01xX")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := check.ParseBytePattern(text)
		if err != nil {
			return
		}
		again, err := check.ParseBytePattern(p.String())
		if diff := cmp.Diff(p, again); err != nil || diff != "" {
			t.Errorf("%q is %s, and read again (-want +got, %v):\n%s", text, p, err, diff)
		}
		if !p.Matches(p.Bytes) {
			t.Errorf("%s does not match itself", p)
		}
	})
}
