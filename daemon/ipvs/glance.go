package ipvs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Glancer is a Table of which can be told what is right for less than to list it: a daemon that
// lists thousands of destinations every Interval does nothing as much as that.
type Glancer interface {
	// Glance says of each of those services whether it is in the table just as it is there. True is
	// so; false is to be looked at, as of a service of which a glance does not tell all. The error
	// says that nothing can be told.
	Glance(services Services) ([]bool, error)
}

// glanceFull is after how many glances the table is listed all the same: a glance does not know
// everything that others can change.
const glanceFull = 20

// errNoGlance is why nothing can be told.
var errNoGlance = errors.New("the table cannot be glanced at")

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
	destsHead, destSize                        = 24, 96
	destsAddr, destsPort, destsMark, destsHave = 4, 8, 12, 16

	serviceAddr, servicePort, serviceMark, serviceIdentity = 4, 8, 12, 16
	serviceScheduler, serviceFlags, serviceTimeout         = 16, 32, 36
	serviceMask, serviceCount                              = 40, 44
	destPortAt, destFlags, destWeightAt                    = 4, 8, 12
	destUpperAt, destLowerAt                               = 16, 20
)

// eye reads the table by getsockopt. It is used by one goroutine at a time.
type eye struct {
	socket int // -1 is none
	// The rest is memory that each look uses again: of answers about services, which known points
	// into, and about destinations, and of sameSet.
	services, dests []byte
	known           map[entry]*settingsEntry
	places          map[netip.AddrPort]int
}

// openEye opens the table of the calling thread's network namespace.
func openEye() *eye {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		fd = -1 // what can be told can be listed, too
	}
	return &eye{socket: fd, known: make(map[entry]*settingsEntry),
		places: make(map[netip.AddrPort]int)}
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
func (k *Kernel) Glance(services Services) ([]bool, error) {
	k.seeing.Lock()
	defer k.seeing.Unlock()
	if k.eye == nil || k.eye.socket < 0 {
		return nil, errNoGlance
	}
	return k.eye.look(services)
}

// look is Glance.
func (e *eye) look(services Services) ([]bool, error) {
	settings, err := e.settings()
	if err != nil {
		return nil, err
	}
	right := make([]bool, len(services))
	for i := range services {
		s := &services[i]
		own, there := settings[entryOf(s.Key)]
		if !there || s.IsIPv6() || !own.are(s) {
			continue
		}
		right[i], err = e.destinationsAre(s)
		if err != nil && !errors.Is(err, unix.ESRCH) { // ESRCH: it has gone since
			return nil, fmt.Errorf("list destinations of %s: %w", s.Key, err)
		}
	}
	return right, nil
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

// settingsEntry is what an answer says of a service, but for its counters.
type settingsEntry [serviceSettings]byte

// are says whether they are those of s, with as many destinations.
func (b *settingsEntry) are(s *Service) bool {
	number := func(at int) uint32 { return binary.NativeEndian.Uint32(b[at:]) }
	name, _, _ := bytes.Cut(b[serviceScheduler:serviceFlags], []byte{0})
	if string(name) != string(s.Scheduler) || int(number(serviceCount)) != len(s.Destinations) {
		return false
	}
	flags := number(serviceFlags)
	have := Settings{Scheduler: s.Scheduler, Flags: Flags(flags) & allFlags,
		PersistenceBits: fromNetmask(b[serviceMask:serviceCount], false)}
	if flags&flagPersistent != 0 {
		have.Persistence = time.Duration(number(serviceTimeout)) * time.Second
	}
	return have.canonical(s.Key) == s.Settings.canonical(s.Key)
}

// settings returns those of all services; they are good until the next call.
func (e *eye) settings() (map[entry]*settingsEntry, error) {
	answer, err := e.ask(soGetInfo, room(&e.services, infoSize))
	if err != nil {
		return nil, fmt.Errorf("count services: %w", err)
	}
	count := int(binary.NativeEndian.Uint32(answer[infoCount:]))
	answer = room(&e.services, servicesHead+count*serviceSize)
	binary.NativeEndian.PutUint32(answer, uint32(count))
	if answer, err = e.ask(soGetServices, answer); err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	clear(e.known)
	for at := servicesHead; at+serviceSize <= len(answer); at += serviceSize {
		of := entry(answer[at:])
		if mark := binary.NativeEndian.Uint32(of[serviceMark:]); mark != 0 {
			of = entryOf(Key{Mark: mark})
		}
		e.known[of] = (*settingsEntry)(answer[at:])
	}
	return e.known, nil
}

// destinationsAre says whether the destinations of a service, which has as many, are those of s,
// in any order.
func (e *eye) destinationsAre(s *Service) (bool, error) {
	k, n := s.Key, len(s.Destinations)
	answer := room(&e.dests, destsHead+n*destSize)
	if k.Mark == 0 {
		addr := k.Addr.Addr().As4()
		binary.NativeEndian.PutUint16(answer, uint16(k.Protocol))
		copy(answer[destsAddr:], addr[:])
		binary.BigEndian.PutUint16(answer[destsPort:], k.Addr.Port())
	}
	binary.NativeEndian.PutUint32(answer[destsMark:], k.Mark)
	binary.NativeEndian.PutUint32(answer[destsHave:], uint32(n))
	answer, err := e.ask(soGetDests, answer)
	if err != nil || len(answer) != destsHead+n*destSize {
		return false, err
	}
	have := func(i int) Destination { return destinationIn(answer[destsHead+i*destSize:]) }
	for i := range n {
		if have(i) != s.Destinations[n-1-i] { // the kernel has the newest first
			return e.sameSet(n, have, s.Destinations), nil
		}
	}
	return true, nil
}

// sameSet says whether the n that have returns, no two of which have one address, are those of
// want.
func (e *eye) sameSet(n int, have func(int) Destination, want []Destination) bool {
	clear(e.places)
	for i := range want {
		e.places[want[i].Addr] = i
	}
	for i := range n {
		d := have(i)
		if at, wanted := e.places[d.Addr]; !wanted || want[at] != d {
			return false
		}
	}
	return true
}

// destinationIn reads an entry of an answer. A tunnel is none, for it would not be whole.
func destinationIn(b []byte) Destination {
	number := func(at int) uint32 { return binary.NativeEndian.Uint32(b[at:]) }
	forward := fromForwardFlags(number(destFlags))
	if forward == TUN {
		return Destination{}
	}
	return Destination{
		Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)),
			binary.BigEndian.Uint16(b[destPortAt:])),
		Forward: forward, Weight: int(int32(number(destWeightAt))),
		Upper: number(destUpperAt), Lower: number(destLowerAt),
	}
}

// room returns so many bytes of zero in buf, which is made larger if need be.
func room(buf *[]byte, size int) []byte {
	if cap(*buf) < size {
		*buf = make([]byte, size)
	}
	*buf = (*buf)[:size]
	clear(*buf)
	return *buf
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

// doubtful returns the services that may not be as they are wanted, and whether it is enough to
// look at them. Else the table is to be listed.
func (r *Reconciler) doubtful(want Services) (some Services, enough bool) {
	g, can := r.table.(Glancer)
	if !can || r.glances == 0 {
		return nil, false
	}
	right, err := g.Glance(want)
	if err != nil {
		return nil, false // what can be told can be listed, too
	}
	for i := range want {
		if !right[i] {
			some = append(some, want[i])
		} else if k := want[i].Key; r.retry[k] != nil {
			r.settle(k)
		}
	}
	return some, 2*len(some) <= len(want)
}
