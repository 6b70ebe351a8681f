package check_test

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/tandemlb/tandem/daemon/check"
)

var rounds = flag.Int("rounds", 10000, "how often hostile servers are checked")

// hostile is a checker of a server that does its worst, and how that ends.
type hostile struct {
	name string
	// make returns the checker with this timeout.
	make   func(timeout time.Duration) check.Checker
	reason check.Reason
	// early ends need not wait for the timeout.
	early bool
}

// streams are servers that do their worst whatever they are asked by.
func streams() []struct {
	name   string
	handle func(net.Conn)
	reason check.Reason
	early  bool
} {
	return []struct {
		name   string
		handle func(net.Conn)
		reason check.Reason
		early  bool
	}{
		{"says nothing", silent, check.Timeout, false},
		{"a byte a second", endless("2", "2", time.Second), check.Timeout, false},
		{"endless line", endless("", strings.Repeat("2", 4096), 0), check.Malformed, true},
		{"garbage", func(c net.Conn) {
			_, _ = io.WriteString(c, "\x00\xff garbage\r\n\r\n")
			silent(c)
		}, check.Malformed, true},
		{"closes at once", func(net.Conn) {}, check.Closed, true},
	}
}

// hostiles are all checkers with all servers that do their worst to them.
func hostiles(t testing.TB) []hostile {
	var all []hostile
	add := func(name string, reason check.Reason, early bool,
		f func(time.Duration) check.Checker,
	) {
		all = append(all, hostile{name, f, reason, early})
	}
	url := []check.URL{{Path: "/"}}
	for _, s := range streams() {
		target := serve(t, s.handle)
		overTLS := s.reason
		if overTLS == check.Malformed {
			overTLS = check.Handshake
		}
		add("HTTP: "+s.name, s.reason, s.early, func(d time.Duration) check.Checker {
			return check.HTTP{Target: target, Timeout: d, URLs: url}
		})
		add("TLS: "+s.name, overTLS, s.early, func(d time.Duration) check.Checker {
			return check.HTTP{Target: target, Timeout: d, URLs: url, TLS: &check.TLS{}}
		})
		add("SMTP: "+s.name, s.reason, s.early, func(d time.Duration) check.Checker {
			return check.SMTP{Target: target, Timeout: d}
		})
	}
	config := &tls.Config{Certificates: []tls.Certificate{newAuthority(t).now(t)}}
	const alert, emptyRecord = "\x15\x03\x03\x00\x02\x02\x28", "\x16\x03\x03\x00\x00"
	for _, s := range []struct {
		name   string
		handle func(net.Conn)
		reason check.Reason
		early  bool
	}{
		{"half a handshake", stopsInHandshake, check.Timeout, false},
		{"closes in the handshake", closesInHandshake, check.Closed, true},
		{"says nothing after a handshake", secure(config, false, silent), check.Timeout, false},
		{"an alert", endless(alert, "", time.Hour), check.Handshake, true},
		{"empty records for ever", endless("", emptyRecord, 0), check.Handshake, true},
	} {
		target := serve(t, s.handle)
		add("TLS: "+s.name, s.reason, s.early, func(d time.Duration) check.Checker {
			return check.HTTP{Target: target, Timeout: d, URLs: url, TLS: &check.TLS{}}
		})
	}
	all = append(all, hostileHTTP(t)...)
	all = append(all, hostileRest(t)...)
	full := deaf(t)
	add("TCP: does not accept", check.Timeout, false, func(d time.Duration) check.Checker {
		return check.TCP{Target: full, Timeout: d}
	})
	return all
}

// hostileHTTP are those that know what is asked for.
func hostileHTTP(t testing.TB) []hostile {
	regex, err := check.NewRegex("(x+x+)+y", check.RegexOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var all []hostile
	const ok = "HTTP/1.0 200 OK\r\n"
	for _, h := range []struct {
		name   string
		handle func(net.Conn)
		regex  *check.Regex
		reason check.Reason
		early  bool
	}{
		{"endless header", endless(ok, strings.Repeat("X: y\r\n", 1000), 0), nil,
			check.Malformed, true},
		{"endless body", endless(ok+"\r\n", strings.Repeat("x", 4096), 0), nil,
			check.Timeout, false},
		{"endless body by the byte", endless(ok+"\r\n", "x", time.Second), nil,
			check.Timeout, false},
		{"endless body for a regex", endless(ok+"\r\n", strings.Repeat("x", 1<<16), 0), regex,
			0, true}, // malformed if it is fast enough
		{"redirects for ever", func(c net.Conn) {
			answer("HTTP/1.0 302 Found\r\nLocation: http://" + c.LocalAddr().String() +
				"/\r\n\r\n")(c)
		}, nil, check.Status, true},
		{"continues for ever", endless("", "HTTP/1.1 100 Continue\r\n\r\n", 0), nil,
			check.Malformed, true},
		{"chunks for ever", endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
			"1\r\nx\r\n", 0), nil, check.Timeout, false},
		{"a length below 0", answer("HTTP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n"), nil,
			check.Malformed, true},
	} {
		target := serve(t, h.handle)
		all = append(all, hostile{"HTTP: " + h.name, func(d time.Duration) check.Checker {
			return check.HTTP{Target: target, Timeout: d,
				URLs: []check.URL{{Path: "/", Regex: h.regex}}}
		}, h.reason, h.early})
	}
	return all
}

// hostileRest are those of mail, of names and of datagrams.
func hostileRest(t testing.TB) []hostile {
	greets := serve(t, endless("", "220-more\r\n", 0))
	otherID := nameServer(t, func(m *dns.Msg) { m.Id++ })
	garbage := serveUDP(t, func([]byte) []byte { return []byte("garbage") })
	nobody, nothing := refusedUDP(t), serveUDP(t, mute)
	wanted := &check.UDPReply{Start: pattern(t, "00")}
	type d = time.Duration
	return []hostile{
		{"SMTP: endless greeting", func(to d) check.Checker {
			return check.SMTP{Target: greets, Timeout: to}
		}, check.Malformed, true},
		{"DNS: another id", func(to d) check.Checker {
			return check.DNS{Target: otherID, Timeout: to}
		}, check.Timeout, false},
		{"DNS: garbage", func(to d) check.Checker {
			return check.DNS{Target: garbage, Timeout: to}
		}, check.Timeout, false},
		{"DNS: nobody", func(to d) check.Checker {
			return check.DNS{Target: nobody, Timeout: to}
		}, check.Refused, true},
		{"UDP: says nothing", func(to d) check.Checker {
			return check.UDP{Target: nothing, Timeout: to, Reply: wanted}
		}, check.Timeout, false},
		{"UDP: garbage", func(to d) check.Checker {
			return check.UDP{Target: garbage, Timeout: to, Reply: wanted}
		}, check.Reply, true},
		{"UDP: nobody", func(to d) check.Checker {
			return check.UDP{Target: nobody, Timeout: to, Reply: wanted}
		}, check.Refused, true},
	}
}

// TestHostile has each end in its time, by its own timeout or by that of the context, with its own
// reason.
func TestHostile(t *testing.T) {
	for _, h := range hostiles(t) {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			timeout := 500 * time.Millisecond
			if h.early {
				timeout = 30 * time.Second // far from what it takes
			}
			expectHostile(t, h, h.make(timeout), t.Context())
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			expectHostile(t, h, h.make(0), ctx)
		})
	}
}

func expectHostile(t *testing.T, h hostile, c check.Checker, ctx context.Context) {
	t.Helper()
	start := time.Now()
	err := c.Check(ctx)
	took := time.Since(start)
	if err == nil || h.reason != 0 && check.ReasonOf(err) != h.reason {
		t.Errorf("%s: %v, want %s", check.ReasonOf(err), err, h.reason)
	}
	if took > 20*time.Second {
		t.Errorf("took %s", took)
	}
	if err != nil && strings.Contains(err.Error(), "Reason(") {
		t.Errorf("error %v", err)
	}
	t.Logf("%s after %s: %v", check.ReasonOf(err), took.Round(time.Millisecond), err)
}

// TestEndsWhenCancelled has those that would wait end with a context that has no deadline.
func TestEndsWhenCancelled(t *testing.T) {
	for _, h := range hostiles(t) {
		if h.early || h.reason != check.Timeout {
			continue
		}
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			timer := time.AfterFunc(50*time.Millisecond, cancel)
			defer timer.Stop()
			start := time.Now()
			err := h.make(time.Hour).Check(ctx)
			if check.ReasonOf(err) != check.Timeout || time.Since(start) > 20*time.Second {
				t.Errorf("%v after %s, want %s at once", err, time.Since(start), check.Timeout)
			}
		})
	}
}

// descriptors is how many this process has open.
func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// until waits for a condition, for at most 30 s.
func until(t testing.TB, what func() string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for what() != "" {
		select {
		case <-deadline:
			t.Fatalf("after 30 s: %s", what())
		case <-tick.C:
		}
	}
}

// manyRounds has 50 goroutines make n checks, of the checkers in turn.
func manyRounds(t testing.TB, n int, checkers []check.Checker) {
	t.Helper()
	next := make(chan check.Checker)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for c := range next {
				if err := c.Check(t.Context()); err == nil {
					t.Errorf("%T succeeds", c)
				}
			}
		})
	}
	for i := range n {
		next <- checkers[i%len(checkers)]
	}
	close(next)
	all.Wait()
}

// TestHostileLeavesNothing counts descriptors and goroutines of this process, its servers among
// them, before and after many checks.
func TestHostileLeavesNothing(t *testing.T) {
	var checkers []check.Checker
	for _, h := range hostiles(t) {
		checkers = append(checkers, h.make(20*time.Millisecond))
	}
	manyRounds(t, len(checkers), checkers) // what is made once is made now
	settled := func() (int, int) { return descriptors(t), runtime.NumGoroutine() }
	var files, routines int
	last := -1
	until(t, func() string { // the servers notice a moment later
		files, routines = settled()
		same := last == files+routines
		last = files + routines
		if same {
			return ""
		}
		return "no rest"
	})
	manyRounds(t, *rounds, checkers)
	until(t, func() string {
		f, r := settled()
		if f <= files && r <= routines {
			return ""
		}
		return fmt.Sprintf("%d descriptors, %d goroutines, before %d and %d", f, r, files,
			routines)
	})
	t.Logf("%d rounds; %d descriptors, %d goroutines before and after", *rounds, files, routines)
}
