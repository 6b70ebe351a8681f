package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/live"
)

func newFault() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "fault",
		Short: "Break a lab that is up, and heal it",
	}
	for _, c := range []*cobra.Command{newFaultInject(&name), newFaultHeal(&name),
		newFaultList(&name)} {
		nameFlag(c, &name)
		cmd.AddCommand(c)
	}
	return cmd
}

func newFaultInject(name *string) *cobra.Command {
	var length time.Duration
	var settings []string
	cmd := &cobra.Command{
		Use:   "inject KIND TARGET",
		Short: "Inject a fault, and return when it has taken hold",
		Long: "inject breaks something in a lab. `tandem fault list` shows the kinds of faults;\n" +
			"what begins only one of them, or a word of only one, will do. A target is a node,\n" +
			"or where the kind wants it NODE:INTERFACE or NODE:ADDRESS. For the node may stand a\n" +
			"glob such as web*, @master (who has every VIP), @backup, @directors or all: a fault\n" +
			"on several strikes them at once, all or none. For example\n\n" +
			"    tandem fault inject director-frozen @master --for 10s\n" +
			"    tandem fault inject link-down lb1:eth0",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := live.InjectRequest{Kind: args[0], Target: args[1], For: length}
			var err error
			if r.Settings, err = parseSettings(settings); err != nil {
				return err
			}
			l, err := findLab(*name)
			if err != nil {
				return err
			}
			f, err := l.Inject(cmd.Context(), r)
			if err != nil {
				return failed(err)
			}
			heals := fmt.Sprintf("heals by `fault heal %d`", f.ID)
			if length > 0 {
				heals = "heals in " + length.String()
			}
			fmt.Fprintf(cmd.OutOrStdout(), "fault %d: %s; %s\n", f.ID, describe(f), heals)
			return nil
		},
	}
	cmd.Flags().DurationVar(&length, "for", 0, "heal it after so long, such as 10s (default never)")
	cmd.Flags().StringArrayVar(&settings, "set", nil,
		"a setting of the fault, NAME=VALUE; may be repeated")
	return cmd
}

// parseSettings reads settings of a fault, NAME=VALUE each; none: nil.
func parseSettings(all []string) (map[string]string, error) {
	var settings map[string]string
	for _, s := range all {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--set %q: want NAME=VALUE", s)
		}
		if settings == nil {
			settings = map[string]string{}
		}
		settings[name] = value
	}
	return settings, nil
}

func newFaultHeal(name *string) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "heal [ID]",
		Short: "Heal a fault, or without a number all, the last one first",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r live.HealRequest
			if len(args) == 1 {
				var err error
				if r.ID, err = strconv.Atoi(args[0]); err != nil || r.ID < 1 || all {
					return fmt.Errorf("heal fault %q: want the number of one, or none for all of them",
						args[0])
				}
			}
			l, err := findLab(*name)
			if err != nil {
				return err
			}
			healed, err := l.Heal(cmd.Context(), r)
			for _, f := range healed {
				fmt.Fprintf(cmd.OutOrStdout(), "healed fault %d: %s\n", f.ID, describe(f))
			}
			if len(healed) == 0 && err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), "no fault holds")
			}
			return failed(err)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all of them; the same as without a number")
	return cmd
}

// faultList is what `tandem fault list` knows.
type faultList struct {
	// Lab is the lab that Active is about; empty: there is none.
	Lab    string       `json:"lab,omitempty"`
	Active []live.Fault `json:"active"`
	Kinds  []faultKind  `json:"kinds"`
}

type faultKind struct {
	Name   string `json:"name"`
	Family string `json:"family"`
	Doc    string `json:"doc"`
	// Form is what its targets look like.
	Form     faults.Form   `json:"form"`
	Settings []faultOption `json:"settings,omitempty"`
	// Needs are the capabilities of a kernel that it takes beside those of every lab.
	Needs []string `json:"needs,omitempty"`
}

type faultOption struct {
	Name    string `json:"name"`
	Doc     string `json:"doc"`
	Default string `json:"default"`
}

func newFaultList(name *string) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the kinds of faults, and those that hold",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := listFaults(cmd.Context(), *name)
			if err != nil {
				return err
			}
			return write(cmd.OutOrStdout(), format, l, func(w io.Writer) error {
				return l.write(w, time.Now())
			})
		},
	}
	formatFlag(cmd, &format)
	return cmd
}

// listFaults needs no lab unless one is named.
func listFaults(ctx context.Context, name string) (faultList, error) {
	l := faultList{Active: []live.Fault{}}
	for _, k := range faults.Kinds() {
		kind := faultKind{Name: k.String(), Family: k.Family().String(), Doc: k.Doc(), Form: k.Form()}
		for _, c := range k.Needs() {
			kind.Needs = append(kind.Needs, c.String())
		}
		for _, p := range k.Parameters() {
			kind.Settings = append(kind.Settings, faultOption{p.Name, p.Doc, p.Default})
		}
		l.Kinds = append(l.Kinds, kind)
	}
	r, err := findLab(name)
	if err != nil && name == "" {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	s, err := r.Status(ctx)
	l.Lab, l.Active = s.Name, s.Faults
	return l, failed(err)
}

// write writes the list in 80 columns.
func (l faultList) write(w io.Writer, now time.Time) error {
	family := ""
	for _, k := range l.Kinds {
		if k.Family != family {
			family = k.Family
			fmt.Fprintln(w, strings.ToUpper(family))
		}
		k.write(w)
	}
	fmt.Fprintln(w)
	switch {
	case l.Lab == "":
		fmt.Fprintln(w, "These are the kinds. Which faults hold is known of one lab that is up.")
		return nil
	case len(l.Active) == 0:
		fmt.Fprintf(w, "In lab %s no fault holds.\n", l.Lab)
		return nil
	}
	fmt.Fprintf(w, "In lab %s:\n\n", l.Lab)
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	writeFaults(tab, l.Active, now)
	return tab.Flush()
}

func (k faultKind) write(w io.Writer) {
	fmt.Fprintf(w, "  %s %s\n", k.Name, k.Form)
	for _, line := range wrap(k.Doc, 74) {
		fmt.Fprintln(w, "      "+line)
	}
	for _, s := range k.Settings {
		setting := "--set " + s.Name + "=" + s.Default
		for i, line := range wrap(s.Doc, 74-26) {
			if i > 0 {
				setting = ""
			}
			fmt.Fprintf(w, "      %-25s %s\n", setting, line)
		}
	}
}
