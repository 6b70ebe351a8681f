package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tandemlb/tandem/drills"
	"github.com/tandemlb/tandem/scenarios"
)

// written is a drill that no catalogue has.
type written struct {
	drill drills.Drill
	// command is what stands for its name in the command line that runs the same again; whole is the
	// whole command line, where it is known already.
	command, whole string
}

// readDrill reads a drill file, with the topology file that it may name.
func readDrill(file string) (drills.Drill, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return drills.Drill{}, fmt.Errorf("read drill: %w", err)
	}
	return drills.Parse(file, b, os.ReadFile)
}

// chooseWritten returns the drills that the arguments and --random name, and remembers those that are
// in no catalogue. All problems of all files are in the error.
func (o *drillOptions) chooseWritten(args []string) ([]scenarios.Scenario, error) {
	o.written = map[string]written{}
	if o.random.on {
		if o.all || o.demo || len(args) > 0 {
			return nil, errors.New("give --random, or names, --all or --demo, not both")
		}
		d, err := o.random.draw(o.seed)
		if err != nil {
			return nil, err
		}
		o.written[d.Name] = written{drill: d, command: o.random.command()}
		return []scenarios.Scenario{d.Scenario()}, nil
	}
	var names []string
	var files []scenarios.Scenario
	var errs []error
	for _, arg := range args {
		if !strings.HasSuffix(arg, drills.Suffix) {
			names = append(names, arg)
			continue
		}
		d, err := readDrill(arg)
		if err == nil {
			err = o.remember(d, arg)
		}
		errs = append(errs, err)
		files = append(files, d.Scenario())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(files) > 0 && len(names) == 0 && !o.all && !o.demo {
		return files, nil
	}
	chosen, err := o.choose(names)
	return append(files, chosen...), err
}

// remember takes a drill of a file in. Its name must be no other's.
func (o *drillOptions) remember(d drills.Drill, file string) error {
	if _, taken := o.written[d.Name]; taken {
		return fmt.Errorf("%s: name: two files have the name %q: change one of them", file, d.Name)
	}
	for _, s := range append(scenarios.Catalogue(), scenarios.FaultDrills()...) {
		if s.Name == d.Name {
			return fmt.Errorf("%s: name: %q is that of a drill that `tandem drill list` lists: take "+
				"another", file, d.Name)
		}
	}
	o.written[d.Name] = written{drill: d, command: file, whole: o.whole[d.Name]}
	return nil
}

// commandOf is the command line that runs a drill again.
func (b *batch) commandOf(name string) string {
	if w, ok := b.options.written[name]; ok {
		if w.whole != "" {
			return w.whole
		}
		name = w.command
	}
	return fmt.Sprintf(b.command, name)
}

// writeDrill writes a drill that no catalogue has to the directory of its run, where it needs no
// other file.
func (b *batch) writeDrill(dir, name string) error {
	w, ok := b.options.written[name]
	if !ok {
		return nil
	}
	return writeDrillFile(filepath.Join(dir, name+drills.Suffix), w.drill)
}

// writeDrillFile writes a drill as a file that names no other.
func writeDrillFile(file string, d drills.Drill) error {
	text, err := drills.Marshal(d)
	if err != nil {
		return err
	}
	return writeFile(file, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// fileOf is the name of the drill file in a run's directory; empty: the catalogue has the drill.
func (b *batch) fileOf(name string) string {
	if _, ok := b.options.written[name]; !ok {
		return ""
	}
	return name + drills.Suffix
}

func newDrillValidate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE.drill.yml …",
		Short: "Say everything that is wrong with drill files",
		Long: "validate reads drill files and prints every problem, one a line, each with file, line\n" +
			"and column. The exit status is 0 when there is none, else 1.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			bad := false
			for _, file := range args {
				d, err := readDrill(file)
				if err != nil {
					bad = true
					fmt.Fprintln(cmd.ErrOrStderr(), err)
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: ok: %s\n", file, d)
			}
			if bad {
				return exitError{exitFail, nil}
			}
			return nil
		},
	}
}

func newDrillSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of drill files, for editors",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := drills.Schema()
			if err != nil {
				return exitError{exitInternal, err}
			}
			_, err = cmd.OutOrStdout().Write(b)
			return err
		},
	}
}

// listFiles lists the drill files of a directory. What is wrong with one stands in its place, and
// makes the exit status 1.
func listFiles(w io.Writer, dir, format string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*"+drills.Suffix))
	if err != nil || len(files) == 0 {
		return errors.Join(fmt.Errorf("list drills: there is no *%s in %s", drills.Suffix, dir), err)
	}
	var good []scenarios.Scenario
	var errs []error
	for _, file := range files {
		d, err := readDrill(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		good = append(good, d.Scenario())
	}
	if err := listDrills(w, good, format); err != nil {
		return err
	}
	if err := errors.Join(errs...); err != nil {
		return exitError{exitFail, err}
	}
	return nil
}
