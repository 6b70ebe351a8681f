package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tandemlb/tandem/drills"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scenarios"
)

func newDrillAnalyze() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "analyze RUN…",
		Short: "Judge stored runs again, without a lab",
		Long: "analyze judges what runs have recorded by the bounds that this program has for their\n" +
			"drills now, or by those of the drill file that a run has kept. RUN is a run directory\n" +
			"(runs/latest), the directory of one drill in it, or a report.json. Nothing is carried\n" +
			"out, nothing is written. The exit status is that of the verdict: 0 pass, 1 fail,\n" +
			"2 inconclusive, as a run that was broken off is.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "table" && format != "json" {
				return fmt.Errorf("--format %q: want table or json", format)
			}
			stored, err := loadRuns(args)
			if err != nil {
				return exitError{exitInconclusive, err}
			}
			again, err := judgeAgain(stored)
			if err != nil {
				return exitError{exitInconclusive, err}
			}
			if format == "json" {
				err = writeJSON(cmd.OutOrStdout(), again)
			} else {
				err = writeAnalysis(cmd.OutOrStdout(), stored, again)
			}
			if err != nil {
				return exitError{exitInternal, err}
			}
			return verdictError(reports.Overall(again))
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

// judgeAgain judges stored reports by the bounds of their drills. Every drill that is not known is
// named.
func judgeAgain(stored []storedReport) ([]reports.Report, error) {
	var again []reports.Report
	var errs []error
	for _, r := range stored {
		s, err := scenarioOf(r)
		if err != nil {
			errs = append(errs, fmt.Errorf("judge %s: %w", r.Path, err))
			continue
		}
		again = append(again, scenarios.Again(s, r.Report))
	}
	return again, errors.Join(errs...)
}

// scenarioOf returns the scenario of a stored report: that of the drill file which lies beside it,
// else the catalogue's.
func scenarioOf(r storedReport) (scenarios.Scenario, error) {
	dir, name := r.Path, r.Recording.Scenario
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		dir = filepath.Dir(dir)
	}
	if name != filepath.Base(name) {
		return scenarios.Scenario{}, fmt.Errorf("%q is no drill's name", name)
	}
	file := filepath.Join(dir, name+drills.Suffix)
	if _, err := os.Stat(file); err == nil {
		d, err := readDrill(file)
		if err != nil {
			return scenarios.Scenario{}, err
		}
		return d.Scenario(), nil
	}
	found, err := scenarios.Find(name)
	if err != nil || len(found) != 1 || found[0].Name != name {
		return scenarios.Scenario{}, fmt.Errorf("this program has no drill %q: use the one that made "+
			"the run, or `tandem report show`", name)
	}
	return found[0], nil
}

// writeAnalysis writes the verdict table and where it differs from the stored one.
func writeAnalysis(w io.Writer, stored []storedReport, again []reports.Report) error {
	if err := reports.WriteText(w, again, 80, isTerminal(w)); err != nil {
		return err
	}
	for i, r := range stored {
		if r.Verdict == again[i].Verdict {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s was %s when it ran.\n", r.Recording.Scenario,
			r.Verdict); err != nil {
			return fmt.Errorf("write verdicts: %w", err)
		}
	}
	return nil
}

// writeJSON writes one report, or an array of several.
func writeJSON(w io.Writer, all []reports.Report) error {
	var value any = all
	if len(all) == 1 {
		value = all[0]
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(value); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
