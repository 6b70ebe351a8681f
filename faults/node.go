package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/tandemlb/tandem/lab"
)

// powerOff takes a node's power.
func powerOff(request, *values) injector {
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		if err := cutPower(ctx, n); err != nil {
			return nil, err
		}
		return func(ctx context.Context) error { return boot(ctx, n) }, nil
	}
}

func cutPower(ctx context.Context, n *lab.Node) error {
	if err := n.PowerOff(ctx); err != nil {
		return err
	}
	if left := n.Processes(); len(left) != 0 {
		return fmt.Errorf("%w: %v still runs", ErrNotInjected, left[0])
	}
	return nil
}

// boot gives a node power and starts all its programs at once.
func boot(ctx context.Context, n *lab.Node) error {
	if err := n.PowerOn(ctx); err != nil {
		return err
	}
	units := n.Units()
	errs := make([]error, len(units))
	var starting sync.WaitGroup
	for i, u := range units {
		starting.Go(func() { errs[i] = u.Start(ctx) })
	}
	starting.Wait()
	return errors.Join(errs...)
}

// rebooted takes a node's power and gives it back after a while. The heal is there when it has, and
// does not wait for the rest of that while.
func rebooted(_ request, v *values) injector {
	after := v.duration("down")
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		if err := cutPower(ctx, n); err != nil {
			return nil, err
		}
		now, done := make(chan struct{}), make(chan error, 1)
		go func() {
			down := time.NewTimer(after)
			defer down.Stop()
			select {
			case <-down.C:
			case <-now:
			}
			done <- boot(context.Background(), n)
		}()
		up := sync.OnceValue(func() error {
			close(now)
			return <-done
		})
		return func(ctx context.Context) error {
			err := up()
			if err != nil {
				return errors.Join(err, boot(ctx, n))
			}
			for _, u := range n.Units() {
				if !u.Alive() {
					err = errors.Join(err, fmt.Errorf("%w: %s ended", ErrNotHealed, u))
				}
			}
			return err
		}, nil
	}
}

// paused has a node do nothing and hear nothing, as a virtual machine that its hypervisor has paused:
// its cables keep their carrier and its kernel all that it has.
func paused(request, *values) injector {
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		if !n.Powered() {
			return nil, lab.ErrPoweredOff
		}
		deaf, err := unplugSilently(ctx, n)
		if err != nil {
			return nil, err
		}
		for _, p := range n.Processes() {
			if err := p.Freeze(ctx); err != nil && !errors.Is(err, os.ErrProcessDone) {
				again := context.WithoutCancel(ctx)
				return nil, errors.Join(err, thawAll(again, n), deaf(again))
			}
		}
		return func(ctx context.Context) error {
			return errors.Join(deaf(ctx), thawAll(ctx, n))
		}, nil
	}
}

func thawAll(ctx context.Context, n *lab.Node) error {
	var errs []error
	for _, p := range n.Processes() {
		if err := p.Thaw(ctx); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// unplugSilently blocks all that a node's cables carry, both ways.
func unplugSilently(ctx context.Context, n *lab.Node) (Heal, error) {
	both := []lab.Direction{lab.Outward, lab.Inward}
	return cut(func(n *lab.Node) (paths []path, blocks []lab.Block, err error) {
		for _, link := range n.Spec().Links {
			others, err := hears(n, link.Interface, false)
			if err != nil {
				continue // nobody is there to notice
			}
			p, b, err := between(n, link.Interface, others, lab.Block{}, both, true)
			if err != nil {
				return nil, nil, err
			}
			paths, blocks = append(paths, p...), append(blocks, b...)
		}
		return paths, blocks, nil
	})(ctx, n)
}
