package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// valve is the reading end of a pipe that may be shut for a while: then it reads nothing.
type valve struct {
	file *os.File

	// reading is held while Read asks the kernel.
	reading sync.Mutex
	mu      sync.Mutex
	// opened is closed while the valve is open.
	opened chan struct{}
}

func newValve(file *os.File) *valve {
	v := &valve{file: file, opened: make(chan struct{})}
	close(v.opened)
	return v
}

// Read reads from the pipe, not before the valve is open.
func (v *valve) Read(b []byte) (int, error) {
	for {
		v.mu.Lock()
		opened := v.opened
		v.mu.Unlock()
		<-opened
		v.reading.Lock()
		n, err := v.file.Read(b)
		v.reading.Unlock()
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
}

// shut keeps Read from reading; one that waits for something to read goes on waiting. When it returns
// nothing is read any more. Shutting a valve twice is an error.
func (v *valve) shut() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	select {
	case <-v.opened:
	default:
		return errors.New("nobody reads it already")
	}
	if err := v.file.SetReadDeadline(time.Unix(0, 1)); err != nil {
		return err
	}
	v.reading.Lock() // when who reads has noticed
	defer v.reading.Unlock()
	v.opened = make(chan struct{})
	return nil
}

// open lets Read go on. It does nothing to a valve that is open.
func (v *valve) open() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	select {
	case <-v.opened:
		return nil
	default:
	}
	err := v.file.SetReadDeadline(time.Time{})
	close(v.opened)
	return err
}

// resize makes the pipe as large as it was, for speed alone: that it cannot be is no error.
func (v *valve) resize(size int) {
	raw, err := v.file.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, size) })
	}
}

// blockedLog is what stands in the log of a process at the point where nobody read it.
const blockedLog = "tandem-lab: nobody reads the log until it is healed"

// BlockOutput has nobody read what the process writes to its outputs, as a terminal that was stopped
// or a log daemon that hangs: who writes a line waits. It returns when there is no room for a byte
// more, and what ends that; a second time that does nothing. What was written until then is kept,
// behind it stand lines of blanks that made the pipe full. The process's end ends it too.
func (p *Process) BlockOutput() (end func() error, err error) {
	fail := func(err error) (func() error, error) {
		return nil, fmt.Errorf("block output of %s: %w", p, err)
	}
	if !p.Alive() {
		return fail(os.ErrProcessDone)
	}
	pipe, err := unix.Open(fmt.Sprintf("/proc/%d/fd/2", p.cmd.Process.Pid),
		unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(pipe)
	if err := p.output.shut(); err != nil {
		return fail(err)
	}
	size, err := unix.FcntlInt(uintptr(pipe), unix.F_GETPIPE_SZ, 0)
	if err == nil {
		// A pipe that holds more already stays as large as it is.
		_, _ = unix.FcntlInt(uintptr(pipe), unix.F_SETPIPE_SZ, os.Getpagesize())
		err = fillPipe(pipe)
	}
	if err != nil {
		return fail(errors.Join(err, p.output.open()))
	}
	return func() error {
		p.output.resize(size)
		if err := p.output.open(); err != nil && !errors.Is(err, os.ErrClosed) {
			return fmt.Errorf("unblock output of %s: %w", p, err)
		}
		return nil
	}, nil
}

// fillPipe writes lines until there is room for nothing more.
//
// Source: pipe(7): what is no longer than PIPE_BUF, 4096 bytes, is written as a whole or not at all.
func fillPipe(fd int) error {
	line := append([]byte(blockedLog), bytes.Repeat([]byte(" "), 4096-len(blockedLog))...)
	for size := len(line); size > 0; {
		text := append(bytes.Clone(line[:size-1]), '\n')
		_, err := unix.Write(fd, text)
		switch {
		case errors.Is(err, unix.EAGAIN):
			size /= 2
		case err != nil:
			return fmt.Errorf("fill pipe: %w", err)
		}
	}
	return nil
}
