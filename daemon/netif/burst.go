package netif

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Burst is packets of several Conns that are sent together: those of one interface and family by
// one call of the kernel. That costs less for each, and who receives them is woken once. The zero
// value is empty. It is not safe for concurrent use.
type Burst struct {
	waiting []departing
	room    *outbox // of one call
	errs    []error
}

// departing is a packet that waits.
type departing struct {
	conn     *Conn
	payload  []byte
	src, dst netip.Addr
	sent     bool
}

// burstRoom is how many packets one call of the kernel may send.
const burstRoom = 64

// Len returns how many packets wait.
func (b *Burst) Len() int { return len(b.waiting) }

// Join has b send what Send would, and reports whether it will; if not, it is for Send. The payload
// has to stay as it is until then, and is not empty.
func (c *Conn) Join(b *Burst, payload []byte, src, dst netip.Addr) bool {
	if c.framed(dst) {
		return false
	}
	b.waiting = append(b.waiting, departing{conn: c, payload: payload, src: src, dst: dst})
	return true
}

// Send sends all packets that wait, those of one Conn in their order, and returns for each in the
// order of Join what Send of its Conn would have: a packet that cannot be sent holds up no other.
// Then b is empty. What it returns is valid until the next call; nil is no error at all. It never
// waits.
func (b *Burst) Send() []error {
	b.errs = b.errs[:0]
	for i := range b.waiting {
		if !b.waiting[i].sent {
			b.sendWith(b.waiting[i].conn.ear, i)
		}
	}
	clear(b.waiting)
	b.waiting = b.waiting[:0]
	if len(b.errs) == 0 {
		return nil
	}
	return b.errs
}

// sendWith sends the packets of an ear, the first of which is that of that index.
func (b *Burst) sendWith(r *ear, first int) {
	err := r.control(func(fd int) error {
		for next := first; next < len(b.waiting); {
			next = b.sendSome(fd, r, next)
		}
		return nil
	})
	if err == nil {
		return
	}
	for i := first; i < len(b.waiting); i++ { // the socket is closed
		if d := &b.waiting[i]; d.conn.ear == r && !d.sent {
			d.sent = true
			b.fail(i, err)
		}
	}
}

// sendSome sends packets of an ear from that index on, as many as there is room for, and returns
// the index from which on there may be more.
func (b *Burst) sendSome(fd int, r *ear, next int) int {
	if b.room == nil {
		b.room = &outbox{}
	}
	room, n := b.room, 0
	for ; next < len(b.waiting) && n < burstRoom; next++ {
		d := &b.waiting[next]
		if d.conn.ear != r {
			continue
		}
		m := &room.messages[n]
		r.wire.address(m, r.key.via(), d.src, d.dst, d.conn.endpoint.ttl(d.dst))
		m.load(d.payload)
		m.head(&room.heads[n].Hdr)
		room.which[n] = next
		d.sent = true
		n++
	}
	sendEach(fd, room.heads[:n], func(i int, err error) { b.fail(room.which[i], err) })
	for i := range n {
		room.messages[i].load(nil)
	}
	return next
}

// fail notes that a packet could not be sent.
func (b *Burst) fail(i int, err error) {
	if len(b.errs) == 0 {
		b.errs = append(b.errs, make([]error, len(b.waiting))...)
	}
	b.errs[i] = fmt.Errorf("send to %s: %w", b.waiting[i].dst, err)
}

// outbox is what one call sends.
type outbox struct {
	heads    [burstRoom]unix.Mmsghdr
	messages [burstRoom]message
	which    [burstRoom]int // of those that wait
}

// sendEach sends packets without waiting. One that cannot be sent holds up no other; failed is told of
// it.
func sendEach(fd int, heads []unix.Mmsghdr, failed func(i int, err error)) {
	for from := 0; from < len(heads); from++ {
		sent, err := sendAll(fd, heads[from:])
		if from += sent; err != nil {
			failed(from, err)
		}
	}
}

// sendAll sends packets without waiting and returns how many of them have left. If not all have,
// the error is that of the next one: the kernel tells it only of the first of a call.
//
// Source: sendmmsg(2), and net/socket.c, __sys_sendmmsg.
func sendAll(fd int, heads []unix.Mmsghdr) (int, error) {
	for sent := 0; ; {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd),
			uintptr(unsafe.Pointer(&heads[sent])), uintptr(len(heads)-sent), sendFlags, 0, 0)
		switch errno {
		case 0:
			if sent += int(n); sent == len(heads) {
				return sent, nil
			}
		case unix.EINTR:
		default:
			return sent, errno
		}
	}
}
