package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// killTimeout bounds how long a process may outlive SIGKILL.
const killTimeout = 10 * time.Second

// Command is a program to run on a node.
type Command struct {
	// Name is the program, looked up in PATH if it has no slash.
	Name string
	// Args follow the program's name.
	Args []string
	// Env is the whole environment as "KEY=value"; nil: that of the running program.
	Env []string
	// Dir is the working directory; empty: that of the running program.
	Dir string
	// Label is what logs call the process; empty: the last part of Name.
	Label string
	// Stdin, Stdout and Stderr, if set, are handed to the process as they are; the caller keeps its
	// own copies and closes them. Without Stdin it reads nothing; without Stdout or Stderr what it
	// writes there is kept as lines of the node.
	Stdin, Stdout, Stderr *os.File
	// Init runs the program under a small init, as an ordinary process that signals can end as
	// usual, that may die before its children, and that finds its own PID namespace in /proc. The
	// program of the lab must call Main. A terminal as Stdin then is the one that controls it, so that
	// what is typed there can interrupt it. Without Init the program itself is process 1.
	Init bool

	// argv0, if set, is the process's own name for itself.
	argv0 string
	// capture, if set, takes both outputs in place of the node's lines.
	capture *bytes.Buffer
}

// Process is a program that runs, or ran, on a node, together with all its descendants, in a PID
// namespace of its own. It has ended when all of them have. Without Command.Init the program is
// process 1 there: its end is the end of them all, and it ignores, as every init does, signals that
// it has no handler for, but SIGKILL and SIGSTOP from outside.
type Process struct {
	node *Node
	name string
	// cmd is process 1 of the namespace; program is the same unless there is an init.
	cmd     *exec.Cmd
	program *os.Process
	// pid is the program's; unlike its own field it stays when the program is released.
	pid int
	// output is what the program writes.
	output *valve
	done   chan struct{}
	err    error // of Wait; set before done is closed
}

// Start starts a program on the node. It ends with the lab at the latest: by Close, PowerOff, or
// the death of the lab's own process. A context that ends before the program runs is an error;
// later it means nothing.
func (n *Node) Start(ctx context.Context, c Command) (*Process, error) {
	p, err := n.start(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("start %s on %s: %w", c.label(), n.spec.Name, err)
	}
	return p, nil
}

// Result is the outcome of a program that was run to its end.
type Result struct {
	// Output is the program's standard output and error as they came.
	Output []byte
	// Status is the exit status; 128 and the signal's number for one that a signal ended.
	Status int
}

// Exec runs a program on the node to its end. A status that is not zero is no error. If the context
// ends first, the program and its descendants are killed and the context's error is returned beside
// what it wrote until then.
func (n *Node) Exec(ctx context.Context, name string, args ...string) (Result, error) {
	var output bytes.Buffer
	p, err := n.Start(ctx, Command{Name: name, Args: args, capture: &output})
	if err != nil {
		return Result{}, err
	}
	select {
	case <-p.done:
		return Result{Output: output.Bytes(), Status: p.Status()}, nil
	case <-ctx.Done():
		err := errors.Join(context.Cause(ctx), p.Kill())
		select {
		case <-p.done:
		default:
			return Result{}, fmt.Errorf("run %s on %s: %w", p.name, n.spec.Name, err)
		}
		result := Result{Output: output.Bytes(), Status: p.Status()}
		return result, fmt.Errorf("run %s on %s: %w", p.name, n.spec.Name, err)
	}
}

// start starts a program and the two goroutines that follow it until it ends.
func (n *Node) start(ctx context.Context, c Command) (*Process, error) {
	path, err := exec.LookPath(c.Name)
	if err != nil {
		return nil, err
	}
	label := c.label()
	var ours, theirs *os.File
	if c.Init {
		if c, ours, theirs, err = underInit(c, path); err != nil {
			return nil, err
		}
		defer ours.Close()
		defer theirs.Close()
		path = selfExe
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	p := &Process{node: n, name: label, cmd: c.build(path, write), output: newValve(read),
		done: make(chan struct{})}
	if c.Init {
		p.cmd.ExtraFiles = []*os.File{theirs}
		p.cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNS
	}
	if err := n.Do(ctx, func() error { return n.launch(p) }); err != nil {
		return nil, errors.Join(err, read.Close())
	}
	// From here on the end of the last process is the end of what can be read.
	write.Close()
	program := p.cmd.Process
	if c.Init {
		theirs.Close()
		if found, failure := p.awaitProgram(ours); failure != nil {
			err = failure
		} else {
			program = found
		}
	}
	n.mu.Lock()
	p.program, p.pid = program, program.Pid
	n.mu.Unlock()
	go p.follow(c.capture)
	if err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	return p, nil
}

// launch starts a process from the node's thread, whose namespaces it then has, and counts it among
// the node's.
func (n *Node) launch(p *Process) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.ready(); err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	n.processes[p] = struct{}{}
	return nil
}

// build returns the command as the standard library has it.
func (c Command) build(path string, output *os.File) *exec.Cmd {
	cmd := &exec.Cmd{
		Path:   path,
		Args:   append([]string{c.Name}, c.Args...),
		Env:    environ(c.Env),
		Dir:    c.Dir,
		Stdout: output,
		Stderr: output,
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWPID,
			// The signal comes when the node's thread ends, which lives as long as the lab.
			Pdeathsig: syscall.SIGKILL,
			Setsid:    true,
		},
	}
	if c.argv0 != "" {
		cmd.Args[0] = c.argv0
	}
	if c.Stdin != nil {
		cmd.Stdin = c.Stdin
	}
	if c.Stdout != nil {
		cmd.Stdout = c.Stdout
	}
	if c.Stderr != nil {
		cmd.Stderr = c.Stderr
	}
	return cmd
}

// label returns what logs call the process.
func (c Command) label() string {
	if c.Label != "" {
		return c.Label
	}
	return filepath.Base(c.Name)
}

// follow reads what the process writes until its last descendant has ended, then waits for it.
func (p *Process) follow(capture *bytes.Buffer) {
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer p.output.file.Close()
		if capture != nil {
			io.Copy(capture, p.output)
			return
		}
		p.node.journal.follow(p, p.output)
	}()
	p.err = p.cmd.Wait()
	// Of a file that is open it cannot fail; one that is not has been read to its end.
	_ = p.output.open()
	<-read
	if p.program != p.cmd.Process {
		// Nobody can be signalled any more.
		_ = p.program.Release()
	}
	p.node.mu.Lock()
	delete(p.node.processes, p)
	p.node.mu.Unlock()
	close(p.done)
}

// String returns the node's and the process's name, for example "lb1:tandemd".
func (p *Process) String() string { return p.node.spec.Name + ":" + p.name }

// Node returns the node that the process runs on.
func (p *Process) Node() *Node { return p.node }

// Pid returns the program's number as the lab's own process sees it.
func (p *Process) Pid() int { return p.pid }

// Done returns a channel that is closed when the process and all its descendants have ended and
// their output has been read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Alive reports whether the process has not ended. A frozen one is alive.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Wait waits until the process has ended and returns how: nil for status 0, else an
// *exec.ExitError. The context bounds the wait only.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("wait for %s: %w", p, context.Cause(ctx))
	}
}

// Status returns the exit status of a process that has ended, 128 and the signal's number if a
// signal ended it; -1 while it runs.
func (p *Process) Status() int {
	if p.Alive() {
		return -1
	}
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		return exitStatus(status)
	}
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends a signal to the program itself, not to its descendants. To one that has ended it
// returns os.ErrProcessDone.
func (p *Process) Signal(s os.Signal) error {
	err := os.ErrProcessDone
	if p.Alive() {
		err = p.program.Signal(s)
	}
	if err != nil {
		return fmt.Errorf("signal %s with %v: %w", p, s, err)
	}
	return nil
}

// Kill ends the process and all its descendants by SIGKILL and waits until they are gone. One that
// has ended is no error.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p, err)
	}
	timeout := time.NewTimer(killTimeout)
	defer timeout.Stop()
	select {
	case <-p.done:
		return nil
	case <-timeout.C:
		return fmt.Errorf("kill %s: still there after %v", p, killTimeout)
	}
}

// Tail returns the last lines of the process's output, oldest first, each with its time; at most
// max, all that are kept if max is 0.
func (p *Process) Tail(max int) []string { return p.node.journal.tail(max, p) }

// AwaitLine waits until the process has written a line that match accepts, now or before, as far as
// the node still keeps it. If the process ends first, the error shows its last lines.
func (p *Process) AwaitLine(ctx context.Context, match func(text string) bool) error {
	found, giveUp := p.node.journal.await(p, match)
	defer giveUp()
	select {
	case <-found:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("await line of %s: %w", p, context.Cause(ctx))
	case <-p.done:
	}
	select {
	case <-found:
		return nil
	default:
		return fmt.Errorf("await line of %s: it ended with status %d; last lines: %q",
			p, p.Status(), p.Tail(5))
	}
}

// Processes returns the processes of the node that have started and not ended, in no order.
func (n *Node) Processes() []*Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := make([]*Process, 0, len(n.processes))
	for p := range n.processes {
		if p.program != nil {
			list = append(list, p)
		}
	}
	return list
}

// killAll ends every process of the node, also those that are being started: all signals first,
// then the waiting.
func (n *Node) killAll() error {
	n.mu.Lock()
	list := slices.Collect(maps.Keys(n.processes))
	n.mu.Unlock()
	for _, p := range list {
		// Kill reports what goes wrong here.
		_ = p.cmd.Process.Kill()
	}
	var errs []error
	for _, p := range list {
		errs = append(errs, p.Kill())
	}
	return errors.Join(errs...)
}
