package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tandemlb/tandem/live"
)

// writeStatus writes how a lab is in 80 columns.
func writeStatus(to io.Writer, s live.Status, now time.Time) error {
	w := &strings.Builder{}
	kernel := "on this kernel"
	if s.Kernel == live.InGuest {
		kernel = "in a guest kernel"
	}
	fmt.Fprintf(w, "lab %s: %s on network %s, %s, up for %s\n\n", s.Name, s.Director, s.Topology,
		kernel, ago(now, s.Since))
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "NODE\tROLE\tSTATE\tADDRESSES")
	for _, n := range s.Nodes {
		writeNode(tab, n)
	}
	if len(s.VIPs) > 0 {
		tab.Flush()
		fmt.Fprintln(tab, "\nVIP\tADDRESS\tON")
		for _, v := range s.VIPs {
			fmt.Fprintf(tab, "%s\t%s\t%s\n", v.Name, v.Address,
				cmp.Or(strings.Join(v.Holders, " and "), "nobody"))
		}
	}
	for _, t := range s.Tables {
		tab.Flush()
		writeIPVS(tab, t)
	}
	if len(s.Faults) > 0 {
		tab.Flush()
		fmt.Fprintln(tab)
		writeFaults(tab, s.Faults, now)
	}
	tab.Flush()
	for line := range strings.Lines(w.String()) { // cells of nothing at the end are spaces
		if _, err := fmt.Fprintln(to, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func writeNode(w io.Writer, n live.NodeStatus) {
	lines := []string{}
	for _, l := range n.Links {
		text := l.Name
		if !l.Up {
			text += " down"
		}
		for i, a := range l.Addresses {
			if i > 0 {
				text += ","
			}
			text += " " + a.String()
		}
		lines = append(lines, wrap(text, 44)...)
	}
	if len(lines) == 0 {
		lines = []string{""}
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", n.Name, n.Role, nodeState(n), lines[0])
	for _, line := range lines[1:] {
		fmt.Fprintf(w, "\t\t\t%s\n", line)
	}
}

// nodeState is a word for how a node is: that of its programs, the worst of them.
func nodeState(n live.NodeStatus) string {
	if !n.Powered {
		return "off"
	}
	state := "up"
	for _, u := range n.Units {
		if u.State == "stopped" || u.State == "frozen" && state != "stopped" || state == "up" {
			state = u.State
		}
	}
	return state
}

func writeIPVS(w io.Writer, t live.Table) {
	fmt.Fprintf(w, "\nIPVS ON %s\tWEIGHT\tACTIVE\tINACTIVE\n", t.Node)
	if len(t.Services) == 0 {
		fmt.Fprintln(w, "nothing")
	}
	for _, s := range t.Services {
		fmt.Fprintf(w, "%s %s %s\t\t\t\n", s.Protocol, s.Address, s.Scheduler)
		for _, d := range s.Servers {
			fmt.Fprintf(w, "  %s %s\t%d\t%d\t%d\n", cmp.Or(d.Node, "?"), d.Address, d.Weight, d.Active,
				d.Inactive)
		}
	}
}

// writeFaults writes a table of faults that hold.
func writeFaults(w io.Writer, all []live.Fault, now time.Time) {
	fmt.Fprintln(w, "FAULT\tWHAT\tFOR\tHEALS")
	for _, f := range all {
		heals := "by `fault heal`"
		switch {
		case f.Problem != "":
			heals = "did not: " + f.Problem
		case !f.Heals.IsZero():
			heals = "in " + ago(f.Heals, now)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", f.ID, describe(f), ago(now, f.Since), heals)
	}
}

// describe says what a fault is: kind, targets, settings.
func describe(f live.Fault) string {
	text := f.Kind + " " + strings.Join(f.Targets, ", ")
	for _, name := range slices.Sorted(maps.Keys(f.Settings)) {
		text += fmt.Sprintf(" %s=%s", name, f.Settings[name])
	}
	return text
}

// ago is the time between two, as a person says it; never less than nothing.
func ago(now, then time.Time) string {
	d := max(now.Sub(then), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}

// writeLabs writes the list of labs.
func writeLabs(w io.Writer, rows []labRow, now time.Time) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, live.ErrNone)
		return err
	}
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "LAB\tNETWORK\tDIRECTOR\tKERNEL\tUP FOR\tFAULTS")
	for _, r := range rows {
		if r.Problem != "" {
			fmt.Fprintf(tab, "%s\t%s\n", r.Name, r.Problem)
			continue
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t%d\n", r.Name, r.Topology, r.Director, r.Kernel,
			ago(now, r.Since), r.Faults)
	}
	return tab.Flush()
}
