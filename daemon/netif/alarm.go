package netif

import (
	"encoding/binary"
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Alarm calls a function at a time that can be changed. It does what time.AfterFunc does, but by
// a timer of the kernel's: those of the runtime wake the process a little too early, and again,
// and its monitor several times, which takes as long as to send some dozen adverts. Its goroutine
// ends with Close.
type Alarm struct {
	file  *os.File
	raw   syscall.RawConn
	ended chan struct{}
	// other is one of the runtime's, where the kernel has none; then the other fields are nil.
	other *time.Timer
}

// NewAlarm returns one that calls ring, which must not block, but not before Set says when.
func NewAlarm(ring func()) *Alarm {
	a, err := newAlarm()
	if err != nil {
		t := time.AfterFunc(time.Hour, ring)
		t.Stop()
		return &Alarm{other: t}
	}
	go a.run(ring)
	return a
}

func newAlarm() (*Alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	a := &Alarm{file: os.NewFile(uintptr(fd), "alarm"), ended: make(chan struct{})}
	if a.raw, err = a.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, a.file.Close())
	}
	return a, nil
}

// Set has the function be called after that long, at once if it is not above zero, and not when
// it was set to before.
func (a *Alarm) Set(after time.Duration) {
	if a.other != nil {
		a.other.Reset(after)
		return
	}
	// It only fails after Close.
	_ = a.raw.Control(func(fd uintptr) { setTimer(int(fd), after) })
}

// Close has the function be called no more. A second call does nothing.
func (a *Alarm) Close() {
	if a.other != nil {
		a.other.Stop()
		return
	}
	if a.file.Close() == nil {
		<-a.ended
	}
}

// run calls ring until Close.
func (a *Alarm) run(ring func()) {
	defer close(a.ended)
	for a.raw.Read(func(fd uintptr) bool { return rang(int(fd)) }) == nil {
		ring()
	}
}

// setTimer has a timer of the kernel's go off after that long. It does not block, see sendFlags.
func setTimer(fd int, after time.Duration) {
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(after, 1)))}
	// It fails on arguments only.
	_, _, _ = unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(fd), 0,
		uintptr(unsafe.Pointer(&at)), 0, 0, 0)
}

// rang reports whether a timer has gone off since the last call.
func rang(fd int) bool {
	var times [8]byte
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&times)),
		uintptr(len(times)))
	return errno == 0 && n == uintptr(len(times)) && binary.NativeEndian.Uint64(times[:]) > 0
}
