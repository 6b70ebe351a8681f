package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// The questions of getsockopt(2) about IPVS, and the sizes of what it answers in. It is the one
// interface that says in one system call how many real servers each virtual service has, so that
// looking often costs the director that is measured next to nothing. It knows IPv4 only.
//
// Source: include/uapi/linux/ip_vs.h; do_ip_vs_get_ctl in net/netfilter/ipvs/ip_vs_ctl.c.
const (
	soGetServices = 1024 + 64 + 64 + 2
	soGetDests    = 1024 + 64 + 64 + 4

	servicesHead, serviceEntry, offsetCount   = 8, 104, 44
	destsHead, destEntry, offsetWeight        = 24, 96, 12
	offsetAddr, offsetPort, offsetDestsWanted = 4, 8, 16
)

// kernelTable reads the virtual services of a node's kernel.
type kernelTable struct{ socket int }

// openTable opens the table of a node. The caller closes it.
func openTable(ctx context.Context, n *lab.Node) (*kernelTable, error) {
	t := &kernelTable{}
	err := n.Do(ctx, func() (err error) {
		t.socket, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open table of %s: %w", n, err)
	}
	return t, nil
}

func (t *kernelTable) close() error { return unix.Close(t.socket) }

// ask has the kernel fill an answer, which holds the question.
func (t *kernelTable) ask(question int, answer []byte) error {
	size := uint32(len(answer))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(t.socket), unix.IPPROTO_IP,
		uintptr(question), uintptr(unsafe.Pointer(&answer[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// realServers returns how many real servers the first so many virtual services have together.
func (t *kernelTable) realServers(services int) (int, error) {
	answer := make([]byte, servicesHead+services*serviceEntry)
	binary.NativeEndian.PutUint32(answer, uint32(services))
	if err := t.ask(soGetServices, answer); err != nil {
		return 0, fmt.Errorf("read virtual services: %w", err)
	}
	return sumCounts(answer), nil
}

// sumCounts adds up the real servers of an answer's services. Those that are not there are zero.
func sumCounts(answer []byte) int {
	sum := 0
	for at := servicesHead; at+serviceEntry <= len(answer); at += serviceEntry {
		sum += int(binary.NativeEndian.Uint32(answer[at+offsetCount:]))
	}
	return sum
}

// weight returns the weight of one of the first so many real servers of a virtual service by TCP,
// and false where it is not there.
func (t *kernelTable) weight(service, server netip.AddrPort, servers int) (int, bool, error) {
	answer := make([]byte, destsHead+servers*destEntry)
	binary.NativeEndian.PutUint16(answer, unix.IPPROTO_TCP)
	putAddrPort(answer[offsetAddr:], service)
	binary.NativeEndian.PutUint32(answer[offsetDestsWanted:], uint32(servers))
	err := t.ask(soGetDests, answer)
	if errors.Is(err, unix.ESRCH) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read real servers of %s: %w", service, err)
	}
	weight, there := weightIn(answer, server)
	return weight, there, nil
}

// weightIn finds a real server in an answer.
func weightIn(answer []byte, server netip.AddrPort) (int, bool) {
	var want [6]byte
	putAddrPort(want[:], server)
	for at := destsHead; at+destEntry <= len(answer); at += destEntry {
		if [6]byte(answer[at:]) == want {
			return int(int32(binary.NativeEndian.Uint32(answer[at+offsetWeight:]))), true
		}
	}
	return 0, false
}

// putAddrPort writes an IPv4 address and a port as the network has them.
func putAddrPort(b []byte, a netip.AddrPort) {
	addr := a.Addr().As4()
	copy(b, addr[:])
	binary.BigEndian.PutUint16(b[4:], a.Port())
}

// tablePoll is how often the table is read while something is awaited of it.
const tablePoll = 4 * time.Millisecond

// await reads the table until done, which returns the time at which the last read began.
func (t *kernelTable) await(
	ctx context.Context, running *lab.Process, done func() (bool, error),
) (time.Time, error) {
	tick := time.NewTicker(tablePoll)
	defer tick.Stop()
	for {
		at := time.Now()
		if ok, err := done(); ok || err != nil {
			return at, err
		}
		select {
		case <-tick.C:
		case <-running.Done():
			return at, fmt.Errorf("%s ended with status %d: %q", running, running.Status(),
				running.Tail(3))
		case <-ctx.Done():
			return at, context.Cause(ctx)
		}
	}
}
