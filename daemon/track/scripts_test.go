package track_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/script"
	"github.com/tandemlb/tandem/daemon/track"
	"github.com/tandemlb/tandem/internal/bubbletest"
)

// host runs scripts that take no processes: it knows how each ends, and after what time.
type host struct {
	mu      sync.Mutex
	start   time.Time
	status  map[string]int // by the first argument
	takes   map[string]time.Duration
	started []string // "NAME at SECONDS"
	options script.Options
	missing bool // none can run
}

func newHost() *host {
	return &host{start: time.Now(), status: map[string]int{}, takes: map[string]time.Duration{}}
}

func (h *host) set(name string, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status[name] = status
}

func (h *host) run(ctx context.Context, c script.Command, o script.Options) script.Result {
	name := c.Args[0]
	h.mu.Lock()
	h.started = append(h.started, fmt.Sprintf("%s at %s", name, time.Since(h.start)))
	h.options = o
	takes := time.NewTimer(h.takes[name])
	h.mu.Unlock()
	defer takes.Stop()
	select {
	case <-takes.C:
	case <-ctx.Done():
		return script.Result{Status: -1, Err: ctx.Err()}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.missing {
		return script.Result{Status: -1, Err: os.ErrNotExist}
	}
	return script.Result{Status: h.status[name]}
}

func (h *host) remove(missing bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missing = missing
}

// log returns what was started since the last call.
func (h *host) log() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	started := h.started
	h.started = nil
	return started
}

// set is a Set at work, whose reports are kept: in a synctest bubble.
type set struct {
	*track.Set
	t       *testing.T
	start   time.Time
	reports chan track.Change
	stop    func()
}

func start(t *testing.T, build func(func(track.Change)) *track.Set, c track.Config) *set {
	t.Helper()
	reports := make(chan track.Change, 100)
	s := build(func(c track.Change) { reports <- c })
	if err := s.Configure(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop := func() {
		cancel()
		<-ended
	}
	return &set{Set: s, t: t, start: time.Now(), reports: reports, stop: stop}
}

// configure must succeed.
func (s *set) configure(c track.Config) {
	s.t.Helper()
	if err := s.Configure(c); err != nil {
		s.t.Fatal(err)
	}
}

// after lets d pass on the bubble's clock, which jumps: nothing really sleeps.
func (s *set) after(d time.Duration) {
	bubbletest.Pass(d)
}

// expect compares the reports since the last call.
func (s *set) expect(want ...string) {
	s.t.Helper()
	var got []string
	for {
		select {
		case c := <-s.reports:
			at := c.At.Sub(s.start)
			got = append(got, fmt.Sprintf("%s %s at %s: %s", c.Key, c.State, at, c.Reason))
			continue
		default:
		}
		break
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("reports (-want +got):\n%s", diff)
	}
}

// scripted is a set with scripts on a host, of the names given, run every 10 s.
func scripted(t *testing.T, h *host, scripts ...track.Script) *set {
	return start(t, func(report func(track.Change)) *track.Set {
		return track.NewWith(report, h.run, nil)
	}, track.Config{Scripts: scripts})
}

func every10s(name string) track.Script {
	return track.Script{Name: name, Command: script.Command{Args: []string{name}},
		Interval: 10 * time.Second}
}

func TestScripts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost()
		a, b := every10s("a"), every10s("b")
		a.Fall, a.Rise, b.InitFail, b.Rise = 2, 2, true, 2
		s := scripted(t, h, a, b)
		defer s.stop()
		s.after(time.Second)
		s.expect("script a up at 0s: exit status 0")
		h.set("a", 1)
		s.after(10 * time.Second)
		s.expect("script b up at 10.002s: exit status 0")
		s.after(10 * time.Second)
		s.expect("script a down at 20s: exit status 1")
		s.after(100 * time.Second)
		s.expect()
		h.set("a", 0)
		s.after(20 * time.Second)
		s.expect("script a up at 2m20s: exit status 0")
		st := s.Snapshot()[0]
		if st.Runs != 15 || st.Failures != 12 || st.Last != "exit status 0" ||
			st.State != track.Up {
			t.Errorf("status %+v", st)
		}
		if h.options.Timeout != 10*time.Second {
			t.Errorf("timeout %s, want the interval", h.options.Timeout)
		}
	})
}

func TestScriptRunsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost()
		var scripts []track.Script
		for i := range 1000 {
			scripts = append(scripts, track.Script{Name: strconv.Itoa(i), Interval: time.Second,
				Command: script.Command{Args: []string{"x"}}})
		}
		s := scripted(t, h, scripts...)
		defer s.stop()
		go func() {
			for range s.reports { // ends with stop
			}
		}()
		defer close(s.reports)
		defer s.stop()
		s.after(5*time.Second - time.Millisecond/2)
		at := map[string]int{}
		for _, started := range h.log() {
			at[started]++
		}
		if len(at) != 5000 {
			t.Errorf("runs at %d instants, want 5000", len(at))
		}
	})
}

func TestSlowScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost()
		h.takes["a"] = 25 * time.Second
		a := every10s("a")
		a.Timeout = time.Minute
		s := scripted(t, h, a)
		s.after(59 * time.Second)
		want := []string{"a at 0s", "a at 30s"}
		if diff := cmp.Diff(want, h.log()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
		if st := s.Snapshot()[0]; st.Runs != 2 || st.Skipped != 4 {
			t.Errorf("%d runs, %d skipped, want 2 and 4", st.Runs, st.Skipped)
		}
		s.expect("script a up at 25s: exit status 0")
		s.after(2 * time.Second)
		s.stop() // what is running ends with it
		s.expect()
	})
}

// TestScriptAfterAStall holds up the report of the first result: what was missed is not made up
// for.
func TestScriptAfterAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost()
		s := start(t, func(func(track.Change)) *track.Set {
			return track.NewWith(func(track.Change) { time.Sleep(35 * time.Second) }, h.run, nil)
		}, track.Config{Scripts: []track.Script{every10s("a")}})
		defer s.stop()
		s.after(55 * time.Second)
		if n := s.Snapshot()[0].Skipped; n != 0 {
			t.Errorf("%d runs skipped", n)
		}
		want := []string{"a at 0s", "a at 35s", "a at 40s", "a at 50s"}
		if diff := cmp.Diff(want, h.log()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

func TestScriptsConfiguredAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost()
		h.set("bad", 1)
		a := every10s("a")
		a.Fall = 3
		s := scripted(t, h, a, every10s("b"))
		defer s.stop()
		s.after(5 * time.Second)
		s.expect("script a up at 0s: exit status 0", "script b up at 2ms: exit status 0")
		h.log()

		// The same again, and one more: nothing that is known runs earlier or changes.
		s.configure(track.Config{Scripts: []track.Script{every10s("c"), a, every10s("b")}})
		s.after(4 * time.Second)
		s.expect("script c up at 5s: exit status 0")
		if diff := cmp.Diff([]string{"c at 5s"}, h.log()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}

		// Another command is asked at once, keeps the state until then, and its result decides.
		other := a
		other.Command.Args = []string{"bad"}
		h.takes["bad"] = time.Second
		s.configure(track.Config{Scripts: []track.Script{other}})
		synctest.Wait()
		if st := s.Snapshot(); len(st) != 1 || st[0].State != track.Up {
			t.Errorf("states %+v", st)
		}
		s.after(time.Second)
		s.expect("script a down at 10s: exit status 1")

		// A shorter interval counts at once.
		h.set("bad", 0)
		h.log()
		other.Interval = 2 * time.Second
		s.configure(track.Config{Scripts: []track.Script{other}})
		s.after(3500 * time.Millisecond)
		s.expect("script a up at 13s: exit status 0")
		s.after(time.Minute)
		for _, started := range h.log() {
			if !strings.HasPrefix(started, "bad ") {
				t.Errorf("run of a script that was removed: %s", started)
			}
		}
	})
}

func TestChangedCommandEndsTheOldRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost()
		h.takes["a"], h.takes["b"] = 9*time.Second, 2*time.Second
		a := every10s("a")
		s := scripted(t, h, a)
		defer s.stop()
		s.after(3 * time.Second)
		a.Command.Args = []string{"b"}
		s.configure(track.Config{Scripts: []track.Script{a}})
		s.after(5 * time.Second)
		s.expect("script a up at 5s: exit status 0")
		if diff := cmp.Diff([]string{"a at 0s", "b at 3s"}, h.log()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
		if st := s.Snapshot()[0]; st.Runs != 1 || st.Failures != 0 {
			t.Errorf("status %+v", st)
		}
	})
}

func TestScriptsThatAreReal(t *testing.T) {
	hourly := func(name, program, user string) track.Script {
		return track.Script{Name: name, Interval: time.Hour, Command: script.Command{
			Args: []string{program}, Account: script.Account{User: user},
		}}
	}
	s := start(t, track.New, track.Config{Scripts: []track.Script{
		hourly("good", "true", ""), hourly("bad", "false", ""), hourly("missing", "/nowhere/x", ""),
		hourly("nobody's", "true", "no-such-user"),
	}})
	defer s.stop()
	got := map[string]string{}
	for range 4 {
		c := s.next()
		got[c.Name] = fmt.Sprintf("%s: %s", c.State, c.Reason)
	}
	want := map[string]string{
		"good": "up: exit status 0", "bad": "down: exit status 1",
		"missing":  "down: run /nowhere/x: no such file or directory",
		"nobody's": "down: run true: look up user: user: unknown user no-such-user",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

// next returns the next report, which may take a while, but not until files are read without news.
func (s *set) next() track.Change {
	s.t.Helper()
	select {
	case c := <-s.reports:
		return c
	case <-time.After(8 * time.Second):
		s.t.Fatal("no report in 8 s")
		return track.Change{}
	}
}

// TestScriptThatCannotRun follows a script that is not there, comes, fails and is another one.
func TestScriptThatCannotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost()
		h.missing = true
		s := scripted(t, h, every10s("a"))
		defer s.stop()
		since := func(when string, want time.Duration) {
			t.Helper()
			got := time.Duration(-1)
			if at := s.Snapshot()[0].BrokenSince; !at.IsZero() {
				got = at.Sub(s.start)
			}
			if got != want {
				t.Errorf("%s: broken since %s, want %s", when, got, want)
			}
		}
		s.after(11 * time.Second)
		since("twice missing", 0)
		h.set("a", 1)
		h.remove(false)
		s.after(10 * time.Second)
		since("it failed", -1)
		h.remove(true)
		s.after(10 * time.Second)
		since("missing again", 30*time.Second)
		s.configure(track.Config{Scripts: []track.Script{{Name: "a", Interval: time.Hour,
			Command: script.Command{Args: []string{"b"}}}}})
		since("another one", -1)
	})
}
