package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemlb/tandem/live"
)

// nameFlag is the flag with which a command says which lab it is about.
func nameFlag(cmd *cobra.Command, name *string) {
	cmd.PersistentFlags().StringVar(name, "name", "",
		"the lab's name (default the only one that is up)")
}

// findLab finds the lab of a name; empty: the only one.
func findLab(name string) (live.Remote, error) {
	place, err := live.UserPlace()
	if err != nil {
		return live.Remote{}, exitError{exitInconclusive, err}
	}
	r, err := place.Find(name)
	return r, failed(err)
}

// failed gives an error of a lab its exit status.
func failed(err error) error {
	if err == nil {
		return nil
	}
	var f *live.Failure
	if !errors.As(err, &f) {
		return exitError{exitInternal, err}
	}
	switch f.Reason {
	case live.Usage:
		return exitError{exitUsage, err}
	case live.NoProgram:
		return exitError{exitNoProgram, err}
	case live.Lacks:
		return exitError{exitInconclusive, err}
	case live.Failed:
	}
	return exitError{exitFail, err}
}

// exitNoProgram is the status of shells for a program that is not there.
const exitNoProgram = 127

// formatFlag is that of commands that also speak JSON.
func formatFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVar(format, "format", "table", "table or json")
}

// write writes a value as JSON, or as table does, as the format says.
func write(w io.Writer, format string, v any, table func(io.Writer) error) error {
	switch format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	case "table":
		return table(w)
	}
	return fmt.Errorf("--format %q: want table or json", format)
}

func newLabStatus(name *string) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show nodes, addresses, who has the VIPs, IPVS tables and faults",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := findLab(*name)
			if err != nil {
				return err
			}
			s, err := r.Status(cmd.Context())
			if err != nil {
				return failed(err)
			}
			return write(cmd.OutOrStdout(), format, s, func(w io.Writer) error {
				return writeStatus(w, s, time.Now())
			})
		},
	}
	formatFlag(cmd, &format)
	return cmd
}

func newLabLog(name *string) *cobra.Command {
	var lines int
	cmd := &cobra.Command{
		Use:   "log NODE",
		Short: "Show the last lines that the programs of a node have written",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := findLab(*name)
			if err != nil {
				return err
			}
			log, err := r.Log(cmd.Context(), live.LogRequest{Node: args[0], Lines: lines})
			if err != nil {
				return failed(err)
			}
			for _, l := range log {
				fmt.Fprintln(cmd.OutOrStdout(), l)
			}
			return nil
		},
	}
	cmd.Flags().IntVarP(&lines, "lines", "n", 20, "how many; 0 is all that are kept")
	return cmd
}

// labRow is a lab in a list of those that are up.
type labRow struct {
	Name     string `json:"name"`
	Topology string `json:"topology"`
	Director string `json:"director"`
	Kernel   string `json:"kernel"`
	// Since is when it was up; zero where it does not answer.
	Since  time.Time `json:"since,omitzero"`
	Faults int       `json:"faults"`
	// Problem is why it does not answer.
	Problem string `json:"problem,omitempty"`
}

func newLabList() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the labs that are up",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rows, err := listLabs(cmd.Context())
			if err != nil {
				return exitError{exitInconclusive, err}
			}
			return write(cmd.OutOrStdout(), format, rows, func(w io.Writer) error {
				return writeLabs(w, rows, time.Now())
			})
		},
	}
	formatFlag(cmd, &format)
	return cmd
}

// listLimit is how long a lab may take to say how it is before it counts as one that does not
// answer.
const listLimit = 5 * time.Second

func listLabs(ctx context.Context) ([]labRow, error) {
	place, err := live.UserPlace()
	if err != nil {
		return nil, err
	}
	names, err := place.Names()
	if err != nil {
		return nil, err
	}
	rows := []labRow{}
	for _, name := range names {
		row := labRow{Name: name}
		r, err := place.Find(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		limited, cancel := context.WithTimeout(ctx, listLimit)
		s, err := r.Status(limited)
		cancel()
		if err != nil {
			row.Problem = "it does not answer: " + err.Error()
		} else {
			row.Topology, row.Director, row.Kernel = s.Topology, s.Director, s.Kernel
			row.Since, row.Faults = s.Since, len(s.Faults)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func newLabDown(name *string) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "down [NAME]",
		Short: "Take a lab down",
		Long: "down ends everything in a lab, and the lab. Where it does not answer, its process is\n" +
			"killed, which ends everything in it too: nothing of a lab is left in any case.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if all || *name != "" {
					return errors.New("give one of NAME, --name and --all")
				}
				*name = args[0]
			}
			return takeDown(cmd, *name, all)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "take down every lab")
	return cmd
}

func takeDown(cmd *cobra.Command, name string, all bool) error {
	place, err := live.UserPlace()
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	names := []string{name}
	if all {
		if names, err = place.Names(); err != nil {
			return exitError{exitInconclusive, err}
		}
	}
	var errs []error
	for _, name := range names {
		r, err := place.Find(name)
		if err == nil {
			err = place.Down(cmd.Context(), r)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(cmd.OutOrStdout(), "lab %s is down\n", r.Name)
	}
	return failed(errors.Join(errs...))
}
