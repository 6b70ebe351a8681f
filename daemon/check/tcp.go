package check

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// TCP finds a server healthy that accepts a connection. It sends nothing.
type TCP struct {
	// Target is where it connects to.
	Target netip.AddrPort
	// Bind is where it connects from; zero is anywhere.
	Bind netip.AddrPort
	// Dialer is how it gets there; nil is plainly.
	Dialer *Dialer
	// Timeout bounds the check; 0 leaves that to the context.
	Timeout time.Duration
}

// TCPer is a Checker that checks as the TCP does which it returns. It may keep less than that.
type TCPer interface {
	Checker
	TCP() TCP
}

// tcpOf returns what c is as a TCP, if it is one.
func tcpOf(c Checker) (TCP, bool) {
	switch c := c.(type) {
	case TCP:
		return c, true
	case TCPer:
		return c.TCP(), true
	}
	return TCP{}, false
}

// Check implements Checker. Its error is a *Failure.
//
// It asks the kernel for no more than the answer: the connection of package net, which is there to
// be used, costs twice the system calls.
func (c TCP) Check(ctx context.Context) error {
	e := endpoint{c.Target, c.Bind, c.Dialer, c.Timeout}
	if err := e.touch(ctx); err != nil {
		return e.unconnected(err)
	}
	// The server has accepted: how it takes our going is its own affair.
	return nil
}

// touch makes a connection and gives it up.
func (e endpoint) touch(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	family := unix.AF_INET6
	if e.target = unmap(e.target); e.target.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	err = e.prepare(fd)
	if !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return err
	}
	return e.await(ctx, fd, e.deadline(ctx))
}

// await waits until a connection that is being made is there, has failed, or is not there at the
// deadline or when ctx ends, and gives it up.
func (e endpoint) await(ctx context.Context, fd int, deadline time.Time) error {
	f := os.NewFile(uintptr(fd), "tcp")
	defer func() { _ = f.Close() }()
	if err := f.SetDeadline(deadline); err != nil {
		return err
	}
	unwatch := context.AfterFunc(ctx, func() { _ = f.SetDeadline(time.Unix(1, 0)) })
	defer unwatch()
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return connected(conn, sockaddr(e.target))
}

// connected waits until a connection that is being made is there, or has failed. Asking for it
// again says which (connect(2)).
func connected(conn syscall.RawConn, to unix.Sockaddr) error {
	failed := error(unix.EINPROGRESS)
	err := conn.Write(func(fd uintptr) bool {
		failed = unix.Connect(int(fd), to)
		return !errors.Is(failed, unix.EALREADY) && !errors.Is(failed, unix.EINPROGRESS)
	})
	if isTimeout(err) {
		// A time that is over may tell of a process that got no processor, not of the server.
		_ = conn.Control(func(fd uintptr) { failed = unix.Connect(int(fd), to) })
	}
	switch {
	case accepted(failed):
		return nil
	case err != nil:
		return err
	}
	return failed
}

// accepted says whether what the kernel says of a connection means that it was made. One that was
// reset had been made before: otherwise it would have been refused (tcp_reset in
// net/ipv4/tcp_input.c).
func accepted(err error) bool {
	return err == nil || errors.Is(err, unix.EISCONN) || errors.Is(err, unix.ECONNRESET) ||
		errors.Is(err, unix.EPIPE)
}
