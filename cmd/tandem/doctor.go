package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/lab/kernel/build"
)

func newDoctor() *cobra.Command {
	var install bool
	var format string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine has and lacks for labs, and how to get it",
		Long: "doctor probes the kernel that this machine runs and the programs beside it.\n" +
			"What the kernel lacks matters only where no guest kernel is installed: labs\n" +
			"then run in the guest. It exits 0 where labs can run, here or in a guest, and\n" +
			"2 where they cannot.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if install {
				if _, err := kernel.InstallImage(cmd.Context(), cmd.ErrOrStderr()); err != nil {
					return exitError{exitInconclusive, err}
				}
			}
			d := examine()
			if err := d.write(cmd.OutOrStdout(), format); err != nil {
				return err
			}
			if !d.LabsRun {
				return exitError{exitInconclusive, nil}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&install, "install", false,
		"download and unpack the guest kernel into the user's cache (no root)")
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

// diagnosis is what doctor found.
type diagnosis struct {
	// LabsRun says that labs can run, and Where: "host", "guest" or "nowhere".
	LabsRun bool             `json:"labs_run"`
	Where   string           `json:"where"`
	Kernel  []kernel.Finding `json:"kernel"`
	Tools   []kernel.Finding `json:"tools"`
	// VirtualTime says whether drills can run on a virtual clock; labs do not depend on it.
	VirtualTime kernel.Finding `json:"virtual_time"`
}

func examine() diagnosis {
	d := diagnosis{Where: "nowhere", Kernel: kernel.Probe(nil), Tools: kernel.Tools(),
		VirtualTime: findVirtualTime()}
	host := true
	for _, f := range kernel.Probe(labNeeds) {
		host = host && f.OK
	}
	_, err := kernel.FindImage()
	switch {
	case host:
		d.LabsRun, d.Where = true, "host"
	case err == nil:
		d.LabsRun, d.Where = true, "guest"
	}
	return d
}

// findVirtualTime looks for the kernel that `tandem kernel build` makes.
func findVirtualTime() kernel.Finding {
	f := kernel.Finding{Name: "virtual time", Why: "drills that are the same each time",
		Remedy: "`tandem kernel build` makes it: 8 minutes, no root"}
	cache, err := kernel.CacheDir()
	if err != nil {
		f.Reason = err.Error()
		return f
	}
	k, err := build.Find(cache)
	switch {
	case errors.Is(err, build.ErrNone):
		f.Reason = "its kernel is not built"
	case err != nil:
		f.Reason, f.Remedy = err.Error(), "see `tandem kernel list`"
	default:
		f.OK, f.Reason = true, k.Program
	}
	return f
}

func (d diagnosis) write(w io.Writer, format string) error {
	switch format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(d)
	case "table":
		d.writeTable(w)
		return nil
	}
	return fmt.Errorf("--format %q: want table or json", format)
}

// writeTable writes the findings in 80 columns, what to do below what is missing.
func (d diagnosis) writeTable(w io.Writer) {
	fmt.Fprintf(w, "%-16s %-5s %s\n", "THIS KERNEL", "HERE", "NEEDED FOR")
	for _, f := range d.Kernel {
		writeFinding(w, f, "")
	}
	fmt.Fprintf(w, "\n%-16s %-5s %s\n", "BESIDE IT", "HERE", "NEEDED FOR")
	for _, f := range d.Tools {
		writeFinding(w, f, f.Reason)
	}
	writeFinding(w, d.VirtualTime, d.VirtualTime.Reason)
	switch d.Where {
	case "host":
		fmt.Fprintln(w, "\nLabs run on this kernel.")
	case "guest":
		fmt.Fprintln(w, "\nLabs run in the guest kernel, which has what this one lacks.")
	default:
		fmt.Fprintln(w, "\nLabs cannot run here yet: `tandem doctor --install` fetches a guest "+
			"kernel\ninto your cache, without root.")
	}
}

func writeFinding(w io.Writer, f kernel.Finding, where string) {
	const indent = "                       "
	if f.OK {
		fmt.Fprintf(w, "%-16s %-5s %s\n", f.Name, "yes", f.Why)
		if where != "" {
			fmt.Fprintf(w, "%s%s\n", indent, where)
		}
		return
	}
	fmt.Fprintf(w, "%-16s %-5s %s\n", f.Name, "NO", f.Why)
	for _, line := range wrap(f.Reason+" → "+f.Remedy, 80-len(indent)) {
		fmt.Fprintf(w, "%s%s\n", indent, line)
	}
}

// wrap breaks a text at spaces into lines of at most width characters; a longer word stays whole.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
