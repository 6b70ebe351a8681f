package script

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// tailSize is how much output is kept.
	tailSize = 4 << 10
	// outputDelay is how long output is waited for that a process outside the command's group
	// holds open after the command has ended.
	outputDelay = 500 * time.Millisecond
	// pipeSize is how much a pipe holds unless a command asks for more.
	pipeSize = 64 << 10
)

// output is a pipe that is emptied all the time, of which the end is kept.
type output struct {
	tail
	from, to *os.File
	ended    chan struct{} // nobody reads any more
}

// newOutput returns a pipe whose end to is for the command; close or collect gives it up.
func newOutput() (*output, error) {
	from, to, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	return &output{from: from, to: to, ended: make(chan struct{})}, nil
}

// close gives up a pipe that no command has got.
func (o *output) close() {
	_ = o.to.Close()
	_ = o.from.Close()
}

// read begins to empty the pipe, once the command has it.
func (o *output) read() {
	_ = o.to.Close()
	go func() {
		defer close(o.ended)
		_, _ = io.Copy(&o.tail, o.from) // ends with the pipe or the deadline
	}()
}

// collect returns the end of what was written, once the command has ended. All that it wrote itself
// is there by then, and in the pipe if it was not read yet.
func (o *output) collect() string {
	delay := time.NewTimer(outputDelay)
	defer delay.Stop()
	select {
	case <-o.ended:
	case <-delay.C:
		_ = o.from.SetReadDeadline(time.Unix(1, 0))
		<-o.ended
		o.drain()
	}
	_ = o.from.Close()
	return string(o.kept)
}

// drain reads what the pipe holds, without waiting for more.
func (o *output) drain() {
	_ = o.from.SetReadDeadline(time.Time{})
	conn, err := o.from.SyscallConn()
	if err != nil {
		return
	}
	b := make([]byte, pipeSize)
	_ = conn.Read(func(fd uintptr) bool {
		if n, err := unix.Read(int(fd), b); err == nil {
			_, _ = o.Write(b[:n])
		}
		return true
	})
}

// tail keeps the end of what is written to it. Its zero value is empty.
type tail struct{ kept []byte }

// Write takes all of b; it never fails.
func (t *tail) Write(b []byte) (int, error) {
	n := len(b)
	if len(b) > tailSize {
		b = b[len(b)-tailSize:]
	}
	if drop := len(t.kept) + len(b) - tailSize; drop > 0 {
		t.kept = t.kept[:copy(t.kept, t.kept[drop:])]
	}
	t.kept = append(t.kept, b...)
	return n, nil
}
