package check_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/check"
)

// alone runs f in a network namespace of its own, with only a loopback interface that is up. f has
// its thread to itself, and must open its sockets by itself. It skips without the right to that.
func alone(t *testing.T, f func()) {
	t.Helper()
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			failed <- err
			return
		}
		defer close(failed)
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			t.Errorf("set lo up: %v: %s", err, out)
			return
		}
		f()
	}()
	err, unable := <-failed
	if errors.Is(err, unix.EPERM) {
		t.Skipf("a network namespace of its own needs rights: %v", err)
	}
	if unable {
		t.Fatal(err)
	}
}

func sysctl(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
		t.Error(err)
	}
}

// ip runs the command in the namespace of this thread.
func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Errorf("ip %v: %v: %s", args, err, out)
	}
}

// expectPing is judge for Ping, and for no longer than its timeout.
func expectPing(t *testing.T, name string, c check.Ping, reason check.Reason, want string) {
	t.Helper()
	start := time.Now()
	err := c.Check(t.Context())
	if check.ReasonOf(err) != reason || message(err) != want {
		t.Errorf("%s: %s: %v, want %s: %s", name, check.ReasonOf(err), err, reason, want)
	}
	if took := time.Since(start); took > c.Timeout+2*time.Second {
		t.Errorf("%s: took %s with a timeout of %s", name, took, c.Timeout)
	}
}

var (
	local4 = netip.MustParseAddr("127.0.0.1")
	local6 = netip.IPv6Loopback()
)

func TestPing(t *testing.T) {
	for _, tt := range []struct{ name, groups string }{
		{"datagram", "0 0"}, {"raw", "1 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			alone(t, func() {
				sysctl(t, "ipv4/ping_group_range", tt.groups)
				long, short := 5*time.Second, 300*time.Millisecond
				for _, a := range []netip.Addr{local4, local6, netip.MustParseAddr("::ffff:127.0.0.1")} {
					expectPing(t, "answers", check.Ping{Target: a, Timeout: long}, 0, "<nil>")
				}
				expectPing(t, "from an address", check.Ping{Target: local4, Timeout: long,
					Bind: netip.MustParseAddr("127.0.0.9")}, 0, "<nil>")
				expectPing(t, "from no address of ours", check.Ping{Target: local4, Timeout: long,
					Bind: netip.MustParseAddr("192.0.2.1")}, check.Local,
					"echo request to 127.0.0.1: bind to 192.0.2.1: cannot assign requested address")
				expectPing(t, "by lo", check.Ping{Target: local6, Timeout: long,
					Dialer: &check.Dialer{Device: "lo"}}, 0, "<nil>")
				expectPing(t, "no route", check.Ping{Timeout: long,
					Target: netip.MustParseAddr("192.0.2.1")}, check.Unreachable,
					"echo request to 192.0.2.1: network is unreachable")
				sysctl(t, "ipv4/icmp_echo_ignore_all", "1")
				sysctl(t, "ipv6/icmp/echo_ignore_all", "1")
				for _, a := range []netip.Addr{local4, local6} {
					expectPing(t, "silent", check.Ping{Target: a, Timeout: short}, check.Timeout,
						fmt.Sprintf("echo request to %s: no answer within 300ms", a))
				}
			})
		})
	}
}

// TestPingWithoutRights has neither kind of socket: a thread without capabilities, of a group that
// may have none.
func TestPingWithoutRights(t *testing.T) {
	alone(t, func() {
		sysctl(t, "ipv4/ping_group_range", "1 0")
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			t.Error(err)
			return
		}
		expectPing(t, "no rights", check.Ping{Target: local4, Timeout: time.Second},
			check.Local, "echo request to 127.0.0.1: open ICMP socket: operation not permitted")
	})
}

func TestIsEcho(t *testing.T) {
	token := []byte("0123456789abcdef")
	pack := func(kind icmp.Type, data []byte) []byte {
		m := icmp.Message{Type: kind, Body: &icmp.Echo{ID: 1, Seq: 1, Data: data}}
		b, err := m.Marshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	header := func(words byte, b []byte) []byte {
		return append(append([]byte{0x40 | words}, make([]byte, int(words)*4-1)...), b...)
	}
	reply := pack(ipv4.ICMPTypeEchoReply, token)
	for _, tt := range []struct {
		name   string
		packet []byte
		target netip.Addr
		raw    bool
		want   bool
	}{
		{"reply", reply, local4, false, true},
		{"request", pack(ipv4.ICMPTypeEcho, token), local4, false, false},
		{"other token", pack(ipv4.ICMPTypeEchoReply, token[1:]), local4, false, false},
		{"short", reply[:10], local4, false, false},
		{"nothing", nil, local4, false, false},
		{"raw", header(5, reply), local4, true, true},
		{"raw with options", header(15, reply), local4, true, true},
		{"raw without header", reply, local4, true, false},
		{"raw and empty", nil, local4, true, false},
		{"raw and short", header(5, nil)[:19], local4, true, false},
		{"raw with half a header", header(6, nil)[:20], local4, true, false},
		{"IPv6", pack(ipv6.ICMPTypeEchoReply, token), local6, false, true},
		{"IPv6 raw", pack(ipv6.ICMPTypeEchoReply, token), local6, true, true},
		{"IPv6 request", pack(ipv6.ICMPTypeEchoRequest, token), local6, true, false},
	} {
		if got := check.IsEcho(tt.packet, tt.target, tt.raw, token); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}

func FuzzIsEcho(f *testing.F) {
	f.Add([]byte{0x45}, true, true)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0}, false, false)
	f.Fuzz(func(t *testing.T, b []byte, raw, six bool) {
		target := local4
		if six {
			target = local6
		}
		if check.IsEcho(b, target, raw, []byte("a token that is not in any corpus")) {
			t.Errorf("%x is an answer", b)
		}
	})
}

// TestDialer has each kind of socket go by an interface that is there and one that is not, and with
// a mark for which there is no way.
func TestDialer(t *testing.T) {
	alone(t, func() {
		ip(t, "rule", "add", "pref", "10", "fwmark", "7", "unreachable")
		ip(t, "rule", "add", "pref", "20", "lookup", "local")
		ip(t, "rule", "del", "pref", "0")
		ip(t, "link", "add", "left", "type", "veth", "peer", "name", "right")
		ip(t, "link", "set", "left", "up")
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Error(err)
			return
		}
		target := serveOn(t, l, silent)
		for _, tt := range []struct {
			name   string
			dialer *check.Dialer
			tcp    check.Reason
		}{
			{"plain", nil, 0},
			{"nothing set", &check.Dialer{}, 0},
			{"lo", &check.Dialer{Device: "lo"}, 0},
			{"another interface", &check.Dialer{Device: "left"}, check.Unreachable},
			{"no such interface", &check.Dialer{Device: "none0"}, check.Local},
			{"another mark", &check.Dialer{Mark: 8}, 0},
			{"the mark", &check.Dialer{Mark: 7}, check.Unreachable},
		} {
			expectDialer(t, tt.name, target, tt.dialer, tt.tcp)
		}
	})
}

// expectDialer has a TCP check end for this reason, and others accordingly: a server that says
// nothing is late for HTTP and SMTP, refuses DNS and UDP, and answers an echo request.
func expectDialer(
	t *testing.T, name string, target netip.AddrPort, d *check.Dialer, reason check.Reason,
) {
	t.Helper()
	const short = 200 * time.Millisecond
	for _, c := range []struct {
		checker check.Checker
		good    check.Reason
	}{
		{check.TCP{Target: target, Dialer: d, Timeout: short}, 0},
		{check.HTTP{Target: target, Dialer: d, Timeout: short,
			URLs: []check.URL{{Path: "/"}}}, check.Timeout},
		{check.SMTP{Target: target, Dialer: d, Timeout: short}, check.Timeout},
		{check.DNS{Target: target, Dialer: d, Timeout: short}, check.Refused},
		{check.UDP{Target: target, Dialer: d, Timeout: short, Reply: &check.UDPReply{}},
			check.Refused},
		{check.Ping{Target: target.Addr(), Dialer: d, Timeout: short}, 0},
	} {
		want := reason
		if reason == 0 {
			want = c.good
		}
		// A wrong interface may be seen at once, or as silence.
		err := c.checker.Check(t.Context())
		got := check.ReasonOf(err)
		if want == check.Unreachable && got == check.Timeout && d.Device == "left" {
			continue
		}
		if got != want {
			t.Errorf("%s: %T: %s: %v, want %s", name, c.checker, got, err, want)
		}
	}
}
