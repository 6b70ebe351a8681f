package ipvs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Glancer is a Table of which can be told what has changed for less than to list it: a daemon that
// lists thousands of destinations every Interval does nothing as much as that.
type Glancer interface {
	// Glance returns a print of each of those services as the table has it, in their order. Two
	// prints of a service that are equal are of the same. 0 is none, as of a service that is not
	// there, or of which a print would not tell all. The error says that there are none at all.
	Glance(services Services) ([]uint64, error)
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

	serviceAddr, servicePort, serviceMark, serviceIdentity = 4, 8, 12, 16
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
func (k *Kernel) Glance(services Services) ([]uint64, error) {
	k.seeing.Lock()
	defer k.seeing.Unlock()
	if k.eye == nil || k.eye.socket < 0 {
		return nil, errNoGlance
	}
	return k.eye.look(services)
}

// plain says whether a print tells all of the service.
func (s *Service) plain() bool {
	if s.Key.IsIPv6() || s.Settings.Engine != "" {
		return false
	}
	for i := range s.Destinations {
		if d := &s.Destinations[i]; d.Forward == TUN || !d.Addr.Addr().Is4() {
			return false
		}
	}
	return true
}

// look makes prints: of the settings of services, and of their destinations.
func (e *eye) look(services Services) ([]uint64, error) {
	settings, err := e.settings()
	if err != nil {
		return nil, err
	}
	prints := make([]uint64, len(services))
	var hash maphash.Hash
	hash.SetSeed(e.seed)
	for i := range services {
		s := &services[i]
		own, there := settings[entryOf(s.Key)]
		if !there || !s.plain() {
			continue
		}
		hash.Reset()
		maphash.WriteComparable(&hash, own)
		switch err := e.destinations(&hash, s.Key, len(s.Destinations)); {
		case err == nil:
			prints[i] = max(hash.Sum64(), 1)
		case !errors.Is(err, unix.ESRCH): // it has gone since
			return nil, fmt.Errorf("list destinations of %s: %w", s.Key, err)
		}
	}
	return prints, nil
}

// entry is what identifies a service in an answer: protocol, address, port and mark.
type entry [serviceIdentity]byte

// entryOf returns that of a service that is not of IPv6.
func entryOf(k Key) entry {
	var b entry
	if k.Mark != 0 {
		binary.NativeEndian.PutUint32(b[serviceMark:], k.Mark)
		return b
	}
	if k.IsIPv6() {
		return b // the kernel's list has no such services
	}
	addr := k.Addr.Addr().As4()
	binary.NativeEndian.PutUint16(b[:], uint16(k.Protocol))
	copy(b[serviceAddr:], addr[:])
	binary.BigEndian.PutUint16(b[servicePort:], k.Addr.Port())
	return b
}

// settings returns those of all services, with the number of their destinations.
func (e *eye) settings() (map[entry][serviceSettings]byte, error) {
	answer, err := e.ask(soGetInfo, e.room(infoSize))
	if err != nil {
		return nil, fmt.Errorf("count services: %w", err)
	}
	count := int(binary.NativeEndian.Uint32(answer[infoCount:]))
	answer = e.room(servicesHead + count*serviceSize)
	binary.NativeEndian.PutUint32(answer, uint32(count))
	if answer, err = e.ask(soGetServices, answer); err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	all := make(map[entry][serviceSettings]byte, count)
	for at := servicesHead; at+serviceSize <= len(answer); at += serviceSize {
		of := entry(answer[at:])
		if mark := binary.NativeEndian.Uint32(of[serviceMark:]); mark != 0 {
			of = entryOf(Key{Mark: mark})
		}
		all[of] = [serviceSettings]byte(answer[at:])
	}
	return all, nil
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
	// seen are the prints of services when they were right; nil is none.
	seen map[Key]uint64
	left int // how many more looks may be by prints before the table is listed
}

// doubtful returns the places of the services that may not be what they were when they were right, by
// their prints now; and whether it is enough to look at them. Else the table is to be listed.
func (g *glances) doubtful(want Services, prints []uint64) (places []int, enough bool) {
	if g.left <= 0 || prints == nil {
		return nil, false
	}
	for i := range want {
		if p := prints[i]; p == 0 || g.seen[want[i].Key] != p {
			places = append(places, i)
		}
	}
	return places, 2*len(places) <= len(want)
}

// note remembers the print of a service that was right.
func (g *glances) note(k Key, print uint64) {
	if print == 0 {
		return
	}
	if g.seen == nil {
		g.seen = make(map[Key]uint64)
	}
	g.seen[k] = print
}

// prints returns those of services; nil where there are none.
func (r *Reconciler) prints(want Services) []uint64 {
	g, can := r.table.(Glancer)
	if !can {
		return nil
	}
	prints, err := g.Glance(want)
	if err != nil {
		return nil // what can be told can be listed, too
	}
	return prints
}
