package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tandemlb/tandem/lab/kernel"
)

// typist reads what is typed, all the time, and gives it to whoever is listening: the prompt, or
// the program that runs. Nothing is lost between them.
type typist struct {
	chunks chan []byte // closed at the end of the input

	mu   sync.Mutex
	rest []byte
}

// newTypist starts to read, until the end of the input.
func newTypist(from io.Reader) *typist {
	t := &typist{chunks: make(chan []byte)}
	go func() {
		defer close(t.chunks)
		for {
			b := make([]byte, 4096)
			n, err := from.Read(b)
			if n > 0 {
				t.chunks <- b[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	return t
}

// session is what is typed until done. Sessions come one after another.
func (t *typist) session(done <-chan struct{}) io.Reader { return &session{t, done} }

type session struct {
	typist *typist
	done   <-chan struct{}
}

func (s *session) Read(b []byte) (int, error) {
	t := s.typist
	t.mu.Lock()
	n := copy(b, t.rest)
	t.rest = t.rest[n:]
	t.mu.Unlock()
	if n > 0 {
		return n, nil
	}
	select {
	case <-s.done:
		return 0, io.EOF
	case chunk, ok := <-t.chunks:
		if !ok {
			return 0, io.EOF
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		select {
		case <-s.done: // it is for who comes next
			t.rest = append(t.rest, chunk...)
			return 0, io.EOF
		default:
		}
		n := copy(b, chunk)
		t.rest = append(t.rest, chunk[n:]...)
		return n, nil
	}
}

// cancelling is what is typed at the prompt, where Ctrl-C clears the line: to the end of it, kill
// it, enter what is left.
type cancelling struct{ io.Reader }

func (c cancelling) Read(b []byte) (int, error) {
	const interrupt, clear = 3, "\x05\x15\r"
	room := len(b)
	if room >= 2*len(clear) {
		room /= len(clear)
	}
	n, err := c.Reader.Read(b[:room])
	if bytes.IndexByte(b[:n], interrupt) >= 0 && n*len(clear) <= len(b) {
		n = copy(b, bytes.ReplaceAll(b[:n:n], []byte{interrupt}, []byte(clear)))
	}
	return n, err
}

// historyMax is how many lines of the past the shell knows.
const historyMax = 500

// history is the lines of the past, the last one last, also in a file.
type history struct {
	lines []string
	file  string // empty: none
}

// loadHistory reads the history of this user; where there is none it is empty.
func loadHistory() *history {
	dir, err := kernel.CacheDir()
	if err != nil || os.MkdirAll(dir, 0o755) != nil {
		return &history{}
	}
	h := &history{file: filepath.Join(dir, "shell-history")}
	f, err := os.Open(h.file)
	if err != nil {
		return h
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		h.lines = append(h.lines, lines.Text())
	}
	h.lines = h.lines[max(0, len(h.lines)-historyMax):]
	return h
}

// Add appends a line, unless it is empty or the last one again.
func (h *history) Add(line string) {
	line = strings.TrimSpace(line)
	if line == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	h.lines = slices.Clone(h.lines[max(0, len(h.lines)-historyMax):])
	if h.file == "" {
		return
	}
	f, err := os.OpenFile(h.file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return // the history lasts as long as the shell, then
	}
	defer f.Close()
	fmt.Fprintln(f, line)
}

// Len is the number of lines.
func (h *history) Len() int { return len(h.lines) }

// At returns a line; 0 is the last one.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }
