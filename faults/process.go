package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// processFault ends or stops a node's program.
type processFault struct {
	kind Kind
	node string
	unit string
}

func (f processFault) String() string { return f.kind.String() + " " + f.node }

func (f processFault) Needs() []lab.Capability { return nil }

func (f processFault) Inject(ctx context.Context, l *lab.Lab) (Heal, error) {
	n, err := findNode(l, f.node)
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	u, ok := n.Unit(f.unit)
	if !ok {
		return nil, fmt.Errorf("inject %s: node %s has no %s", f, f.node, f.unit)
	}
	if !u.Alive() {
		return nil, fmt.Errorf("inject %s: %s does not run", f, u)
	}
	p := u.Process()
	switch f.kind {
	case DirectorFrozen:
		return f.freeze(ctx, p, p.Freeze)
	case WorkerFrozen:
		return f.freeze(ctx, p, p.FreezeWorkers)
	}
	if err := f.end(ctx, p); err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	return once(func(ctx context.Context) error {
		if f.kind == GuardKilled {
			if err := f.gone(ctx, p); err != nil {
				return fmt.Errorf("heal %s: %w", f, err)
			}
		}
		if err := u.Start(ctx); err != nil {
			return fmt.Errorf("heal %s: %w", f, err)
		}
		if !u.Alive() {
			return fmt.Errorf("heal %s: %w: it ended at once", f, ErrNotHealed)
		}
		return nil
	}), nil
}

// end ends the process, or part of it, the fault's way and waits until that is gone.
func (f processFault) end(ctx context.Context, p *lab.Process) error {
	switch f.kind {
	case WorkerKilled:
		return p.KillWorkers(ctx)
	case GuardKilled:
		return p.KillProgram(ctx)
	case DirectorTerminated:
		if err := p.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		return f.gone(ctx, p)
	}
	return p.Kill()
}

// gone waits until the process and all its descendants have ended by themselves.
func (f processFault) gone(ctx context.Context, p *lab.Process) error {
	ctx, cancel := context.WithTimeout(ctx, terminateLimit)
	defer cancel()
	select {
	case <-p.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: it did not stop within %s", ErrNotInjected, terminateLimit)
	}
}

// freeze stops the process and its descendants, or part of them.
func (f processFault) freeze(
	ctx context.Context, p *lab.Process, stop func(context.Context) error,
) (Heal, error) {
	if err := stop(ctx); err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, errors.Join(err, p.Thaw(ctx)))
	}
	return once(func(ctx context.Context) error {
		if err := p.Thaw(ctx); err != nil {
			return fmt.Errorf("heal %s: %w", f, err)
		}
		return nil
	}), nil
}

// powerFault takes a node's power.
type powerFault struct{ node string }

func (f powerFault) String() string { return PowerOff.String() + " " + f.node }

func (f powerFault) Needs() []lab.Capability { return nil }

func (f powerFault) Inject(ctx context.Context, l *lab.Lab) (Heal, error) {
	n, err := findNode(l, f.node)
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	if err := n.PowerOff(ctx); err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	if left := n.Processes(); len(left) != 0 {
		return nil, fmt.Errorf("inject %s: %w: %v still runs", f, ErrNotInjected, left[0])
	}
	return once(func(ctx context.Context) error {
		if err := n.PowerOn(ctx); err != nil {
			return fmt.Errorf("heal %s: %w", f, err)
		}
		return f.startUnits(ctx, n)
	}), nil
}

// startUnits starts all programs of a node at once, as a boot does.
func (f powerFault) startUnits(ctx context.Context, n *lab.Node) error {
	units := n.Units()
	errs := make([]error, len(units))
	var starting sync.WaitGroup
	for i, u := range units {
		starting.Go(func() { errs[i] = u.Start(ctx) })
	}
	starting.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("heal %s: %w", f, err)
	}
	return nil
}
