package faults

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// volley sends frames, many of them by one system call.
type volley struct {
	raw      syscall.RawConn
	messages []message
	parts    []unix.Iovec
}

// message is the kernel's struct mmsghdr.
type message struct {
	header unix.Msghdr
	_      uint32 // how many bytes of it were sent
}

// newVolley sends by a packet socket that is bound to an interface.
func newVolley(conn syscall.Conn) (*volley, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("prepare volley: %w", err)
	}
	return &volley{raw: raw}, nil
}

// send sends the frames, none of which is empty, and returns how many the kernel took: the rest found
// no room in a queue.
func (v *volley) send(frames [][]byte) (int, error) {
	v.load(frames)
	sent := 0
	for sent < len(frames) {
		n, err := v.fire(v.messages[sent:len(frames)])
		sent += n
		if errors.Is(err, unix.ENOBUFS) {
			return sent, nil
		}
		if err != nil {
			return sent, fmt.Errorf("send %d frames: %w", len(frames), err)
		}
	}
	return sent, nil
}

// load points the messages to the frames.
func (v *volley) load(frames [][]byte) {
	if len(v.messages) < len(frames) {
		v.messages, v.parts = make([]message, len(frames)), make([]unix.Iovec, len(frames))
	}
	for i, f := range frames {
		v.parts[i].Base = &f[0]
		v.parts[i].SetLen(len(f))
		v.messages[i].header = unix.Msghdr{Iov: &v.parts[i]}
		v.messages[i].header.SetIovlen(1)
	}
}

// fire sends messages by one call and waits for room in the socket.
func (v *volley) fire(messages []message) (sent int, err error) {
	ctrlErr := v.raw.Write(func(fd uintptr) bool {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd,
			uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EAGAIN {
			return false
		}
		sent = int(n)
		if errno != 0 {
			sent, err = 0, errno
		}
		return true
	})
	return sent, errors.Join(err, ctrlErr)
}
