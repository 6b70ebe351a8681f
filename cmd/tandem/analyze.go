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
			"drills now. RUN is a run directory (runs/latest), the directory of one drill in it,\n" +
			"or a report.json. Nothing is carried out, nothing is written. The exit status is that\n" +
			"of the verdict: 0 pass, 1 fail, 2 inconclusive, as a run that was broken off is.",
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

// judgeAgain judges stored reports, by the bounds of the drill file beside each, else by the
// catalogue's. Every scenario that is in neither is named.
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

// scenarioOf returns the scenario that a stored report is of.
func scenarioOf(r storedReport) (scenarios.Scenario, error) {
	name := r.Recording.Scenario
	file := filepath.Join(filepath.Dir(r.Path), name+drills.Suffix)
	if _, err := os.Stat(file); err == nil {
		d, err := readDrill(file)
		return d.Scenario(), err
	}
	found, err := scenarios.Find(name)
	if err != nil || len(found) != 1 {
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
