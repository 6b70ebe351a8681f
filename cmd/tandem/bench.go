package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tandemlb/tandem/bench"
	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/scenarios"
)

// benchReference is the director that others are compared with.
const benchReference = "keepalived"

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a director side by side with keepalived",
	}
	cmd.AddCommand(newBenchVRRP(), newBenchIPVS(), newBenchCarryOut(), newBenchCarryOutIPVS())
	return cmd
}

// benchOptions are the flags of the benchmarks.
type benchOptions struct {
	director, format, out string
	only                  []string
}

func newBenchVRRP() *cobra.Command {
	var o benchOptions
	return o.command(benchKind{name: "vrrp", parts: "outage, load, takeover or start",
		short: "Measure outages, load, takeover and start of VRRP",
		long: "vrrp measures a director and keepalived in one run, and shows their ratios:\n\n" +
			"  outage    what clients lose to a fault of the master, at adverts of 1 s, 100 ms\n" +
			"            and 10 ms: figure 7 on virtual time, which is exact\n" +
			"  load      processor and memory of 1, 100 and 1,000 instances\n" +
			"  takeover  of 1,000 instances whose master loses power\n" +
			"  start     from exec to the first advert\n\n" +
			"The last three are measured in network namespaces on this kernel, and need root.\n" +
			"All takes about 6 minutes; leave the machine alone meanwhile.",
		run: func(ctx context.Context, cmd *cobra.Command) error { return runBench(ctx, cmd, o) },
	})
}

// benchKind is what the benchmarks' commands differ in.
type benchKind struct {
	name, short, long, parts string
	run                      func(context.Context, *cobra.Command) error
}

// command returns the command of a benchmark, whose flags are o.
func (o *benchOptions) command(k benchKind) *cobra.Command {
	cmd := &cobra.Command{
		Use: k.name, Short: k.short,
		Long: k.long + "\n\n" +
			"Exit status: 0 measured, 1 a promise was missed on virtual time, 2 something could\n" +
			"not be measured. What is missed on this machine's clock is shown, but is no failure:\n" +
			"it also tells of what else the machine did.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.format != "table" && o.format != "json" {
				return fmt.Errorf("--format %q: want table or json", o.format)
			}
			return k.run(cmd.Context(), cmd)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.director, "director", "tandemd", "tandemd, keepalived or a command")
	f.StringVar(&o.format, "format", "table", "table or json: what goes to standard output")
	f.StringVar(&o.out, "out", filepath.Join("runs", "bench-"+k.name), "directory for results.json")
	f.StringSliceVar(&o.only, "only", nil, k.parts+"; also several")
	return cmd
}

// partsOf parses the flag --only.
func partsOf[P any](o benchOptions, parse func(string) (P, error)) ([]P, error) {
	var all []P
	for _, name := range o.only {
		part, err := parse(name)
		if err != nil {
			return nil, fmt.Errorf("--only: %w", err)
		}
		all = append(all, part)
	}
	return all, nil
}

func runBench(ctx context.Context, cmd *cobra.Command, o benchOptions) error {
	parts, err := partsOf(o, bench.ParsePart)
	if err != nil {
		return err
	}
	options := bench.Options{Parts: parts}
	var absent string
	if options.Directors, absent, err = o.directors(); err != nil {
		return err
	}
	options.Progress = benchProgress(cmd.ErrOrStderr())
	results, broken := bench.Run(ctx, options)
	results.Absent = absent
	return finishBench(cmd.OutOrStdout(), o, &results, broken)
}

// directors finds the programs to compare, and makes the output directory. The name is that of a
// reference that is not here.
func (o benchOptions) directors() (found []scenarios.Director, absent string, err error) {
	subject, err := scenarios.FindDirector(o.director)
	if err != nil {
		return nil, "", exitError{exitInconclusive, err}
	}
	found = []scenarios.Director{subject}
	if o.director != benchReference {
		reference, err := scenarios.FindDirector(benchReference)
		if err == nil {
			found = append(found, reference)
		} else {
			absent = benchReference
		}
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return nil, "", exitError{exitInconclusive, fmt.Errorf("make output directory: %w", err)}
	}
	return found, absent, nil
}

// benchProgress prints what is being measured.
func benchProgress(w io.Writer) func(text string) {
	return func(text string) {
		for i, part := range wrap(text, 76) {
			if i > 0 {
				part = "    " + part
			}
			fmt.Fprintln(w, part)
		}
	}
}

// finishBench writes and prints the results, and returns the error that gives the exit status.
func finishBench(w io.Writer, o benchOptions, r *bench.Results, broken error) error {
	missed, _ := bench.Missed(r.Targets)
	return finish(w, o, broken, benchOutcome{missed, len(r.Problems),
		func(w io.Writer) error { return bench.WriteTable(w, r) },
		func(w io.Writer) error { return bench.WriteJSON(w, r) }})
}

// benchOutcome is what has come of a benchmark: how many targets were missed that must not be, how
// many problems there were, and its two forms.
type benchOutcome struct {
	missed, problems int
	table, json      func(io.Writer) error
}

// finish writes and prints an outcome, and returns the error that gives the exit status.
func finish(w io.Writer, o benchOptions, broken error, out benchOutcome) error {
	if broken != nil {
		return exitError{exitInconclusive, broken}
	}
	if err := writeFile(filepath.Join(o.out, "results.json"), out.json); err != nil {
		return exitError{exitInternal, err}
	}
	write := out.table
	if o.format == "json" {
		write = out.json
	}
	if err := write(w); err != nil {
		return exitError{exitInternal, err}
	}
	if out.missed > 0 {
		return exitError{exitFail, nil}
	}
	if out.problems > 0 {
		return exitError{exitInconclusive, nil}
	}
	return nil
}

// newBenchCarryOut is the command by which a program in a guest measures one outage. It is no part
// of what users call.
func newBenchCarryOut() *cobra.Command {
	return &cobra.Command{
		Use:    bench.CarryOutName + " ORDER",
		Short:  "Measure one outage in this kernel and print it",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			var order bench.OutageOrder
			if err := json.Unmarshal([]byte(args[0]), &order); err != nil {
				return fmt.Errorf("decode order: %w", err)
			}
			err := kernel.Enter(cmd.Context(), kernel.Options{Time: kernel.VirtualTime, Need: labNeeds})
			if err != nil {
				return exitError{exitInconclusive, err}
			}
			out, err := bench.CarryOut(cmd.Context(), order)
			if err != nil {
				return exitError{exitInternal, err}
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(out)
		},
	}
}
