package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/bubbletest"
)

// stage is where scripts of a test are run: it takes down their calls.
type stage struct {
	mu      sync.Mutex
	calls   []string
	running int
	most    int
	// run, if not nil, is what a script does.
	run func(ctx context.Context, s Script) error
}

func (s *stage) play(ctx context.Context, script Script, args, env []string) error {
	call := strings.Join(append(script.Args, args...), " ")
	if len(env) > 0 {
		call += " " + env[0]
	}
	s.mu.Lock()
	s.calls = append(s.calls, call)
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	var err error
	if s.run != nil {
		err = s.run(ctx, script)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	return err
}

func (s *stage) called() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

func command(args ...string) *Script { return &Script{Args: args} }

// begin runs n; the function that it returns ends it, waits, and returns its error.
func begin(n *Notifier) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- n.Run(ctx) }()
	return func() error {
		cancel()
		return <-result
	}
}

func configure(t *testing.T, n *Notifier, c Config) {
	t.Helper()
	if err := n.Configure(c); err != nil {
		t.Fatal(err)
	}
}

// sleep makes scripts take d, or until they are ended.
func sleep(d time.Duration) func(context.Context, Script) error {
	return func(ctx context.Context, _ Script) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			return nil
		}
	}
}

func TestScriptsOfOneInstanceRunInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{}
		n := New(Options{Run: s.play, Seq: 40})
		configure(t, n, Config{Rules: map[Subject]Rules{vi1: {
			Master: command("m"), Backup: command("b"), Fault: command("f"), Stop: command("s"),
			Deleted: command("d"), LowerPriority: command("l"), Any: command("any", "x"),
		}}})
		s.run = func(ctx context.Context, script Script) error {
			// The first is the slowest: without order it would be the last.
			return sleep(time.Duration(10-len(s.called()))*time.Second)(ctx, script)
		}
		end := begin(n)
		for _, state := range []State{
			Backup, Master, LowerPriority, MasterPriority, Fault, Deleted,
		} {
			n.Tell(Event{Subject: vi1, State: state, Priority: 150})
		}
		if got := n.Tell(Event{Subject: vi1, State: Stop, Priority: 150}); got != 47 {
			t.Errorf("number of the event: got %d, want 47", got)
		}
		bubbletest.Pass(time.Hour)
		if err := end(); err != nil {
			t.Error(err)
		}
		want := []string{
			"b TANDEM_SEQ=41", "any x INSTANCE VI_1 BACKUP 150 TANDEM_SEQ=41",
			"m TANDEM_SEQ=42", "any x INSTANCE VI_1 MASTER 150 TANDEM_SEQ=42",
			"l TANDEM_SEQ=43",
			"f TANDEM_SEQ=45", "any x INSTANCE VI_1 FAULT 150 TANDEM_SEQ=45",
			"d TANDEM_SEQ=46", "any x INSTANCE VI_1 DELETED 150 TANDEM_SEQ=46",
			"s TANDEM_SEQ=47", "any x INSTANCE VI_1 STOP 150 TANDEM_SEQ=47",
		}
		if diff := cmp.Diff(want, s.called()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if s.most != 1 {
			t.Errorf("scripts at once: got %d, want 1", s.most)
		}
		if diff := cmp.Diff(Counts{Told: 11, Done: 11}, n.Stats().Scripts); diff != "" {
			t.Errorf("statistics (-want +got)\n%s", diff)
		}
	})
}

// TestThousandInstances lets 1,000 instances with slow scripts change at once.
func TestThousandInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{run: sleep(time.Second)}
		n := New(Options{Run: s.play})
		rules := make(map[Subject]Rules)
		for i := range 1000 {
			rules[Subject{Kind: Instance, Name: fmt.Sprint(i)}] = Rules{Any: command("any")}
		}
		configure(t, n, Config{Rules: rules})
		end := begin(n)
		began := time.Now()
		for subject := range rules {
			n.Tell(Event{Subject: subject, State: Master})
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("telling waited %s", waited)
		}
		for n.Stats().Scripts.Done < 1000 {
			bubbletest.Pass(time.Second)
		}
		if took := time.Since(began); took > 17*time.Second || s.most != 64 {
			t.Errorf("took %s with %d at once; want 16 s with 64", took, s.most)
		}
		if err := end(); err != nil {
			t.Error(err)
		}
		if left := len(n.scripts.lanes); left != 0 {
			t.Errorf("%d instances are still remembered", left)
		}
	})
}

// TestHungScript ends a script only for one that waits behind it.
func TestHungScript(t *testing.T) {
	vi2 := Subject{Kind: Instance, Name: "VI_2"}
	for _, tt := range []struct {
		name  string
		at    int // scripts at once
		later *Event
		// ended is when the hung script of vi1 was ended, 0 if never.
		ended time.Duration
	}{
		{"nobody waits", 2, nil, 0},
		{"another instance has a place", 2, &Event{Subject: vi2, State: Master}, 0},
		{"another instance has none", 1, &Event{Subject: vi2, State: Master}, 3 * time.Minute},
		{"the same instance", 2, &Event{Subject: vi1, State: Backup}, 3 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, ended := time.Now(), atomic.Int64{}
				s := &stage{run: func(ctx context.Context, s Script) error {
					if s.Args[0] != "hang" {
						return nil
					}
					<-ctx.Done()
					ended.Store(int64(time.Since(began)))
					return ctx.Err()
				}}
				n := New(Options{Run: s.play, Scripts: tt.at, Patience: 3 * time.Minute})
				configure(t, n, Config{Rules: map[Subject]Rules{
					vi1: {Master: command("hang"), Backup: command("b")},
					vi2: {Any: command("any")},
				}})
				end := begin(n)
				n.Tell(Event{Subject: vi1, State: Master})
				bubbletest.Pass(time.Minute)
				if tt.later != nil {
					n.Tell(*tt.later)
				}
				bubbletest.Pass(time.Hour)
				if got := time.Duration(ended.Load()); got != tt.ended {
					t.Errorf("ended after %s, want %s", got, tt.ended)
				}
				const why = "hang: ended because others wait for it"
				if st := n.Stats().Scripts; tt.ended > 0 &&
					(st.Failed != 1 || st.Done != 1 || !strings.Contains(st.LastError, why)) {
					t.Errorf("statistics: %+v", st)
				}
				if err := end(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestFullQueue pushes out the oldest, and says so.
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &stage{run: sleep(time.Second)}
		n := New(Options{Run: s.play, Log: slog.New(slog.NewTextHandler(&log, nil))})
		configure(t, n, Config{Rules: map[Subject]Rules{vi1: {Any: command("any")}}})
		end := begin(n)
		for i := range 2*maxRuns + 1 {
			n.Tell(Event{Subject: vi1, State: Master, Priority: i})
			if i == 0 {
				synctest.Wait() // it has begun
			}
		}
		bubbletest.Pass(time.Hour)
		if err := end(); err != nil {
			t.Error(err)
		}
		st := n.Stats().Scripts
		if st.Done != maxRuns+1 || st.Dropped != maxRuns {
			t.Errorf("statistics: %+v", st)
		}
		calls := s.called()
		last := calls[len(calls)-1]
		if !strings.HasSuffix(last, fmt.Sprintf("SEQ=%d", 2*maxRuns+1)) {
			t.Errorf("the last event was not told; the last call: %s", last)
		}
		if l := log.String(); strings.Count(l, "script dropped") != 7 ||
			!strings.Contains(l, "seq=2 ") || !strings.Contains(l, "count=64") {
			t.Errorf("log:\n%s", l)
		}
	})
}

// TestEnd drains what waits, for a time.
func TestEnd(t *testing.T) {
	for _, tt := range []struct {
		name   string
		each   time.Duration
		within time.Duration
		want   Counts
		err    string
	}{
		{"all in time", time.Second, 3 * time.Second, Counts{Told: 3, Done: 3}, ""},
		{"not in time", 4 * time.Second, 5 * time.Second, Counts{
			Told: 3, Done: 1, Failed: 1, Dropped: 1,
			LastError: "any: ended because the daemon ends: context canceled",
		}, "1 scripts not delivered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stage{run: sleep(tt.each)}
				n := New(Options{Run: s.play})
				configure(t, n, Config{Rules: map[Subject]Rules{vi1: {Any: command("any")}}})
				end := begin(n)
				for range 3 {
					n.Tell(Event{Subject: vi1, State: Stop})
				}
				began := time.Now()
				err := end()
				if took := time.Since(began); took != tt.within {
					t.Errorf("took %s, want %s", took, tt.within)
				}
				if (err != nil) != (tt.err != "") || !strings.Contains(fmt.Sprint(err), tt.err) {
					t.Errorf("got error %v, want %q", err, tt.err)
				}
				got := n.Stats().Scripts
				got.LastErrorAt = time.Time{}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("statistics (-want +got)\n%s", diff)
				}
				n.Tell(Event{Subject: vi1, State: Stop})
				if again := n.Stats().Scripts; again.Dropped != got.Dropped+1 {
					t.Errorf("told after the end: got %+v, want one more dropped", again)
				}
			})
		})
	}
}

// TestReload runs nothing because of a new configuration, and what waits by the old one.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{run: sleep(time.Second)}
		n := New(Options{Run: s.play})
		configure(t, n, Config{Rules: map[Subject]Rules{vi1: {Any: command("old")}}})
		end := begin(n)
		n.Tell(Event{Subject: vi1, State: Backup})
		n.Tell(Event{Subject: vi1, State: Deleted})
		configure(t, n, Config{})
		configure(t, n, Config{Rules: map[Subject]Rules{vi1: {Any: command("new")}}})
		n.Tell(Event{Subject: vi1, State: Master, Again: true})
		n.Tell(Event{Subject: vi1, State: Master})
		if err := end(); err != nil {
			t.Error(err)
		}
		want := []string{"old INSTANCE VI_1 BACKUP 0 TANDEM_SEQ=1",
			"old INSTANCE VI_1 DELETED 0 TANDEM_SEQ=2", "new INSTANCE VI_1 MASTER 0 TANDEM_SEQ=4"}
		if diff := cmp.Diff(want, s.called()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// TestBlockedLog runs scripts that all fail while the log takes nothing.
func TestBlockedLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		s := &stage{run: func(context.Context, Script) error { return errors.New("no") }}
		n := New(Options{Run: s.play, Log: slog.New(slog.NewTextHandler(blocked{free}, nil))})
		configure(t, n, Config{Rules: map[Subject]Rules{vi1: {Any: command("any")}}})
		end := begin(n)
		for range 1000 {
			n.Tell(Event{Subject: vi1, State: Master})
			synctest.Wait()
		}
		if st := n.Stats(); st.Scripts.Failed != 1000 || st.LostLogs == 0 {
			t.Errorf("statistics: %+v, want all run and lines of the log lost", st)
		}
		began := time.Now()
		if err := end(); err == nil || time.Since(began) > 2*DefaultDrain {
			t.Errorf("ended after %s with error %v; want one in time", time.Since(began), err)
		}
		close(free)
	})
}

// blocked is a writer that waits until it is closed.
type blocked struct{ free <-chan struct{} }

func (b blocked) Write(p []byte) (int, error) {
	<-b.free
	return len(p), nil
}

// TestTellNeverWaits tells 100,000 events while scripts hang, the mail server does not answer, and
// the log takes nothing.
func TestTellNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		s := &stage{run: func(ctx context.Context, _ Script) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		n := New(Options{Run: s.play, Log: slog.New(slog.NewTextHandler(blocked{free}, nil)),
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
		rules := make(map[Subject]Rules)
		for i := range 100 {
			subject := Subject{Kind: Instance, Name: fmt.Sprint(i)}
			rules[subject] = Rules{Any: command("any"), Mail: true}
		}
		configure(t, n, Config{Rules: rules, Mail: post})
		end := begin(n)
		began := time.Now()
		for i := range 100_000 {
			subject := Subject{Kind: Instance, Name: fmt.Sprint(i % 100)}
			n.Tell(Event{Subject: subject, State: Master + State(i/100%2)})
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("telling waited %s", waited)
		}
		synctest.Wait()
		st := n.Stats()
		for name, c := range map[string]Counts{"scripts": st.Scripts, "mail": st.Mail} {
			if c.Told != 100_000 || c.Done+c.Failed > 0 ||
				c.Dropped+uint64(c.Waiting)+uint64(st.Running) < c.Told-1 {
				t.Errorf("%s: %+v with %d running; want each of them to be in there",
					name, c, st.Running)
			}
		}
		if err := end(); err == nil {
			t.Error("ended without an error")
		}
		close(free)
	})
}

func BenchmarkTell(b *testing.B) {
	n := New(Options{Run: new(stage).play})
	rules := map[Subject]Rules{vi1: {Any: command("any"), Mail: true}}
	fifo := FIFO{Path: "/nowhere", VRRP: true}
	if err := n.Configure(Config{Rules: rules, Mail: post, FIFOs: []FIFO{fifo}}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		n.Tell(Event{Subject: vi1, State: Master})
	}
}
