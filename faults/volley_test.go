package faults

import (
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestVolley sends more frames than there is room for and looks whether each arrives once, in order.
func TestVolley(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "end")
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		defer c.Close()
		ends[i] = c.(*net.UnixConn)
	}
	v, err := newVolley(ends[0])
	if err != nil {
		t.Fatal(err)
	}
	const many = 5000
	received := make(chan int, 1)
	go func() {
		buf := make([]byte, 10)
		n := 0
		for ; n < many; n++ {
			size, err := ends[1].Read(buf)
			if err != nil || size != 1+n%9 || buf[0] != byte(n) {
				t.Errorf("frame %d: %d bytes beginning with %d (%v)", n, size, buf[0], err)
				break
			}
		}
		received <- n
	}()
	for at := 0; at < many; at += 500 {
		frames := make([][]byte, 500)
		for i := range frames {
			n := at + i
			frames[i] = append([]byte{byte(n)}, make([]byte, n%9)...)
		}
		if sent, err := v.send(frames); sent != len(frames) || err != nil {
			t.Fatalf("sent %d of %d: %v", sent, len(frames), err)
		}
	}
	if n := <-received; n != many {
		t.Errorf("received %d, want %d", n, many)
	}
}
