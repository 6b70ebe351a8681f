package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// acceptor is a server that accepts connections at all addresses of a node, closes them, and knows
// when each came. It makes two system calls for a connection, or three where it is to know for
// which address, so that next to nothing of the processor is its own.
type acceptor struct {
	socket  int
	running sync.WaitGroup

	mu sync.Mutex
	// addressed says that the addresses are to be known.
	addressed bool
	times     []time.Time // of all connections since the last reset
	last      map[netip.Addr]time.Time
}

// acceptBacklog is how many connections may wait for it, as many as the kernel allows by default: a
// machine that stands still for a while does not make a server look ill.
const acceptBacklog = 4096

// startAcceptor starts one on a node. The caller closes it.
func startAcceptor(ctx context.Context, n *lab.Node, port uint16) (*acceptor, error) {
	a := &acceptor{last: map[netip.Addr]time.Time{}}
	err := n.Do(ctx, func() (err error) {
		a.socket, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		err = unix.Bind(a.socket, &unix.SockaddrInet4{Port: int(port)})
		if err == nil {
			err = unix.Listen(a.socket, acceptBacklog)
		}
		if err != nil {
			return errors.Join(err, unix.Close(a.socket))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("start server on %s: %w", n, err)
	}
	a.running.Go(a.run)
	return a, nil
}

// run accepts until close.
func (a *acceptor) run() {
	for {
		fd, from, err := unix.Accept4(a.socket, unix.SOCK_CLOEXEC)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EBADF) {
			return // it is not to accept any more
		}
		if err != nil || from == nil {
			continue
		}
		a.note(fd)
		_ = unix.Close(fd)
	}
}

// note keeps when a connection came.
func (a *acceptor) note(fd int) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times = append(a.times, now)
	if !a.addressed {
		return
	}
	if to, err := unix.Getsockname(fd); err == nil {
		if to, ok := to.(*unix.SockaddrInet4); ok {
			a.last[netip.AddrFrom4(to.Addr)] = now
		}
	}
}

// reset forgets all connections; from now on the addresses are known or not.
func (a *acceptor) reset(addressed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times, a.addressed = nil, addressed
	clear(a.last)
}

// accepted returns when connections came since the last reset.
func (a *acceptor) accepted() []time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.times[:len(a.times):len(a.times)]
}

// lastOf returns when the last connection to an address came; zero if none has.
func (a *acceptor) lastOf(addr netip.Addr) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last[addr]
}

// close ends it.
func (a *acceptor) close() {
	_ = unix.Shutdown(a.socket, unix.SHUT_RDWR) // wakes what accepts
	a.running.Wait()
	_ = unix.Close(a.socket)
}

// busiest returns the most connections that came within one bin of time, and the mean.
func busiest(times []time.Time, from time.Time, length, bin time.Duration) (most int, mean float64) {
	bins := make([]int, max(length/bin, 1))
	sum := 0
	for _, at := range times {
		if i := int(at.Sub(from) / bin); at.After(from) && i < len(bins) {
			bins[i]++
			sum++
		}
	}
	for _, n := range bins {
		most = max(most, n)
	}
	return most, float64(sum) / float64(len(bins))
}
