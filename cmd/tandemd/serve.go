package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon"
	"github.com/tandemlb/tandem/daemon/guard"
)

// logPatience is how long the last lines of the log may take to be written.
const logPatience = time.Second

// serve runs the daemon until a signal stops it.
func serve(c command, stdout, stderr io.Writer) int {
	// A log that nobody reads any more ends at most the log.
	signal.Ignore(unix.SIGPIPE)
	if guard.IsWorker() {
		return work(c, stdout, stderr)
	}
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
	if c.alone {
		return work(c, stdout, stderr)
	}
	return watch(c, stdout, stderr)
}

// watch is the guard: it runs this program once more as its worker.
func watch(c command, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	handed := make(chan os.Signal, 8)
	signal.Notify(handed, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2)
	defer signal.Stop(handed)
	out := newLogWriter(stderr)
	defer out.Close(logPatience)
	log := c.logger(out)
	defer context.AfterFunc(ctx, func() { supervise(log, "STOPPING=1") })()
	return daemon.Guard(ctx, daemon.GuardOptions{
		Worker: func() *exec.Cmd {
			cmd := exec.Command("/proc/self/exe", c.words...)
			cmd.Args[0] = "tandemd: worker"
			cmd.Stdout, cmd.Stderr = stdout, stderr
			return cmd
		},
		Signals: handed, Claims: c.claims(), Log: log,
		Supervise: func(state string) { supervise(log, state) },
	})
}

// supervise tells the supervisor a state, but a sign of life only if it waits for some.
func supervise(log *slog.Logger, state string) {
	if state == "WATCHDOG=1" && os.Getenv("WATCHDOG_USEC") == "" {
		return
	}
	if err := tellSupervisor(state); err != nil {
		log.Warn("supervisor was not told", "state", state, "err", err)
	}
}

// work is the worker, or the daemon that has no guard.
func work(c command, stdout, stderr io.Writer) int {
	name()
	ledger, err := guard.Attach()
	if err != nil {
		fmt.Fprintf(stderr, "tandemd: %v\n", err)
		return exitFatal
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	out := newLogWriter(stderr)
	defer out.Close(logPatience)
	log := c.logger(out)
	if lost := ledger.Lost(); lost != nil {
		go func() {
			<-lost
			if ctx.Err() == nil {
				log.Error("guard is gone; stopping")
				stop()
			}
		}()
	}
	hangups := make(chan struct{})
	go forward(ctx, hangups, log)
	o := c.daemon(log)
	o.Reload, o.Control, o.Diagnostics, o.Ledger = hangups, c.socket(), stderr, ledger
	o.Ready = func() {
		if ledger == nil {
			supervise(log, "READY=1")
		}
		ledger.Supervise("READY=1")
	}
	if c.dump && !ledger.Inherited().Resume {
		o.Dump = stdout
	}
	if err = daemon.Run(ctx, o); err != nil {
		fmt.Fprintf(stderr, "tandemd: %v\n", err)
	}
	if err := ledger.Close(); err != nil {
		fmt.Fprintf(stderr, "tandemd: leave guard: %v\n", err)
	}
	return status(err)
}

// daemon returns the options that the command line gives.
func (c *command) daemon(log *slog.Logger) daemon.Options {
	return daemon.Options{
		File: c.file, ID: c.id, Log: log,
		WithoutVRRP:     c.onlyServices && !c.onlyVRRP,
		WithoutServices: c.onlyVRRP && !c.onlyServices,
		KeepServices:    c.keepServices,
	}
}

func (c *command) logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: c.level()}))
}

// name gives the process the name that it has on the disk: it was started by another.
func name() {
	// Nothing but what ps shows depends on it.
	_ = os.WriteFile("/proc/self/comm", []byte("tandemd"), 0)
}

// cleanup is --cleanup. It returns the exit status.
func cleanup(c command, stderr io.Writer) int {
	c.warn(stderr)
	if c.namespace != "" {
		if err := enter(c.namespace); err != nil {
			fmt.Fprintf(stderr, "tandemd: %v\n", err)
			return status(err)
		}
	}
	err := daemon.Cleanup(context.Background(), c.daemon(c.logger(stderr)), c.claims())
	if err != nil {
		fmt.Fprintf(stderr, "tandemd: clean up: %v\n", err)
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
