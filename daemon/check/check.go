// Package check asks real servers whether they are well, and decides from the answers when one is
// up or down. It never touches the kernel's table, and knows nothing of virtual services.
package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Checker asks once. Check returns nil if the server is healthy, and otherwise why it is not; it
// returns soon after ctx ends. A Checker may be used by several goroutines.
type Checker interface {
	Check(ctx context.Context) error
}

// Reason is why a check failed, as a label. Zero is unset.
type Reason uint8

// The reasons. Local is a fault on this side, such as no free descriptor or a bind address that is
// not there: the server was never asked. Failed is all that is known of an error that is no
// Failure.
const (
	Timeout Reason = iota + 1
	Refused
	Unreachable
	Closed
	Malformed
	Status
	Digest
	Local
	Failed
)

// String returns the label.
func (r Reason) String() string {
	switch r {
	case Timeout:
		return "timeout"
	case Refused:
		return "refused"
	case Unreachable:
		return "unreachable"
	case Closed:
		return "closed"
	case Malformed:
		return "malformed"
	case Status:
		return "status"
	case Digest:
		return "digest"
	case Local:
		return "local"
	case Failed:
		return "failed"
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// Failure is the error of the checkers in this package.
type Failure struct {
	Reason Reason
	// Detail is what happened, for a log.
	Detail string
	// Err is the cause; nil if the server answered, but not as wanted.
	Err error
}

// Error returns the detail and the cause.
func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Detail
	}
	return fmt.Sprintf("%s: %v", f.Detail, f.Err)
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// ReasonOf returns the reason of a failed check: Failed for an error that is no Failure, zero for
// nil.
func ReasonOf(err error) Reason {
	var f *Failure
	switch {
	case err == nil:
		return 0
	case errors.As(err, &f):
		return f.Reason
	}
	return Failed
}

// dial connects within timeout. Its error is a *Failure.
func dial(
	ctx context.Context, target, bind netip.AddrPort, timeout time.Duration,
) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout, KeepAlive: -1}
	if bind.Addr().IsValid() || bind.Port() != 0 {
		d.LocalAddr = net.TCPAddrFromAddrPort(bind)
	}
	conn, err := d.DialContext(ctx, "tcp", target.String())
	if err == nil {
		return conn, nil
	}
	detail := "connect to " + target.String()
	switch {
	case isTimeout(err):
		detail = fmt.Sprintf("connect to %s: no answer within %s", target, timeout)
		return nil, &Failure{Reason: Timeout, Detail: detail}
	case errors.Is(err, unix.ECONNREFUSED):
		return nil, &Failure{Reason: Refused, Detail: detail, Err: unix.ECONNREFUSED}
	case errors.Is(err, unix.ECONNRESET):
		return nil, &Failure{Reason: Closed, Detail: detail, Err: unix.ECONNRESET}
	}
	for _, e := range []error{unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ETIMEDOUT} {
		if errors.Is(err, e) {
			return nil, &Failure{Reason: Unreachable, Detail: detail, Err: e}
		}
	}
	return nil, &Failure{Reason: Local, Detail: detail, Err: err}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &t) && t.Timeout() && !errors.Is(err, unix.ETIMEDOUT)
}
