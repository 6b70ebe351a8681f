package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// runDir is the only folder that each node has of its own, in memory.
	runDir = "/run"
	// fillerFile takes the room of a page there: a file system of size zero would be one without end.
	fillerFile = runDir + "/tandem-lab.full"
	// runFlags are what it is mounted with.
	runFlags = unix.MS_NOSUID | unix.MS_NODEV
)

// FillRun leaves so many bytes in the node's own folder /run, rounded down to pages, for the
// programs that run there and for those that start later, and returns what gives back the room that
// there was; a second time that does nothing.
//
// Equivalent to: `mount -o remount,size=BYTES /run`.
func (n *Node) FillRun(
	ctx context.Context, left uint64,
) (end func(context.Context) error, err error) {
	others, err := os.Stat(runDir)
	if err != nil {
		return nil, fmt.Errorf("fill %s of %s: %w", runDir, n, err)
	}
	var size uint64
	err = n.Do(ctx, func() error {
		own, err := os.Stat(runDir)
		if err != nil {
			return err
		}
		if os.SameFile(own, others) {
			return errors.New("the node has none of its own")
		}
		size, err = fillRun(left)
		return err
	})
	end = func(ctx context.Context) error {
		err := n.Do(ctx, func() error { return emptyRun(size) })
		if err != nil {
			return fmt.Errorf("free %s of %s: %w", runDir, n, err)
		}
		return nil
	}
	if err != nil {
		err = fmt.Errorf("fill %s of %s: %w", runDir, n, err)
		if size != 0 {
			err = errors.Join(err, end(context.WithoutCancel(ctx)))
		}
		return nil, err
	}
	return end, nil
}

// fillRun makes the calling thread's /run as small as what it holds and returns how large it was;
// zero: nothing was changed.
func fillRun(left uint64) (was uint64, err error) {
	if _, err := os.Stat(fillerFile); err == nil {
		return 0, errors.New("it is full already")
	}
	before, err := statRun()
	if err != nil {
		return 0, err
	}
	page := uint64(before.Bsize)
	was = before.Blocks * page
	if err := os.WriteFile(fillerFile, make([]byte, page), 0o600); err != nil {
		return was, err
	}
	full, err := statRun()
	if err != nil {
		return was, err
	}
	size := (full.Blocks-full.Bfree)*page + left/page*page
	if err := resizeRun(size); err != nil {
		return was, err
	}
	now, err := statRun()
	if err == nil && now.Bavail*page > left {
		err = fmt.Errorf("it has %d bytes left", now.Bavail*page)
	}
	return was, err
}

// emptyRun undoes fillRun.
func emptyRun(size uint64) error {
	if err := os.Remove(fillerFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return resizeRun(size)
}

// statRun asks for the room in /run, which must be a file system of memory.
func statRun() (unix.Statfs_t, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(runDir, &s); err != nil {
		return s, fmt.Errorf("ask for room: %w", err)
	}
	if s.Type != unix.TMPFS_MAGIC {
		return s, errors.New("it is no file system in memory")
	}
	return s, nil
}

func resizeRun(size uint64) error {
	err := unix.Mount("tmpfs", runDir, "tmpfs", unix.MS_REMOUNT|runFlags, fmt.Sprintf("size=%d", size))
	if err != nil {
		return fmt.Errorf("set size to %d bytes: %w", size, err)
	}
	return nil
}
