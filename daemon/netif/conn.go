package netif

import (
	"fmt"
	"net/netip"

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
	// VRF, if not empty, is a device that is sent and heard on instead: that of a routing domain,
	// whose routes then say which interface packets leave by. It goes without a Group.
	VRF string
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

// Conn sends and hears VRRP on one interface. It hears what comes to the interface's own addresses
// and to its group, but not what it sends itself. Those of one interface share a socket: each would
// else be handed all that comes to any. Receive and Drain may run at the same time; what they
// deliver is in order.
type Conn struct {
	ear      *ear
	endpoint Endpoint

	// Under ear.mu.
	deliver func(Packet) // nil: nobody hears yet
	waiting []Packet     // for somebody who does
	ended   func(error)  // nil: nobody is told
	over    chan struct{}
	closed  bool
	err     error // why it hears no more; nil if that is Close
}

// maxWaiting is how many packets wait for Receive to be called.
const maxWaiting = 1024

// wire is what differs between the families.
type wire interface {
	// socket opens one that is not bound yet. It blocks: whoever uses it says each time that it is not
	// to, for the runtime is not to wait for it; see gate.
	socket() (int, error)
	// prepare sets the options.
	prepare(fd, index int) error
	join(fd, index int, group netip.Addr) error
	leave(fd, index int, group netip.Addr) error
	// vrid loads the second byte of an advert into A.
	vrid() []bpf.Instruction
	// address has m go from src to dst; a ttl of zero is 255.
	address(m *message, index int, src, dst netip.Addr, ttl int)
	// receive reads one packet, whose payload is part of buf, or returns EAGAIN; false for what is
	// none.
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
	s, err := i.ask()
	var c *Conn
	if err == nil {
		c, err = i.host.hear(earKey{i.name, s.Index, e.IPv6, e.VRF}, e)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", i.name, err)
	}
	return c, nil
}

// attach has the kernel pass only what the filter does, from now on.
func attach(fd int, filter []bpf.Instruction) error {
	raw, err := bpf.Assemble(filter)
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

// ttl returns what packets to dst are sent with if that is not 255, else zero.
func (e Endpoint) ttl(dst netip.Addr) int {
	if dst.IsMulticast() || e.TTL == vrrpTTL {
		return 0
	}
	return int(e.TTL)
}

// wants reports whether a packet to that virtual router is for the endpoint.
func (e Endpoint) wants(vrid uint8, to netip.Addr) bool {
	return (e.VRID == 0 || e.VRID == vrid) && (!to.IsMulticast() || to == e.Group)
}

// Index returns the index of the interface that c is bound to. A Conn whose interface was made
// anew is deaf.
func (c *Conn) Index() int { return c.ear.key.index }

// Send sends payload from src to dst, both of c's family. It never waits: a full queue is an error.
func (c *Conn) Send(payload []byte, src, dst netip.Addr) error {
	if !c.framed(dst) {
		return c.SendPlain(payload, src, dst)
	}
	err := c.ear.host.sendFrom(c.endpoint.MAC, c.Index(), payload, src, dst)
	if err != nil {
		return fmt.Errorf("send to %s: %w", dst, err)
	}
	return nil
}

// SendPlain is Send, but packets come from the interface's own MAC address, whatever the endpoint
// says: switches do not learn from them where the endpoint's is.
func (c *Conn) SendPlain(payload []byte, src, dst netip.Addr) error {
	if err := c.ear.send(payload, src, dst, c.endpoint.ttl(dst)); err != nil {
		return fmt.Errorf("send to %s: %w", dst, err)
	}
	return nil
}

// framed reports whether packets to dst are sent as whole frames.
func (c *Conn) framed(dst netip.Addr) bool {
	return dst.IsMulticast() && c.endpoint.MAC != (MAC{})
}

// Receive calls deliver with each packet until c is closed; then it returns nil. deliver must not
// block, nor call c.
func (c *Conn) Receive(deliver func(Packet)) error {
	c.Hear(deliver, nil)
	<-c.over
	return c.err
}

// Hear is Receive, but does not wait: ended, if not nil, is called if it ends before Close. Both
// functions are called by another goroutine, but may be called before Hear returns, too.
func (c *Conn) Hear(deliver func(Packet), ended func(error)) {
	c.ear.mu.Lock()
	defer c.ear.mu.Unlock()
	c.flush(deliver)
	c.deliver, c.ended = deliver, ended
	if c.err != nil && ended != nil {
		ended(c.err)
	}
}

// flush delivers what has waited.
func (c *Conn) flush(deliver func(Packet)) {
	for _, p := range c.waiting {
		deliver(p)
	}
	c.waiting = nil
}

// Drain calls deliver with each packet that waits in the socket and returns without waiting for
// more. When it returns, every packet that had arrived before it was called has been delivered,
// by it or by Receive.
func (c *Conn) Drain(deliver func(Packet)) error {
	c.ear.mu.Lock()
	defer c.ear.mu.Unlock()
	c.flush(deliver)
	was := c.deliver
	c.deliver = deliver
	err := c.ear.drain()
	c.deliver = was
	if err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	return nil
}

// Close ends Receive and leaves the group. A second call does nothing.
func (c *Conn) Close() error { return c.ear.host.unhear(c) }
