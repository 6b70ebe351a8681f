package netif

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// ear is the socket that all Conns of one interface and family share, in both directions.
type ear struct {
	host *Host
	key  earKey
	file *os.File
	raw  syscall.RawConn
	wire wire

	id   int32 // in the gate
	pace pace  // the gate's

	// changing is held while conns and groups change. The kernel may have much else to do before it
	// joins a group; what comes is read meanwhile.
	changing sync.Mutex
	groups   map[netip.Addr]int // how many Conns have joined each; under changing

	mu    sync.Mutex // one reader at a time, delivery included
	buf   []byte
	kept  []byte       // room for payloads that are delivered
	heard int          // packets since pace was looked at
	conns [256][]*Conn // by virtual router; those of 0 hear all
	count int          // of conns
	err   error        // why it hears no more
}

// earKey is what an ear is bound to.
type earKey struct {
	name  string
	index int
	ipv6  bool
	vrf   string // what the socket is bound to; empty: the interface
}

// via returns the index of the interface that packets are to leave by, or zero.
func (k earKey) via() int {
	if k.vrf != "" {
		return 0
	}
	return k.index
}

const (
	// earBuffer holds the adverts of all virtual routers of an interface many times over.
	earBuffer = 1 << 20
	// earBatch is how many packets are read before others may have the ear.
	earBatch = 64
	// keptSize is the room for payloads that is made at once.
	keptSize = 1 << 12
)

// hear returns a Conn of the ear of key, which is made if there is none.
func (h *Host) hear(key earKey, e Endpoint) (*Conn, error) {
	if e.Group.IsValid() && (e.Group.Is6() != e.IPv6 || !e.Group.IsMulticast()) {
		return nil, fmt.Errorf("group %s: want a multicast address of the family", e.Group)
	}
	if e.Group.IsValid() && e.VRF != "" {
		return nil, fmt.Errorf("group %s in %s: want unicast only", e.Group, e.VRF)
	}
	h.hearing.Lock()
	defer h.hearing.Unlock()
	r := h.ears[key]
	if r == nil || r.failed() {
		var err error
		if r, err = h.newEar(key); err != nil {
			return nil, err
		}
		h.ears[key] = r
	}
	c := &Conn{ear: r, endpoint: e, over: make(chan struct{})}
	if err := r.add(c); err != nil {
		return nil, errors.Join(err, h.discard(r))
	}
	return c, nil
}

// unhear closes c and, with the last one, its ear.
func (h *Host) unhear(c *Conn) error {
	h.hearing.Lock()
	defer h.hearing.Unlock()
	err := c.ear.remove(c)
	return errors.Join(err, h.discard(c.ear))
}

// discard closes an ear that has no Conn any more. A second call does nothing.
func (h *Host) discard(r *ear) error {
	r.mu.Lock()
	used := r.count > 0
	r.mu.Unlock()
	if used || r.file == nil {
		return nil
	}
	if h.ears[r.key] == r {
		delete(h.ears, r.key)
	}
	err := errors.Join(h.gate.remove(r), r.file.Close())
	r.file = nil
	return errors.Join(err, h.leaveGate())
}

func (h *Host) newEar(key earKey) (*ear, error) {
	r := &ear{
		host: h, key: key, wire: wire4{},
		buf: make([]byte, maxPacket), groups: map[netip.Addr]int{},
	}
	if key.ipv6 {
		r.wire = wire6{}
	}
	err := h.inside(func() (err error) {
		r.file, err = r.open()
		return err
	})
	if err != nil {
		return nil, err
	}
	if r.raw, err = r.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, r.file.Close())
	}
	if err := h.enterGate(); err != nil {
		return nil, errors.Join(err, r.file.Close())
	}
	if err := h.gate.add(r); err != nil {
		err = fmt.Errorf("hear raw socket: %w", err)
		return nil, errors.Join(err, r.file.Close(), h.leaveGate())
	}
	return r, nil
}

// open opens the socket, which hears nothing yet.
func (r *ear) open() (*os.File, error) {
	fd, err := r.wire.socket()
	if err != nil {
		return nil, fmt.Errorf("open raw socket: %w", err)
	}
	// The filter and the device come first, so that nothing else is ever heard.
	err = attach(fd, r.filter())
	if err == nil {
		err = bind(fd, cmp.Or(r.key.vrf, r.key.name))
	}
	if err == nil {
		err = r.wire.prepare(fd, r.key.via())
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	// Without the right to a larger buffer the default one serves.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, earBuffer)
	return os.NewFile(uintptr(fd), "vrrp on "+r.key.name), nil
}

// add has c hear.
func (r *ear) add(c *Conn) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	if g := c.endpoint.Group; g.IsValid() {
		if r.groups[g] == 0 {
			err := r.control(func(fd int) error { return r.wire.join(fd, r.key.index, g) })
			if err != nil {
				return fmt.Errorf("join %s: %w", g, err)
			}
		}
		r.groups[g]++
	}
	vrid := c.endpoint.VRID
	r.mu.Lock()
	r.conns[vrid] = append(r.conns[vrid], c)
	r.count++
	r.mu.Unlock()
	return r.refilter(vrid)
}

// remove has c hear no more. A second call does nothing.
func (r *ear) remove(c *Conn) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	if !r.forget(c) {
		return nil
	}
	var err error
	if g := c.endpoint.Group; g.IsValid() {
		if r.groups[g]--; r.groups[g] == 0 {
			err = r.control(func(fd int) error { return r.wire.leave(fd, r.key.index, g) })
		}
	}
	if errors.Is(err, unix.EADDRNOTAVAIL) { // left with the interface
		err = nil
	}
	return errors.Join(err, r.refilter(c.endpoint.VRID))
}

// forget takes c out and reports whether there is more to do: with the last one the socket goes,
// and leaves all groups.
func (r *ear) forget(c *Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.closed {
		return false
	}
	c.closed = true
	if c.err == nil {
		close(c.over)
	}
	vrid := c.endpoint.VRID
	r.conns[vrid] = slices.DeleteFunc(r.conns[vrid], func(o *Conn) bool { return o == c })
	r.count--
	return r.count > 0
}

// refilter has the kernel pass what the Conns hear, after the first or the last of vrid. r.changing
// is held.
func (r *ear) refilter(vrid uint8) error {
	if len(r.conns[vrid]) > 1 {
		return nil
	}
	return r.control(func(fd int) error { return attach(fd, r.filter()) })
}

// filter passes the adverts of the virtual routers that are heard, whose number it looks up in a set
// of bits.
func (r *ear) filter() []bpf.Instruction {
	const words, bits = 8, 32
	var set [words]uint32
	for vrid, conns := range r.conns {
		if len(conns) > 0 {
			set[vrid/bits] |= 1 << (vrid % bits)
		}
	}
	if len(r.conns[0]) > 0 {
		return []bpf.Instruction{bpf.RetConstant{Val: maxPacket}}
	}
	program := append(r.wire.vrid(),
		bpf.StoreScratch{Src: bpf.RegA, N: 0},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: bits - 1},
		bpf.TAX{},
		bpf.LoadConstant{Dst: bpf.RegA, Val: 1},
		bpf.ALUOpX{Op: bpf.ALUOpShiftLeft},
		bpf.TAX{}, // the bit
		bpf.LoadScratch{Dst: bpf.RegA, N: 0},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 5}, // the word
	)
	for i, word := range set {
		program = append(program,
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(i), SkipTrue: 4},
			bpf.LoadConstant{Dst: bpf.RegA, Val: word},
			bpf.ALUOpX{Op: bpf.ALUOpAnd},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: uint8(5*(words-i) - 4)},
			bpf.RetConstant{Val: maxPacket},
		)
	}
	return append(program, bpf.RetConstant{Val: 0})
}

// control calls do with the socket.
func (r *ear) control(do func(fd int) error) error {
	var err error
	ctrlErr := r.raw.Control(func(fd uintptr) { err = do(int(fd)) })
	return errors.Join(ctrlErr, err)
}

// listen delivers what has come, or a part of it if that is much, and reports whether from now on
// what comes may wait for more: where many Conns hear adverts of about a second each would else
// wake the process, at more than its own cost. Drain does not wait.
func (r *ear) listen(now time.Time) (calm bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err = r.control(func(fd int) error { return r.read(fd, earBatch) })
	if errors.Is(err, unix.EAGAIN) {
		err = nil
	}
	calm = r.pace.calm
	if passed := now.Sub(r.pace.since); passed >= time.Second {
		calm = r.count >= manyConns && r.heard <= int(calmRate*passed.Seconds())*r.count
		r.heard, r.pace.since = 0, now
	}
	return calm, err
}

// drain reads what there is. r.mu is held.
func (r *ear) drain() error {
	err := r.control(func(fd int) (err error) {
		for err == nil {
			err = r.read(fd, earBatch)
		}
		return err
	})
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	return err
}

// read delivers at most that many packets, or returns EAGAIN when there are no more.
func (r *ear) read(fd, most int) error {
	for range most {
		p, ok, err := r.wire.receive(fd, r.buf)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case ok:
			r.heard++
			r.dispatch(p)
		}
	}
	return nil
}

// dispatch gives a packet to those who hear its virtual router.
func (r *ear) dispatch(p Packet) {
	if len(p.Payload) < 2 {
		r.give(p, 0, r.conns[0])
		return
	}
	vrid := p.Payload[1]
	if vrid != 0 {
		r.give(p, vrid, r.conns[vrid])
	}
	r.give(p, vrid, r.conns[0])
}

func (r *ear) give(p Packet, vrid uint8, conns []*Conn) {
	payload := p.Payload
	for _, c := range conns {
		if !c.endpoint.wants(vrid, p.To) {
			continue
		}
		p.Payload = r.keep(payload)
		switch {
		case c.deliver != nil:
			c.deliver(p)
		case len(c.waiting) < maxWaiting:
			c.waiting = append(c.waiting, p)
		}
	}
}

// keep returns a copy of b, which is the caller's. Many share the room of one allocation.
func (r *ear) keep(b []byte) []byte {
	if len(r.kept)+len(b) > cap(r.kept) {
		r.kept = make([]byte, 0, max(keptSize, len(b)))
	}
	start := len(r.kept)
	r.kept = append(r.kept, b...)
	return r.kept[start:len(r.kept):len(r.kept)]
}

// pace is how an ear rests.
type pace struct {
	since time.Time // when it was last looked at how much is heard
	calm  bool      // many have little to hear; under gate.mu
}

const (
	// manyConns are as many as make it worth while that their packets are read together.
	manyConns = 32
	// calmRate is how many packets each may hear in a second then.
	calmRate = 2
	// restFor is how long a packet may wait for others.
	restFor = 4 * time.Millisecond
)

// fail ends all Conns.
func (r *ear) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	for _, conns := range r.conns {
		for _, c := range conns {
			c.err = err
			close(c.over)
			if c.ended != nil {
				c.ended(err)
			}
		}
	}
}

func (r *ear) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err != nil
}
