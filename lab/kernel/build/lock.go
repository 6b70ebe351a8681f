package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrBusy is returned by Clean while a build is running in the cache.
var ErrBusy = errors.New("a build is running")

// lockPoll is how often a build that waits looks whether its turn has come.
const lockPoll = 200 * time.Millisecond

// tryLock takes the cache's lock, or returns ErrBusy. Closing the file gives the lock back, once
// every process that inherited the file has closed it too.
func tryLock(cache string) (*os.File, error) {
	dir := filepath.Join(cache, kernelsDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("lock kernel cache: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock kernel cache: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, ErrBusy
	}
	return nil, fmt.Errorf("lock kernel cache: %w", err)
}

// lock takes the cache's lock; where another build holds it, it says so and waits for its end.
func lock(ctx context.Context, cache string, p *progress) (*os.File, error) {
	f, err := tryLock(cache)
	if !errors.Is(err, ErrBusy) {
		return f, err
	}
	p.step("another build is running; waiting for its end")
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for errors.Is(err, ErrBusy) {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another build: %w", context.Cause(ctx))
		case <-tick.C:
			f, err = tryLock(cache)
		}
	}
	return f, err
}
