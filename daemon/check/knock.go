package check

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// knocks are the plain connections that attempts of TCP have begun and not looked at since. Nearly
// all are made by the next tick, so that none of them needs a goroutine, a timer or the poller: a
// check is four system calls.
//
//	          begin               look, a tick later
//	due ────────────────▶ begun ────────────────────▶ healthy or failed
//	                                    │ no answer yet
//	                                    └───────────▶ a goroutine that waits
//
// They are of the queue's goroutine alone.
type knocks struct {
	begun []knock
	to    rawAddr
}

// knock is one of them.
type knock struct {
	watch *watch
	turn  turn
	fd    int
	at    time.Time // when it was begun
}

// begin begins the attempt of w, which is due, unless it is not for knocks. What fails at once has
// failed.
func (k *knocks) begin(w *watch, now time.Time) bool {
	c, plain := w.plain()
	if !plain {
		return false
	}
	t, ok := w.enter()
	if !ok {
		return true
	}
	family, to, size := k.to.set(c.Target)
	fd, err := dial(family, to, size)
	if !errors.Is(err, unix.EINPROGRESS) {
		if err == nil {
			hangUp(fd)
		}
		w.conclude(t, c.judge(err), now)
		return true
	}
	k.begun = append(k.begun, knock{w, t, fd, now})
	return true
}

// look looks at those that were begun a tick ago.
func (k *knocks) look(now time.Time) {
	n := 0
	for n < len(k.begun) && now.Sub(k.begun[n].at) >= tick {
		k.open(&k.begun[n], now)
		n++
	}
	left := copy(k.begun, k.begun[n:])
	clear(k.begun[left:])
	k.begun = k.begun[:left]
}

// open looks at one.
func (k *knocks) open(n *knock, now time.Time) {
	c, _ := tcpOf(n.turn.checker)
	_, to, size := k.to.set(unmap(c.Target))
	switch err := connectAgain(n.fd, to, size); {
	case errors.Is(err, unix.EALREADY), errors.Is(err, unix.EINPROGRESS):
		go n.watch.await(*n, c)
	default:
		hangUp(n.fd)
		n.watch.conclude(n.turn, c.judge(err), now)
	}
}

// next returns how long there is nothing to look at.
func (k *knocks) next(now time.Time) time.Duration {
	if len(k.begun) == 0 {
		return never
	}
	return max(tick-now.Sub(k.begun[0].at), 0)
}

// abandon ends all that were begun.
func (k *knocks) abandon() {
	for i := range k.begun {
		n := &k.begun[i]
		hangUp(n.fd)
		n.watch.conclude(n.turn, context.Canceled, n.at)
	}
	k.begun = nil
}

// plain returns the checker if it is one for knocks: a connection by TCP from anywhere.
func (w *watch) plain() (TCP, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := tcpOf(w.checker)
	if !ok || c.Bind.IsValid() || c.Bind.Port() != 0 || !c.Dialer.plain() ||
		!c.Target.IsValid() || c.Target.Addr().Zone() != "" {
		return TCP{}, false
	}
	c.Target = unmap(c.Target)
	return c, true
}

// await goes on with a knock that has had no answer yet.
func (w *watch) await(n knock, c TCP) {
	ctx, cancel := context.WithDeadline(n.turn.ctx, n.at.Add(n.turn.timeout))
	w.hold(cancel)
	e := endpoint{target: unmap(c.Target), timeout: c.Timeout}
	deadline, _ := ctx.Deadline()
	if own := n.at.Add(c.Timeout); c.Timeout > 0 && own.Before(deadline) {
		deadline = own
	}
	w.over(n.turn, Weight{}, c.judge(e.await(ctx, n.fd, deadline)), time.Now())
}

// conclude is over for the queue's goroutine, which waits for nobody.
func (w *watch) conclude(t turn, err error, now time.Time) {
	report, next := w.note(Weight{}, err, now)
	if !report.matters(t) {
		w.rest(next, now)
		return
	}
	go func() {
		t.send(report)
		w.rest(next, time.Now())
	}()
}

// judge returns what is found of a connection that is not being made any more.
func (c TCP) judge(err error) error {
	if accepted(err) {
		return nil
	}
	return endpoint{target: unmap(c.Target), timeout: c.Timeout}.unconnected(err)
}

// The system calls of a knock do not wait, so that the runtime need not prepare for that: it would
// take as long as they do.

// dial begins a connection. The descriptor is only good where the error is EINPROGRESS, or nil.
func dial(family int, to unsafe.Pointer, size uintptr) (int, error) {
	fd, _, errno := unix.RawSyscall(unix.SYS_SOCKET, uintptr(family),
		unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errno != 0 {
		return -1, errno
	}
	err := connectAgain(int(fd), to, size)
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		hangUp(int(fd))
		return -1, err
	}
	return int(fd), err
}

// connectAgain asks for a connection, or what has become of it (connect(2)).
func connectAgain(fd int, to unsafe.Pointer, size uintptr) error {
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(to), size)
	if errno != 0 {
		return errno
	}
	return nil
}

func hangUp(fd int) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// rawAddr is room for an address as the kernel wants it.
type rawAddr struct {
	four unix.RawSockaddrInet4
	six  unix.RawSockaddrInet6
}

// set returns the family of an address, and where it is until the next set. It has no zone.
func (r *rawAddr) set(a netip.AddrPort) (family int, at unsafe.Pointer, size uintptr) {
	if a.Addr().Is4() {
		r.four = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.Addr().As4()}
		putPort(&r.four.Port, a.Port())
		return unix.AF_INET, unsafe.Pointer(&r.four), unix.SizeofSockaddrInet4
	}
	r.six = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: a.Addr().As16()}
	putPort(&r.six.Port, a.Port())
	return unix.AF_INET6, unsafe.Pointer(&r.six), unix.SizeofSockaddrInet6
}

// putPort writes a port in the order of the network.
func putPort(to *uint16, port uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(to))[:], port)
}
