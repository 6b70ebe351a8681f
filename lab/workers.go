package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
)

// KillProgram ends the program alone by SIGKILL, none of its descendants, and returns when it is
// gone. They may end for that; the process has ended when all have. It needs Command.Init, without
// which the end of the program is that of all.
func (p *Process) KillProgram(ctx context.Context) error {
	if p.program == p.cmd.Process {
		return fmt.Errorf("kill program of %s: it has no init", p)
	}
	err := p.Signal(syscall.SIGKILL)
	if err == nil {
		err = awaitAll(ctx, []int{p.Pid()}, gone)
	}
	if err != nil {
		return fmt.Errorf("kill program of %s: %w", p, err)
	}
	return nil
}

// KillWorkers ends the program's descendants by SIGKILL, not itself, and returns when they are gone.
// That there are none is an error. The program may start others at once.
func (p *Process) KillWorkers(ctx context.Context) error {
	if err := p.signalWorkers(ctx, syscall.SIGKILL, gone); err != nil {
		return fmt.Errorf("kill workers of %s: %w", p, err)
	}
	return nil
}

// FreezeWorkers stops the program's descendants by SIGSTOP, not itself, and returns when they stand
// still or the program has ended them for that. That there are none is an error. Thaw lets them go
// on.
func (p *Process) FreezeWorkers(ctx context.Context) error {
	if err := p.signalWorkers(ctx, syscall.SIGSTOP, stopped); err != nil {
		return fmt.Errorf("freeze workers of %s: %w", p, err)
	}
	return nil
}

// signalWorkers sends a signal to each of the descendants that there are now, and waits until all
// of those are in the wanted state.
func (p *Process) signalWorkers(
	ctx context.Context, s syscall.Signal, reached func(task) bool,
) error {
	pids, err := p.family()
	if err != nil {
		return err
	}
	pids = slices.DeleteFunc(pids, func(pid int) bool {
		return pid == p.Pid() || pid == p.cmd.Process.Pid
	})
	if len(pids) == 0 {
		return errors.New("there are none")
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("send %v to %d: %w", s, pid, err)
		}
	}
	return awaitAll(ctx, pids, reached)
}

// awaitAll waits until each of the processes is in the wanted state.
func awaitAll(ctx context.Context, pids []int, reached func(task) bool) error {
	return await(ctx, freezeTimeout, func() (bool, error) {
		for _, pid := range pids {
			if !reached(readTask(pid)) {
				return false, nil
			}
		}
		return true, nil
	})
}

// gone reports whether a process has ended, waited for or not.
func gone(t task) bool { return t.state == stateZombie || t.state == stateDead }
