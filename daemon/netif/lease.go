package netif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	// renewals is how often a lease is renewed while it lasts, given touches: with adverts of a
	// second or more at every advert, so that it outlasts the peer's patience, which counts from the
	// last one.
	renewals = 8
	// putBackEvery is how often addresses for ever are put back.
	putBackEvery = time.Second
	// gather is how long a renewal waits for others to go with it. It only makes a lease end later.
	gather = 100 * time.Millisecond
	// batchSize is when what has been gathered is sent, in bytes.
	batchSize = 1 << 15
)

// LeasedAddr is an address on a device, with its options.
type LeasedAddr struct {
	Device  string
	Prefix  netip.Prefix
	Options AddrOptions
}

// Lease is addresses that have been put with a lease and are renewed as long as somebody touches it:
// after a touch once, within a tenth of a second or two, together with those of other Leases. It
// may be used by several goroutines.
type Lease struct {
	host     *Host
	length   time.Duration
	messages []byte // one for each address, in one piece
	failed   func(error)
	touched  atomic.Int64 // since the host's epoch; zero: never
	renewed  atomic.Int64 // likewise
	queued   atomic.Bool  // it waits to be renewed

	// Under renewer.mu.
	ended, removed bool
	before         int64 // the last renewal but one
}

// renewer renews the Leases of a Host with one socket. Its goroutine lives as long as there are any.
type renewer struct {
	host  *Host
	sock  *os.File
	port  uint32 // of sock
	wake  chan struct{}
	life  sync.Mutex // held while the goroutine is begun or ended
	stop  chan struct{}
	ended chan struct{}

	queueing sync.Mutex
	queue    []*Lease // those that were touched

	mu     sync.Mutex // held while the kernel renews
	leases int
	taken  []*Lease // room for what was the queue
	seq    uint32
	batch  []byte
	owners []*Lease // of each message of the batch
	answer []byte
}

// Lease has addresses that have just been put with a lease of that length renewed at every touch,
// until End. Their devices must exist. A length of zero is for ever; then they are put back.
//
// If the kernel refuses, failed is called with the reason, and with nil for a touch that comes so
// late that the lease may be over; then there are no more renewals. It must not block, nor call End.
//
// Each renewal is equivalent to: `ip addr replace PREFIX dev IF valid_lft LEASE preferred_lft LEASE`.
func (h *Host) Lease(addrs []LeasedAddr, length time.Duration, failed func(error)) (*Lease, error) {
	l := &Lease{host: h, length: length, failed: failed}
	for _, a := range addrs {
		s, err := h.Interface(a.Device).link()
		if err != nil {
			return nil, fmt.Errorf("lease %s on %s: %w", a.Prefix, a.Device, err)
		}
		l.messages = append(l.messages, a.message(s.Index, length)...)
	}
	l.renewed.Store(h.elapsed(time.Now()))
	h.leases.add(l)
	return l, nil
}

// Touch says that whoever holds the addresses was alive then. It waits for nothing and costs next
// to nothing.
func (l *Lease) Touch(now time.Time) {
	at := l.host.elapsed(now)
	if at-l.renewed.Load() < int64(l.every()) {
		return
	}
	l.touched.Store(at)
	if !l.queued.Swap(true) {
		l.host.leases.put(l)
	}
}

// Renewed returns when the addresses were last renewed, or put.
func (l *Lease) Renewed() time.Time { return l.host.epoch.Add(time.Duration(l.renewed.Load())) }

// every returns how often a touch renews.
func (l *Lease) every() time.Duration {
	if l.length == 0 {
		return putBackEvery
	}
	return l.length / renewals
}

// late reports whether what was so long ago was longer ago than the lease lasts.
func (l *Lease) late(ago int64) bool { return l.length > 0 && ago >= int64(l.length) }

// End ends the renewals. When it has returned there will be none. A second call does nothing.
func (l *Lease) End() { l.host.leases.remove(l) }

// elapsed returns how long ago the host was opened, more than zero.
func (h *Host) elapsed(now time.Time) int64 { return max(int64(now.Sub(h.epoch)), 1) }

// message returns the request that renews the address. The kernel answers it only if it refuses.
func (a LeasedAddr) message(index int, lease time.Duration) []byte {
	addr := a.Options.address(a.Prefix, lease)
	req := nl.NewNetlinkRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	family := unix.AF_INET
	if a.Prefix.Addr().Is6() {
		family = unix.AF_INET6
	}
	head := nl.NewIfAddrmsg(family)
	head.Scope, head.Index = uint8(addr.Scope), uint32(index)
	head.Prefixlen = uint8(a.Prefix.Bits())
	req.AddData(head)
	local, far := a.Prefix.Addr().AsSlice(), a.Prefix.Addr().AsSlice()
	if a.Options.Peer.IsValid() {
		far = a.Options.Peer.AsSlice()
	}
	req.AddData(nl.NewRtAttr(unix.IFA_LOCAL, local))
	req.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, far))
	req.AddData(nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(uint32(addr.Flags))))
	if b := a.Options.Broadcast; b.IsValid() {
		req.AddData(nl.NewRtAttr(unix.IFA_BROADCAST, b.AsSlice()))
	}
	if addr.Label != "" {
		req.AddData(nl.NewRtAttr(unix.IFA_LABEL, nl.ZeroTerminated(addr.Label)))
	}
	if addr.ValidLft > 0 {
		times := nl.IfaCacheInfo{IfaCacheinfo: unix.IfaCacheinfo{
			Valid: uint32(addr.ValidLft), Prefered: uint32(addr.PreferedLft),
		}}
		req.AddData(nl.NewRtAttr(unix.IFA_CACHEINFO, times.Serialize()))
	}
	return req.Serialize()
}

// openRenewer opens the socket that renews. What comes of its requests is known by its port; see
// newsFilter.
func openRenewer(h *Host) (*renewer, error) {
	kind := unix.SOCK_RAW | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	fd, err := unix.Socket(unix.AF_NETLINK, kind, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open lease netlink: %w", err)
	}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err == nil { // so that an answer is small
		err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	}
	r := &renewer{host: h, wake: make(chan struct{}, 1)}
	if err == nil {
		r.port, err = netlinkPort(fd)
	}
	if err != nil {
		return nil, fmt.Errorf("prepare lease netlink: %w", errors.Join(err, unix.Close(fd)))
	}
	r.sock = os.NewFile(uintptr(fd), "renewals of leases")
	return r, nil
}

func netlinkPort(fd int) (uint32, error) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	own, ok := name.(*unix.SockaddrNetlink)
	if !ok {
		return 0, fmt.Errorf("name of socket is %T", name)
	}
	return own.Pid, nil
}

// add takes a Lease on; with the first one the goroutine begins.
func (r *renewer) add(l *Lease) {
	r.life.Lock()
	defer r.life.Unlock()
	r.mu.Lock()
	r.leases++
	first := r.leases == 1
	r.mu.Unlock()
	if first {
		r.stop, r.ended = make(chan struct{}), make(chan struct{})
		go r.run(r.stop, r.ended)
	}
}

// remove forgets a Lease; with the last one the goroutine ends.
func (r *renewer) remove(l *Lease) {
	r.life.Lock()
	defer r.life.Unlock()
	r.mu.Lock()
	last := false
	if !l.removed {
		l.removed, l.ended = true, true
		r.leases--
		last = r.leases == 0
	}
	r.mu.Unlock()
	if last {
		close(r.stop)
		<-r.ended
	}
}

// put has the goroutine renew the Lease soon.
func (r *renewer) put(l *Lease) {
	r.queueing.Lock()
	r.queue = append(r.queue, l)
	first := len(r.queue) == 1
	r.queueing.Unlock()
	if first {
		notice(r.wake)
	}
}

// run renews what has been touched, until stop.
func (r *renewer) run(stop <-chan struct{}, ended chan<- struct{}) {
	defer close(ended)
	gathered := make(chan struct{}, 1)
	alarm := NewAlarm(func() { notice(gathered) })
	defer alarm.Close()
	for {
		select {
		case <-r.wake:
		case <-stop:
			r.wakeAgain()
			return
		}
		alarm.Set(gather)
		select {
		case <-gathered:
			r.sweep(time.Now())
		case <-stop:
			r.wakeAgain()
			return
		}
	}
}

// wakeAgain leaves word for the next goroutine, for what is in the queue wakes nobody any more.
func (r *renewer) wakeAgain() { notice(r.wake) }

// notice leaves word in a channel that has room for one.
func notice(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sweep renews what was touched.
func (r *renewer) sweep(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queueing.Lock()
	queue := r.queue
	r.queue = r.taken[:0]
	r.queueing.Unlock()
	at := r.host.elapsed(now)
	for i, l := range queue {
		queue[i] = nil
		l.queued.Store(false)
		touched, renewed := l.touched.Load(), l.renewed.Load()
		switch {
		case l.ended || l.late(at-touched): // who touched it may be stuck since
		case l.late(at - renewed):
			r.fail(l, renewed, nil)
		default:
			l.before = renewed
			l.renewed.Store(at)
			r.gather(l)
		}
	}
	r.taken = queue
	r.send()
}

// gather puts the Lease's messages into the batch.
func (r *renewer) gather(l *Lease) {
	const seqAt = 8 // in nlmsghdr; its length comes first
	start := len(r.batch)
	r.batch = append(r.batch, l.messages...)
	for m := r.batch[start:]; len(m) > 0; m = m[binary.NativeEndian.Uint32(m):] {
		r.seq++
		binary.NativeEndian.PutUint32(m[seqAt:], r.seq)
		r.owners = append(r.owners, l)
	}
	if len(r.batch) >= batchSize {
		r.send()
	}
}

// send has the kernel carry out the batch, which it has done when send returns.
func (r *renewer) send() {
	owners := r.owners
	first := r.seq - uint32(len(owners)) + 1
	defer func() { r.batch, r.owners = r.batch[:0], r.owners[:0] }()
	if len(owners) == 0 {
		return
	}
	raw, err := r.sock.SyscallConn()
	if err == nil {
		ctrlErr := raw.Control(func(fd uintptr) {
			err = unix.Sendto(int(fd), r.batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
			if err == nil {
				err = r.read(int(fd), func(seq uint32, refused error) {
					if i := seq - first; i < uint32(len(owners)) {
						r.fail(owners[i], owners[i].before, refused)
					}
				})
			}
		})
		err = errors.Join(err, ctrlErr)
	}
	if err != nil { // then nobody knows what has been done
		for _, l := range owners {
			r.fail(l, l.before, err)
		}
	}
}

// read calls refused for each answer of the kernel's that there is.
func (r *renewer) read(fd int, refused func(seq uint32, err error)) error {
	if r.answer == nil {
		r.answer = make([]byte, batchSize)
	}
	for {
		n, _, err := unix.Recvfrom(fd, r.answer, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("read answer: %w", err)
		}
		messages, err := syscall.ParseNetlinkMessage(r.answer[:n])
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		for _, m := range messages {
			if m.Header.Type != unix.NLMSG_ERROR || len(m.Data) < 4 {
				continue
			}
			if code := int32(binary.NativeEndian.Uint32(m.Data)); code < 0 {
				refused(m.Header.Seq, unix.Errno(-code))
			}
		}
	}
}

// fail ends a Lease that was last renewed then and cannot be renewed.
func (r *renewer) fail(l *Lease, renewed int64, err error) {
	if l.ended {
		return
	}
	l.ended = true
	l.renewed.Store(renewed)
	if err != nil {
		err = fmt.Errorf("renew addresses: %w", err)
	}
	l.failed(err)
}
