package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemlb/tandem/drills"
	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/reports"
)

// defaultTopology is what random drills are about unless told otherwise.
const defaultTopology = "preset:fig7"

// randomOptions are the flags of `tandem drill run` for drills that are drawn, and for shrinking.
type randomOptions struct {
	on, beyond bool
	length     time.Duration
	topology   string
	// shrink says that what fails is shrunk.
	shrink bool
}

func (o *randomOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.on, "random", false, "draw faults from the seed, and run them")
	f.DurationVar(&o.length, "for", 10*time.Minute, "how long a random drill lasts")
	f.StringVarP(&o.topology, "topology", "t", defaultTopology,
		"the network of a random drill: a topology file, or preset:NAME")
	f.BoolVar(&o.beyond, "beyond", false,
		"have a random drill break more at once than the network survives;\n"+
			"all must be as before after each heal")
	f.BoolVar(&o.shrink, "shrink", false,
		"find the shortest part of a failing drill file that still fails,\n"+
			"on virtual time (default with --random)")
}

// chosen completes what depends on other flags.
func (o *randomOptions) chosen(cmd *cobra.Command) {
	if !cmd.Flags().Changed("shrink") {
		o.shrink = o.on
	}
}

// draw draws a drill from a seed.
func (o *randomOptions) draw(seed uint64) (drills.Drill, error) {
	if o.length <= 0 {
		return drills.Drill{}, fmt.Errorf("--for %s: want more than 0", o.length)
	}
	t, err := loadTopology(o.topology)
	if err != nil {
		return drills.Drill{}, err
	}
	return drills.Random(t, seed, o.length, o.beyond)
}

// command is what draws the same again, but for the seed.
func (o *randomOptions) command() string {
	text := "--random --for " + o.length.String()
	if o.topology != defaultTopology {
		text += fmt.Sprintf(" --topology %q", o.topology)
	}
	if o.beyond {
		text += " --beyond"
	}
	return text
}

// sayPlan says what was drawn, and from what.
func (b *batch) sayPlan() {
	if !b.options.random.on {
		return
	}
	for name, w := range b.options.written {
		b.progress("drawn from seed %d: %s", b.options.seed, w.drill)
		for _, line := range w.drill.Ledger() {
			b.progress("  %s", line)
		}
		b.sayCommand(b.commandOf(name))
	}
}

// sayCommand prints a command line on a line of its own, so that it can be copied.
func (b *batch) sayCommand(command string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(b.err, "run it again:\n  %s\n", command)
}

// shrinkFailed shrinks the drills that are no catalogue's and have failed, if that is wanted, and
// returns outcome, which it does not change. What keeps it from shrinking, it says.
func (b *batch) shrinkFailed(ctx context.Context, outcome error) error {
	if !b.options.random.shrink {
		return outcome
	}
	for _, name := range slices.Sorted(maps.Keys(b.options.written)) {
		i := slices.IndexFunc(b.reports, func(r reports.Report) bool {
			return r.Recording.Scenario == name && r.Verdict == reports.Fail
		})
		if i < 0 || ctx.Err() != nil {
			continue
		}
		if err := b.shrink(ctx, b.options.written[name].drill, b.reports[i]); err != nil {
			b.progress("shrink %s: %s", name, err)
		}
	}
	return outcome
}

// shrink finds the shortest part of a failing drill that fails by one of the same bounds, and leaves
// it in the run directory: the drill as a file, and its run in a directory shrunk.
func (b *batch) shrink(ctx context.Context, d drills.Drill, failed reports.Report) error {
	if kernel.InGuest() {
		return fmt.Errorf("only virtual time gives the same run each time: tandem drill run --shrink "+
			"--time virtual %s", filepath.Join(b.dir, d.Name+drills.Suffix))
	}
	if _, err := kernel.FindVirtualImage(); err != nil {
		return err
	}
	s := shrinking{batch: b, drill: d, bounds: failedBounds(failed), dir: filepath.Join(b.dir, "shrunk"),
		try: filepath.Join(b.dir, "shrunk.try")}
	s.drill.Name = d.Name[:min(len(d.Name), 63-len(shrunkSuffix))] + shrunkSuffix
	s.drill.Doc = "The shortest part of " + d.Name + " that was found to fail."
	defer os.RemoveAll(s.try)
	events := d.Events()
	b.progress("shrink %s: %d events; what fails by: %s", d.Name, len(events),
		strings.Join(s.bounds, ", "))
	if b.clock != kernel.VirtualTime || len(events) == 1 {
		switch fails, err := s.fails(ctx, events); {
		case err != nil:
			return err
		case !fails:
			return errors.New("it does not fail on virtual time: nothing to shrink")
		}
	}
	left, err := drills.Shrink(events, func(part [][]drills.Step) (bool, error) {
		return s.fails(ctx, part)
	})
	return errors.Join(err, s.finish(left))
}

// shrunkSuffix ends the name of a drill that was shrunk.
const shrunkSuffix = "-shrunk"

// shrinking is one drill being shrunk.
type shrinking struct {
	*batch
	drill  drills.Drill
	bounds []string // one of which must fail
	// dir is where the run of the shortest failing part is, try that of the one that is being tried.
	dir, try string
	runs     int
}

// failedBounds are the names of the bounds that failed.
func failedBounds(r reports.Report) []string {
	var names []string
	for _, f := range r.Findings {
		if f.Verdict == reports.Fail {
			names = append(names, f.Bound)
		}
	}
	return names
}

// fails runs a part of the drill on virtual time, and says whether it fails as the whole did.
func (s *shrinking) fails(ctx context.Context, part [][]drills.Step) (bool, error) {
	if ctx.Err() != nil {
		return false, fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	d := s.drill.With(part)
	if err := errors.Join(os.RemoveAll(s.try), os.Mkdir(s.try, 0o755)); err != nil {
		return false, fmt.Errorf("make directory: %w", err)
	}
	file := filepath.Join(s.dir, d.Name+drills.Suffix)
	s.options.written[d.Name] = written{drill: d, whole: s.again(file)}
	of := d.Scenario()
	report, err := s.carryApart(ctx, of, s.try, s.orderOf(of, 0), "")
	if err != nil {
		return false, err
	}
	s.runs++
	s.progress("  run %d, %d of %d events: %s", s.runs, len(part), len(s.drill.Events()),
		strings.ToUpper(string(report.Verdict)))
	same := slices.ContainsFunc(failedBounds(report), func(name string) bool {
		return slices.Contains(s.bounds, name)
	})
	if report.Verdict != reports.Fail || !same {
		return false, nil
	}
	if err := writeReport(s.try, report); err != nil {
		return false, err
	}
	return true, errors.Join(os.RemoveAll(s.dir), os.Rename(s.try, s.dir))
}

// again is the command line that runs a drill file as it is run here.
func (s *shrinking) again(file string) string {
	text := fmt.Sprintf(s.command, file)
	if s.clock != kernel.VirtualTime {
		text += " --time " + kernel.VirtualTime.String()
	}
	return text
}

// finish says what was found.
func (s *shrinking) finish(left [][]drills.Step) error {
	d := s.drill.With(left)
	file := filepath.Join(s.batch.dir, d.Name+drills.Suffix)
	if err := writeDrillFile(file, d); err != nil {
		return err
	}
	s.progress("shrunk to %d of %d events in %d runs:", len(left), len(s.drill.Events()), s.runs)
	for _, line := range d.Ledger() {
		s.progress("  %s", line)
	}
	s.sayCommand(s.again(file))
	return nil
}
