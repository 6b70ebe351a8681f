package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ListenSCTP listens by SCTP for associations, each of which is then a connection: a one-to-one socket
// (RFC 6458, Section 4), whose packets it treats as Go's net package does those of TCP. An unspecified
// address stands for all of its family, port 0 for any. Where the kernel has no SCTP the error wraps
// EPROTONOSUPPORT.
func ListenSCTP(at netip.AddrPort) (net.Listener, error) {
	fd, to, err := socketSCTP(at)
	if err != nil {
		return nil, fmt.Errorf("listen on %s by SCTP: %w", at, err)
	}
	file := os.NewFile(uintptr(fd), "sctp")
	defer file.Close() // the listener has a descriptor of its own
	// Associations that end take a while, and the port is theirs as well.
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.Bind(fd, to))
	if err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s by SCTP: %w", at, err)
	}
	return net.FileListener(file)
}

// DialSCTP opens an association by SCTP and returns it as a connection, which has the deadline. What
// is written at once is a message, and so is what is read at once. Where nobody listens the error
// wraps ECONNREFUSED; after the deadline it is a timeout, as those of net are. To close it ends the
// association in order, by the kernel, when all that was written has come.
func DialSCTP(to netip.AddrPort, deadline time.Time) (net.Conn, error) {
	conn, err := dialSCTP(to, deadline)
	if err != nil {
		return nil, fmt.Errorf("dial %s by SCTP: %w", to, err)
	}
	return conn, nil
}

func dialSCTP(to netip.AddrPort, deadline time.Time) (net.Conn, error) {
	fd, peer, err := socketSCTP(to)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "sctp")
	defer file.Close() // the connection has a descriptor of its own
	if err := unix.Connect(fd, peer); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return nil, err
	}
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	if err = conn.SetDeadline(deadline); err == nil {
		err = awaitSCTP(conn.(syscall.Conn))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// awaitSCTP waits until a connection is one.
func awaitSCTP(conn syscall.Conn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Write(func(fd uintptr) (done bool) {
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if code != 0 {
			err = syscall.Errno(code)
		}
		if err != nil {
			failed = err
			return true
		}
		_, err = unix.Getpeername(int(fd))
		return err == nil // else it is not yet there: waits until it may be
	})
	return errors.Join(err, failed)
}

// socketSCTP makes a socket for an address, and what the kernel calls that.
func socketSCTP(at netip.AddrPort) (int, unix.Sockaddr, error) {
	family := unix.AF_INET
	var to unix.Sockaddr = &unix.SockaddrInet4{Port: int(at.Port())}
	if at.Addr().Is4() {
		to.(*unix.SockaddrInet4).Addr = at.Addr().As4()
	} else {
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC,
		unix.IPPROTO_SCTP)
	return fd, to, err
}
