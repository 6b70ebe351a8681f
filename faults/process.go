package faults

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// ended makes a builder of faults that end the program of a unit, or part of it. The heal starts it.
func ended(
	unit string, end func(context.Context, *lab.Process) error,
) func(request, *values) injector {
	return func(request, *values) injector {
		return func(ctx context.Context, n *lab.Node) (Heal, error) {
			u, err := runs(n, unit)
			if err != nil {
				return nil, err
			}
			if err := end(ctx, u.Process()); err != nil {
				return nil, err
			}
			return func(ctx context.Context) error { return start(ctx, u) }, nil
		}
	}
}

// start has a unit run.
func start(ctx context.Context, u *lab.Unit) error {
	if err := u.Start(ctx); err != nil {
		return err
	}
	if !u.Alive() {
		return fmt.Errorf("%w: it ended at once", ErrNotHealed)
	}
	return nil
}

func killed(_ context.Context, p *lab.Process) error { return p.Kill() }

func killedWorkers(ctx context.Context, p *lab.Process) error { return p.KillWorkers(ctx) }

// terminated asks a program to stop and waits until it has.
func terminated(ctx context.Context, p *lab.Process) error {
	if err := p.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return gone(ctx, p)
}

// gone waits until a process and all its descendants have ended by themselves.
func gone(ctx context.Context, p *lab.Process) error {
	ctx, cancel := context.WithTimeout(ctx, terminateLimit)
	defer cancel()
	select {
	case <-p.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: it did not stop within %s", ErrNotInjected, terminateLimit)
	}
}

// guardKilled ends a program alone. The heal waits until what it started has ended as well.
func guardKilled(request, *values) injector {
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		u, err := runs(n, DirectorUnit)
		if err != nil {
			return nil, err
		}
		p := u.Process()
		if err := p.KillProgram(ctx); err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
			if err := gone(ctx, p); err != nil {
				return err
			}
			return start(ctx, u)
		}, nil
	}
}

// frozen makes a builder of faults that stop a director, or part of it.
func frozen(
	freeze func(*lab.Process, context.Context) error,
) func(request, *values) injector {
	return func(request, *values) injector {
		return func(ctx context.Context, n *lab.Node) (Heal, error) {
			u, err := runs(n, DirectorUnit)
			if err != nil {
				return nil, err
			}
			p := u.Process()
			if err := freeze(p, ctx); err != nil {
				return nil, errors.Join(err, p.Thaw(context.WithoutCancel(ctx)))
			}
			return func(ctx context.Context) error {
				if err := p.Thaw(ctx); err != nil && !errors.Is(err, os.ErrProcessDone) {
					return err
				}
				return start(ctx, u)
			}, nil
		}
	}
}

// parts are the words of a parameter "who".
var parts = map[string]lab.Part{"all": lab.Whole, "guard": lab.Program, "worker": lab.Workers}

// whose is the parameter of faults of a director's processes, or of some.
var whose = Parameter{"who", "all of the director's processes, its first one, or those that it " +
	"started", "all", "all|guard|worker"}

// bounded makes a builder of faults that bound what a director's processes may use of something.
// The heal lifts the bound, and starts a director that has ended of it.
func bounded(
	of func(v *values) (resource int, bound func(pid int) (uint64, error)),
) func(request, *values) injector {
	return func(_ request, v *values) injector {
		part := parts[v.word("who")]
		resource, bound := of(v)
		return func(ctx context.Context, n *lab.Node) (Heal, error) {
			u, err := runs(n, DirectorUnit)
			if err != nil {
				return nil, err
			}
			lift, err := u.Process().Limit(part, resource, bound)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context) error {
				if err := lift(); err != nil {
					return err
				}
				return start(ctx, u)
			}, nil
		}
	}
}

// descriptors bounds a process to the descriptors that it has.
func descriptors(*values) (resource int, bound func(pid int) (uint64, error)) {
	return unix.RLIMIT_NOFILE, lab.LowestFreeDescriptor
}

// memory bounds a process to the address space that it has and a bit.
func memory(v *values) (resource int, bound func(pid int) (uint64, error)) {
	left := v.number("left", 0, 1<<20)
	return unix.RLIMIT_AS, func(pid int) (uint64, error) {
		used, err := lab.AddressSpace(pid)
		return used + uint64(left)<<10, err
	}
}

// logBlocked has nobody read what the director writes.
func logBlocked(request, *values) injector {
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		u, err := runs(n, DirectorUnit)
		if err != nil {
			return nil, err
		}
		unblock, err := u.Process().BlockOutput()
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
			if err := unblock(); err != nil {
				return err
			}
			return start(ctx, u)
		}, nil
	}
}

// diskFull fills the file system in which programs of a node write.
func diskFull(_ request, v *values) injector {
	left := v.number("left", 0, 1<<20)
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		free, err := n.FillRun(ctx, uint64(left)<<10)
		if err != nil {
			return nil, err
		}
		return free, nil
	}
}
