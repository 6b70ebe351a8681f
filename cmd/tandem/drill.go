package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scenarios"
)

// labNeeds are what the presets' labs take of a kernel.
var labNeeds = []lab.Capability{lab.Root, lab.NetNS, lab.PIDNS, lab.Veth, lab.Bridge, lab.IPVS}

func newDrill() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Break a network on purpose and judge what the clients saw",
	}
	cmd.AddCommand(newDrillList(), newDrillRun())
	return cmd
}

func newDrillList() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the drills",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listDrills(cmd.OutOrStdout(), format)
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

func listDrills(w io.Writer, format string) error {
	switch format {
	case "json":
		type row struct {
			Name     string   `json:"name"`
			Doc      string   `json:"doc"`
			Topology string   `json:"topology"`
			Needs    []string `json:"needs"`
		}
		rows := []row{}
		for _, s := range scenarios.All() {
			r := row{Name: s.Name, Doc: s.Doc, Topology: s.Topology.Name}
			for _, c := range scenarios.Needs(s) {
				r.Needs = append(r.Needs, c.String())
			}
			rows = append(rows, r)
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(rows)
	case "table":
		for _, s := range scenarios.All() {
			fmt.Fprintln(w, s.Name)
			for _, line := range wrap(s.Doc, 76) {
				fmt.Fprintln(w, "    "+line)
			}
		}
		return nil
	}
	return fmt.Errorf("--format %q: want table or json", format)
}

// drillOptions are the flags of `tandem drill run`.
type drillOptions struct {
	all, demo        bool
	director, format string
	out, kernel      string
	seed             uint64
	repeat           int
}

func newDrillRun() *cobra.Command {
	var o drillOptions
	cmd := &cobra.Command{
		Use:   "run [NAME|GLOB …]",
		Short: "Run drills and report",
		Long: "run carries out drills one after another and judges them. The verdict is the exit\n" +
			"status: 0 pass, 1 fail, 2 inconclusive. Ctrl-C heals what is broken, reports what\n" +
			"was seen so far and exits 2; a third Ctrl-C ends everything as it stands.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDrills(cmd.Context(), cmd, args, o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.all, "all", false, "run every drill")
	f.BoolVar(&o.demo, "demo", false, "run the drills of `make demo`")
	f.StringVar(&o.director, "director", "tandemd", "tandemd, keepalived or a command")
	f.StringVar(&o.format, "format", "table", "table or json: what goes to standard output")
	f.StringVar(&o.out, "out", "runs", "directory for run directories")
	f.StringVar(&o.kernel, "kernel", "", "auto, host or uml (default $TANDEM_KERNEL, else auto)")
	f.Uint64Var(&o.seed, "seed", 1, "seed, kept in the report")
	f.IntVar(&o.repeat, "repeat", 1, "run each drill so many times")
	return cmd
}

// choose returns the drills that the arguments name.
func (o drillOptions) choose(args []string) ([]scenarios.Scenario, error) {
	switch {
	case o.all && o.demo || (o.all || o.demo) && len(args) > 0:
		return nil, errors.New("give names, --all or --demo, not two of them")
	case o.all:
		return scenarios.All(), nil
	case o.demo:
		return scenarios.Find(scenarios.Demo()...)
	case len(args) == 0:
		return nil, errors.New("give the names of drills, or --all; `tandem drill list` lists them")
	}
	return scenarios.Find(args...)
}

func runDrills(ctx context.Context, cmd *cobra.Command, args []string, o drillOptions) error {
	chosen, err := o.choose(args)
	if err != nil {
		return err
	}
	if o.format != "table" && o.format != "json" {
		return fmt.Errorf("--format %q: want table or json", o.format)
	}
	if o.repeat < 1 {
		return fmt.Errorf("--repeat %d: want at least 1", o.repeat)
	}
	director, err := scenarios.FindDirector(o.director)
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return exitError{exitInconclusive, fmt.Errorf("make output directory: %w", err)}
	}
	if err := o.enter(ctx, chosen, director); err != nil {
		return err
	}
	b, err := newBatch(o, args, director, cmd)
	if err != nil {
		return exitError{exitInternal, err}
	}
	return b.run(ctx, chosen)
}

// enter goes on in a kernel that has what the drills need; it may not return.
func (o drillOptions) enter(
	ctx context.Context, chosen []scenarios.Scenario, d scenarios.Director,
) error {
	mode, err := kernelMode(o.kernel)
	if err != nil {
		return err
	}
	var need []lab.Capability
	for _, s := range chosen {
		need = append(need, scenarios.Needs(s)...)
	}
	// Signals are handed on to the guest, which heals and reports: they must not end it from outside.
	err = kernel.Enter(context.WithoutCancel(ctx),
		kernel.Options{Mode: mode, Need: unique(need), Writable: []string{o.out}})
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	return nil
}

func unique(capabilities []lab.Capability) []lab.Capability {
	seen := map[lab.Capability]bool{}
	var out []lab.Capability
	for _, c := range capabilities {
		if !seen[c] {
			seen[c] = true
			out = append(out, c)
		}
	}
	return out
}

// batch is one call of `tandem drill run`.
type batch struct {
	options  drillOptions
	director scenarios.Director
	command  string
	dir      string // the run directory
	out, err io.Writer
	mu       sync.Mutex // guards err
	reports  []reports.Report
}

// newBatch makes the run directory: OUT/<UTC time>-<name>-<seed>.
func newBatch(
	o drillOptions, args []string, d scenarios.Director, cmd *cobra.Command,
) (*batch, error) {
	name := "drills"
	switch {
	case o.demo:
		name = "demo"
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
	b := &batch{options: o, director: d, dir: dir, out: cmd.OutOrStdout(), err: cmd.ErrOrStderr()}
	b.command = "tandem drill run %s"
	if d.Name != "tandemd" {
		b.command += fmt.Sprintf(" --director %q", d.Name)
	}
	b.command += fmt.Sprintf(" --seed %d", o.seed)
	return b, nil
}

// run carries out the drills, writes every file, prints the outcome and returns the verdict as an
// error with its exit status. What was seen is written whatever happens.
func (b *batch) run(ctx context.Context, chosen []scenarios.Scenario) error {
	var broken error
	total := len(chosen) * b.options.repeat
	for i := range total {
		if ctx.Err() != nil {
			break
		}
		if err := b.runOne(ctx, chosen[i/b.options.repeat], i+1, total); err != nil {
			broken = errors.Join(broken, err)
		}
	}
	if err := b.writeAll(); err != nil {
		broken = errors.Join(broken, err)
	}
	if err := b.print(); err != nil {
		broken = errors.Join(broken, err)
	}
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

func (b *batch) runOne(ctx context.Context, s scenarios.Scenario, i, total int) error {
	dir := b.dir
	if total > 1 {
		dir = filepath.Join(b.dir, fmt.Sprintf("%02d-%s", i, s.Name))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("make run directory: %w", err)
		}
	}
	b.progress("[%d/%d] %s with %s", i, total, s.Name, b.director.Name)
	report, err := scenarios.Run(ctx, s, b.director, scenarios.Options{
		Seed: b.options.seed, Dir: dir, Command: fmt.Sprintf(b.command, s.Name),
		Progress: func(at time.Duration, text string) {
			b.progress("  t+%-8s %s", fmt.Sprintf("%.3fs", at.Seconds()), text)
		},
	})
	if report.Version == 0 {
		return err
	}
	b.reports = append(b.reports, report)
	b.progress("  %s: %s", strings.ToUpper(string(report.Verdict)), report.Summary)
	return errors.Join(err, writeReport(dir, report))
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
	_, err := fmt.Fprintf(b.out, "\nreport  %s\n", filepath.Join(b.dir, "report.html"))
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
