package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Part is some of a process and its descendants, the init that it may run under not among them.
// Unlike elsewhere the zero Part is the usual one.
type Part int

// The parts.
const (
	// Whole is the program and all its descendants.
	Whole Part = iota
	// Program is the program alone, Workers are its descendants alone.
	Program
	Workers
)

// members are the processes of a part.
func (p *Process) members(part Part) ([]int, error) {
	pids, err := p.family()
	if err != nil {
		return nil, err
	}
	pids = slices.DeleteFunc(pids, func(pid int) bool {
		switch {
		case pid == p.Pid():
			return part == Workers
		case pid == p.cmd.Process.Pid:
			return true
		}
		return part == Program
	})
	if len(pids) == 0 {
		return nil, errors.New("there are none")
	}
	return pids, nil
}

// Limit bounds what each process of a part may take of a resource, for example unix.RLIMIT_NOFILE,
// to what bound says of it, and returns what lifts the bounds again, also those that others have
// inherited; a second time that does nothing. Processes that start later have their parents' bounds.
//
// Equivalent to: `prlimit --pid PID --nofile=12`.
func (p *Process) Limit(
	part Part, resource int, bound func(pid int) (uint64, error),
) (lift func() error, err error) {
	fail := func(err error) (func() error, error) {
		return nil, fmt.Errorf("limit %s: %w", p, err)
	}
	pids, err := p.members(part)
	if err != nil {
		return fail(err)
	}
	was := make(map[int]unix.Rlimit, len(pids))
	lift = func() error { return p.lift(resource, was) }
	for _, pid := range pids {
		most, err := bound(pid)
		if err == nil {
			var old unix.Rlimit
			err = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: most, Max: most}, &old)
			if err == nil {
				was[pid] = old
			}
		}
		if ended(err) {
			continue
		}
		var now unix.Rlimit
		if err == nil {
			err = unix.Prlimit(pid, resource, nil, &now)
		}
		if err == nil && now.Cur != most {
			err = fmt.Errorf("limit of %d is %d, want %d", pid, now.Cur, most)
		}
		if err != nil && !ended(err) {
			return fail(errors.Join(err, lift()))
		}
	}
	if len(was) == 0 {
		return fail(os.ErrProcessDone)
	}
	return lift, nil
}

// lift gives every process of the family that was limited, or may have inherited a limit, what it
// had before.
func (p *Process) lift(resource int, was map[int]unix.Rlimit) error {
	pids, err := p.members(Whole)
	if errors.Is(err, os.ErrProcessDone) || len(pids) == 0 {
		return nil
	}
	usual, ok := was[p.Pid()]
	for _, old := range was {
		if !ok || old.Max > usual.Max {
			usual, ok = old, true
		}
	}
	for _, pid := range pids {
		old, limited := was[pid]
		if !limited {
			old = usual
		}
		if err := unix.Prlimit(pid, resource, &old, nil); err != nil && !ended(err) {
			return fmt.Errorf("lift limit of %s: %w", p, err)
		}
	}
	return nil
}

// ended says that a process is not there any more.
func ended(err error) bool {
	return errors.Is(err, unix.ESRCH) || errors.Is(err, fs.ErrNotExist)
}

// LowestFreeDescriptor returns the number that the next file of a process gets: with that as the
// limit of descriptors it gets none.
func LowestFreeDescriptor(pid int) (uint64, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, err
	}
	used := make(map[uint64]bool, len(entries))
	for _, e := range entries {
		n, err := strconv.ParseUint(e.Name(), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("list descriptors: %w", err)
		}
		used[n] = true
	}
	for n := uint64(0); ; n++ {
		if !used[n] {
			return n, nil
		}
	}
}

// AddressSpace returns how many bytes of addresses a process uses, mapped to memory or not: what
// unix.RLIMIT_AS bounds.
func AddressSpace(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	var pages uint64
	if _, err := fmt.Sscan(string(text), &pages); err != nil {
		return 0, fmt.Errorf("read address space: %w", err)
	}
	return pages * uint64(os.Getpagesize()), nil
}
