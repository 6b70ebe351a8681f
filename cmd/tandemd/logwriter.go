package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// maxUnwritten bounds what waits for a log that is slow or blocked, in bytes.
const maxUnwritten = 1 << 20

// logWriter writes lines to a writer that may block, without ever making its callers wait. What does
// not fit is dropped, and the log says how much.
type logWriter struct {
	w io.Writer

	mu      sync.Mutex
	lines   [][]byte
	size    int // of lines
	dropped int // lines since the last that fitted
	closed  bool
	wake    chan struct{} // has room for one
	ended   chan struct{}
}

func newLogWriter(w io.Writer) *logWriter {
	l := &logWriter{w: w, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go l.run()
	return l
}

// Write takes a line, which must not be empty. It never fails.
func (l *logWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	var lost []byte
	if l.dropped > 0 {
		lost = fmt.Appendf(nil, "tandemd: the log was blocked: %d lines lost\n", l.dropped)
	}
	if l.size+len(lost)+len(line) > maxUnwritten {
		l.dropped++
	} else {
		if l.dropped > 0 {
			l.add(lost)
			l.dropped = 0
		}
		l.add(append([]byte(nil), line...))
	}
	l.mu.Unlock()
	l.rouse()
	return len(line), nil
}

func (l *logWriter) add(line []byte) {
	l.lines = append(l.lines, line)
	l.size += len(line)
}

func (l *logWriter) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Close waits until everything is written, but no longer than patience.
func (l *logWriter) Close(patience time.Duration) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.rouse()
	select {
	case <-l.ended:
	case <-time.After(patience):
	}
}

func (l *logWriter) run() {
	defer close(l.ended)
	for range l.wake {
		for {
			line, closed := l.next()
			if line == nil && closed {
				return
			}
			if line == nil {
				break
			}
			_, _ = l.w.Write(line) // there is nobody to tell
		}
	}
}

// next returns the oldest line, or nil, and whether there will be no other.
func (l *logWriter) next() (line []byte, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) > 0 {
		line, l.lines = l.lines[0], l.lines[1:]
		l.size -= len(line)
	}
	return line, l.closed
}
