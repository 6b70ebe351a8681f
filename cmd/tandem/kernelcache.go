package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/lab/kernel/build"
)

func newKernelBuild() *cobra.Command {
	var o build.Options
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build the kernel on which time is virtual",
		Long: "build makes User Mode Linux with a virtual clock from Debian's kernel source, as\n" +
			"any user, and prints the path of the kernel. It downloads 150 MB, needs 2.2 GB\n" +
			"in your cache for the time of the build, and takes about 8 minutes on two CPUs.\n" +
			"A build that was interrupted goes on from where it was. Where such a kernel is\n" +
			"in the cache already, nothing is done. The directory of a kernel, as `tandem\n" +
			"kernel list` shows it, may be copied to other machines.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Progress = cmd.ErrOrStderr()
			return buildKernel(cmd.Context(), cmd.OutOrStdout(), o)
		},
	}
	cmd.Flags().BoolVar(&o.Update, "update", false,
		"look for a newer source, and build it if there is one")
	cmd.Flags().StringVar(&o.Source, "source", "",
		"Debian package of the source, as in linux-source-6.1\n"+
			"(default the one that linux-source depends on)")
	cmd.Flags().IntVarP(&o.Jobs, "jobs", "j", 0, "compilers at a time (default one for each CPU)")
	cmd.Flags().BoolVar(&o.Keep, "keep", false, "keep the download, the source and the objects")
	return cmd
}

// buildKernel ends with exit status 2 where there is no kernel in the end.
func buildKernel(ctx context.Context, w io.Writer, o build.Options) error {
	var err error
	if o.Cache, err = kernel.CacheDir(); err != nil {
		return exitError{exitInconclusive, err}
	}
	if o.Jobs < 0 {
		return fmt.Errorf("--jobs %d: want a number of compilers, or 0 for one for each CPU", o.Jobs)
	}
	k, err := build.Build(ctx, o)
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	fmt.Fprintln(w, k.Program)
	return nil
}

func newKernelList() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the virtual-time kernels in your cache",
		Long: "list shows the kernels that `tandem kernel build` made, the newest source first.\n" +
			"A stale one was made of options or patches that are not this program's; it is\n" +
			"not used. A damaged one is not the file that was built.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			kernels, err := cachedKernels()
			if err != nil {
				return err
			}
			return listKernels(cmd.OutOrStdout(), kernels, format)
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

func cachedKernels() ([]build.Kernel, error) {
	cache, err := kernel.CacheDir()
	if err != nil {
		return nil, exitError{exitInconclusive, err}
	}
	kernels, err := build.List(cache)
	if err != nil {
		return nil, exitError{exitInconclusive, err}
	}
	return kernels, nil
}

func listKernels(w io.Writer, kernels []build.Kernel, format string) error {
	switch format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(append([]build.Kernel{}, kernels...))
	case "table":
		if len(kernels) == 0 {
			fmt.Fprintln(w, "No virtual-time kernel yet: `tandem kernel build` makes one, without root.")
			return nil
		}
		fmt.Fprintf(w, "%-24s %-12s %8s  %s\n", "VERSION", "HASH", "SIZE", "STATE")
		for _, k := range kernels {
			fmt.Fprintf(w, "%-24s %-12s %5.1f MB  %s\n    %s\n", k.Manifest.Version,
				k.Manifest.Hash, float64(k.Size)/1e6, k.State, k.Program)
			if k.Damage != "" {
				fmt.Fprintln(w, "    "+k.Damage)
			}
		}
		return nil
	}
	return fmt.Errorf("--format %q: want table or json", format)
}

func newKernelPath() *cobra.Command {
	return &cobra.Command{
		Use:   "path",
		Short: "Print the path of the virtual-time kernel that is used",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cache, err := kernel.CacheDir()
			if err != nil {
				return exitError{exitInconclusive, err}
			}
			k, err := build.Find(cache)
			if err != nil {
				return exitError{exitInconclusive, err}
			}
			fmt.Fprintln(cmd.OutOrStdout(), k.Program)
			return nil
		},
	}
}

func newKernelRemove() *cobra.Command {
	var all, stale bool
	cmd := &cobra.Command{
		Use:   "remove {HASH | --stale | --all}",
		Short: "Remove virtual-time kernels from your cache",
		Long: "remove removes the kernels whose hash begins with HASH, or with --stale those\n" +
			"that this program does not use, or with --all every one and what an interrupted\n" +
			"build keeps in order to go on.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			byHash := len(args) == 1 && args[0] != ""
			if byHash && (all || stale) || !byHash && (all == stale || len(args) > 0) {
				return errors.New("remove kernels: give one of HASH, --stale and --all; " +
					"`tandem kernel list` shows them")
			}
			which := func(k build.Kernel) bool {
				return all || stale && k.State != build.Current ||
					byHash && strings.HasPrefix(k.Manifest.Hash, args[0])
			}
			return removeKernels(cmd.OutOrStdout(), which, args, all)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every kernel, and what interrupted builds left")
	cmd.Flags().BoolVar(&stale, "stale", false, "the kernels that this program does not use")
	return cmd
}

// removeKernels removes the kernels for which which says so. A hash in args that names none, or
// more than one, is an error.
func removeKernels(w io.Writer, which func(build.Kernel) bool, args []string, all bool) error {
	kernels, err := cachedKernels()
	if err != nil {
		return err
	}
	var chosen []build.Kernel
	for _, k := range kernels {
		if which(k) {
			chosen = append(chosen, k)
		}
	}
	if len(args) == 1 && len(chosen) != 1 {
		return fmt.Errorf("remove kernel %q: %d kernels have a hash that begins so, want 1; "+
			"`tandem kernel list` shows them", args[0], len(chosen))
	}
	for _, k := range chosen {
		if err := build.Remove(k); err != nil {
			return exitError{exitInconclusive, err}
		}
		fmt.Fprintln(w, "removed", k.Dir)
	}
	if !all {
		return nil
	}
	cache, err := kernel.CacheDir()
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	if err := build.Clean(cache); err != nil {
		return exitError{exitInconclusive, err}
	}
	return nil
}
