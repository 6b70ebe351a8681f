package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/tandemlb/tandem/live"
)

func newLabExec(name *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec NODE PROGRAM [ARGUMENT …]",
		Short: "Run a program on a node",
		Long: "exec runs a program on a node of a lab, with your input, output and terminal, and\n" +
			"exits with its status, 127 where there is no such program. It ends when everything\n" +
			"that the program has started has ended too. For example\n\n" +
			"    tandem lab exec client1 curl http://192.168.1.1/\n" +
			"    tandem lab exec lb1 ip addr",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := findLab(*name)
			if err != nil {
				return err
			}
			return execOn(cmd.Context(), r, live.ExecRequest{Node: args[0], Args: args[1:]}, os.Stdin)
		},
	}
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// execOn runs a program with this process's streams, but for its input, and makes its status the
// exit status. Where both input and output are a terminal it gets one.
func execOn(ctx context.Context, r live.Lab, e live.ExecRequest, input io.Reader) error {
	// An interrupt is the program's to answer; only a second one is ours.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGWINCH)
	defer signal.Stop(signals)
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	if dir, err := os.Getwd(); err == nil {
		e.Dir = dir
	}
	in, out := int(os.Stdin.Fd()), int(os.Stdout.Fd())
	if !e.Detach && input != nil && term.IsTerminal(in) && term.IsTerminal(out) {
		e.Terminal = windowOf(out)
		e.Env = append(e.Env, "TERM="+os.Getenv("TERM"))
		before, err := term.MakeRaw(in)
		if err != nil {
			return exitError{exitInternal, err}
		}
		defer func() { _ = term.Restore(in, before) }()
	}
	control := make(chan live.Control)
	go pass(ctx, end, signals, control)
	status, err := r.Exec(ctx, e, live.Streams{Input: input, Output: os.Stdout, Errors: os.Stderr,
		Control: control})
	if errors.Is(err, context.Canceled) {
		return exitError{128 + int(unix.SIGINT), nil}
	}
	if err != nil {
		return failed(err)
	}
	if status != 0 {
		return exitError{status, nil}
	}
	return nil
}

// pass hands on signals and sizes until the context ends. What a program does not obey ends it at
// the second time.
func pass(
	ctx context.Context, end func(), signals <-chan os.Signal, control chan<- live.Control,
) {
	sent := 0
	for {
		var c live.Control
		select {
		case s := <-signals:
			number, ok := s.(unix.Signal)
			switch {
			case s == unix.SIGWINCH:
				c.Window = windowOf(int(os.Stdout.Fd()))
			case ok:
				c.Signal = number
				sent++
			}
			if sent > 1 {
				end()
				return
			}
		case <-ctx.Done():
			return
		}
		select {
		case control <- c:
		case <-ctx.Done():
			return
		}
	}
}

// windowOf is the size of a terminal; nil: it has none.
func windowOf(fd int) *live.Window {
	columns, rows, err := term.GetSize(fd)
	if err != nil {
		return &live.Window{Rows: 24, Columns: 80}
	}
	return &live.Window{Rows: uint16(rows), Columns: uint16(columns)}
}
