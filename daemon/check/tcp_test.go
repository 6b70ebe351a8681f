package check_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/check"
)

func shrinkBacklog(fd uintptr) { _ = unix.Listen(int(fd), 0) }

func TestTCP(t *testing.T) {
	const timeout = 300 * time.Millisecond
	for _, tt := range []struct {
		name   string
		target netip.AddrPort
		reason check.Reason
		want   string
	}{
		{"accepts and says nothing", serve(t, silent), 0, "<nil>"},
		{"closes at once", serve(t, func(net.Conn) {}), 0, "<nil>"},
		{"refuses", refused(t), check.Refused, "connect to ADDR: connection refused"},
		{"does not answer", deaf(t), check.Timeout,
			"connect to ADDR: no answer within 300ms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := check.TCP{Target: tt.target, Timeout: timeout}
			judge(t, c, tt.target, timeout, tt.reason, tt.want)
		})
	}
}

func TestTCPBind(t *testing.T) {
	from := make(chan netip.Addr, 1)
	target := serve(t, func(c net.Conn) {
		from <- netip.MustParseAddrPort(c.RemoteAddr().String()).Addr()
	})
	bind := netip.MustParseAddrPort("127.0.0.7:0")
	c := check.TCP{Target: target, Bind: bind, Timeout: time.Second}
	judge(t, c, target, time.Second, 0, "<nil>")
	if got := <-from; got != bind.Addr() {
		t.Errorf("came from %s, want %s", got, bind.Addr())
	}
}

func TestTCPBindFaultIsLocal(t *testing.T) {
	c := check.TCP{
		Target:  refused(t),
		Bind:    netip.MustParseAddrPort("192.0.2.1:0"),
		Timeout: time.Second,
	}
	err := c.Check(t.Context())
	if check.ReasonOf(err) != check.Local || !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Errorf("error %v, want %s for %v", err, check.Local, unix.EADDRNOTAVAIL)
	}
}

func TestTCPEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (check.TCP{Target: deaf(t)}).Check(ctx); err == nil {
		t.Error("no error although the context has ended")
	}
}

func TestIsTimeout(t *testing.T) {
	for err, want := range map[error]bool{
		nil: false, context.DeadlineExceeded: true, context.Canceled: true,
		os.ErrDeadlineExceeded: true, unix.EAGAIN: false, unix.ETIMEDOUT: false,
		&net.OpError{Op: "dial", Err: unix.ETIMEDOUT}:         false,
		&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}: true,
	} {
		if got := check.IsTimeout(err); got != want {
			t.Errorf("%v: %t, want %t", err, got, want)
		}
	}
}

func TestReasonOf(t *testing.T) {
	if got := check.ReasonOf(nil); got != 0 {
		t.Errorf("reason of nil is %s", got)
	}
	if got := check.ReasonOf(errors.New("exit status 1")); got != check.Failed {
		t.Errorf("reason of a foreign error is %s, want %s", got, check.Failed)
	}
}
