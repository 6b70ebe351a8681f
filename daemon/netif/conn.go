package netif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// What VRRP asks of its IPv4 packets (RFC 9568, Section 5.1.1), and what keepalived marks them
// with: precedence Internetwork Control.
const (
	protocolVRRP = 112
	vrrpTTL      = 255
	vrrpTOS      = 0xc0
	// priorityControl is TC_PRIO_CONTROL: the first band of a queue.
	priorityControl = 7
	maxPacket       = 1 << 16
)

// vrrpGroup is where IPv4 adverts go.
var vrrpGroup = [4]byte{224, 0, 0, 18}

// Packet is a received IPv4 packet without its header.
type Packet struct {
	// Payload is the receiver's to keep.
	Payload  []byte
	From, To netip.Addr
	TTL      int
}

// Conn is a raw socket for VRRP over IPv4 on one interface, a member of 224.0.0.18. It does not
// hear what it sends. Receive and Drain may run at the same time; what they deliver is in order.
type Conn struct {
	file  *os.File
	raw   syscall.RawConn
	index int

	closed atomic.Bool

	mu  sync.Mutex // one reader at a time, delivery included
	buf []byte
}

// Listen opens a Conn for one virtual router on the interface, which must exist. It hears adverts
// to the group and to the interface's own addresses; the kernel keeps those of other virtual
// routers away, so that hundreds may share a network. A vrid of zero hears all.
//
// Equivalent to: `ip maddr add` for the group, as far as the interface's filter is concerned.
func (i *Interface) Listen(vrid uint8) (*Conn, error) {
	var c *Conn
	err := i.host.inside(func() (err error) {
		c, err = listen(i.name, vrid)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", i.name, err)
	}
	return c, nil
}

func listen(name string, vrid uint8) (*Conn, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	kind := unix.SOCK_RAW | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	fd, err := unix.Socket(unix.AF_INET, kind, protocolVRRP)
	if err != nil {
		return nil, fmt.Errorf("open raw socket: %w", err)
	}
	if err := errors.Join(filter(fd, vrid), prepare(fd, ifi)); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	file := os.NewFile(uintptr(fd), "vrrp on "+name)
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &Conn{file: file, raw: raw, index: ifi.Index, buf: make([]byte, maxPacket)}, nil
}

// filter has the kernel pass only adverts of vrid; zero is all.
func filter(fd int, vrid uint8) error {
	if vrid == 0 {
		return nil
	}
	raw, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadMemShift{Off: 0},          // X = length of the IP header
		bpf.LoadIndirect{Off: 1, Size: 1}, // A = VRID, the second byte of an advert
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(vrid), SkipFalse: 1},
		bpf.RetConstant{Val: maxPacket},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
	}
	program := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	prog := &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, prog)
	if err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	return nil
}

// prepare sets the options of the socket before it joins the group, so that it never hears another
// interface's.
func prepare(fd int, ifi *net.Interface) error {
	if err := unix.BindToDevice(fd, ifi.Name); err != nil {
		return fmt.Errorf("bind to device: %w", err)
	}
	options := []struct {
		name              string
		level, opt, value int
	}{
		{"IP_MULTICAST_ALL", unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0},
		{"IP_MULTICAST_LOOP", unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0},
		{"IP_MULTICAST_TTL", unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, vrrpTTL},
		{"IP_TTL", unix.IPPROTO_IP, unix.IP_TTL, vrrpTTL},
		{"IP_TOS", unix.IPPROTO_IP, unix.IP_TOS, vrrpTOS},
		{"SO_PRIORITY", unix.SOL_SOCKET, unix.SO_PRIORITY, priorityControl},
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return fmt.Errorf("set %s: %w", o.name, err)
		}
	}
	group := &unix.IPMreqn{Multiaddr: vrrpGroup, Ifindex: int32(ifi.Index)}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, group); err != nil {
		return fmt.Errorf("set IP_MULTICAST_IF: %w", err)
	}
	err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, group)
	if err != nil {
		return fmt.Errorf("join 224.0.0.18: %w", err)
	}
	return nil
}

// Index returns the index of the interface that c is bound to. A Conn whose interface was made
// anew is deaf.
func (c *Conn) Index() int { return c.index }

// Send sends payload from src to dst, both IPv4. It never waits: a full queue is an error.
func (c *Conn) Send(payload []byte, src, dst netip.Addr) error {
	info := unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(c.index), Spec_dst: src.As4()})
	to := &unix.SockaddrInet4{Addr: dst.As4()}
	var sent error
	err := c.raw.Control(func(fd uintptr) {
		sent = unix.Sendmsg(int(fd), payload, info, to, unix.MSG_DONTWAIT)
	})
	if err := errors.Join(err, sent); err != nil {
		return fmt.Errorf("send to %s: %w", dst, err)
	}
	return nil
}

// Receive calls deliver with each packet until c is closed; then it returns nil. deliver must not
// block, nor call c.
func (c *Conn) Receive(deliver func(Packet)) error {
	for {
		var received error
		err := c.raw.Read(func(fd uintptr) bool {
			received = c.receive(int(fd), deliver)
			return !errors.Is(received, unix.EAGAIN)
		})
		if c.closed.Load() {
			return nil
		}
		if err = errors.Join(err, received); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("receive: %w", err)
		}
	}
}

// Drain calls deliver with each packet that waits in the socket and returns without waiting for
// more. When it returns, every packet that had arrived before it was called has been delivered,
// by it or by Receive.
func (c *Conn) Drain(deliver func(Packet)) error {
	var received error
	err := c.raw.Control(func(fd uintptr) {
		for received == nil || errors.Is(received, unix.EINTR) {
			received = c.receive(int(fd), deliver)
		}
	})
	if errors.Is(received, unix.EAGAIN) {
		received = nil
	}
	if err := errors.Join(err, received); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	return nil
}

// receive delivers one packet, or returns EAGAIN. What is no IPv4 packet is passed over.
func (c *Conn) receive(fd int, deliver func(Packet)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := unix.Read(fd, c.buf) // it does not block, and the header says who sent
	if err != nil {
		return err
	}
	if p, ok := parsePacket(c.buf[:n]); ok {
		deliver(p)
	}
	return nil
}

// Close ends Receive and leaves the group. A second call does nothing.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return c.file.Close()
}

// parsePacket cuts the IPv4 header off b (RFC 791, Section 3.1) and copies what follows it.
func parsePacket(b []byte) (Packet, bool) {
	const minHeader = 20
	if len(b) < minHeader || b[0]>>4 != 4 {
		return Packet{}, false
	}
	header := int(b[0]&0xf) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if header < minHeader || total < header || total > len(b) {
		return Packet{}, false
	}
	return Packet{
		Payload: append([]byte(nil), b[header:total]...),
		From:    netip.AddrFrom4([4]byte(b[12:16])),
		To:      netip.AddrFrom4([4]byte(b[16:20])),
		TTL:     int(b[8]),
	}, true
}
