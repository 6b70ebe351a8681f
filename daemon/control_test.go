package daemon

import (
	"bufio"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// serveControl serves a control socket whose questions answer gets, until the test ends.
func serveControl(
	t *testing.T, answer func(Question) Outcome, change ...func(*control),
) (path string, stop func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	questions := make(chan question)
	c, err := newControl(path, questions, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := begin(ctx, "control", c.run)
	answering := begin(ctx, "answers", func(ctx context.Context) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case q := <-questions:
				q.answer <- answer(q.Question)
			}
		}
	})
	stop = func() {
		cancel()
		if err := w.end(); err != nil {
			t.Errorf("end of the control socket: %v", err)
		}
		_ = answering.end()
	}
	t.Cleanup(stop)
	return path, stop
}

func applied(Question) Outcome { return Outcome{Applied: true} }

func TestAsk(t *testing.T) {
	want := Outcome{Applied: true, Steps: []string{"a", "b"}, Diagnostics: "c\nd\n"}
	var got Question
	path, stop := serveControl(t, func(q Question) Outcome { got = q; return want })
	info, err := os.Stat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("socket: %v, %v, want mode 0600", info.Mode(), err)
	}
	q := Question{Ask: DoReload, File: "/a"}
	out, err := Ask(t.Context(), path, q)
	if err != nil || got != q {
		t.Errorf("Ask: %v, asked %+v, want %+v", err, got, q)
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	stop()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("after the end: %v, want no socket", err)
	}
	if _, err := Ask(t.Context(), path, q); err == nil {
		t.Error("Ask of nobody: want an error")
	}
}

// TestBadAskers says what is no question, then holds more connections than there is room for, which
// the end does not wait for.
func TestBadAskers(t *testing.T) {
	path, stop := serveControl(t, applied)
	for _, tt := range []struct{ name, said, want string }{
		{"no JSON", "reload\n", "read question: invalid character"},
		{"no line", "{", "read question: EOF"},
		{"endless", strings.Repeat(" ", maxQuestion+1), "read question: EOF"},
		{"other type", "[]\n", "read question: json: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, tt.said); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil || !strings.Contains(line, tt.want) {
				t.Errorf("answer: %q, %v, want %q in it", line, err, tt.want)
			}
		})
	}
	for range maxAskers + 5 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	begin := time.Now()
	stop()
	if took := time.Since(begin); took >= askPatience/2 {
		t.Errorf("end with idle askers took %s, want it not to wait for them", took)
	}
}

// TestAskersWaitTheirTurn fills all the room with connections that ask nothing.
func TestAskersWaitTheirTurn(t *testing.T) {
	path, _ := serveControl(t, applied, func(c *control) { c.patience = 50 * time.Millisecond })
	for range maxAskers {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	out, err := Ask(t.Context(), path, Question{Ask: DoReload})
	if err != nil || !out.Applied {
		t.Errorf("Ask behind idle askers: %+v, %v, want an answer", out, err)
	}
}

// TestLongAnswer leaves out of an answer what makes it too long.
func TestLongAnswer(t *testing.T) {
	path, _ := serveControl(t, func(Question) Outcome {
		return Outcome{Error: "bad", Diagnostics: strings.Repeat("x", maxAnswer)}
	})
	out, err := Ask(t.Context(), path, Question{Ask: DoReload})
	if diff := cmp.Diff(Outcome{Error: "bad"}, out); diff != "" || err != nil {
		t.Errorf("Ask: %v (-want +got)\n%s", err, diff)
	}
}

// TestControlReplaces checks what may be in the way of a control socket.
func TestControlReplaces(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	open := func(path string) error {
		c, err := newControl(path, make(chan question), log)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return c.run(ctx)
	}
	t.Run("stale", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
			t.Fatal(err)
		}
		if err := unix.Close(fd); err != nil {
			t.Fatal(err)
		}
		if err := open(path); err != nil {
			t.Errorf("newControl: %v, want it to replace the old one", err)
		}
	})
	t.Run("alive", func(t *testing.T) {
		path, _ := serveControl(t, applied)
		if err := open(path); err == nil || !strings.Contains(err.Error(), "another director") {
			t.Errorf("newControl: %v, want that another one answers there", err)
		}
		if out, err := Ask(t.Context(), path, Question{Ask: DoReload}); err != nil || !out.Applied {
			t.Errorf("Ask: %+v, %v, want the first one to answer still", out, err)
		}
	})
	t.Run("file", func(t *testing.T) {
		path := write(t, "precious")
		if err := open(path); err == nil || !strings.Contains(err.Error(), "expected a socket") {
			t.Errorf("newControl: %v, want a socket or nothing", err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != "precious" {
			t.Errorf("the file: %q, %v, want it untouched", text, err)
		}
	})
	t.Run("replaced while it ran", func(t *testing.T) {
		path, stop := serveControl(t, applied)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		stop()
		if _, err := os.Stat(path); err != nil {
			t.Errorf("another's file: %v, want it to stay", err)
		}
	})
}

// TestAnswer asks for what a director does not do.
func TestAnswer(t *testing.T) {
	d := director{options: Options{File: "/a.conf"}}
	for _, tt := range []struct {
		q    Question
		want string
	}{
		{Question{Ask: "dance"}, `ask "dance": expected "reload", "override" or "status"`},
		{Question{Ask: DoReload, File: "/b.conf"},
			`file "/b.conf": this director runs "/a.conf"`},
	} {
		if out := d.answer(t.Context(), tt.q); out.Applied || out.Error != tt.want {
			t.Errorf("answer to %+v: %+v, want %s", tt.q, out, tt.want)
		}
	}
}
