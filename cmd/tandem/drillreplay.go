package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tandemlb/tandem/drills"
	"github.com/tandemlb/tandem/reports"
)

func newDrillReplay() *cobra.Command {
	var o drillOptions
	cmd := &cobra.Command{
		Use:   "replay RUN",
		Short: "Run again what a run directory recorded",
		Long: "replay runs the drills of a run directory again, with the director, the seed and the\n" +
			"clock that its reports name, and says whether the outcome is the same. On virtual time\n" +
			"it is, to the last byte, where the programs are the same.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return replay(cmd, args[0], o)
		},
	}
	o.registerPlace(cmd)
	return cmd
}

// recorded is one drill of a run directory.
type recorded struct {
	report reports.Report
	// argument names the drill to `tandem drill run`.
	argument string
}

// readRun returns the drills of a run directory, in their order.
func readRun(dir string) ([]recorded, error) {
	var all []recorded
	for _, pattern := range []string{"report.json", "[0-9]*/report.json"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, fmt.Errorf("read run %s: %w", dir, err)
		}
		for _, file := range files {
			one := recorded{}
			if one.report, err = readReport(filepath.Dir(file)); err != nil {
				return nil, fmt.Errorf("read run %s: %w", dir, err)
			}
			one.argument = one.report.Recording.Scenario
			own := filepath.Join(filepath.Dir(file), one.argument+drills.Suffix)
			if _, err := os.Stat(own); err == nil {
				one.argument = own
			}
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("read run %s: there is no report.json in it: name a directory that "+
			"`tandem drill run` made, such as runs/latest", dir)
	}
	return all, nil
}

// replay runs the drills of a run directory again. They have one director, seed and clock.
func replay(cmd *cobra.Command, dir string, o drillOptions) error {
	all, err := readRun(dir)
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	first := all[0].report.Recording
	o.director, o.seed, o.time = first.Director, first.Seed, first.Host.Clock
	o.whole = map[string]string{}
	var args []string
	for _, r := range all {
		if !slices.Contains(args, r.argument) {
			args = append(args, r.argument)
		}
		o.whole[r.report.Recording.Scenario] = r.report.Recording.Command
	}
	o.repeat = len(all) / len(args)
	err = runDrills(cmd.Context(), cmd, args, o)
	again, rerr := readRun(filepath.Join(o.out, "latest"))
	if rerr != nil {
		return err // what kept it from being written is in err
	}
	for i, r := range again[:min(len(again), len(all))] {
		fmt.Fprintln(cmd.ErrOrStderr(), sameOutcome(all[i].report, r.report))
	}
	return err
}

// sameOutcome says in one line how a replayed run compares with the recorded one.
func sameOutcome(was, is reports.Report) string {
	name := is.Recording.Scenario
	switch {
	case reports.Checksum(was) == reports.Checksum(is):
		return fmt.Sprintf("replayed %s: %s, the same to the last byte", name, is.Verdict)
	case was.Verdict == is.Verdict:
		return fmt.Sprintf("replayed %s: %s, as recorded", name, is.Verdict)
	}
	return fmt.Sprintf("replayed %s: %s, recorded %s", name, is.Verdict, was.Verdict)
}
