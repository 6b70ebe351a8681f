package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/scenarios"
)

const (
	// settleLimit is how long a pair may take until the master has all VIPs.
	settleLimit = 40 * time.Second
	// settleTime is how long it is then left alone: the second burst of gratuitous ARP comes a
	// second after the first.
	settleTime = 2500 * time.Millisecond
	// loadTime is how long the load is measured.
	loadTime = 10 * time.Second
)

// Load is what one director of a pair takes.
type Load struct {
	// CPU is the share of one core, in percent.
	CPU float64 `json:"cpu_percent"`
	// Memory is the proportional set size in bytes.
	Memory int64 `json:"pss_bytes"`
}

// PairLoad is what the directors of a pair take, both at one time.
type PairLoad struct {
	Master Load `json:"master"`
	Backup Load `json:"backup"`
}

// measureLoad runs a pair and measures it for a time.
func measureLoad(
	ctx context.Context, d scenarios.Director, instances int, length time.Duration,
) (load PairLoad, err error) {
	p, err := newPair(ctx, d, instances, masterPriority)
	if err != nil {
		return PairLoad{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	master, backup, err := p.settle(ctx)
	if err != nil {
		return PairLoad{}, err
	}
	if err := p.keepApart(ctx, master, backup); err != nil {
		return PairLoad{}, err
	}
	return loadOf(ctx, master, backup, length)
}

// settle starts both directors and waits until lb1 is master of all instances, and quiet.
func (p *pair) settle(ctx context.Context) (master, backup *lab.Process, err error) {
	limited, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	if master, err = p.start(limited, p.master); err != nil {
		return nil, nil, err
	}
	if err = p.awaitVIPs(limited, p.master, master); err != nil {
		return nil, nil, err
	}
	if backup, err = p.start(limited, p.backup); err != nil {
		return nil, nil, err
	}
	if err = wait(limited, settleTime); err != nil {
		return nil, nil, err
	}
	held, err := p.vips(p.backup)
	if err == nil && held != 0 {
		err = fmt.Errorf("the backup holds %d VIPs beside the master", held)
	}
	return master, backup, err
}

// loadOf measures two running programs for a time.
func loadOf(
	ctx context.Context, master, backup *lab.Process, length time.Duration,
) (PairLoad, error) {
	programs := []*lab.Process{master, backup}
	before, after := make([]usage, 2), make([]usage, 2)
	times := make([]time.Duration, 2)
	for i, p := range programs {
		var err error
		times[i] = lab.Monotonic()
		if before[i], err = usageOf(p.Pid()); err != nil {
			return PairLoad{}, err
		}
	}
	if err := wait(ctx, length); err != nil {
		return PairLoad{}, err
	}
	loads := make([]Load, 2)
	for i, p := range programs {
		var err error
		took := lab.Monotonic() - times[i]
		if after[i], err = usageOf(p.Pid()); err != nil {
			return PairLoad{}, err
		}
		loads[i] = Load{CPU: 100 * float64(after[i].cpu-before[i].cpu) / float64(took),
			Memory: after[i].pss}
	}
	return PairLoad{Master: loads[0], Backup: loads[1]}, nil
}

// wait lets time pass.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
