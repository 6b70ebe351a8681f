package guard

import (
	"errors"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// quietly reads a connection that does not block, by calls that the runtime's scheduler does not
// know of: they do not wake its monitor, which costs more than a beat does.
type quietly struct{ conn *os.File }

// Read is io.Reader's.
func (q quietly) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	raw, err := q.conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	n, failed := 0, error(nil)
	err = raw.Read(func(fd uintptr) bool {
		n, failed = call(unix.SYS_READ, fd, b)
		return !errors.Is(failed, unix.EAGAIN)
	})
	switch {
	case err != nil:
		return 0, err
	case failed == nil && n == 0:
		return 0, io.EOF
	}
	return n, failed
}

// send writes to a connection that does not block, at first likewise.
func send(conn *os.File, b []byte) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	sent := 0
	err = raw.Control(func(fd uintptr) { sent, _ = call(unix.SYS_WRITE, fd, b) })
	if err == nil && sent < len(b) { // it waits, or says why it cannot
		_, err = conn.Write(b[sent:])
	}
	return err
}

// call is read(2) or write(2), which must not block. After an error nothing was read or written.
func call(trap, fd uintptr, b []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
