package notify

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/internal/bubbletest"
)

// await waits until the condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited 20 s for %s", what)
		case <-tick.C:
		}
	}
}

// opened waits until the nth FIFO of n is open.
func opened(t *testing.T, n *Notifier, nth int) {
	t.Helper()
	await(t, "the FIFO to be opened", func() bool { return n.Stats().FIFOs[nth].Open })
}

// attach opens a FIFO for reading, as a reader would.
func attach(t *testing.T, path string) *bufio.Scanner {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := f.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return bufio.NewScanner(f)
}

func next(t *testing.T, s *bufio.Scanner) string {
	t.Helper()
	if !s.Scan() {
		t.Fatalf("read line: %v", s.Err())
	}
	return s.Text()
}

func TestFIFO(t *testing.T) {
	dir := t.TempDir()
	all, vrrp, lvs := dir+"/all", dir+"/vrrp", dir+"/lvs"
	if err := unix.Mkfifo(vrrp, 0o644); err != nil {
		t.Fatal(err)
	}
	n := New(Options{})
	configure(t, n, Config{FIFOs: []FIFO{
		{Path: all, VRRP: true, LVS: true, User: fmt.Sprint(os.Getuid())}, {Path: vrrp, VRRP: true},
		{Path: lvs, LVS: true},
	}})
	n.Tell(Event{Subject: vi1, State: Backup, Priority: 150}) // before Run
	end := begin(n)
	opened(t, n, 0)
	opened(t, n, 1)
	opened(t, n, 2)
	n.Tell(Event{Subject: web, State: Down})
	n.Tell(Event{Subject: vi1, State: Master, Priority: 150})
	for path, want := range map[string][]string{
		all: {`INSTANCE "VI_1" BACKUP 150`, "RS [192.168.2.11]:tcp:80 [192.168.1.1]:tcp:80 DOWN",
			`INSTANCE "VI_1" MASTER 150`},
		vrrp: {`INSTANCE "VI_1" BACKUP 150`, `INSTANCE "VI_1" MASTER 150`},
		lvs:  {"RS [192.168.2.11]:tcp:80 [192.168.1.1]:tcp:80 DOWN"},
	} {
		var got []string
		for s := attach(t, path); len(got) < len(want); {
			got = append(got, next(t, s))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", filepath.Base(path), diff)
		}
	}
	info, err := os.Stat(all)
	if err != nil || info.Mode() != fs.ModeNamedPipe|0o600 {
		t.Errorf("mode: got %v, %v; want one that only its owner can use", info.Mode(), err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	if diff := cmp.Diff([]string{vrrp}, left); diff != "" {
		t.Errorf("files left: those made by others (-want +got)\n%s", diff)
	}
}

// TestFIFOWithoutReader keeps what fits, and then the newest.
func TestFIFOWithoutReader(t *testing.T) {
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "fifo")
	n := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	configure(t, n, Config{FIFOs: []FIFO{{Path: path, VRRP: true}}})
	end := begin(n)
	opened(t, n, 0)
	const events = 10_000
	subject := Subject{Kind: Instance, Name: strings.Repeat("x", 100)}
	for i := range events {
		n.Tell(Event{Subject: subject, State: Master, Priority: i})
	}
	s := attach(t, path)
	var got []string
	last := fmt.Sprintf(" %d", events-1)
	for len(got) == 0 || !strings.HasSuffix(got[len(got)-1], last) {
		got = append(got, next(t, s))
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	st := n.Stats().FIFOs[0]
	if st.Told != events || st.Dropped == 0 || st.Dropped+uint64(len(got)) != events ||
		st.Done != uint64(len(got)) || len(got) < maxLines {
		t.Errorf("statistics: %+v; read %d lines", st, len(got))
	}
	for i := 1; i < len(got); i++ {
		if got[i-1][:110] != got[i][:110] || len(got[i]) < 120 {
			t.Fatalf("broken line %q after %q", got[i], got[i-1])
		}
	}
	if l := log.String(); !strings.Contains(l, "fifo line dropped") ||
		!strings.Contains(l, "nobody reads") {
		t.Errorf("log:\n%s", l)
	}
}

// TestFIFOEndsInTime ends though nobody reads, and says what is lost.
func TestFIFOEndsInTime(t *testing.T) {
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "fifo")
	n := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Drain: 50 * time.Millisecond})
	configure(t, n, Config{FIFOs: []FIFO{{Path: path, VRRP: true}}})
	end := begin(n)
	opened(t, n, 0)
	for range 4000 {
		n.Tell(Event{Subject: vi1, State: Master})
	}
	err := end()
	st := n.Stats().FIFOs[0]
	want := fmt.Sprintf("%d lines of %s not delivered", st.Dropped, path)
	if err == nil || st.Dropped == 0 || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, %+v; want %s", err, st, want)
	}
	if l := log.String(); !strings.Contains(l, "fifo closed before it was read") {
		t.Errorf("log:\n%s", l)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the FIFO is left: %v", err)
	}
}

// TestFIFOThatCannotBe is told of, and tried again.
func TestFIFOThatCannotBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := New(Options{})
	configure(t, n, Config{FIFOs: []FIFO{{Path: path, VRRP: true}}})
	n.Tell(Event{Subject: vi1, State: Master})
	end := begin(n)
	await(t, "an error", func() bool { return n.Stats().FIFOs[0].Retries > 0 })
	if st := n.Stats().FIFOs[0]; !strings.Contains(st.LastError, "expected a fifo") || st.Open {
		t.Errorf("statistics: %+v", st)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
		t.Errorf("file: got %q, %v; want it untouched", text, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	opened(t, n, 0)
	if got := next(t, attach(t, path)); got != `INSTANCE "VI_1" MASTER 0` {
		t.Errorf("got %q", got)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// TestFIFOIsNotALink does not follow one to a place of somebody else's choice.
func TestFIFOIsNotALink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := errors.Join(unix.Mkfifo(target, 0o600), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	n := New(Options{})
	configure(t, n, Config{FIFOs: []FIFO{{Path: link, VRRP: true}}})
	end := begin(n)
	await(t, "an error", func() bool { return n.Stats().FIFOs[0].LastError != "" })
	if err := end(); err != nil {
		t.Error(err)
	}
}

// TestFIFORemovedByOthers makes it anew.
func TestFIFORemovedByOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	n := New(Options{})
	configure(t, n, Config{FIFOs: []FIFO{{Path: path, VRRP: true}}})
	end := begin(n)
	opened(t, n, 0)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	n.Tell(Event{Subject: vi1, State: Fault})
	await(t, "the FIFO to be there again", func() bool { return n.Stats().FIFOs[0].Done == 1 })
	if got := next(t, attach(t, path)); got != `INSTANCE "VI_1" FAULT 0` {
		t.Errorf("got %q", got)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// readers runs scripts that read a FIFO.
type readers struct {
	mu      sync.Mutex
	lines   []string
	begun   []string
	atOnce  int
	most    int
	pace    time.Duration // of reading
	patient bool          // does not end at the end of the file
	quits   atomic.Int32  // how many more give up at once
}

func (r *readers) run(ctx context.Context, s Script, args, _ []string) error {
	r.mu.Lock()
	r.begun = append(r.begun, s.String())
	r.atOnce++
	r.most = max(r.most, r.atOnce)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.atOnce--
		r.mu.Unlock()
	}()
	if r.quits.Add(-1) >= 0 {
		return errors.New("gave up")
	}
	f, err := os.OpenFile(args[len(args)-1], os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	defer context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })()
	for {
		// One byte at a time, so that nothing is lost in a buffer when it is ended.
		var line []byte
		for b := make([]byte, 1); !bytes.HasSuffix(line, []byte("\n")); {
			if _, err := f.Read(b); err != nil {
				if r.patient {
					<-ctx.Done()
				}
				return err
			}
			line = append(line, b...)
		}
		r.mu.Lock()
		r.lines = append(r.lines, s.Args[0]+": "+string(line))
		r.mu.Unlock()
		select {
		case <-time.After(r.pace):
		case <-ctx.Done():
		}
	}
}

func (r *readers) read() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lines)
}

// TestFIFOScript reads all, is started again when it ends, and goes on over a reload; another one
// takes its place only when it has ended.
func TestFIFOScript(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	r := &readers{}
	r.quits.Store(1)
	n := New(Options{Run: r.run})
	set := func(script string) {
		configure(t, n, Config{FIFOs: []FIFO{{Path: path, VRRP: true, Script: command(script)}}})
	}
	set("a")
	end := begin(n)
	n.Tell(Event{Subject: vi1, State: Backup})
	await(t, "a line", func() bool { return r.read() == 1 })
	set("a")
	n.Tell(Event{Subject: vi1, State: Master})
	await(t, "a line", func() bool { return r.read() == 2 })
	set("b")
	n.Tell(Event{Subject: vi1, State: Fault})
	await(t, "a line", func() bool { return r.read() == 3 })
	await(t, "the other script", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.begun) == 3
	})
	for range 2000 {
		n.Tell(Event{Subject: vi1, State: Stop})
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"a", "a", "b"}, r.begun); diff != "" || r.most != 1 {
		t.Errorf("%d readers at once; scripts (-want +got)\n%s", r.most, diff)
	}
	if r.read() != 2003 {
		t.Errorf("%d lines were read, want all 2003", r.read())
	}
	if st := n.Stats().FIFOs[0]; st.Restarts != 1 || st.LastError != "gave up" || st.Done != 2003 {
		t.Errorf("statistics: %+v", st)
	}
}

// TestFIFOSlowReader gives a reader more than its grace if there is more to read.
func TestFIFOSlowReader(t *testing.T) {
	r := &readers{pace: readerGrace / 4, patient: true}
	n := New(Options{Run: r.run, Drain: time.Minute})
	fifo := FIFO{Path: filepath.Join(t.TempDir(), "fifo"), VRRP: true, Script: command("a")}
	configure(t, n, Config{FIFOs: []FIFO{fifo}})
	end := begin(n)
	n.Tell(Event{Subject: vi1, State: Master})
	await(t, "a line", func() bool { return r.read() == 1 })
	for range 10 {
		n.Tell(Event{Subject: vi1, State: Stop})
	}
	if err := end(); err != nil || r.read() != 11 {
		t.Errorf("%d lines were read, %v; want 11", r.read(), err)
	}
}

// TestFIFOLeavesAndReturns takes a FIFO out of the configuration and puts it back.
func TestFIFOLeavesAndReturns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	r := &readers{patient: true}
	n := New(Options{Run: r.run})
	with := Config{FIFOs: []FIFO{{Path: path, VRRP: true, Script: command("a")}}}
	configure(t, n, with)
	end := begin(n)
	n.Tell(Event{Subject: vi1, State: Master})
	await(t, "a line", func() bool { return r.read() == 1 })
	configure(t, n, Config{})
	n.Tell(Event{Subject: vi1, State: Fault}) // for nobody
	configure(t, n, with)
	n.Tell(Event{Subject: vi1, State: Backup})
	await(t, "a line", func() bool { return r.read() == 2 })
	if err := end(); err != nil {
		t.Error(err)
	}
	if r.most != 1 || !strings.Contains(r.lines[1], "BACKUP") {
		t.Errorf("%d readers at once, lines %q", r.most, r.lines)
	}
}

// TestKeepRunning waits ever longer before it starts again what ends at once.
func TestKeepRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		var deaths []uint64
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		keepRunning(ctx, ctx, func() error {
			at = append(at, time.Since(began))
			if len(at) == 4 {
				bubbletest.Pass(2 * time.Minute) // a good while: from then on as at first
			}
			return nil
		}, func(nth uint64, _ error) { deaths = append(deaths, nth) })
		want := "[0s 1s 3s 7s 2m8s 2m10s 2m14s 2m22s 2m38s 3m10s " +
			"4m10s 5m10s 6m10s 7m10s 8m10s 9m10s]"
		if got := fmt.Sprint(at); got != want {
			t.Errorf("started at\n%s, want\n%s", got, want)
		}
		if got, want := fmt.Sprint(deaths[:6]), "[1 2 3 1 2 3]"; got != want {
			t.Errorf("deaths in a row: got %s, want %s", got, want)
		}
	})
}
