package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// freezeTimeout bounds how long processes may take to stop or to go on.
const freezeTimeout = 3 * time.Second

// Freeze stops the process and all its descendants by SIGSTOP and returns when every one of them
// stands still, so that none is left to act for the others. Freezing twice does nothing more.
func (p *Process) Freeze(ctx context.Context) error {
	if err := p.signalAll(ctx, syscall.SIGSTOP, stopped); err != nil {
		return fmt.Errorf("freeze %s: %w", p, err)
	}
	return nil
}

// Thaw lets the process and all its descendants go on by SIGCONT, and returns when none is stopped
// any more. It does nothing to one that is not frozen.
func (p *Process) Thaw(ctx context.Context) error {
	if err := p.signalAll(ctx, syscall.SIGCONT, going); err != nil {
		return fmt.Errorf("thaw %s: %w", p, err)
	}
	return nil
}

// Frozen reports whether the process and all its descendants are stopped.
func (p *Process) Frozen() (bool, error) {
	pids, err := p.family()
	if err != nil {
		return false, fmt.Errorf("inspect %s: %w", p, err)
	}
	for _, pid := range pids {
		if !stopped(readTask(pid)) {
			return false, nil
		}
	}
	return true, nil
}

// signalAll sends a signal to every process of the family until all are in the wanted state: while
// it looks around, one that has not got the signal yet may start another.
func (p *Process) signalAll(
	ctx context.Context, s syscall.Signal, reached func(task) bool,
) error {
	return await(ctx, freezeTimeout, func() (bool, error) {
		pids, err := p.family()
		if err != nil {
			return false, err
		}
		all := true
		for _, pid := range pids {
			if reached(readTask(pid)) {
				continue
			}
			all = false
			if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
				return false, fmt.Errorf("send %v to %d: %w", s, pid, err)
			}
		}
		return all, nil
	})
}

// family returns the process and all its descendants: everything in its PID namespace.
func (p *Process) family() ([]int, error) {
	if !p.Alive() {
		return nil, os.ErrProcessDone
	}
	own, err := os.Readlink(pidNamespace(p.cmd.Process.Pid))
	if errors.Is(err, os.ErrNotExist) {
		return nil, os.ErrProcessDone // it has ended, and what follows it does not know yet
	}
	if err != nil {
		return nil, fmt.Errorf("read PID namespace: %w", err)
	}
	if host, err := os.Readlink(pidNamespace(os.Getpid())); err != nil || host == own {
		// Whatever is done to the family must never be done to the whole machine.
		return nil, errors.Join(errors.New("process has no PID namespace of its own"), err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// One that ends meanwhile cannot be read, and does not matter.
		if other, err := os.Readlink(pidNamespace(pid)); err == nil && other == own {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// pidNamespace returns the file that names a process's PID namespace.
func pidNamespace(pid int) string { return fmt.Sprintf("/proc/%d/ns/pid", pid) }

// task is what the kernel tells of a process's state.
type task struct {
	// state is the letter of proc(5), /proc/PID/status, State.
	state byte
	// pending are the signals that it has been sent and not got yet, SIGHUP in the lowest bit.
	pending uint64
	// parent is the process that started it, or has inherited it.
	parent int
}

// The states of proc(5).
const (
	stateStopped         = 'T'
	stateTraced          = 't'
	stateUninterruptible = 'D'
	stateZombie          = 'Z'
	stateDead            = 'X'
)

// stopped reports whether a process does nothing until SIGCONT. A parent that waits in vfork for a
// child which was stopped before it could exec stays uninterruptible; it has got SIGSTOP as soon as
// it would go on.
func stopped(t task) bool {
	switch t.state {
	case stateStopped, stateTraced, stateZombie, stateDead:
		return true
	case stateUninterruptible:
		return t.pending&(1<<(syscall.SIGSTOP-1)) != 0
	}
	return false
}

// going reports whether a process is not stopped.
func going(t task) bool { return t.state != stateStopped }

// readTask returns the state of a process; one that is gone is dead.
func readTask(pid int) task {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return task{state: stateDead}
	}
	return parseTask(text)
}

// parseTask reads /proc/PID/status. What it does not find stays zero, which is neither stopped nor
// gone.
func parseTask(status []byte) task {
	var t task
	for row := range bytes.Lines(status) {
		name, value, _ := strings.Cut(string(row), ":")
		value = strings.TrimSpace(value)
		switch {
		case name == "State" && value != "":
			t.state = value[0]
		case name == "ShdPnd":
			// A mask that is no number is no mask.
			t.pending, _ = strconv.ParseUint(value, 16, 64)
		case name == "PPid":
			t.parent, _ = strconv.Atoi(value)
		}
	}
	return t
}
