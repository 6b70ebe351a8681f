package kernel

import (
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A frameKind says what a frame carries. The host and the guest speak over two serial lines: one for
// orders and results, one for standard input, so that a program that does not read its input cannot
// hold up a signal.
type frameKind byte

const (
	// Host to guest.
	frameSpec   frameKind = 'S' // a spec as JSON; the first frame on real time
	frameSignal frameKind = 's' // one byte: the signal's number
	frameWindow frameKind = 'w' // rows and columns, two bytes each, big endian
	frameInput  frameKind = 'i' // standard input; empty: end of file

	// Guest to host.
	frameReady  frameKind = 'r' // the guest is up
	frameBeat   frameKind = 't' // the virtual clock, nanoseconds, eight bytes, big endian
	frameOutput frameKind = 'o' // standard output
	frameErrors frameKind = 'e' // standard error
	frameExit   frameKind = 'x' // one byte: the program's exit status; the last frame
	frameBroken frameKind = 'b' // text: why the guest cannot run the program; the last frame
)

// maxFrame bounds a frame's payload, so that a line out of step is noticed and not allocated.
const maxFrame = 1 << 20

// frameWriter writes frames to a line, whole, from any goroutine.
type frameWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// write sends one frame: kind, length as four bytes big endian, payload.
func (f *frameWriter) write(kind frameKind, payload []byte) error {
	b := make([]byte, 5, 5+len(payload))
	b[0] = byte(kind)
	binary.BigEndian.PutUint32(b[1:], uint32(len(payload)))
	b = append(b, payload...)
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.w.Write(b); err != nil {
		return fmt.Errorf("write frame %q: %w", kind, err)
	}
	return nil
}

// stream returns a Writer whose every Write becomes a frame of that kind, at once.
func (f *frameWriter) stream(kind frameKind) io.Writer { return frameStream{f, kind} }

type frameStream struct {
	f    *frameWriter
	kind frameKind
}

func (s frameStream) Write(p []byte) (int, error) {
	for sent := 0; sent < len(p); {
		n := min(len(p)-sent, maxFrame)
		if err := s.f.write(s.kind, p[sent:sent+n]); err != nil {
			return sent, err
		}
		sent += n
	}
	return len(p), nil
}

// readFrame reads one frame. A clean end of the line before a frame is io.EOF.
func readFrame(r io.Reader) (frameKind, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("read frame %q: %d bytes, at most %d", head[0], n, maxFrame)
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, fmt.Errorf("read frame %q: %w", head[0], err)
	}
	return frameKind(head[0]), payload, nil
}

// spec is what the guest shall run: this same program as it was started on the host.
type spec struct {
	Path string
	Args []string
	Env  []string
	Dir  string
	// Modules is the directory of kernel modules, named after the release; empty: built in.
	Modules string
	// Virtual says that the guest runs on a virtual clock.
	Virtual bool
	// Writable are the directories of the host that the guest may change.
	Writable []string
	// Mounts are directories of the host, each with the path at which the guest has it, writable.
	Mounts [][2]string
	// Seen are as Mounts, but read-only.
	Seen [][2]string
	// Terminal says which of standard input, output and error are a terminal on the host.
	Terminal [3]bool
	// Rows and Columns are the terminal's size; zero where there is none.
	Rows, Columns uint16
}

// programs are the executables that the spec names, by their paths on the host: its own, and those
// that variables point to.
func (s spec) programs() []string {
	paths := []string{s.onHost(s.Path)}
	for _, v := range s.Env {
		if _, value, _ := strings.Cut(v, "="); filepath.IsAbs(value) {
			paths = append(paths, s.onHost(value))
		}
	}
	return paths
}

// onHost is where the host has what the guest has at a path.
func (s spec) onHost(path string) string {
	for _, m := range slices.Concat(s.Mounts, s.Seen) {
		if within(path, m[1]) {
			return m[0] + strings.TrimPrefix(path, m[1])
		}
	}
	return path
}
