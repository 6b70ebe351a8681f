package ipvs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Glancer is a Table of which can be told whether it has changed for less than to list it: a daemon
// that lists thousands of destinations every Interval does nothing as much as that.
type Glancer interface {
	// Glance returns a print of those services as the table has them. Two that are equal are of the
	// same. The error says that there is none, as of services of which it would not tell all.
	Glance(services Services) (uint64, error)
}

// glanceFull is after how many equal prints the table is listed all the same: a print does not know
// everything that others can change.
const glanceFull = 20

// errNoGlance is why there is no print.
var errNoGlance = errors.New("no print of these services")

// The questions of getsockopt(2) about IPVS, and the sizes of what it answers in; what identifies
// and sets an entry comes before its counters. It knows IPv4, and neither tunnels nor engines.
//
// Source: include/uapi/linux/ip_vs.h; do_ip_vs_get_ctl in net/netfilter/ipvs/ip_vs_ctl.c.
const (
	soGetInfo     = 1024 + 64 + 64 + 1
	soGetServices = soGetInfo + 1
	soGetDests    = soGetInfo + 3

	infoSize, infoCount = 12, 8

	servicesHead, serviceSize, serviceSettings = 8, 104, 48
	destsHead, destSize, destSettings          = 24, 96, 24
	destsAddr, destsPort, destsMark, destsHave = 4, 8, 12, 16
	serviceCount                               = 44
)

// eye reads the table by getsockopt. It is used by one goroutine at a time.
type eye struct {
	socket int // -1 is none
	seed   maphash.Seed
	buf    []byte
}

// openEye opens the table of the calling thread's network namespace.
func openEye() *eye {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		fd = -1 // what can be told can be listed, too
	}
	return &eye{socket: fd, seed: maphash.MakeSeed()}
}

func (e *eye) close() error {
	if e == nil || e.socket < 0 {
		return nil
	}
	fd := e.socket
	e.socket = -1
	return unix.Close(fd)
}

// Glance implements Glancer by IPv4 services without tunnels and engines.
func (k *Kernel) Glance(services Services) (uint64, error) {
	k.seeing.Lock()
	defer k.seeing.Unlock()
	if k.eye == nil || k.eye.socket < 0 || !plain(services) {
		return 0, errNoGlance
	}
	return k.eye.look(services)
}

// plain says whether a print tells all of the services.
func plain(services Services) bool {
	for i := range services {
		s := &services[i]
		if s.Key.IsIPv6() || s.Settings.Engine != "" {
			return false
		}
		for j := range s.Destinations {
			if d := &s.Destinations[j]; d.Forward == TUN || !d.Addr.Addr().Is4() {
				return false
			}
		}
	}
	return true
}

// look makes a print: of the settings of all services, and of the destinations of those.
func (e *eye) look(services Services) (uint64, error) {
	answer, err := e.ask(soGetInfo, e.room(infoSize))
	if err != nil {
		return 0, fmt.Errorf("count services: %w", err)
	}
	count := int(binary.NativeEndian.Uint32(answer[infoCount:]))
	answer = e.room(servicesHead + count*serviceSize)
	binary.NativeEndian.PutUint32(answer, uint32(count))
	if answer, err = e.ask(soGetServices, answer); err != nil {
		return 0, fmt.Errorf("list services: %w", err)
	}
	var hash maphash.Hash
	hash.SetSeed(e.seed)
	for at := servicesHead; at+serviceSize <= len(answer); at += serviceSize {
		_, _ = hash.Write(answer[at : at+serviceSettings])
	}
	for i := range services {
		s := &services[i]
		if err := e.destinations(&hash, s.Key, len(s.Destinations)); err != nil {
			return 0, fmt.Errorf("list destinations of %s: %w", s.Key, err)
		}
	}
	return hash.Sum64(), nil
}

// destinations adds those of a service, which has so many. Of one that has more, the number among
// the settings of its service tells.
func (e *eye) destinations(hash *maphash.Hash, k Key, many int) error {
	answer := e.room(destsHead + many*destSize)
	if k.Mark == 0 {
		addr := k.Addr.Addr().As4()
		binary.NativeEndian.PutUint16(answer, uint16(k.Protocol))
		copy(answer[destsAddr:], addr[:])
		binary.BigEndian.PutUint16(answer[destsPort:], k.Addr.Port())
	}
	binary.NativeEndian.PutUint32(answer[destsMark:], k.Mark)
	binary.NativeEndian.PutUint32(answer[destsHave:], uint32(many))
	answer, err := e.ask(soGetDests, answer)
	if err != nil {
		return err
	}
	for at := destsHead; at+destSize <= len(answer); at += destSize {
		_, _ = hash.Write(answer[at : at+destSettings])
	}
	return nil
}

// room returns so many bytes of zero, which are good until the next call.
func (e *eye) room(size int) []byte {
	if cap(e.buf) < size {
		e.buf = make([]byte, size)
	}
	e.buf = e.buf[:size]
	clear(e.buf)
	return e.buf
}

// ask has the kernel fill an answer, which holds the question.
func (e *eye) ask(question int, answer []byte) ([]byte, error) {
	size := uint32(len(answer))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(e.socket), unix.IPPROTO_IP,
		uintptr(question), uintptr(unsafe.Pointer(&answer[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return nil, errno
	}
	return answer[:min(int(size), len(answer))], nil
}

// glances is what a Reconciler remembers of prints.
type glances struct {
	seen  uint64 // the print of the table when it was right
	known bool   // seen is one
	left  int    // how many more may be equal before the table is listed
}

// unchanged says whether the table is what it was when it was right, so that there is no need to
// list it. What right must be called with when it is not, and nothing was wrong with it, is the
// print of before it was listed: what has changed since then makes another.
func (r *Reconciler) unchanged(want Services) (same bool, right func()) {
	g, can := r.table.(Glancer)
	if !can {
		return false, func() {}
	}
	now, err := g.Glance(want)
	if err == nil && r.glances.known && now == r.glances.seen && r.glances.left > 0 {
		r.glances.left--
		return true, nil
	}
	r.glances = glances{}
	return false, func() {
		if err == nil {
			r.glances = glances{seen: now, known: true, left: glanceFull}
		}
	}
}
