package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Dialer is how the packets of checks leave this machine, beside the address that they come from.
// It may be shared by any number of checkers; nil, and the zero value, leave it to the routes.
type Dialer struct {
	// Device is the interface that they leave and answers come by (SO_BINDTODEVICE, socket(7));
	// empty is any.
	Device string
	// Mark is their firewall mark (SO_MARK, socket(7)); 0 is none. It needs CAP_NET_ADMIN.
	Mark uint32
}

// plain says whether there is nothing to set.
func (d *Dialer) plain() bool { return d == nil || *d == Dialer{} }

// set sets the options of a socket. Its error says which could not be set.
func (d *Dialer) set(fd int) error {
	if d.plain() {
		return nil
	}
	if d.Device != "" {
		if err := unix.BindToDevice(fd, d.Device); err != nil {
			return fmt.Errorf("bind to interface %s: %w", d.Device, err)
		}
	}
	if d.Mark != 0 {
		err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(d.Mark))
		if err != nil {
			return fmt.Errorf("set firewall mark %d: %w", d.Mark, err)
		}
	}
	return nil
}

// control is set for a net.Dialer.
func (d *Dialer) control(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = d.set(int(fd)) })
	return errors.Join(failed, err)
}

// endpoint is whom a checker asks, and how it gets there.
type endpoint struct {
	target, bind netip.AddrPort
	dialer       *Dialer
	timeout      time.Duration // of the whole exchange; 0 leaves that to the context
}

// deadline returns when the exchange must be over; zero is never.
func (e endpoint) deadline(ctx context.Context) time.Time {
	deadline, _ := ctx.Deadline()
	if e.timeout > 0 {
		own := time.Now().Add(e.timeout)
		if deadline.IsZero() || own.Before(deadline) {
			return own
		}
	}
	return deadline
}

// within says how long was waited, for a detail.
func (e endpoint) within() string {
	if e.timeout > 0 {
		return "within " + e.timeout.String()
	}
	return "in time"
}

// open connects by tcp or udp. What is read and written afterwards fails at the deadline, and when
// ctx ends. Its error is a *Failure.
func (e endpoint) open(ctx context.Context, network string) (*exchange, error) {
	deadline := e.deadline(ctx)
	d := net.Dialer{Deadline: deadline, KeepAlive: -1}
	if !e.dialer.plain() {
		d.Control = e.dialer.control
	}
	if e.bind.Addr().IsValid() || e.bind.Port() != 0 {
		d.LocalAddr = net.TCPAddrFromAddrPort(e.bind)
		if network == "udp" {
			d.LocalAddr = net.UDPAddrFromAddrPort(e.bind)
		}
	}
	conn, err := d.DialContext(ctx, network, e.target.String())
	if err != nil {
		return nil, e.unconnected(err)
	}
	_ = conn.SetDeadline(deadline) // only fails on a closed connection
	return attend(ctx, e, conn), nil
}

// unconnected returns the failure for a connection that could not be made.
func (e endpoint) unconnected(err error) *Failure {
	detail := "connect to " + e.target.String()
	if isTimeout(err) {
		detail = fmt.Sprintf("%s: no answer %s", detail, e.within())
		return &Failure{Reason: Timeout, Detail: detail}
	}
	if f := fromNetwork(err, detail); f != nil {
		return f
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // the rest is in the detail
	}
	return &Failure{Reason: Local, Detail: detail, Err: err}
}

// networkErrors are those that the other side or the network caused.
var networkErrors = []struct {
	errno  unix.Errno
	reason Reason
}{
	{unix.ECONNREFUSED, Refused}, {unix.ECONNRESET, Closed}, {unix.EPIPE, Closed},
	{unix.ECONNABORTED, Closed}, {unix.EHOSTUNREACH, Unreachable},
	{unix.ENETUNREACH, Unreachable}, {unix.EHOSTDOWN, Unreachable},
	{unix.ETIMEDOUT, Unreachable},
}

// fromNetwork returns the failure for an error that came from the other side or the network; nil
// for any other.
func fromNetwork(err error, detail string) *Failure {
	for _, n := range networkErrors {
		if errors.Is(err, n.errno) {
			return &Failure{Reason: n.reason, Detail: detail, Err: n.errno}
		}
	}
	return nil
}

// isTimeout says whether err is a deadline or a context that ended. What the kernel calls so is
// not: neither ETIMEDOUT nor EAGAIN.
func isTimeout(err error) bool {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return false
	}
	var t interface{ Timeout() bool }
	return errors.Is(err, context.Canceled) || errors.As(err, &t) && t.Timeout()
}

// stream is what an exchange needs of a connection or a socket.
type stream interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
}

// exchange is an open connection for one check.
type exchange struct {
	stream
	endpoint
	unwatch func() bool
}

// attend returns the exchange over s, which fails as soon as ctx ends.
func attend(ctx context.Context, e endpoint, s stream) *exchange {
	x := &exchange{stream: s, endpoint: e, unwatch: func() bool { return true }}
	if ctx.Done() != nil {
		x.unwatch = context.AfterFunc(ctx, func() { _ = s.SetDeadline(time.Unix(1, 0)) })
	}
	return x
}

// Close gives everything up; a second call does nothing more.
func (x *exchange) Close() error {
	x.unwatch()
	return x.stream.Close()
}

// broken returns the failure for what err ended after n bytes of it came in.
func (x *exchange) broken(err error, what string, n int64) *Failure {
	switch {
	case isTimeout(err):
		detail := fmt.Sprintf("%s: not complete %s (%d bytes)", what, x.within(), n)
		return &Failure{Reason: Timeout, Detail: detail}
	case errors.Is(err, errLimit):
		detail := fmt.Sprintf("%s: more than %d KiB", what, n>>10)
		return &Failure{Reason: Malformed, Detail: detail}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		detail := fmt.Sprintf("%s: connection closed after %d bytes", what, n)
		return &Failure{Reason: Closed, Detail: detail}
	}
	if f := fromNetwork(err, what); f != nil {
		return f
	}
	if f := fromTLS(err, what); f != nil {
		return f
	}
	return &Failure{Reason: Malformed, Detail: what, Err: err}
}

var errLimit = errors.New("too long")

// meter reads up to limit bytes from a connection, counts them, and keeps the error that ended it.
type meter struct {
	from        io.Reader
	read, limit int64
	err         error
}

func (m *meter) Read(p []byte) (int, error) {
	if m.read >= m.limit {
		m.err = errLimit
		return 0, m.err
	}
	n, err := m.from.Read(p[:min(int64(len(p)), m.limit-m.read)])
	m.read += int64(n)
	m.err = err
	return n, err
}

// prepare sets the options of a socket, binds it if it is to be, and begins to connect it.
func (e endpoint) prepare(fd int) error {
	if err := e.dialer.set(fd); err != nil {
		return err
	}
	if bind := unmap(e.bind); bind.Addr().IsValid() || bind.Port() != 0 {
		if err := unix.Bind(fd, sockaddr(e.here(bind))); err != nil {
			return fmt.Errorf("bind to %s: %w", strings.TrimSuffix(bind.String(), ":0"), err)
		}
	}
	return unix.Connect(fd, sockaddr(e.target))
}

// here completes a bind address that is but a port.
func (e endpoint) here(bind netip.AddrPort) netip.AddrPort {
	switch {
	case bind.Addr().IsValid():
		return bind
	case e.target.Addr().Is4():
		return netip.AddrPortFrom(netip.IPv4Unspecified(), bind.Port())
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), bind.Port())
}

// sockaddr returns an address for the kernel. A zone is a number or the name of an interface; one
// that is neither is none.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	s := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if zone := a.Addr().Zone(); zone != "" {
		if i, err := net.InterfaceByName(zone); err == nil {
			s.ZoneId = uint32(i.Index)
		} else if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
			s.ZoneId = uint32(n)
		}
	}
	return s
}

// unmap returns an IPv4 address as such.
func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// local returns this side's address; empty if it is not known.
func (x *exchange) local() string {
	if c, ok := x.stream.(net.Conn); ok {
		return c.LocalAddr().String()
	}
	return ""
}

// outOfRoom says whether err is a lack of something on this machine.
func outOfRoom(err error) bool {
	for _, e := range []error{unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
