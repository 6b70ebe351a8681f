package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/creack/pty"

	"github.com/tandemlb/tandem/lab"
)

// Exec implements Lab. A program with a terminal gets its output and its errors on that.
func (h *Here) Exec(ctx context.Context, r ExecRequest, s Streams) (int, error) {
	n, err := h.node(r.Node)
	if err != nil {
		return 0, err
	}
	if len(r.Args) == 0 {
		return 0, failure(Usage, "run a program on %s: which? give its name", n)
	}
	if _, err := os.Stat(r.Dir); err != nil {
		r.Dir = "" // the lab's kernel may not have it
	}
	c := lab.Command{Name: findProgram(r.Args[0]), Args: r.Args[1:], Dir: r.Dir, Init: true,
		Env: append(withSystemPath(os.Environ()), r.Env...)}
	if r.Detach {
		_, err := n.Start(ctx, c)
		return 0, explain(err)
	}
	e := &execution{streams: s}
	if err := e.connect(&c, r.Terminal); err != nil {
		return 0, fmt.Errorf("run %s on %s: %w", c.Name, n, err)
	}
	defer e.close()
	p, err := n.Start(ctx, c)
	e.started()
	if err != nil {
		return 0, explain(err)
	}
	if s.Started != nil {
		s.Started()
	}
	return e.follow(ctx, p)
}

// systemPath are the folders of an administrator's programs, which an ordinary user's PATH often
// lacks.
var systemPath = []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}

// withSystemPath is an environment whose PATH has them.
func withSystemPath(env []string) []string {
	env = slices.Clone(env)
	for i, v := range env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			env[i] = "PATH=" + strings.Join(append(filepath.SplitList(path), systemPath...),
				string(filepath.ListSeparator))
		}
	}
	return env
}

// findProgram looks for a program in those folders that is not in PATH; one that is nowhere, or has
// a slash, stays as it is.
func findProgram(name string) string {
	if _, err := exec.LookPath(name); err == nil || strings.Contains(name, "/") {
		return name
	}
	for _, dir := range systemPath {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return name
}

// explain makes a Failure of why a program could not be started.
func explain(err error) error {
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist),
		errors.Is(err, os.ErrPermission):
		return &Failure{NoProgram, err.Error()}
	case errors.Is(err, lab.ErrPoweredOff):
		return &Failure{Failed, err.Error() + ": heal that first"}
	}
	return err
}

// execution is a program that runs on a node for somebody.
type execution struct {
	streams Streams
	// theirs are the program's ends of its streams, ours the other ones.
	theirs, ours []*os.File
	terminal     *os.File // our end; nil: there is none
	input        *os.File // to the program
	copies       sync.WaitGroup
}

// connect gives a command its streams: a terminal, or three pipes.
func (e *execution) connect(c *lab.Command, size *Window) error {
	if size != nil {
		master, slave, err := pty.Open()
		if err != nil {
			return fmt.Errorf("open terminal: %w", err)
		}
		e.terminal, e.input = master, master
		e.theirs, e.ours = []*os.File{slave}, []*os.File{master}
		c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
		return e.resize(*size)
	}
	var in, out, errs *os.File
	var err error
	if in, e.input, err = e.pipe(true); err != nil {
		return err
	}
	if _, out, err = e.pipe(false); err != nil {
		return err
	}
	if _, errs, err = e.pipe(false); err != nil {
		return err
	}
	c.Stdin, c.Stdout, c.Stderr = in, out, errs
	return nil
}

// pipe makes a pipe from or to the program and notes whose its ends are.
func (e *execution) pipe(toProgram bool) (r, w *os.File, err error) {
	if r, w, err = os.Pipe(); err != nil {
		e.started()
		e.close()
		return nil, nil, fmt.Errorf("make pipe: %w", err)
	}
	if toProgram {
		e.theirs, e.ours = append(e.theirs, r), append(e.ours, w)
	} else {
		e.theirs, e.ours = append(e.theirs, w), append(e.ours, r)
	}
	return r, w, nil
}

// started closes the program's ends, which it has by now, or never will.
func (e *execution) started() {
	for _, f := range e.theirs {
		f.Close()
	}
	e.theirs = nil
}

func (e *execution) close() {
	for _, f := range e.ours {
		f.Close() // one may be closed already
	}
}

// follow hands streams and signals to and fro until the program and all that it started have ended.
func (e *execution) follow(ctx context.Context, p *lab.Process) (int, error) {
	if e.streams.Input != nil {
		go e.feed()
	} else if e.terminal == nil {
		e.input.Close()
	}
	if e.terminal != nil {
		e.copy(e.streams.Output, e.terminal)
	} else {
		e.copy(e.streams.Output, e.ours[1])
		e.copy(e.streams.Errors, e.ours[2])
	}
	for {
		select {
		case <-p.Done():
			e.copies.Wait()
			return p.Status(), nil
		case <-ctx.Done():
			err := errors.Join(context.Cause(ctx), p.Kill())
			e.close() // the copies may be waiting for who has gone
			e.copies.Wait()
			return 0, fmt.Errorf("run %s: %w", p, err)
		case c := <-e.streams.Control:
			e.obey(p, c)
		}
	}
}

func (e *execution) obey(p *lab.Process, c Control) {
	// A program that ends meanwhile needs neither.
	if c.Window != nil && e.terminal != nil {
		_ = e.resize(*c.Window)
	}
	if c.Signal != 0 {
		_ = p.Signal(syscall.Signal(c.Signal))
	}
}

func (e *execution) resize(w Window) error {
	err := pty.Setsize(e.terminal, &pty.Winsize{Rows: w.Rows, Cols: w.Columns})
	if err != nil {
		return fmt.Errorf("set size of terminal: %w", err)
	}
	return nil
}

// endOfFile is what is typed on a terminal at the end of the input.
const endOfFile = 4

// feed hands input to the program until one of them ends.
func (e *execution) feed() {
	_, err := io.Copy(struct{ io.Writer }{e.input}, struct{ io.Reader }{e.streams.Input})
	switch {
	case e.terminal == nil:
		e.input.Close()
	case err == nil:
		_, _ = e.input.Write([]byte{endOfFile})
	}
}

// copy hands on what the program writes, as it comes; to nobody: it is read all the same.
func (e *execution) copy(to io.Writer, from *os.File) {
	if to == nil {
		to = io.Discard
	}
	e.copies.Go(func() {
		// A terminal ends with an error of its own kind when the program has.
		_, err := io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from})
		if err != nil && !errors.Is(err, syscall.EIO) {
			_, _ = io.Copy(io.Discard, from)
		}
	})
}
