package script

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// defaultGrace is from SIGTERM to SIGKILL.
	defaultGrace = 2 * time.Second
	// umask of commands.
	umask = 0o022
)

// private are variables that are about this process only.
var private = []string{
	"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
}

// Run runs a command and returns how it ended; it never returns without a reason for failure. At
// the timeout, and when ctx ends, the whole process group of the command gets SIGTERM, and SIGKILL
// after the grace time; what is left of the group when the command has ended gets SIGKILL at once.
// A process that has left the group goes on, but its output is not waited for. The kernel kills the
// command if this process dies.
func Run(ctx context.Context, c Command, o Options) Result {
	if ctx.Err() != nil {
		return Result{Status: -1, Err: fmt.Errorf("run %s: %w", c, context.Cause(ctx))}
	}
	cmd, err := prepare(c, o)
	if err != nil {
		return Result{Status: -1, Err: err}
	}
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	// The command dies with the thread that starts it, and inherits from it: so it has one of its
	// own, which ends with the goroutine.
	done := make(chan Result, 1)
	go func() {
		runtime.LockOSThread()
		done <- onThread(ctx, cmd, o)
	}()
	result := <-done
	result.Timeout = o.Timeout
	return result
}

// prepare returns the command for the kernel.
func prepare(c Command, o Options) (*exec.Cmd, error) {
	path, args, err := c.program()
	if err != nil {
		return nil, err
	}
	if o.Secure {
		if err := Check(c); err != nil {
			return nil, err
		}
	}
	account, err := c.lookup()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", c, err)
	}
	return &exec.Cmd{
		Path: path,
		Args: slices.Concat(args, o.ExtraArgs),
		Dir:  "/",
		Env:  slices.Concat(environ(), o.Env),
		SysProcAttr: &syscall.SysProcAttr{
			Setpgid:    true,
			Pdeathsig:  syscall.SIGKILL,
			Credential: account.credential(),
		},
	}, nil
}

// environ is the environment of this process without what is about this process only.
func environ() []string {
	env := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(private, name)
	})
	if os.Getenv("PATH") == "" {
		env = append(env, "PATH="+systemPath)
	}
	return env
}

// onThread runs the command on a thread that nothing else will ever run on.
func onThread(ctx context.Context, cmd *exec.Cmd, o Options) Result {
	if err := calm(); err != nil {
		return Result{Status: -1, Err: fmt.Errorf("run %s: %w", cmd.Path, err)}
	}
	// Old kernels cannot do this; Go itself opens nothing that would stay open.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	cmd, out, err := start(cmd, o.Leave)
	if err != nil {
		return Result{Status: -1, Err: fmt.Errorf("run %s: %w", cmd.Path, reason(err))}
	}
	g := group{pid: cmd.Process.Pid, grace: o.Grace}
	if o.Timeout > 0 {
		timer := time.AfterFunc(o.Timeout, func() { g.end(true) })
		defer timer.Stop()
	}
	stop := context.AfterFunc(ctx, func() { g.end(false) })
	defer stop()

	awaitEnd(g.pid)
	cut, late := g.close(!o.Leave)
	err = cmd.Wait()
	written := ""
	if out != nil {
		written = out.collect()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Result{Status: -1, Err: fmt.Errorf("wait for %s: %w", cmd.Path, err)}
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	result := Result{Status: status.ExitStatus(), TimedOut: late, Output: written}
	if status.Signaled() {
		result.Signal = status.Signal()
	}
	if cut && !late {
		result.Err = fmt.Errorf("run %s: %w", cmd.Path, context.Cause(ctx))
	}
	return result
}

// calm makes this thread, and what it starts, ordinary: no real-time or raised priority, and a
// umask of its own where the kernel allows that.
func calm() error {
	if err := unix.Unshare(unix.CLONE_FS); err == nil {
		unix.Umask(umask)
	}
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return fmt.Errorf("get scheduling: %w", err)
	}
	switch attr.Policy {
	case unix.SCHED_NORMAL, unix.SCHED_BATCH, unix.SCHED_IDLE:
		if attr.Nice >= 0 {
			return nil
		}
	}
	ordinary := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}
	if err := unix.SchedSetAttr(0, ordinary, 0); err != nil {
		return fmt.Errorf("reset scheduling: %w", err)
	}
	return nil
}

// start starts the command, by a shell if the kernel does not know how to execute it. It returns
// what was started and, unless that is discarded, its output.
func start(cmd *exec.Cmd, discard bool) (*exec.Cmd, *output, error) {
	if discard {
		cmd, err := startAs(cmd)
		return cmd, nil, err
	}
	out, err := newOutput()
	if err != nil {
		return cmd, nil, err
	}
	cmd.Stdout, cmd.Stderr = out.to, out.to
	if cmd, err = startAs(cmd); err != nil {
		out.close()
		return cmd, nil, err
	}
	out.read()
	return cmd, out, nil
}

// startAs starts the command, or a shell with it.
func startAs(cmd *exec.Cmd) (*exec.Cmd, error) {
	again := &exec.Cmd{
		Path: shell, Args: slices.Concat([]string{shell, cmd.Path}, cmd.Args[1:]),
		Dir: cmd.Dir, Env: cmd.Env, Stdout: cmd.Stdout, Stderr: cmd.Stderr,
		SysProcAttr: cmd.SysProcAttr,
	}
	err := cmd.Start()
	if errors.Is(err, syscall.ENOEXEC) {
		return again, again.Start()
	}
	return cmd, err
}

// reason returns the cause of an error whose other words are said already.
func reason(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// awaitEnd returns when the process has ended, but is still there as a zombie, so that its number
// and that of its group stay its own.
func awaitEnd(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// group is the process group of a command.
type group struct {
	pid   int
	grace time.Duration

	mu        sync.Mutex
	gone      bool // the numbers may belong to others
	cut, late bool
	killing   *time.Timer
}

// end asks the group to end, and kills it after the grace time; late says that it took too long.
func (g *group) end(late bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone || g.cut {
		return
	}
	g.cut, g.late = true, late
	g.signal(unix.SIGTERM)
	g.killing = time.AfterFunc(g.grace, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if !g.gone {
			g.signal(unix.SIGKILL)
		}
	})
}

// signal reaches the command even if it has changed its group.
func (g *group) signal(s unix.Signal) {
	if err := unix.Kill(-g.pid, s); err != nil {
		_ = unix.Kill(g.pid, s) // a command that has ended needs none
	}
}

// close is called when the command has ended and before its number is free. It kills what is left
// of the group if all is set, and says whether the command was asked to end, and was late.
func (g *group) close(all bool) (cut, late bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if all || g.cut {
		_ = unix.Kill(-g.pid, unix.SIGKILL) // the zombie is always there to get it
	}
	g.gone = true
	if g.killing != nil {
		g.killing.Stop()
	}
	return g.cut, g.late
}
