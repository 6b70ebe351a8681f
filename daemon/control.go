package daemon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/status"
)

const (
	// maxAskers is how many connections are open at once; others wait in the kernel's queue.
	maxAskers = 16
	// askPatience is how long an asker may take to ask, and to take the answer.
	askPatience = 5 * time.Second
	// acceptAfter is how long the socket is let be after an error of accepting.
	acceptAfter = time.Second
)

// question is a Question that waits for its answer, which has room for one.
type question struct {
	Question
	answer chan Outcome
}

// openControl opens the control socket and has it served; nil if there is none.
func (d *director) openControl(ctx context.Context) *worker {
	if d.options.Control == "" {
		return nil
	}
	c, err := newControl(d.options.Control, d.questions, d.log)
	if err != nil {
		d.log.Warn("no control socket; --reload, --status and --drain will not reach this daemon",
			"err", err)
		return nil
	}
	c.status = d.snapshot
	return begin(ctx, "control", c.run)
}

// answer does what is asked.
func (d *director) answer(ctx context.Context, q Question) Outcome {
	switch q.Ask {
	case DoReload:
	case DoOverride:
		return d.override(q)
	default:
		return Outcome{Error: fmt.Sprintf("ask %q: expected %q, %q or %q", q.Ask, DoReload,
			DoOverride, TellStatus)}
	}
	if own, err := filepath.Abs(d.options.File); err == nil && q.File != "" && q.File != own {
		return Outcome{Error: fmt.Sprintf("file %q: this director runs %q", q.File, own)}
	}
	return d.reload(ctx)
}

// control is the control socket: it reads questions and hands them over.
type control struct {
	path      string
	file      fs.FileInfo // of the socket, to know it again
	listener  *net.UnixListener
	questions chan<- question
	// status answers to TellStatus; nil means nothing does.
	status func(context.Context) *status.Snapshot
	log    *slog.Logger
	// patience is askPatience, or a test's.
	patience time.Duration
}

// newControl returns a control socket at path that only its owner may use. One that nobody listens
// to any more is replaced; one that somebody does is an error.
func newControl(path string, questions chan<- question, log *slog.Logger) (*control, error) {
	listener, err := listenUnix(path)
	if errors.Is(err, unix.EADDRINUSE) {
		if err = removeStale(path); err == nil {
			listener, err = listenUnix(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open control socket: %w", err)
	}
	// The file is removed by run, if it is still this one.
	listener.SetUnlinkOnClose(false)
	file, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open control socket: %w", err), listener.Close())
	}
	return &control{path: path, file: file, listener: listener, questions: questions, log: log,
		patience: askPatience}, nil
}

// listenUnix makes a socket with mode 0600 from its first moment on: a socket's file gets the mode
// that the socket has when it is bound.
func listenUnix(path string) (*net.UnixListener, error) {
	private := func(_, _ string, raw syscall.RawConn) error {
		var err error
		if e := raw.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); e != nil {
			return e
		}
		return err
	}
	l, err := (&net.ListenConfig{Control: private}).Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	return l.(*net.UnixListener), nil
}

// removeStale removes a socket that nobody listens to. Anything else at path is an error.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s: expected a socket or nothing", path)
	}
	conn, err := net.DialTimeout("unix", path, askPatience)
	switch {
	case err == nil:
		return errors.Join(fmt.Errorf("%s: another director answers there", path), conn.Close())
	case !errors.Is(err, unix.ECONNREFUSED):
		return err
	}
	return os.Remove(path)
}

// run serves until ctx ends and every connection has ended with it.
func (c *control) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = c.listener.Close() })()
	var askers sync.WaitGroup
	room := make(chan struct{}, maxAskers)
	for ctx.Err() == nil {
		room <- struct{}{}
		conn, err := c.listener.Accept()
		if err != nil {
			<-room
			c.pause(ctx, err)
			continue
		}
		askers.Go(func() {
			defer func() { <-room }()
			c.serve(ctx, conn)
		})
	}
	askers.Wait()
	_ = c.listener.Close()
	return c.remove()
}

// pause lets a while go by after an error of accepting, such as that there are too many open files.
func (c *control) pause(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	c.log.Warn("control socket cannot accept; trying again", "err", err)
	select {
	case <-ctx.Done():
	case <-time.After(acceptAfter):
	}
}

// remove removes the socket's file, unless another one has taken its place.
func (c *control) remove() error {
	now, err := os.Lstat(c.path)
	if err != nil || !os.SameFile(now, c.file) {
		return nil // somebody else has taken care of it
	}
	if err := os.Remove(c.path); err != nil {
		return fmt.Errorf("remove control socket: %w", err)
	}
	return nil
}

// serve answers one question. What goes wrong with the asker is the asker's concern.
func (c *control) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(c.patience))
	// Only the reading ends with ctx: who has asked is told that the director stops.
	reading := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer reading()
	answer, err := c.reply(ctx, conn)
	if err == nil {
		_ = conn.SetWriteDeadline(time.Now().Add(c.patience))
		_, err = conn.Write(answer)
	}
	if err != nil {
		c.log.Debug("control: asker left", "err", err)
	}
}

// reply reads a question and returns what is answered.
func (c *control) reply(ctx context.Context, conn io.Reader) ([]byte, error) {
	q, err := readQuestion(conn)
	var out Outcome
	switch {
	case err != nil:
		out.Error = fmt.Sprintf("read question: %v", err)
	case q.Ask == TellStatus && c.status != nil:
		var answer bytes.Buffer
		err := status.JSON(&answer, c.status(ctx))
		return answer.Bytes(), err
	default:
		out = c.hand(ctx, q)
	}
	line, err := json.Marshal(out)
	if err == nil && len(line) >= maxAnswer {
		out.Steps, out.Diagnostics = nil, ""
		line, err = json.Marshal(out)
	}
	return append(line, '\n'), err
}

func readQuestion(conn io.Reader) (Question, error) {
	var q Question
	line, err := bufio.NewReader(io.LimitReader(conn, maxQuestion)).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &q)
	}
	return q, err
}

// hand has the director answer a question, and returns the answer.
func (c *control) hand(ctx context.Context, ask Question) Outcome {
	q := question{Question: ask, answer: make(chan Outcome, 1)}
	select {
	case c.questions <- q:
	case <-ctx.Done():
		return Outcome{Error: "the director stops"}
	}
	return <-q.answer
}
