package lab

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestValveShutsAtOnce demands that nothing is read that is written after a valve was shut, however
// soon after it was opened.
func TestValveShutsAtOnce(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	v := newValve(read)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 10); ; {
			if _, err := v.Read(b); err != nil {
				return
			}
		}
	}()
	for i := range 3000 {
		if err := v.shut(); err != nil {
			t.Fatal(err)
		}
		if _, err := write.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		for range i % 5 {
			runtime.Gosched()
		}
		if n := waiting(t, read); n != 1 {
			t.Fatalf("round %d: %d bytes wait in the pipe, want 1", i, n)
		}
		if err := v.open(); err != nil {
			t.Fatal(err)
		}
		for waiting(t, read) > 0 {
			runtime.Gosched()
		}
	}
	write.Close()
	<-done
	read.Close()
}

// waiting is how many bytes are in a pipe.
func waiting(t *testing.T, pipe *os.File) int {
	t.Helper()
	raw, err := pipe.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	var asked error
	err = raw.Control(func(fd uintptr) { n, asked = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	if err = errors.Join(err, asked); err != nil {
		t.Fatal(err)
	}
	return n
}
