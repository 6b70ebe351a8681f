package main

import (
	"github.com/spf13/cobra"
)

// newRoot builds the command tree anew: it holds no state between calls.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "tandem",
		Short: "Build, break, measure and judge redundant load balancers",
		Long: "tandem builds a network of directors, clients and real servers from network\n" +
			"namespaces on a real Linux kernel, breaks it on purpose, measures what the\n" +
			"clients see, and judges it. Where this kernel lacks IPVS, or you are not root,\n" +
			"it runs itself in a User Mode Linux guest: an ordinary process.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newDoctor(), newLab(), newFault(), newDrill(), newReport(), newBench(),
		newKernel(), newCarryOut())
	return root
}
