package lab

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrClosed is returned by what is asked of a lab after its Close.
var ErrClosed = errors.New("the lab is closed")

// thread is one operating system thread in namespaces of its own. It serves closures one after
// another until stop; then the thread itself ends, and with it, as nothing else holds them, the
// namespaces. A thread is never handed back to the Go runtime: it could carry its namespaces to
// code that expects the host's.
type thread struct {
	jobs  chan job
	quit  chan struct{}
	ended chan struct{}
	once  sync.Once
}

// job is one closure and the place for its result, of capacity one.
type job struct {
	run  func() error
	done chan error
}

// startThread starts a thread, runs setup on it and returns when setup has. When setup returns an
// error the thread has ended.
func startThread(setup func() error) (*thread, error) {
	t := &thread{
		jobs:  make(chan job),
		quit:  make(chan struct{}),
		ended: make(chan struct{}),
	}
	ready := make(chan error, 1)
	go t.serve(setup, ready)
	if err := <-ready; err != nil {
		<-t.ended
		return nil, err
	}
	return t, nil
}

// serve is the thread's life. The process's first thread cannot end before the process does, and
// what it enters /proc/PID shows as the whole process's: if the goroutine happens to run there, it
// keeps that thread busy until another goroutine has taken over on a thread of its own.
func (t *thread) serve(setup func() error, ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		taken := make(chan error, 1)
		go t.serve(setup, taken)
		ready <- <-taken
		runtime.UnlockOSThread()
		return
	}
	defer close(t.ended)
	err := setup()
	ready <- err
	if err != nil {
		return
	}
	for {
		select {
		case j := <-t.jobs:
			j.done <- j.run()
		case <-t.quit:
			return
		}
	}
}

// do runs fn on the thread and returns its error. A done context only ends the wait for the
// thread's turn, never fn. Calling do from inside fn blocks for ever.
func (t *thread) do(ctx context.Context, fn func() error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	j := job{run: fn, done: make(chan error, 1)}
	select {
	case t.jobs <- j:
		return <-j.done
	case <-t.quit:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stop ends the thread after the closure it is running. A second call does nothing.
func (t *thread) stop() {
	t.once.Do(func() { close(t.quit) })
	<-t.ended
}

// unshare gives the calling thread its own network, mount and UTS namespace, a fresh /run and a
// /sys that shows its own interfaces, and a host name. What the user may not mount stays as it was:
// only programs that keep files in /run or read /sys/class/net then see those of the host.
//
// Equivalent to: `unshare --net --mount --uts --propagation private`.
func unshare(hostname string) error {
	flags := unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_FS
	if err := unix.Unshare(flags); err != nil {
		return fmt.Errorf("unshare network, mount and UTS namespaces: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, m := range []struct{ kind, on string }{{"tmpfs", "/run"}, {"sysfs", "/sys"}} {
		err := unix.Mount(m.kind, m.on, m.kind, unix.MS_NOSUID|unix.MS_NODEV, "")
		if err != nil && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.on, err)
		}
	}
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("set host name %s: %w", hostname, err)
	}
	return nil
}
