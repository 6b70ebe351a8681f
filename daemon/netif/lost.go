package netif

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Lost returns how many packets found no room in the socket, which c shares with the other Conns of
// its interface, since it was opened: those for other virtual routers among them. The kernel's
// counter starts again at zero after 4 billion.
//
// Source: sock_diag(7), SK_MEMINFO_DROPS; include/uapi/linux/sock_diag.h.
func (c *Conn) Lost() (uint32, error) {
	const fields, drops = 9, 8 // SK_MEMINFO_VARS, SK_MEMINFO_DROPS
	var info [fields]uint32
	size := uint32(unsafe.Sizeof(info))
	var errno unix.Errno
	err := c.ear.raw.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	})
	if err == nil && errno != 0 {
		err = errno
	}
	if err != nil {
		return 0, fmt.Errorf("ask for lost packets: %w", err)
	}
	return info[drops], nil
}
