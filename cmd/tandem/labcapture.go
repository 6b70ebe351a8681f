package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/live"
)

func newLabCapture(name *string) *cobra.Command {
	var file string
	var length time.Duration
	cmd := &cobra.Command{
		Use:   "capture [NODE[:INTERFACE] …] -w FILE",
		Short: "Write what passes interfaces to a pcapng file",
		Long: "capture writes what the interfaces of a lab send and get to a file in pcapng form,\n" +
			"which Wireshark and tshark read, until Ctrl-C or for a time. Several interfaces go\n" +
			"into one file, each by its name, on one clock. Without INTERFACE it is every\n" +
			"interface of the node, without NODE every node; globs and @master work too.\n" +
			"With -w - it goes to standard output:\n\n" +
			"    tandem lab capture @directors -w failover.pcapng --for 20s\n" +
			"    tandem lab capture lb1:eth0 -w - | tshark -r -",
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return fmt.Errorf("say where the capture goes: -w FILE, or -w - for standard output")
			}
			r, err := findLab(*name)
			if err != nil {
				return err
			}
			return captureTo(cmd, r, live.CaptureRequest{Targets: args, For: length}, file)
		},
	}
	cmd.Flags().StringVarP(&file, "write", "w", "", "the file to write; - is standard output")
	cmd.Flags().DurationVar(&length, "for", 0, "how long, such as 10s (default until Ctrl-C)")
	return cmd
}

// captureTo captures into a file, which is there from the beginning. What goes to a terminal is
// about the capture, and never the capture itself.
func captureTo(cmd *cobra.Command, r live.Lab, q live.CaptureRequest, file string) error {
	say := func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) }
	out, err := openCapture(file)
	if err != nil {
		return exitError{exitInconclusive, err}
	}
	defer out.Close()
	// The first interrupt ends the capture, and its file is whole.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	defer signal.Stop(signals)
	ctx, end := context.WithCancel(context.WithoutCancel(cmd.Context()))
	defer end()
	control := make(chan live.Control)
	go pass(ctx, end, signals, control)
	started := func() {
		until := "Ctrl-C ends it"
		if q.For > 0 {
			until = "for " + q.For.String()
		}
		say("capturing into %s; %s", file, until)
	}
	got, err := r.Capture(ctx, q, live.Streams{Output: out, Control: control, Started: started})
	if err != nil {
		return failed(err)
	}
	if err := out.Close(); err != nil {
		return exitError{exitInconclusive, fmt.Errorf("write capture: %w", err)}
	}
	lost := ""
	if got.Dropped > 0 {
		lost = fmt.Sprintf(", and %d lost, for they came too fast", got.Dropped)
	}
	say("%d packets of %s%s", got.Packets, strings.Join(got.Interfaces, ", "), lost)
	return nil
}

// openCapture opens the file of a capture; "-" is standard output.
func openCapture(file string) (io.WriteCloser, error) {
	if file == "-" {
		return keptOpen{os.Stdout}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("write capture: %w", err)
	}
	return f, nil
}

// keptOpen is a Writer that others need too.
type keptOpen struct{ io.Writer }

func (keptOpen) Close() error { return nil }
