package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tandemlb/tandem/bench"
	"github.com/tandemlb/tandem/lab/kernel"
)

func newBenchIPVS() *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "ipvs",
		Short: "Measure start, reload, checks and memory of virtual services",
		Long: "ipvs measures a director and keepalived in one run, in turn, and shows their ratios:\n\n" +
			"  table    5,000 real servers of 20 virtual services: time from exec to the whole\n" +
			"           table, memory, and a reload that takes one real server away\n" +
			"  largest  the same with 37,300 real servers of 2,300 virtual services\n" +
			"  checks   processor for a TCP_CHECK, and how even 10,000 of them are in time\n" +
			"  failure  how soon a real server that goes silent is out of the table\n\n" +
			"All is measured in guest kernels, and needs no root. It takes about 10 minutes; leave\n" +
			"the machine alone meanwhile.\n\n" +
			"Exit status: 0 measured, 1 a promise was missed on virtual time, 2 something could\n" +
			"not be measured. What is missed on this machine's clock is shown, but is no failure:\n" +
			"it also tells of what else the machine did.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runBenchIPVS(cmd.Context(), cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.director, "director", "tandemd", "tandemd, keepalived or a command")
	f.StringVar(&o.format, "format", "table", "table or json: what goes to standard output")
	f.StringVar(&o.out, "out", filepath.Join("runs", "bench-ipvs"), "directory for results.json")
	f.StringSliceVar(&o.only, "only", nil, "table, largest, checks or failure; also several")
	return cmd
}

func runBenchIPVS(ctx context.Context, cmd *cobra.Command, o benchOptions) error {
	if o.format != "table" && o.format != "json" {
		return fmt.Errorf("--format %q: want table or json", o.format)
	}
	var options bench.IPVSOptions
	for _, name := range o.only {
		part, err := bench.ParseIPVSPart(name)
		if err != nil {
			return fmt.Errorf("--only: %w", err)
		}
		options.Parts = append(options.Parts, part)
	}
	var absent string
	var err error
	if options.Directors, absent, err = o.directors(); err != nil {
		return err
	}
	options.Progress = benchProgress(cmd.ErrOrStderr())
	r, broken := bench.RunIPVS(ctx, options)
	r.Absent = absent
	missed, _ := bench.Missed(r.Targets)
	return finish(cmd.OutOrStdout(), o, broken, benchOutcome{missed, len(r.Problems),
		func(w io.Writer) error { return bench.WriteIPVSTable(w, &r) },
		func(w io.Writer) error { return bench.WriteIPVSJSON(w, &r) }})
}

// newBenchCarryOutIPVS is the command by which a program in a guest measures a part. It is no part
// of what users call.
func newBenchCarryOutIPVS() *cobra.Command {
	return &cobra.Command{
		Use:    bench.CarryOutIPVSName + " ORDER",
		Short:  "Measure a part of virtual services in this kernel and print it",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			var order bench.IPVSOrder
			if err := json.Unmarshal([]byte(args[0]), &order); err != nil {
				return fmt.Errorf("decode order: %w", err)
			}
			err := kernel.Enter(cmd.Context(), kernel.Options{Time: order.Time(), Need: labNeeds})
			if err != nil {
				return exitError{exitInconclusive, err}
			}
			found, err := bench.CarryOutIPVS(cmd.Context(), order, func(text string) {
				fmt.Fprintln(cmd.ErrOrStderr(), text)
			})
			if err != nil {
				return exitError{exitInternal, err}
			}
			return bench.WriteIPVSJSON(cmd.OutOrStdout(), &found)
		},
	}
}
