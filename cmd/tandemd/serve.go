package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"strconv"
	"sync/atomic"
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
			return exitStatus(err)
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
	signal.Notify(handed, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, sigJSON)
	defer signal.Stop(handed)
	go tidy(ctx, nil)
	out := newLogWriter(stderr)
	defer out.Close(logPatience)
	log := c.logger(out)
	defer context.AfterFunc(ctx, func() { supervise(log, "STOPPING=1") })()
	return daemon.Guard(ctx, daemon.GuardOptions{
		Worker: func() *exec.Cmd {
			cmd := exec.Command("/proc/self/exe", c.workerWords()...)
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
	// A signal that comes now waits until the daemon can do what it asks for.
	hangup, asked := caught(unix.SIGHUP), caught(unix.SIGUSR1, unix.SIGUSR2, sigJSON)
	defer signal.Stop(hangup)
	defer signal.Stop(asked)
	name()
	startFreely()
	ledger, err := guard.Attach()
	if err != nil {
		fmt.Fprintf(stderr, "tandemd: %v\n", err)
		return exitFatal
	}
	told, forget := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer forget()
	// Not forget: the kernel sends SIGTERM when the guard is gone, which would then end the process.
	ctx, stop := context.WithCancel(told)
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
	o := c.daemon(log)
	hangups, dumps := make(chan struct{}), make(chan daemon.Dump)
	go forward(ctx, hangup, hangups)
	go forwardDumps(ctx, asked, dumps)
	o.Reload, o.Dumps, o.Diagnostics, o.Ledger = hangups, dumps, stderr, ledger
	o.Control, o.Metrics, o.Version = c.socket(), c.metrics, version()
	o.Overrides = c.overrides()
	tell := func(state string) {
		if ledger == nil {
			supervise(log, state)
		}
		ledger.Supervise(state)
	}
	var reloading atomic.Bool
	o.Ready = func() {
		debug.SetGCPercent(calmGC)
		go tidy(ctx, &reloading)
		tell("READY=1")
	}
	o.Reloading = func(under bool) {
		reloading.Store(under)
		if under {
			debug.SetGCPercent(reloadGC)
		} else {
			debug.SetGCPercent(calmGC)
		}
		tell(reloadState(under))
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
	return exitStatus(err)
}

// daemon returns the options that the command line gives.
func (c *command) daemon(log *slog.Logger) daemon.Options {
	return daemon.Options{
		File: c.file, ID: c.id, CheckIncludes: c.checkIncludes, Log: log,
		WithoutVRRP:     c.onlyServices && !c.onlyVRRP,
		WithoutServices: c.onlyVRRP && !c.onlyServices,
		KeepServices:    c.keepServices,
		SNMP:            c.snmp, SNMPSocket: c.snmpSocket,
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
			return exitStatus(err)
		}
	}
	err := daemon.Cleanup(context.Background(), c.daemon(c.logger(stderr)), c.claims())
	if err != nil {
		fmt.Fprintf(stderr, "tandemd: clean up: %v\n", err)
	}
	return exitStatus(err)
}

// caught returns where those signals come from now on, of which a few can wait.
func caught(signals ...os.Signal) chan os.Signal {
	c := make(chan os.Signal, len(signals))
	signal.Notify(c, signals...)
	return c
}

// forward turns hangups into requests to reload until ctx ends. Those that come while a request
// waits are one.
func forward(ctx context.Context, hangup <-chan os.Signal, reload chan<- struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		}
		select {
		case <-ctx.Done():
			return
		case reload <- struct{}{}:
		}
	}
}

// sigJSON is SIGRTMIN+2, as programs count that are built on the GNU C library, such as kill(1).
const sigJSON = unix.Signal(36)

// forwardDumps turns signals into requests for dumps until ctx ends.
func forwardDumps(ctx context.Context, asked <-chan os.Signal, dumps chan<- daemon.Dump) {
	for {
		var s os.Signal
		select {
		case <-ctx.Done():
			return
		case s = <-asked:
		}
		dump := map[os.Signal]daemon.Dump{
			unix.SIGUSR1: daemon.DumpData, unix.SIGUSR2: daemon.DumpStats, sigJSON: daemon.DumpJSON,
		}[s]
		select {
		case <-ctx.Done():
			return
		case dumps <- dump:
		}
	}
}
