package check

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// Ping finds a server healthy that answers an ICMP or ICMPv6 echo request (RFC 792, RFC 4443,
// Section 4). It needs a datagram socket for that, which the group must be allowed to have (sysctl
// net.ipv4.ping_group_range, left alone here), or else a raw one, which takes CAP_NET_RAW.
type Ping struct {
	// Target is who is asked.
	Target netip.Addr
	// Bind is where the request comes from; zero is anywhere.
	Bind netip.Addr
	// Dialer is how it gets there; nil is plainly.
	Dialer *Dialer
	// Timeout bounds the check; 0 leaves that to the context.
	Timeout time.Duration
}

// tokenSize is how many random bytes tell the answers to one request apart from others.
const tokenSize = 16

// Check implements Checker. Its error is a *Failure.
func (c Ping) Check(ctx context.Context) error {
	target := c.Target.Unmap()
	e := endpoint{
		target: netip.AddrPortFrom(target, 0),
		bind:   netip.AddrPortFrom(c.Bind.Unmap(), 0), dialer: c.Dialer, timeout: c.Timeout,
	}
	detail := fmt.Sprintf("echo request to %s", target)
	socket, raw, err := e.echoSocket()
	if err != nil {
		if f := fromNetwork(err, detail); f != nil {
			return f
		}
		return &Failure{Reason: Local, Detail: detail, Err: err}
	}
	if err := socket.SetDeadline(e.deadline(ctx)); err != nil {
		_ = socket.Close()
		return &Failure{Reason: Local, Detail: detail, Err: err}
	}
	x := attend(ctx, e, socket)
	defer func() { _ = x.Close() }()
	request, token, err := echoRequest(target)
	if err != nil {
		return &Failure{Reason: Local, Detail: detail, Err: err}
	}
	if _, err := x.Write(request); err != nil {
		return x.unpinged(err, detail)
	}
	return x.awaitEcho(token, raw, detail)
}

// awaitEcho reads until the answer with the token comes.
func (x *exchange) awaitEcho(token []byte, raw bool, detail string) error {
	b := make([]byte, 1500)
	for {
		n, err := x.Read(b)
		if err != nil {
			return x.unpinged(err, detail)
		}
		if isEcho(b[:n], x.target.Addr(), raw, token) {
			return nil
		}
	}
}

// unpinged returns the failure for a request that was not answered.
func (x *exchange) unpinged(err error, detail string) *Failure {
	if isTimeout(err) {
		return &Failure{Reason: Timeout, Detail: detail + ": no answer " + x.within()}
	}
	if f := fromNetwork(err, detail); f != nil {
		return f
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return &Failure{Reason: Local, Detail: detail, Err: err}
}

// echoRequest returns a request and the token that its answer has. The kernel of a datagram socket
// puts in its own identifier.
func echoRequest(target netip.Addr) (request, token []byte, err error) {
	token = make([]byte, tokenSize)
	_, _ = rand.Read(token) // never fails
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{
		ID: int(binary.BigEndian.Uint16(token)), Seq: 1, Data: token,
	}}
	if target.Is6() {
		m.Type = ipv6.ICMPTypeEchoRequest
	}
	request, err = m.Marshal(nil) // the kernel puts in the checksum of ICMPv6
	return request, token, err
}

// isEcho says whether a packet is the answer with this token. A raw IPv4 socket has the IP header
// before it (raw(7)).
func isEcho(b []byte, target netip.Addr, raw bool, token []byte) bool {
	protocol, reply := unix.IPPROTO_ICMP, icmp.Type(ipv4.ICMPTypeEchoReply)
	if target.Is6() {
		protocol, reply = unix.IPPROTO_ICMPV6, ipv6.ICMPTypeEchoReply
	} else if raw {
		if len(b) < ipv4.HeaderLen || b[0]>>4 != ipv4.Version {
			return false
		}
		header := int(b[0]&0x0f) << 2
		if header < ipv4.HeaderLen || header > len(b) {
			return false
		}
		b = b[header:]
	}
	m, err := icmp.ParseMessage(protocol, b)
	if err != nil || m.Type != reply {
		return false
	}
	echo, ok := m.Body.(*icmp.Echo)
	return ok && bytes.Equal(echo.Data, token)
}

// echoSocket returns a socket that is connected to the target, and whether it is a raw one.
func (e endpoint) echoSocket() (socket *os.File, raw bool, err error) {
	family, protocol := unix.AF_INET, unix.IPPROTO_ICMP
	if e.target.Addr().Is6() {
		family, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	const flags = unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|flags, protocol)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) ||
		errors.Is(err, unix.EPROTONOSUPPORT) {
		raw = true
		fd, err = unix.Socket(family, unix.SOCK_RAW|flags, protocol)
	}
	if err != nil {
		return nil, raw, fmt.Errorf("open ICMP socket: %w", err)
	}
	if err := e.prepare(fd); err != nil {
		_ = unix.Close(fd)
		return nil, raw, err
	}
	return os.NewFile(uintptr(fd), "icmp"), raw, nil
}
