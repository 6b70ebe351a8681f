package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// maxLine is the longest line kept in one piece; the rest of a longer one follows as further lines.
const maxLine = 4096

// line is one line of output of a process.
type line struct {
	at   time.Duration
	from *Process
	text string
}

// String returns the line as logs show it: seconds on the lab's clock, process, text.
func (l line) String() string {
	return fmt.Sprintf("%12.6f %s[%d]: %s", l.at.Seconds(), l.from.name, l.from.Pid(), l.text)
}

// journal is the output of all processes of a node: the last lines in memory, all of them in a file
// if wanted.
type journal struct {
	clock Clock
	max   int
	path  string // of the file; empty: none

	mu      sync.Mutex
	lines   []line
	waiters []*waiter
	file    *os.File
	err     error // the first error of writing the file
}

// waiter is somebody who waits for a line of a process.
type waiter struct {
	from  *Process
	match func(text string) bool
	found chan struct{}
}

// newJournal returns the journal of a node. The file is made when the first line is written.
func newJournal(node string, clock Clock, o Options) *journal {
	j := &journal{clock: clock, max: o.TailLines}
	if o.LogDir != "" {
		j.path = filepath.Join(o.LogDir, node+".log")
	}
	return j
}

// follow adds what it reads as lines of a process, until the end.
func (j *journal) follow(from *Process, r io.Reader) {
	in := bufio.NewReaderSize(r, maxLine)
	for {
		text, _, err := in.ReadLine()
		if err != nil {
			return
		}
		j.add(line{at: j.clock.Now(), from: from, text: string(text)})
	}
}

// add appends one line and wakes who waited for it.
func (j *journal) add(l line) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.lines) == j.max {
		j.lines = append(j.lines[:0], j.lines[1:]...)
	}
	j.lines = append(j.lines, l)
	rest := j.waiters[:0]
	for _, w := range j.waiters {
		if w.from == l.from && w.match(l.text) {
			close(w.found)
			continue
		}
		rest = append(rest, w)
	}
	j.waiters = rest
	if j.path != "" && j.err == nil {
		j.err = j.write(l)
	}
}

// write appends a line to the file.
func (j *journal) write(l line) error {
	if j.file == nil {
		if err := os.MkdirAll(filepath.Dir(j.path), 0o755); err != nil {
			return fmt.Errorf("make log folder: %w", err)
		}
		file, err := os.OpenFile(j.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return fmt.Errorf("open log: %w", err)
		}
		j.file = file
	}
	if _, err := fmt.Fprintln(j.file, l); err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	return nil
}

// tail returns the last lines of one process, or of all if it is nil; max 0: all that are kept.
func (j *journal) tail(max int, from *Process) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var lines []string
	for _, l := range j.lines {
		if from == nil || l.from == from {
			lines = append(lines, l.String())
		}
	}
	if max > 0 && len(lines) > max {
		lines = lines[len(lines)-max:]
	}
	return lines
}

// await returns a channel that is closed when a process has written a line that matches, now or
// before, and a function to give up waiting.
func (j *journal) await(from *Process, match func(string) bool) (<-chan struct{}, func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	w := &waiter{from: from, match: match, found: make(chan struct{})}
	for _, l := range j.lines {
		if l.from == from && match(l.text) {
			close(w.found)
			return w.found, func() {}
		}
	}
	j.waiters = append(j.waiters, w)
	return w.found, func() { j.drop(w) }
}

// drop removes a waiter that gave up.
func (j *journal) drop(gone *waiter) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, w := range j.waiters {
		if w == gone {
			j.waiters = append(j.waiters[:i], j.waiters[i+1:]...)
			return
		}
	}
}

// close closes the file and returns the first error of writing it.
func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return j.err
	}
	err := errors.Join(j.err, j.file.Close())
	j.file = nil
	return err
}
