package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tandemlb/tandem/bench"
	"github.com/tandemlb/tandem/lab/kernel"
)

func newBenchIPVS() *cobra.Command {
	var o benchOptions
	return o.command(benchKind{name: "ipvs", parts: "table, largest, checks or failure",
		short: "Measure start, reload, checks and memory of virtual services",
		long: "ipvs measures a director and keepalived in one run, in turn, and shows their ratios:\n\n" +
			"  table    5,000 real servers of 20 virtual services: time from exec to the whole\n" +
			"           table, memory, and a reload that takes one real server away\n" +
			"  largest  the same with 37,300 real servers of 2,300 virtual services\n" +
			"  checks   processor for a TCP_CHECK, and how even 10,000 of them are in time\n" +
			"  failure  how soon a real server that goes silent is out of the table\n\n" +
			"All is measured in guest kernels, and needs no root. It takes about 10 minutes; leave\n" +
			"the machine alone meanwhile.",
		run: func(ctx context.Context, cmd *cobra.Command) error { return runBenchIPVS(ctx, cmd, o) },
	})
}

func runBenchIPVS(ctx context.Context, cmd *cobra.Command, o benchOptions) error {
	parts, err := partsOf(o, bench.ParseIPVSPart)
	if err != nil {
		return err
	}
	options := bench.IPVSOptions{Parts: parts}
	var absent string
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
