package check_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/check"
)

// serve hands each connection on a new loopback port to handle, and closes it afterwards. At the
// end of the test all connections are closed under handle, and waited for.
func serve(t testing.TB, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, handle)
}

// serveOn is serve with a listener, which it takes over.
func serveOn(t testing.TB, l net.Listener, handle func(net.Conn)) netip.AddrPort {
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			all.Go(func() {
				handle(c)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

// answer reads a request and sends text.
func answer(text string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, text)
		}
	}
}

// silent reads until the other side goes.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// endless sends head and then part again and again, pausing between, until the other side goes.
func endless(head, part string, pause time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		_, err := io.WriteString(c, head)
		for err == nil {
			if err = c.SetReadDeadline(time.Now().Add(pause)); err != nil {
				return
			}
			if _, err = io.Copy(io.Discard, c); !errors.Is(err, os.ErrDeadlineExceeded) {
				return // nil is the end that the other side made
			}
			_, err = io.WriteString(c, part)
		}
	}
}

// refused returns an address where nobody listens.
func refused(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return netip.MustParseAddrPort(l.Addr().String())
}

// deaf returns an address whose listener accepts no connection: its queue is full.
func deaf(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(shrinkBacklog); err != nil {
		t.Fatal(err)
	}
	var queued []net.Conn
	for {
		c, err := net.DialTimeout("tcp", l.Addr().String(), 100*time.Millisecond)
		if err != nil {
			break
		}
		queued = append(queued, c)
	}
	t.Cleanup(func() {
		for _, c := range queued {
			_ = c.Close()
		}
		_ = l.Close()
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

// judge runs c and compares its reason and text, in which ADDR stands for its target. It must not
// take much longer than timeout.
func judge(t *testing.T, c check.Checker, target netip.AddrPort, timeout time.Duration,
	reason check.Reason, want string,
) {
	t.Helper()
	start := time.Now()
	err := c.Check(t.Context())
	if took := time.Since(start); took > timeout+2*time.Second {
		t.Errorf("took %s with a timeout of %s", took, timeout)
	}
	if got := check.ReasonOf(err); got != reason {
		t.Errorf("reason %s, want %s (%v)", got, reason, err)
	}
	got := strings.ReplaceAll(fmt.Sprint(err), target.String(), "ADDR")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

// serveUDP answers each datagram on a new loopback port by what answer returns, until the end of
// the test; nil is no answer.
func serveUDP(t testing.TB, answer func([]byte) []byte) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			if out := answer(b[:n]); out != nil {
				_, _ = conn.WriteToUDPAddrPort(out, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-ended
	})
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// mute answers nothing.
func mute([]byte) []byte { return nil }

// refusedUDP returns an address where nobody listens.
func refusedUDP(t testing.TB) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}
