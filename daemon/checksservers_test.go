package daemon

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

func portOf(t *testing.T, a net.Addr) uint16 {
	t.Helper()
	addr, err := netip.ParseAddrPort(a.String())
	if err != nil {
		t.Fatal(err)
	}
	return addr.Port()
}

func serveTLS(t *testing.T, s *switched) uint16 {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if s.isBad() {
			fmt.Fprint(w, "sick")
			return
		}
		fmt.Fprint(w, "all is well")
	}))
	t.Cleanup(server.Close)
	return portOf(t, server.Listener.Addr())
}

// serveMail greets and says 250 to everything.
func serveMail(t *testing.T, s *switched) uint16 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	talk := func(c net.Conn) {
		defer func() { _ = c.Close() }()
		fmt.Fprint(c, "220 here\r\n")
		for in := bufio.NewScanner(c); in.Scan(); {
			if s.isBad() {
				fmt.Fprint(c, "421 later\r\n")
				return
			}
			fmt.Fprint(c, "250 yes\r\n")
		}
	}
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { talk(c) })
		}
	})
	return portOf(t, l.Addr())
}

// answerAll answers each datagram.
func answerAll(t *testing.T, answer func([]byte) []byte) uint16 {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = c.Close()
		all.Wait()
	})
	all.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(answer(buf[:n]), from) // one who is gone wants none
		}
	})
	return portOf(t, c.LocalAddr())
}

func serveNames(t *testing.T, s *switched) uint16 {
	return answerAll(t, func(b []byte) []byte {
		var q, a dns.Msg
		if err := q.Unpack(b); err != nil {
			return nil
		}
		a.SetReply(&q)
		if s.isBad() {
			a.Rcode = dns.RcodeServerFailure
		}
		out, err := a.Pack()
		if err != nil {
			return nil
		}
		return out
	})
}

func serveDatagrams(t *testing.T, s *switched) uint16 {
	return answerAll(t, func([]byte) []byte {
		if s.isBad() {
			return []byte{0x10}
		}
		return []byte{0x07}
	})
}
