package netif

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Local is what one network namespace has: its addresses, and its interfaces that are up. It is not
// safe for concurrent use.
type Local struct {
	sock *os.File
	eyes *netlink.Handle
	now  Here
}

// Here is what a namespace has at a moment. It is only to be read.
type Here struct {
	// Addrs are the addresses that can be used, of all interfaces.
	Addrs map[netip.Addr]bool
	// Up are the interfaces that are up and have their carrier, by index.
	Up map[int]bool
}

// More says whether something is in h that is not in before.
func (h Here) More(before Here) bool {
	for a := range h.Addrs {
		if !before.Addrs[a] {
			return true
		}
	}
	for index := range h.Up {
		if !before.Up[index] {
			return true
		}
	}
	return false
}

// settling is from the first news to the look that it is good for: many come together.
const settling = 20 * time.Millisecond

// OpenLocal looks around in the network namespace of the calling thread. Close it, or have Watch do
// that.
func OpenLocal() (*Local, error) {
	eyes, err := openRoute()
	if err != nil {
		return nil, err
	}
	l := &Local{eyes: eyes}
	if l.sock, err = subscribe(0); err == nil { // nobody has port 0: renewals of others are heard
		l.now, err = l.look()
	}
	if err != nil {
		return nil, fmt.Errorf("look for local addresses: %w", errors.Join(err, l.Close()))
	}
	return l, nil
}

// Now is what was there at the last look.
func (l *Local) Now() Here { return l.now }

// Close ends it.
func (l *Local) Close() error {
	l.eyes.Close()
	if l.sock == nil {
		return nil
	}
	return l.sock.Close()
}

// Watch calls changed with what there is whenever that has changed, until ctx ends, and closes l.
// An error says why it cannot go on.
func (l *Local) Watch(ctx context.Context, changed func(Here)) error {
	defer l.Close() // it was only read
	stop := context.AfterFunc(ctx, func() { _ = l.sock.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		if err := l.wait(); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("hear of local addresses: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(settling):
		}
		now, err := l.look()
		if err != nil {
			return err
		}
		if before := l.now; !maps.Equal(now.Addrs, before.Addrs) || !maps.Equal(now.Up, before.Up) {
			l.now = now
			changed(now)
		}
	}
}

// wait returns nil once there is news.
func (l *Local) wait() error {
	raw, err := l.sock.SyscallConn()
	if err != nil {
		return err
	}
	buf := make([]byte, newsSize)
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		var news bool
		news, failed = l.hear(int(fd), buf)
		return news || failed != nil
	})
	return errors.Join(err, failed)
}

// hear reads all that has arrived, and says whether any of it is news.
func (l *Local) hear(fd int, buf []byte) (news bool, err error) {
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return news, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS): // something was lost
			news = true
		case err != nil:
			return false, err
		default:
			messages, err := syscall.ParseNetlinkMessage(buf[:n])
			if err != nil {
				return false, fmt.Errorf("read news of addresses: %w", err)
			}
			for _, m := range messages {
				news = news || l.isNews(m)
			}
		}
	}
}

// isNews says whether a message is of something else than what is known.
func (l *Local) isNews(m syscall.NetlinkMessage) bool {
	switch m.Header.Type {
	case unix.RTM_NEWLINK:
		if len(m.Data) < unix.SizeofIfInfomsg {
			return true
		}
		index := int(binary.NativeEndian.Uint32(m.Data[4:]))
		return isUp(binary.NativeEndian.Uint32(m.Data[8:])) != l.now.Up[index]
	case unix.RTM_NEWADDR:
		if len(m.Data) < unix.SizeofIfAddrmsg {
			return true
		}
		attrs, err := nl.ParseRouteAttr(m.Data[unix.SizeofIfAddrmsg:])
		if err != nil {
			return true
		}
		var a addrNews
		for _, attr := range attrs {
			a.read(attr)
		}
		usable := a.flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) == 0
		return usable != l.now.Addrs[a.prefix(m.Data).Addr()]
	case unix.RTM_DELLINK, unix.RTM_DELADDR:
		return true
	}
	return false
}

func isUp(flags uint32) bool {
	const up = unix.IFF_UP | unix.IFF_RUNNING
	return flags&up == up
}

// look asks the kernel, again if changes interrupt it.
func (l *Local) look() (here Here, err error) {
	for range lookAttempts {
		apart(func() { here, err = l.ask() })
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return here, err
}

func (l *Local) ask() (Here, error) {
	here := Here{Addrs: map[netip.Addr]bool{}, Up: map[int]bool{}}
	links, err := l.eyes.LinkList()
	if err != nil {
		return here, fmt.Errorf("list links: %w", err)
	}
	for _, link := range links {
		if a := link.Attrs(); isUp(a.RawFlags) {
			here.Up[a.Index] = true
		}
	}
	addrs, err := l.eyes.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return here, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		var s State
		s.add(a)
		for _, p := range s.Addrs {
			here.Addrs[p.Addr()] = true
		}
	}
	return here, nil
}
