package netif

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// message is a packet that leaves, in the kernel's form. The zero value is empty. It must not be
// moved once it is being filled.
type message struct {
	payload unix.Iovec
	to4     unix.RawSockaddrInet4
	to6     unix.RawSockaddrInet6
	to      *byte // to4 or to6
	toLen   uint32
	used    int                  // of control, in bytes
	control [controlWords]uint64 // aligned as the kernel's structures are
}

const (
	// controlWords are enough for the longest source address and a TTL.
	controlWords = 8
	wordSize     = 8
	// intSize is that of an option that is a number.
	intSize = 4
)

// load has m carry b; nil is nothing.
func (m *message) load(b []byte) {
	m.payload.Base = unsafe.SliceData(b)
	m.payload.SetLen(len(b))
}

// addressed has m go to an address of the kernel's form, which stays where it is until m has left.
func (m *message) addressed(to unsafe.Pointer, length uint32) {
	m.to, m.toLen = (*byte)(to), length
}

// option adds a control message, which sets an option of this packet alone. There has to be room.
//
// Source: cmsg(3).
func (m *message) option(level, kind int32, value unsafe.Pointer, size int) {
	room := unsafe.Slice((*byte)(unsafe.Pointer(&m.control)), controlWords*wordSize)[m.used:]
	h := (*unix.Cmsghdr)(unsafe.Pointer(&room[0]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(size))
	copy(room[unix.CmsgLen(0):], unsafe.Slice((*byte)(value), size))
	m.used += unix.CmsgSpace(size)
}

// head fills the header that the kernel takes m by.
func (m *message) head(h *unix.Msghdr) {
	h.Name, h.Namelen = m.to, m.toLen
	h.Iov = &m.payload
	h.SetIovlen(1)
	h.Control = (*byte)(unsafe.Pointer(&m.control))
	h.SetControllen(m.used)
}

// sendFlags have a call send without waiting: so the scheduler need not know of it. It would else
// wake its monitor, which costs as much as an advert.
const sendFlags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL

// send sends a packet without waiting. The payload is not empty.
func (r *ear) send(payload []byte, src, dst netip.Addr, ttl int) error {
	var m message
	r.wire.address(&m, r.key.via(), src, dst, ttl)
	m.load(payload)
	var h unix.Msghdr
	m.head(&h)
	return r.control(func(fd int) error {
		for {
			_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd),
				uintptr(unsafe.Pointer(&h)), sendFlags)
			switch errno {
			case 0:
				return nil
			case unix.EINTR:
			default:
				return errno
			}
		}
	})
}
