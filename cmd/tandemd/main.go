// Command tandemd is the director: it runs a keepalived.conf. It takes keepalived's options, stays
// in the foreground, and leaves the network as it found it.
//
// Signals: TERM and INT stop it, HUP reads the configuration again. USR1 and USR2 only get a
// line in the log.
//
// Exit status, as keepalived's: 0 stopped, 1 cannot run, 2 the configuration or the command line
// has errors, 4 a permission is missing, 6 there is no configuration. With -t: 0 would run as it is
// written, 5 would run but not all of it as it is written, 6 has a script that root would run and
// others can change, 4 would not run, or not beside the peer of --peer. With --reload: 0 taken over,
// 4 the file has errors, 1 not taken over.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon"
)

// The exit status.
const (
	exitOK         = 0
	exitFatal      = 1
	exitConfig     = 2
	exitPermission = 4
	exitNoConfig   = 6

	exitTestUnusable   = 4
	exitTestRestricted = 5
	exitTestUnsafe     = 6
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments. It returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	c := command{file: defaultFile}
	if err := parse(options(), args, &c); err != nil {
		fmt.Fprintf(stderr, "tandemd: %v\n", err)
		return exitConfig
	}
	if err := c.check(); err != nil {
		fmt.Fprintf(stderr, "tandemd: %v\n", err)
		return exitConfig
	}
	switch c.action {
	case actionHelp:
		fmt.Fprint(stdout, usage(options()))
		return exitOK
	case actionVersion:
		fmt.Fprintf(stdout, "tandemd %s\n", version())
		return exitOK
	case actionSignum:
		fmt.Fprintln(stdout, int(c.signum))
		return exitOK
	case actionTest:
		return test(c, stdout, stderr)
	case actionReload:
		return reload(c, stderr)
	case actionRun:
	}
	return serve(c, stdout, stderr)
}

// version is that of the module, and "(devel)" for a build of a working copy.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// serve runs the daemon until a signal stops it.
func serve(c command, stdout, stderr io.Writer) int {
	c.warn(stderr)
	if c.namespace != "" {
		if err := enter(c.namespace); err != nil {
			fmt.Fprintf(stderr, "tandemd: %v\n", err)
			return status(err)
		}
	}
	for _, file := range c.pidFiles {
		pid := strconv.Itoa(os.Getpid()) + "\n"
		if err := os.WriteFile(file, []byte(pid), 0o644); err != nil {
			fmt.Fprintf(stderr, "tandemd: write process ID: %v\n", err)
			return exitFatal
		}
		defer os.Remove(file)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: c.level()}))
	hangups := make(chan struct{})
	go forward(ctx, hangups, log)
	o := daemon.Options{
		File:            c.file,
		ID:              c.id,
		WithoutVRRP:     c.onlyServices && !c.onlyVRRP,
		WithoutServices: c.onlyVRRP && !c.onlyServices,
		KeepServices:    c.keepServices,
		Reload:          hangups,
		Control:         c.socket(),
		Diagnostics:     stderr,
		Log:             log,
		Ready: func() {
			if err := tellSupervisor("READY=1"); err != nil {
				log.Warn("supervisor was not told of readiness", "err", err)
			}
		},
	}
	if c.dump {
		o.Dump = stdout
	}
	err := daemon.Run(ctx, o)
	if err != nil {
		fmt.Fprintf(stderr, "tandemd: %v\n", err)
	}
	return status(err)
}

// forward turns signals into requests until ctx ends. Those that come while a request waits are
// one.
func forward(ctx context.Context, reload chan<- struct{}, log *slog.Logger) {
	hangup, idle := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(hangup, unix.SIGHUP)
	signal.Notify(idle, unix.SIGUSR1, unix.SIGUSR2)
	defer signal.Stop(hangup)
	defer signal.Stop(idle)
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-idle:
			log.Warn("signal has no effect yet in this version", "signal", s.String())
			continue
		case <-hangup:
		}
		select {
		case <-ctx.Done():
			return
		case reload <- struct{}{}:
		}
	}
}

// tellSupervisor sends a state to who started the daemon with Type=notify (sd_notify(3)); it does
// nothing if nobody wants to know.
func tellSupervisor(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", name)
	if err != nil {
		return fmt.Errorf("tell supervisor: %w", err)
	}
	_, err = conn.Write([]byte(state))
	return errors.Join(err, conn.Close())
}

// status is the exit status for an error of daemon.Run.
func status(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, daemon.ErrNoConfig):
		return exitNoConfig
	case errors.Is(err, daemon.ErrConfig):
		return exitConfig
	case errors.Is(err, daemon.ErrPermission), errors.Is(err, unix.EPERM):
		return exitPermission
	}
	return exitFatal
}
