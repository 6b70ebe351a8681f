package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon"
)

// overrides is the path of the file that keeps weights by operators, beside the control socket.
func (c *command) overrides() string {
	return strings.TrimSuffix(c.socket(), ".sock") + ".overrides"
}

// setOverride makes an option that asks for a weight of the real server that is its value; nil
// undoes that.
func setOverride(weight *int) func(*command, string) error {
	return func(c *command, value string) error {
		return c.override(value, weight)
	}
}

// setWeight is option --weight.
func setWeight(c *command, value string) error {
	i := strings.LastIndex(value, "=")
	if i < 0 {
		return errors.New("expected a real server, = and a weight")
	}
	weight, err := strconv.Atoi(value[i+1:])
	if err != nil || weight < 0 {
		return errors.New("expected a whole number, from 0, behind =")
	}
	return c.override(value[:i], &weight)
}

func (c *command) override(server string, weight *int) error {
	c.action = actionOverride
	c.asks = append(c.asks, daemon.Question{
		Ask: daemon.DoOverride, Server: server, Weight: weight})
	return nil
}

// sendOverrides is --drain, --undrain and --weight: it tells the running daemon, one after the
// other up to the first that is refused. It returns the exit status.
func sendOverrides(c command, stdout, stderr io.Writer) int {
	c.warn(stderr)
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	for _, q := range c.asks {
		out, err := daemon.Ask(ctx, c.socket(), q)
		switch {
		case err != nil:
			fmt.Fprintf(stderr, "tandemd: %v\n", err)
			return exitFatal
		case out.Invalid:
			fmt.Fprintf(stderr, "tandemd: %s\n", out.Error)
			return exitConfig
		case !out.Applied:
			fmt.Fprintf(stderr, "tandemd: %s\n", out.Error)
			return exitFatal
		}
		for _, s := range out.Steps {
			fmt.Fprintln(stdout, s)
		}
	}
	return exitOK
}
