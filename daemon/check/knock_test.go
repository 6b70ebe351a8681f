package check_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/check"
)

// attempts runs one task until it has made so many attempts, or has been reported on, and returns
// what it said last. An empty text is that nothing was wrong.
func attempts(t *testing.T, c check.TCP, many uint64) string {
	t.Helper()
	reports := make(chan check.Report, 10)
	r := check.NewRunner(func(p check.Report) { reports <- p })
	err := r.Set([]check.Task{{ID: "web1", Checker: c, Timeout: time.Second,
		Params: check.Params{Interval: 20 * time.Millisecond}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for r.States()[0].Attempts < many {
		select {
		case p := <-reports:
			return p.Err.Error()
		case <-ctx.Done():
			t.Fatalf("%d attempts, want %d", r.States()[0].Attempts, many)
		case <-look.C:
		}
	}
	return ""
}

// TestKnock has a Runner make plain connections.
func TestKnock(t *testing.T) {
	six := netip.AddrPortFrom(netip.IPv6Loopback(), refused(t).Port())
	for _, tt := range []struct {
		name   string
		target netip.AddrPort
		want   string
	}{
		{"accepts and says nothing", serve(t, silent), ""},
		{"closes at once", serve(t, func(net.Conn) {}), ""},
		{"resets at once", serve(t, reset), ""},
		{"mapped into IPv6", mapped(serve(t, silent)), ""},
		{"refuses", refused(t), "connect to ADDR: connection refused"},
		{"refuses by IPv6", six, "connect to ADDR: connection refused"},
		{"does not answer", deaf(t), "connect to ADDR: no answer within 300ms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			got := attempts(t, check.TCP{Target: tt.target, Timeout: 300 * time.Millisecond}, 5)
			if want := strings.ReplaceAll(tt.want, "ADDR", tt.target.String()); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// reset has the other side hear that there is no such connection any more.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

func mapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
}

// TestKnocksEndWithTheirRunner ends it while connections are being made, at different moments, and
// looks for descriptors that are left.
func TestKnocksEndWithTheirRunner(t *testing.T) {
	targets := []netip.AddrPort{serve(t, silent), deaf(t)}
	before := descriptors(t)
	for i := range 40 {
		r := check.NewRunner(func(check.Report) {})
		var tasks []check.Task
		for _, to := range targets {
			tasks = append(tasks, check.Task{ID: to.String(), Timeout: time.Minute,
				Checker: check.TCP{Target: to}, Params: check.Params{Interval: time.Millisecond}})
		}
		if err := r.Set(tasks); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Millisecond)
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	limit := time.After(5 * time.Second)
	for descriptors(t) > before { // the servers close theirs a little later
		select {
		case <-look.C:
		case <-limit:
			t.Fatalf("%d descriptors, want at most %d", descriptors(t), before)
		}
	}
}
