package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Throttle gives the process and all its descendants the processor in short pieces: they stand
// still for a pause, run for a time, stand still for the next pause, and so on, as under a
// hypervisor that has no processor to spare or a control group that has used up its share. It
// returns when they stand still for the first time, and what ends that and lets them go on; a
// second time that does nothing. pause is asked for each pause, by one goroutine.
func (p *Process) Throttle(
	ctx context.Context, run time.Duration, pause func() time.Duration,
) (end func(context.Context) error, err error) {
	if err := p.Freeze(ctx); err != nil {
		return nil, fmt.Errorf("throttle %s: %w", p, errors.Join(err, p.Thaw(ctx)))
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- p.stutter(stop, run, pause) }()
	halt := sync.OnceValue(func() error {
		close(stop)
		return <-done
	})
	return func(ctx context.Context) error {
		err := halt()
		if thawed := p.Thaw(ctx); !errors.Is(thawed, os.ErrProcessDone) {
			err = errors.Join(err, thawed)
		}
		if err != nil {
			return fmt.Errorf("end throttling of %s: %w", p, err)
		}
		return nil
	}, nil
}

// stutter lets a frozen process go on and freezes it again, until stop or its end.
func (p *Process) stutter(
	stop <-chan struct{}, run time.Duration, pause func() time.Duration,
) error {
	for {
		for _, part := range []struct {
			length time.Duration
			change func(context.Context) error
		}{{pause(), p.Thaw}, {run, p.Freeze}} {
			timer := time.NewTimer(part.length)
			select {
			case <-stop:
				timer.Stop()
				return nil
			case <-p.done:
				timer.Stop()
				return nil
			case <-timer.C:
			}
			err := part.change(context.Background())
			if errors.Is(err, os.ErrProcessDone) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
}
