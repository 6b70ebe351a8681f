package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/scenarios"
)

// labNeeds are what the presets' labs take of a kernel.
var labNeeds = []lab.Capability{lab.Root, lab.NetNS, lab.PIDNS, lab.Veth, lab.Bridge, lab.IPVS}

func newDrill() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Break a network on purpose and judge what the clients saw",
	}
	cmd.AddCommand(newDrillList(), newDrillRun(), newDrillValidate(), newDrillReplay(),
		newDrillAnalyze(), newDrillSchema())
	return cmd
}

func newDrillList() *cobra.Command {
	var format, dir string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the drills",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir != "" {
				return listFiles(cmd.OutOrStdout(), dir, format)
			}
			return listDrills(cmd.OutOrStdout(), scenarios.Catalogue(), format)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "list the drill files of a directory instead")
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

func listDrills(w io.Writer, all []scenarios.Scenario, format string) error {
	switch format {
	case "json":
		type row struct {
			Name     string   `json:"name"`
			Doc      string   `json:"doc"`
			Topology string   `json:"topology"`
			Needs    []string `json:"needs"`
			Long     bool     `json:"long,omitempty"`
		}
		rows := []row{}
		for _, s := range all {
			r := row{Name: s.Name, Doc: s.Doc, Topology: s.Topology.Name, Long: s.Long}
			for _, c := range scenarios.Needs(s) {
				r.Needs = append(r.Needs, c.String())
			}
			rows = append(rows, r)
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(rows)
	case "table":
		for _, s := range all {
			name := s.Name
			if s.Long {
				name += "  (long: by name only, --time virtual)"
			}
			fmt.Fprintln(w, name)
			for _, line := range wrap(s.Doc, 76) {
				fmt.Fprintln(w, "    "+line)
			}
		}
		return nil
	}
	return fmt.Errorf("--format %q: want table or json", format)
}

// drillOptions are the flags of `tandem drill run`.
type drillOptions struct {
	all, demo        bool
	director, format string
	out              string
	kernel, time     string
	seed             uint64
	repeat, jobs     int
	control, spread  bool
	phase            time.Duration
	hangLimit        time.Duration
	random           randomOptions
	// written are the drills that are files, or drawn, by name.
	written map[string]written
	// whole are command lines by the name of what they run, of drills that are replayed.
	whole map[string]string
}

func newDrillRun() *cobra.Command {
	var o drillOptions
	cmd := &cobra.Command{
		Use:   "run [NAME|GLOB|FILE.drill.yml …]",
		Short: "Run drills and report",
		Long: "run carries out drills one after another and judges them. The verdict is the exit\n" +
			"status: 0 pass, 1 fail, 2 inconclusive. Ctrl-C heals what is broken, reports what\n" +
			"was seen so far and exits 2; a third Ctrl-C ends everything as it stands.\n\n" +
			"On real time they run one after another on this machine's clock. With --time\n" +
			"virtual each drill runs in a guest kernel of its own, several at once, on a clock\n" +
			"that stands still while anything computes: the same seed gives the same report,\n" +
			"whatever else the machine is doing. `tandem kernel build` makes that kernel.",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.random.chosen(cmd)
			return runDrills(cmd.Context(), cmd, args, o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.all, "all", false, "run every drill but the long ones; with patterns, those of them that match")
	f.BoolVar(&o.demo, "demo", false, "run the drills of `make demo`")
	f.StringVar(&o.director, "director", "tandemd", "tandemd, keepalived or a command")
	o.registerPlace(cmd)
	f.StringVar(&o.time, "time", "", "real or virtual (default $TANDEM_TIME, else real)")
	f.Uint64Var(&o.seed, "seed", 1,
		"where drawn faults, and on virtual time all randomness, start")
	o.random.register(cmd)
	f.IntVar(&o.repeat, "repeat", 1, "run each drill so many times")
	f.BoolVar(&o.spread, "spread", false,
		"have each of repeated runs strike at another time between two adverts")
	f.DurationVar(&o.phase, "phase", 0, "how long to wait after the steady state")
	f.BoolVar(&o.control, "control", false,
		"run each drill with nothing broken first: what the machine costs then\n"+
			"widens the limits on time")
	return cmd
}

// registerPlace registers the flags that say where drills run and what is left of them.
func (o *drillOptions) registerPlace(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "table", "table or json: what goes to standard output")
	f.StringVar(&o.out, "out", "runs", "directory for run directories")
	f.StringVar(&o.kernel, "kernel", "", "auto, host or uml (default $TANDEM_KERNEL, else auto)")
	f.IntVar(&o.jobs, "jobs", runtime.NumCPU(),
		"guests at once on virtual time; on real time always one")
	f.DurationVar(&o.hangLimit, "hang-limit", kernel.DefaultHangLimit,
		"how long a virtual clock may stand still, by the wall clock,\nbefore the drill is inconclusive")
}

// choose returns the drills that the arguments name.
func (o drillOptions) choose(args []string) ([]scenarios.Scenario, error) {
	switch {
	case o.demo && (o.all || len(args) > 0):
		return nil, errors.New("--demo names its drills itself: leave --all and names out")
	case o.all && len(args) == 0:
		return scenarios.All(), nil
	case o.demo:
		return scenarios.Find(scenarios.Demo()...)
	case len(args) == 0:
		return nil, errors.New("give the names of drills, or --all; `tandem drill list` lists them")
	}
	return scenarios.Find(args...)
}

func runDrills(ctx context.Context, cmd *cobra.Command, args []string, o drillOptions) error {
	clock, err := clockOf(o.time)
	if err != nil {
		return err
	}
	chosen, err := o.chooseWritten(args)
	if err != nil {
		return err
	}
	if o.all || slices.ContainsFunc(args, isPattern) {
		chosen = leaveOut(cmd.ErrOrStderr(), chosen, clock == kernel.VirtualTime)
	}
	if o.format != "table" && o.format != "json" {
		return fmt.Errorf("--format %q: want table or json", o.format)
	}
	if o.repeat < 1 {
		return fmt.Errorf("--repeat %d: want at least 1", o.repeat)
	}
	if o.phase < 0 {
		return fmt.Errorf("--phase %s: want none below 0", o.phase)
	}
	if o.jobs < 1 {
		return fmt.Errorf("--jobs %d: want at least 1", o.jobs)
	}
	if o.hangLimit <= 0 {
		return fmt.Errorf("--hang-limit %s: want more than 0", o.hangLimit)
	}
	director, err := scenarios.FindDirector(o.director)
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return exitError{exitInconclusive, fmt.Errorf("make output directory: %w", err)}
	}
	apart := clock == kernel.VirtualTime && !kernel.InGuest()
	if apart {
		err = o.checkVirtual(chosen)
	} else {
		err = o.enter(ctx, chosen, clock)
	}
	if err != nil {
		return err
	}
	b, err := newBatch(o, args, director, clock, cmd)
	if err != nil {
		return exitError{exitInternal, err}
	}
	b.sayPlan()
	if apart {
		err = b.runApart(ctx, chosen)
	} else {
		err = b.run(ctx, chosen)
	}
	return b.shrinkFailed(ctx, err)
}

// isPattern says that an argument may name several drills: of these each runs where it can.
func isPattern(arg string) bool { return strings.ContainsAny(arg, "*?[") }

// leaveOut returns the drills that a clock can carry, and says which it cannot.
func leaveOut(w io.Writer, all []scenarios.Scenario, virtual bool) []scenarios.Scenario {
	other := kernel.VirtualTime
	if virtual {
		other = kernel.RealTime
	}
	fit, left := scenarios.Clocked(all, virtual)
	if !kernel.InGuest() {
		for _, s := range left {
			fmt.Fprintf(w, "left out: %s needs --time %s\n", s.Name, other)
		}
	}
	return fit
}

// enter goes on in a kernel that has what the drills need; it may not return.
func (o drillOptions) enter(
	ctx context.Context, chosen []scenarios.Scenario, clock kernel.Time,
) error {
	mode, err := kernelMode(o.kernel)
	if err != nil {
		return err
	}
	var need []lab.Capability
	for _, s := range chosen {
		need = append(need, scenarios.Needs(s)...)
	}
	// Signals are handed on to the guest, which heals and reports: they must not end it from outside.
	err = kernel.Enter(context.WithoutCancel(ctx), kernel.Options{
		Mode: mode, Time: clock, Seed: o.seed, Need: unique(need), Writable: []string{o.out},
	})
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	return nil
}

func unique(capabilities []lab.Capability) []lab.Capability {
	seen := map[lab.Capability]bool{}
	var out []lab.Capability
	for _, c := range capabilities {
		if !seen[c] {
			seen[c] = true
			out = append(out, c)
		}
	}
	return out
}
