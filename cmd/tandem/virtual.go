package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scenarios"
)

// directorDir is where a guest of its own sees the director's program, and what is beside it: one path
// for all, which is part of what its processes hold in memory.
const directorDir = "/dev/shm/director"

// guestDir is where a drill in a guest of its own leaves its files: one path for all, so that where
// they really go cannot make two runs differ.
const guestDir = "/dev/shm/run"

// guestEnv is the environment of such a drill: no more than this, for the same reason.
var guestEnv = []string{"PATH=" + kernel.SystemPath}

// order is what a drill in a guest of its own is told, as JSON.
type order struct {
	Scenario string
	Director scenarios.Director
	Seed     uint64
	// Command is the command line that runs the same again.
	Command string
	// Control says that nothing is to be broken; Noise is what such a run showed.
	Control bool
	Noise   *reports.Noise
	Phase   time.Duration
	// File names the drill file in guestDir that says what the scenario is; empty: the catalogue does.
	File string
}

// scenario is what the order is about.
func (o order) scenario() (scenarios.Scenario, error) {
	if o.File != "" {
		d, err := readDrill(filepath.Join(guestDir, o.File))
		return d.Scenario(), err
	}
	found, err := scenarios.Find(o.Scenario)
	if err != nil {
		return scenarios.Scenario{}, err
	}
	return found[0], nil
}

// checkVirtual says what keeps the drills from running on virtual time, before anything is made.
func (o drillOptions) checkVirtual(chosen []scenarios.Scenario) error {
	mode, err := kernelMode(o.kernel)
	if err != nil {
		return err
	}
	if mode == kernel.Host {
		return errors.New("--time virtual needs a guest kernel: it excludes the kernel \"host\"")
	}
	for _, s := range chosen {
		if slices.Contains(scenarios.Needs(s), lab.RealTime) {
			return exitError{exitInconclusive, fmt.Errorf("%s needs time that passes while programs "+
				"compute: run it with --time real", s.Name)}
		}
	}
	if _, err := kernel.FindVirtualImage(); err != nil {
		return exitError{exitInconclusive, err}
	}
	return nil
}

// runApart carries out the drills on virtual time, each in a guest of its own and several at once: what
// one does depends on none of the others. It returns what run does.
func (b *batch) runApart(ctx context.Context, chosen []scenarios.Scenario) error {
	total := len(chosen) * b.options.repeat
	results, errs := make([]reports.Report, total), make([]error, total)
	if err := b.controlAll(ctx, chosen); err != nil {
		return b.finish(ctx, total, err)
	}
	slots := make(chan struct{}, b.options.jobs)
	var running sync.WaitGroup
	for i := range total {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			s := chosen[i/b.options.repeat]
			dir, err := b.makeDir(s, i+1, total)
			if err != nil {
				errs[i] = err
			} else {
				results[i], errs[i] = b.runInGuest(ctx, s, dir, b.orderOf(s, i), total)
			}
			<-slots
		})
	}
	running.Wait()
	for _, r := range results {
		if r.Version != 0 {
			b.reports = append(b.reports, r)
		}
	}
	return b.finish(ctx, total, errors.Join(errs...))
}

// silence is how long, in wall time, a drill may say nothing before it says how far its clock is.
const silence = 20 * time.Second

// orderOf is what the i-th guest, counted from 0, is told.
func (b *batch) orderOf(s scenarios.Scenario, i int) order {
	o := b.runOptions(s, i)
	return order{Scenario: s.Name, Director: b.director, Seed: o.Seed, Command: o.Command,
		Noise: o.Noise, Phase: o.Phase}
}

// runInGuest carries out an order, one of total, in a guest and returns the report that it left in
// a directory. A guest that was ended by its watchdog has an inconclusive one.
func (b *batch) runInGuest(
	ctx context.Context, s scenarios.Scenario, dir string, o order, total int,
) (reports.Report, error) {
	prefix := "  "
	if total > 1 && b.options.jobs > 1 {
		prefix += s.Name + " "
	}
	report, err := b.carryApart(ctx, s, dir, o, prefix)
	if report.Version == 0 {
		return report, err
	}
	b.progress("%s%s: %s", prefix, strings.ToUpper(string(report.Verdict)), report.Summary)
	return report, errors.Join(err, writeReport(dir, report))
}

// carryApart carries out an order in a guest that leaves its files in dir, and says what happens
// behind prefix; an empty one: nothing is said.
func (b *batch) carryApart(
	ctx context.Context, s scenarios.Scenario, dir string, o order, prefix string,
) (reports.Report, error) {
	if err := b.writeDrill(dir, s.Name); err != nil {
		return reports.Report{}, err
	}
	o.File = b.fileOf(s.Name)
	var seen map[string]string
	if filepath.IsAbs(o.Director.Path) {
		seen = map[string]string{directorDir: filepath.Dir(o.Director.Path)}
		o.Director.Path = filepath.Join(directorDir, filepath.Base(o.Director.Path))
	}
	argument, err := json.Marshal(o)
	if err != nil {
		return reports.Report{}, fmt.Errorf("encode order: %w", err)
	}
	began := time.Now()
	said := began
	say := func(text string) {
		if said = time.Now(); prefix == "" {
			return
		}
		b.progress("%s%s", prefix, text)
	}
	lines := &lineWriter{line: say}
	status, err := kernel.Guest{
		Time: kernel.VirtualTime, Seed: o.Seed, Args: []string{carryOutName, string(argument)},
		Env: guestEnv, Mounts: map[string]string{guestDir: dir}, Seen: seen, Stdout: lines, Stderr: lines,
		HangLimit: b.options.hangLimit,
		Beat: func(at time.Duration) {
			if time.Since(said) >= silence {
				say(stamp(at, "…"))
			}
		},
	}.Run(context.WithoutCancel(ctx)) // signals are handed on: the guest heals and reports
	lines.flush()
	report, rerr := readReport(dir)
	var hung *kernel.HungError
	switch {
	case errors.As(err, &hung):
		report = scenarios.BrokenOff(s, b.director,
			scenarios.Options{Seed: o.Seed, Command: o.Command}, hung)
	case err != nil:
		return reports.Report{}, fmt.Errorf("%s: %w", s.Name, err)
	case rerr != nil:
		return reports.Report{}, fmt.Errorf("%s: exit status %d in the guest: %w", s.Name, status, rerr)
	}
	report.Recording.Host.RealStarted = began.UTC()
	report.Recording.Host.RealLength = time.Since(began)
	return report, nil
}

func readReport(dir string) (reports.Report, error) {
	f, err := os.Open(filepath.Join(dir, "report.json"))
	if err != nil {
		return reports.Report{}, fmt.Errorf("read report: %w", err)
	}
	defer f.Close()
	return reports.ReadJSON(f)
}

// carryOutName is the command by which a program in a guest carries out one drill. It is no part of
// what users call.
const carryOutName = "carry-out"

func newCarryOut() *cobra.Command {
	return &cobra.Command{
		Use:    carryOutName + " ORDER",
		Short:  "Carry out one drill in this kernel and leave its report in " + guestDir,
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return carryOut(cmd.Context(), cmd, args[0])
		},
	}
}

func carryOut(ctx context.Context, cmd *cobra.Command, argument string) error {
	var o order
	if err := json.Unmarshal([]byte(argument), &o); err != nil {
		return fmt.Errorf("decode order: %w", err)
	}
	s, err := o.scenario()
	if err != nil {
		return err
	}
	err = kernel.Enter(ctx, kernel.Options{Time: kernel.VirtualTime, Need: scenarios.Needs(s)})
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	run := s
	if o.Control {
		run = scenarios.Control(s, o.Seed)
	}
	report, err := scenarios.Run(ctx, run, o.Director, scenarios.Options{
		Seed: o.Seed, Dir: guestDir, Command: o.Command, Noise: o.Noise, Phase: o.Phase,
		Progress: func(at time.Duration, text string) {
			fmt.Fprintln(cmd.ErrOrStderr(), stamp(at, text))
		},
	})
	if report.Version != 0 {
		err = errors.Join(err, writeReport(guestDir, report))
	}
	if err != nil {
		return exitError{exitInternal, err}
	}
	return verdictError(report.Verdict)
}

// lineWriter hands on what is written to it line by line, from one goroutine at a time.
type lineWriter struct {
	line func(string)
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, whole := bytes.Cut(w.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		w.line(string(line))
		w.rest = rest
	}
}

// flush hands on a last line without an end.
func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.line(string(w.rest))
	}
	w.rest = nil
}
