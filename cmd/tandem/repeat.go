package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scenarios"
)

// runOptions are those of the i-th run of all, counted from 0.
func (b *batch) runOptions(s scenarios.Scenario, i int) scenarios.Options {
	o := scenarios.Options{
		Seed: b.options.seed, Noise: b.noise[s.Name], Phase: b.phase(s, i),
		Command:  b.commandOf(s.Name),
		Progress: func(at time.Duration, text string) { b.progress("  %s", stamp(at, text)) },
	}
	if o.Phase > 0 {
		o.Command += fmt.Sprintf(" --phase %s", o.Phase)
	}
	return o
}

// phase is how long the i-th run waits after its steady state: where repeated runs are to be
// spread, its part of the interval between two adverts, or of a second where there is no VRRP.
func (b *batch) phase(s scenarios.Scenario, i int) time.Duration {
	if !b.options.spread {
		return b.options.phase
	}
	interval := s.Topology.VRRP.Advert
	if interval == 0 {
		interval = time.Second
	}
	n := time.Duration(b.options.repeat)
	return b.options.phase + interval*time.Duration(i%b.options.repeat)/n
}

// controlAll carries out the control run of every scenario, where they are wanted: on virtual time
// as many at once as guests may run.
func (b *batch) controlAll(ctx context.Context, chosen []scenarios.Scenario) error {
	if !b.options.control {
		return nil
	}
	b.noise = map[string]*reports.Noise{}
	apart := b.clock == kernel.VirtualTime && !kernel.InGuest()
	jobs := 1
	if apart {
		jobs = b.options.jobs
	}
	errs, noise := make([]error, len(chosen)), make([]reports.Noise, len(chosen))
	slots := make(chan struct{}, jobs)
	var running sync.WaitGroup
	for i, s := range chosen {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			noise[i], errs[i] = b.controlOne(ctx, s, apart)
			<-slots
		})
	}
	running.Wait()
	for i, s := range chosen {
		b.noise[s.Name] = &noise[i]
	}
	if ctx.Err() != nil {
		return nil // finish says that it was interrupted
	}
	return errors.Join(errs...)
}

// controlOne carries out the control run of a scenario and keeps its report beside the others.
func (b *batch) controlOne(
	ctx context.Context, s scenarios.Scenario, apart bool,
) (reports.Noise, error) {
	dir := filepath.Join(b.dir, "control-"+s.Name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return reports.Noise{}, fmt.Errorf("make run directory: %w", err)
	}
	if err := b.writeDrill(dir, s.Name); err != nil {
		return reports.Noise{}, err
	}
	b.progress("[control] %s with %s", s.Name, b.director.Name)
	o := b.runOptions(s, 0)
	var report reports.Report
	var err error
	if apart {
		what := b.orderOf(s, 0)
		what.Control, what.Phase = true, 0
		report, err = b.runInGuest(ctx, s, dir, what, 1)
	} else {
		o.Dir, o.Phase = dir, 0
		report, err = scenarios.Run(ctx, scenarios.Control(s, o.Seed), b.director, o)
		if report.Version != 0 {
			b.progress("  control: %s", report.Summary)
			err = errors.Join(err, writeReport(dir, report))
		}
	}
	if report.Version == 0 {
		return reports.Noise{}, err
	}
	return scenarios.NoiseOf(s, report), err
}

// writeRepeats writes what repeated runs came to, if there are any.
func (b *batch) writeRepeats() error {
	all := reports.Repeats(b.reports)
	if len(all) == 0 {
		return nil
	}
	return writeFile(filepath.Join(b.dir, "repeats.json"), func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	})
}
