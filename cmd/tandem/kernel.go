package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab/kernel"
)

func newKernel() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kernel",
		Short: "Use, build and keep kernels that can carry labs",
	}
	cmd.AddCommand(newKernelExec(), newKernelBuild(), newKernelList(), newKernelPath(),
		newKernelRemove())
	return cmd
}

func newKernelExec() *cobra.Command {
	var mode, clock string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "exec -- PROGRAM [ARGUMENT …]",
		Short: "Run a program in a kernel that has what labs need",
		Long: "exec runs a program as root in a kernel with IPVS: this one where it has what\n" +
			"labs need, else a guest, with this directory tree writable. Output, input,\n" +
			"signals and the exit status are the program's. For example\n\n" +
			"    go test -exec \"tandem kernel exec --\" ./daemon/ipvs",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return execInKernel(cmd.Context(), mode, clock, seed, args)
		},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVar(&mode, "kernel", "",
		"auto, host or uml (default $TANDEM_KERNEL, else auto)")
	cmd.Flags().StringVar(&clock, "time", "",
		"real or virtual (default $TANDEM_TIME, else real)")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "where the randomness of virtual time starts")
	return cmd
}

// execInKernel does not return where it succeeds: this process becomes the program.
func execInKernel(
	ctx context.Context, kernelFlag, timeFlag string, seed uint64, args []string,
) error {
	mode, err := kernelMode(kernelFlag)
	if err != nil {
		return err
	}
	clock, err := clockOf(timeFlag)
	if err != nil {
		return err
	}
	path, err := kernel.LookTool(args[0])
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	err = kernel.Enter(context.WithoutCancel(ctx),
		kernel.Options{Mode: mode, Time: clock, Seed: seed, Need: labNeeds})
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	if err := unix.Exec(path, args, os.Environ()); err != nil {
		return exitError{exitInternal, fmt.Errorf("run %s: %w", path, err)}
	}
	return nil
}

// kernelMode is the kernel that --kernel asks for, else TANDEM_KERNEL.
func kernelMode(flag string) (kernel.Mode, error) {
	if flag != "" {
		return kernel.ParseMode(flag)
	}
	return kernel.ModeFromEnvironment()
}

// clockOf is the clock that --time asks for, else TANDEM_TIME.
func clockOf(flag string) (kernel.Time, error) {
	if flag != "" {
		return kernel.ParseTime(flag)
	}
	return kernel.TimeFromEnvironment()
}
