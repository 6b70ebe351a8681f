package netif

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// What VRRP asks of its packets (RFC 9568, Section 5.1), and what keepalived marks them with:
// precedence Internetwork Control.
const (
	protocolVRRP = 112
	vrrpTTL      = 255
	vrrpTOS      = 0xc0
	// priorityControl is TC_PRIO_CONTROL: the first band of a queue.
	priorityControl = 7
	// maxPacket is more than an advert of 255 IPv6 addresses takes, its headers included.
	maxPacket = 1 << 13
)

// Endpoint is what a Conn sends and hears.
type Endpoint struct {
	// VRID is the virtual router; the kernel keeps the adverts of others away, so that hundreds may
	// share a network. Zero hears all.
	VRID uint8
	// IPv6 is the family.
	IPv6 bool
	// Group is the multicast group that is listened to; invalid is none: unicast only.
	Group netip.Addr
	// MAC is where multicast packets seem to come from; zero is the interface's own.
	MAC MAC
	// TTL is what unicast packets are sent with; zero is 255. Multicast ones have 255 always.
	TTL uint8
}

// Packet is a received packet without its IP header.
type Packet struct {
	// Payload is the receiver's to keep.
	Payload []byte
	// From and To have no zone.
	From, To netip.Addr
	// TTL is the hop limit of an IPv6 packet.
	TTL int
}

// Conn is a raw socket for VRRP on one interface. It hears what comes to the interface's own
// addresses and to its group, but not what it sends itself. Receive and Drain may run at the same
// time; what they deliver is in order.
type Conn struct {
	file  *os.File
	raw   syscall.RawConn
	index int
	wire  wire
	mac   MAC   // of multicast packets; zero: the interface's
	host  *Host // which sends them then

	closed atomic.Bool

	mu  sync.Mutex // one reader at a time, delivery included
	buf []byte
}

// wire is what differs between the families.
type wire interface {
	// socket opens one that is not bound yet.
	socket() (int, error)
	// prepare sets the options and joins the group.
	prepare(fd, index int, e Endpoint) error
	// vrid loads the second byte of an advert into A.
	vrid() []bpf.Instruction
	// send sends without waiting.
	send(fd, index int, payload []byte, src, dst netip.Addr) error
	// receive reads one packet, or returns EAGAIN; false for what is none.
	receive(fd int, buf []byte) (Packet, bool, error)
}

// Listen opens a Conn for one virtual router of IPv4 and its standard group. A vrid of zero hears
// all.
func (i *Interface) Listen(vrid uint8) (*Conn, error) {
	return i.Open(Endpoint{VRID: vrid, Group: netip.AddrFrom4([4]byte{224, 0, 0, 18})})
}

// Open opens a Conn on the interface, which must exist.
//
// Equivalent to: `ip maddr add` for the group, as far as the interface's filter is concerned.
func (i *Interface) Open(e Endpoint) (*Conn, error) {
	var c *Conn
	s, err := i.ask()
	if err == nil {
		err = i.host.inside(func() (err error) {
			c, err = open(i.name, s.Index, e)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", i.name, err)
	}
	c.mac, c.host = e.MAC, i.host
	return c, nil
}

func open(name string, index int, e Endpoint) (*Conn, error) {
	var w wire = wire4{}
	if e.IPv6 {
		w = wire6{group: e.Group}
	}
	if e.Group.IsValid() && (e.Group.Is6() != e.IPv6 || !e.Group.IsMulticast()) {
		return nil, fmt.Errorf("group %s: want a multicast address of the family", e.Group)
	}
	fd, err := w.socket()
	if err != nil {
		return nil, fmt.Errorf("open raw socket: %w", err)
	}
	// The filter and the device come first, so that nothing else is ever heard.
	err = filter(fd, e.VRID, w.vrid())
	if err == nil {
		err = bind(fd, name)
	}
	if err == nil {
		err = w.prepare(fd, index, e)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	file := os.NewFile(uintptr(fd), "vrrp on "+name)
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &Conn{file: file, raw: raw, index: index, wire: w, buf: make([]byte, maxPacket)}, nil
}

// filter has the kernel pass only adverts of vrid, which load finds; zero is all.
func filter(fd int, vrid uint8, load []bpf.Instruction) error {
	if vrid == 0 {
		return nil
	}
	raw, err := bpf.Assemble(append(load,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(vrid), SkipFalse: 1},
		bpf.RetConstant{Val: maxPacket},
		bpf.RetConstant{Val: 0},
	))
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

func bind(fd int, device string) error {
	if err := unix.BindToDevice(fd, device); err != nil {
		return fmt.Errorf("bind to device: %w", err)
	}
	return nil
}

// option is a socket option whose value is a number.
type option struct {
	name              string
	level, opt, value int
}

func setOptions(fd int, options []option) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return fmt.Errorf("set %s: %w", o.name, err)
		}
	}
	return nil
}

// ttl returns what unicast packets are sent with.
func (e Endpoint) ttl() int {
	if e.TTL == 0 {
		return vrrpTTL
	}
	return int(e.TTL)
}

// Index returns the index of the interface that c is bound to. A Conn whose interface was made
// anew is deaf.
func (c *Conn) Index() int { return c.index }

// Send sends payload from src to dst, both of c's family. It never waits: a full queue is an error.
func (c *Conn) Send(payload []byte, src, dst netip.Addr) error {
	var sent error
	if dst.IsMulticast() && c.mac != (MAC{}) {
		if err := c.host.sendFrom(c.mac, c.index, payload, src, dst); err != nil {
			return fmt.Errorf("send to %s: %w", dst, err)
		}
		return nil
	}
	err := c.raw.Control(func(fd uintptr) {
		sent = c.wire.send(int(fd), c.index, payload, src, dst)
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

// receive delivers one packet, or returns EAGAIN. What is no packet is passed over.
func (c *Conn) receive(fd int, deliver func(Packet)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok, err := c.wire.receive(fd, c.buf)
	if err != nil {
		return err
	}
	if ok {
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
