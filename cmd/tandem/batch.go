package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scenarios"
)

// batch is one call of `tandem drill run`.
type batch struct {
	options  drillOptions
	director scenarios.Director
	clock    kernel.Time
	command  string
	dir      string // the run directory
	out, err io.Writer
	mu       sync.Mutex // guards err
	reports  []reports.Report
	// noise is what the control runs showed, by scenario; nil: there were none.
	noise map[string]*reports.Noise
}

// newBatch makes the run directory: OUT/<UTC time>-<name>-<seed>.
func newBatch(
	o drillOptions, args []string, d scenarios.Director, clock kernel.Time, cmd *cobra.Command,
) (*batch, error) {
	name := "drills"
	switch {
	case o.demo:
		name = "demo"
	case len(o.written) == 1 && len(args) <= 1:
		name = slices.Collect(maps.Keys(o.written))[0]
	case len(args) == 1 && !strings.ContainsAny(args[0], `*?[\/`):
		name = args[0]
	}
	stamp := time.Now().UTC().Format("20060102T150405")
	dir := filepath.Join(o.out, fmt.Sprintf("%s-%s-%d", stamp, name, o.seed))
	for n := 2; ; n++ {
		err := os.Mkdir(dir, 0o755)
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("make run directory: %w", err)
		}
		dir = filepath.Join(o.out, fmt.Sprintf("%s-%s-%d.%d", stamp, name, o.seed, n))
	}
	b := &batch{options: o, director: d, clock: clock, dir: dir,
		out: cmd.OutOrStdout(), err: cmd.ErrOrStderr()}
	b.command = "tandem drill run %s"
	if d.Name != "tandemd" {
		b.command += fmt.Sprintf(" --director %q", d.Name)
	}
	b.command += fmt.Sprintf(" --seed %d", o.seed)
	if clock != kernel.RealTime {
		b.command += " --time " + clock.String()
	}
	if o.control {
		b.command += " --control"
	}
	return b, nil
}

// run carries out the drills one after another in this kernel, writes every file, prints the outcome
// and returns the verdict as an error with its exit status. What was seen is written whatever happens.
func (b *batch) run(ctx context.Context, chosen []scenarios.Scenario) error {
	var broken error
	total := len(chosen) * b.options.repeat
	if err := b.controlAll(ctx, chosen); err != nil {
		return b.finish(ctx, total, err)
	}
	for i := range total {
		if ctx.Err() != nil {
			break
		}
		if err := b.runOne(ctx, chosen[i/b.options.repeat], i, total); err != nil {
			broken = errors.Join(broken, err)
		}
	}
	return b.finish(ctx, total, broken)
}

// finish writes and prints what is about all drills, and returns what run shall.
func (b *batch) finish(ctx context.Context, total int, broken error) error {
	broken = errors.Join(broken, b.writeAll(), b.print())
	if broken != nil {
		return exitError{exitInternal, broken}
	}
	if ctx.Err() != nil && len(b.reports) < total {
		return exitError{exitInconclusive, errors.New("interrupted")}
	}
	return verdictError(reports.Overall(b.reports))
}

// verdictError turns a verdict into the error that gives the exit status; pass: nil.
func verdictError(v reports.Verdict) error {
	switch v {
	case reports.Pass:
		return nil
	case reports.Fail:
		return exitError{exitFail, nil}
	case reports.Inconclusive:
		return exitError{exitInconclusive, nil}
	}
	return exitError{exitInternal, fmt.Errorf("unknown verdict %q", v)}
}

// makeDir makes the directory of the i-th drill of total and announces the drill.
func (b *batch) makeDir(s scenarios.Scenario, i, total int) (string, error) {
	dir := b.dir
	if total > 1 {
		dir = filepath.Join(b.dir, fmt.Sprintf("%02d-%s", i, s.Name))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return "", fmt.Errorf("make run directory: %w", err)
		}
	}
	b.progress("[%d/%d] %s with %s", i, total, s.Name, b.director.Name)
	return dir, nil
}

// runOne carries out the i-th of total runs, counted from 0.
func (b *batch) runOne(ctx context.Context, s scenarios.Scenario, i, total int) error {
	dir, err := b.makeDir(s, i+1, total)
	if err != nil {
		return err
	}
	if err := b.writeDrill(dir, s.Name); err != nil {
		return err
	}
	o := b.runOptions(s, i)
	o.Dir = dir
	report, err := scenarios.Run(ctx, s, b.director, o)
	if report.Version == 0 {
		return err
	}
	b.reports = append(b.reports, report)
	b.progress("  %s: %s", strings.ToUpper(string(report.Verdict)), report.Summary)
	return errors.Join(err, writeReport(dir, report))
}

// stamp is a line of progress.
func stamp(at time.Duration, text string) string {
	return fmt.Sprintf("t+%-8s %s", fmt.Sprintf("%.3fs", at.Seconds()), text)
}

// progress prints a line to standard error, cut to the terminal's usual width.
func (b *batch) progress(format string, args ...any) {
	line := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	if indent := len(format) - len(strings.TrimLeft(format, " ")); indent > 0 {
		line = format[:indent] + line
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, part := range wrap(line, 76) {
		if i == 0 && strings.HasPrefix(line, "  ") {
			part = "  " + part
		} else if i > 0 {
			part = "      " + part
		}
		fmt.Fprintln(b.err, part)
	}
}

// writeReport writes report.json and history.ndjson of one drill.
func writeReport(dir string, r reports.Report) error {
	if err := writeFile(filepath.Join(dir, "report.json"), func(w io.Writer) error {
		return reports.WriteJSON(w, r)
	}); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "history.ndjson"), func(w io.Writer) error {
		return reports.WriteHistory(w, &r.Recording)
	})
}

// writeAll writes the files over all drills and points runs/latest at the run directory.
func (b *batch) writeAll() error {
	err := errors.Join(
		b.writeRepeats(),
		writeFile(filepath.Join(b.dir, "report.html"), func(w io.Writer) error {
			return reports.WriteHTML(w, b.reports)
		}),
		writeFile(filepath.Join(b.dir, "junit.xml"), func(w io.Writer) error {
			return reports.WriteJUnit(w, b.reports)
		}),
	)
	latest := filepath.Join(b.options.out, "latest")
	temp := latest + ".new"
	_ = os.Remove(temp) // of a run that was cut off
	if lerr := os.Symlink(filepath.Base(b.dir), temp); lerr != nil {
		return errors.Join(err, lerr)
	}
	return errors.Join(err, os.Rename(temp, latest))
}

// writeFile writes a file whole or not at all.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name + ".part")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	err = errors.Join(write(f), f.Close())
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// print writes the outcome to standard output.
func (b *batch) print() error {
	if b.options.format == "json" {
		return b.printJSON()
	}
	color := false
	if f, ok := b.out.(*os.File); ok {
		color = term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
	}
	if err := reports.WriteText(b.out, b.reports, 80, color); err != nil {
		return err
	}
	if err := reports.WriteRepeats(b.out, reports.Repeats(b.reports)); err != nil {
		return err
	}
	page := filepath.Join(b.dir, "report.html")
	if _, err := os.Stat(page); err != nil {
		return nil // it could not be written, and that is told
	}
	_, err := fmt.Fprintf(b.out, "\nreport  %s\n", page)
	return err
}

// printJSON writes the report of one drill, or an array of several.
func (b *batch) printJSON() error {
	enc := json.NewEncoder(b.out)
	enc.SetIndent("", "  ")
	if len(b.reports) == 1 {
		return enc.Encode(b.reports[0])
	}
	return enc.Encode(b.reports)
}
