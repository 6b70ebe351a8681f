// Command tandem is the lab that ships with tandemd: it builds a network of directors, clients and
// real servers, breaks it on purpose, measures what the clients see, and judges.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/lab/probe"
)

// The exit statuses of DESIGN.md, section 6.
const (
	exitPass         = 0
	exitFail         = 1
	exitInconclusive = 2
	exitUsage        = 254
	exitInternal     = 255
)

// exitError carries an exit status with an error, or without one where all has been said.
type exitError struct {
	status int
	err    error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

func main() {
	kernel.Init()
	lab.Main(probe.Roles()...)
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

// run carries out a command line and returns the exit status.
func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitPass
	}
	var exit exitError
	if !errors.As(err, &exit) {
		exit = exitError{exitUsage, err}
	}
	if exit.err != nil {
		fmt.Fprintln(os.Stderr, "tandem:", exit.err)
	}
	return exit.status
}
