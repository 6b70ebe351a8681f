package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tandemlb/tandem/reports"
)

func newReport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Show stored runs in several forms, and compare two",
	}
	cmd.AddCommand(newReportShow(), newReportCompare(), newReportSchema())
	return cmd
}

// showers write reports in the forms of `tandem report show`.
var showers = map[string]func(io.Writer, []reports.Report) error{
	"text":     writeText,
	"html":     reports.WriteHTML,
	"junit":    reports.WriteJUnit,
	"markdown": reports.WriteMarkdown,
	"json":     writeJSON,
}

func newReportShow() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "show RUN…",
		Short: "Show stored runs as text, HTML, JUnit, Markdown or JSON",
		Long: "show writes the reports of runs as they were judged. RUN is a run directory\n" +
			"(runs/latest), the directory of one drill in it, or a report.json.\n\n" +
			"  text      the table that `tandem drill run` prints; of one drill, details too\n" +
			"  html      one page that needs nothing but itself\n" +
			"  junit     for the continuous integration of your choice\n" +
			"  markdown  for a pull request: a table, and folded what did not pass\n" +
			"  json      of the form that `tandem report schema` describes",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			show, ok := showers[format]
			if !ok {
				return fmt.Errorf("--format %q: want text, html, junit, markdown or json", format)
			}
			stored, err := loadRuns(args)
			if err != nil {
				return err
			}
			return writeTo(cmd, out, func(w io.Writer) error { return show(w, plain(stored)) })
		},
	}
	addOutputFlags(cmd, &format, &out, "text, html, junit, markdown or json")
	return cmd
}

func newReportCompare() *cobra.Command {
	var format, out string
	var gate bool
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Put two runs, or two directors, side by side",
		Long: "compare puts the drills of two runs side by side, matched by their names: verdicts,\n" +
			"figures with their differences, and each bound that was judged otherwise. A and B are\n" +
			"run directories, directories of one drill, or report.json files.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			write, ok := comparers[format]
			if !ok {
				return fmt.Errorf("--format %q: want text, html, markdown or json", format)
			}
			a, err := loadRun(args[0])
			if err != nil {
				return err
			}
			b, err := loadRun(args[1])
			if err != nil {
				return err
			}
			c := reports.Compare(reports.Side{Name: args[0], Reports: plain(a)},
				reports.Side{Name: args[1], Reports: plain(b)})
			err = writeTo(cmd, out, func(w io.Writer) error { return write(w, c) })
			if err == nil && gate && c.Worse() > 0 {
				return exitError{exitFail, nil}
			}
			return err
		},
	}
	addOutputFlags(cmd, &format, &out, "text, html, markdown or json")
	cmd.Flags().BoolVar(&gate, "gate", false,
		"exit with status 1 where a drill of B is worse than in A")
	return cmd
}

// comparers write a comparison in the forms of `tandem report compare`.
var comparers = map[string]func(io.Writer, reports.Comparison) error{
	"text": func(w io.Writer, c reports.Comparison) error {
		return reports.WriteCompareText(w, c, 80, isTerminal(w))
	},
	"html":     reports.WriteCompareHTML,
	"markdown": reports.WriteCompareMarkdown,
	"json":     reports.WriteCompareJSON,
}

func newReportSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of a report",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), reports.Schema)
			return err
		},
	}
}

// addOutputFlags adds the flags on the form and the place of what is written.
func addOutputFlags(cmd *cobra.Command, format, out *string, forms string) {
	cmd.Flags().StringVar(format, "format", "text", forms)
	cmd.Flags().StringVarP(out, "output", "o", "", "write to this file, whole or not at all")
}

// writeTo writes to a file, or where there is none to standard output.
func writeTo(cmd *cobra.Command, file string, write func(io.Writer) error) error {
	var err error
	if file == "" {
		err = write(cmd.OutOrStdout())
	} else {
		err = writeFile(file, write)
	}
	if err != nil {
		return exitError{exitInternal, err}
	}
	return nil
}

// writeText writes the verdict table and, of one drill, all that is known of it.
func writeText(w io.Writer, all []reports.Report) error {
	err := reports.WriteText(w, all, 80, isTerminal(w))
	switch {
	case err != nil:
		return err
	case len(all) == 1:
		return reports.WriteDetails(w, all[0], 80, isTerminal(w))
	}
	return reports.WriteRepeats(w, reports.Repeats(all))
}

// isTerminal says whether colour may be written.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
}
