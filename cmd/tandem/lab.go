package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tandemlb/tandem/topology"
)

func newLab() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Bring lab networks up, look at them and use them",
	}
	cmd.AddCommand(newLabUp(), newLabKeep(), newLabList(), newLabGraph())
	for _, c := range []*cobra.Command{newLabStatus(&name), newLabExec(&name), newLabLog(&name),
		newLabCapture(&name), newLabShell(&name),
		newLabDown(&name)} {
		nameFlag(c, &name)
		cmd.AddCommand(c)
	}
	return cmd
}

func newLabGraph() *cobra.Command {
	var from, format string
	cmd := &cobra.Command{
		Use:   "graph",
		Short: "Draw a topology as text, SVG, Mermaid or YAML",
		Args:  byTopologyFlag,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := loadTopology(from)
			if err != nil {
				return exitError{exitInconclusive, err}
			}
			out, err := draw(t, format)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), out)
			return err
		},
	}
	cmd.Flags().StringVarP(&from, "topology", "t", "preset:fig7",
		"a topology file, or preset:NAME ("+strings.Join(topology.Presets(), ", ")+")")
	cmd.Flags().StringVar(&format, "format", "text", "text, svg, mermaid or yaml")
	return cmd
}

func draw(t topology.Topology, format string) (string, error) {
	switch format {
	case "text":
		return topology.Text(t), nil
	case "svg":
		return topology.SVG(t), nil
	case "mermaid":
		return topology.Mermaid(t), nil
	case "yaml":
		b, err := topology.Marshal(t)
		return string(b), err
	}
	return "", fmt.Errorf("--format %q: want text, svg, mermaid or yaml", format)
}

// loadTopology reads a topology file or takes a preset, as `-t` names it.
func loadTopology(from string) (topology.Topology, error) {
	if name, ok := strings.CutPrefix(from, "preset:"); ok {
		return topology.Preset(name)
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return topology.Topology{}, fmt.Errorf("read topology: %w", err)
	}
	return topology.Parse(from, b)
}
