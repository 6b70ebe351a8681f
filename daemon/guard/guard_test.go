package guard

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// roleKey says which of the roles this program plays as a worker.
const roleKey = "GUARD_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleKey); role != "" {
		os.Exit(play(role))
	}
	goleak.VerifyTestMain(m)
}

// play is the worker, which claims A.

func play(role string) int {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGTERM)
	signal.Notify(make(chan os.Signal, 1), unix.SIGUSR1)
	l, err := Attach()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c := vi("A")
	c.Interval, c.Patience = 20*time.Millisecond, 50*time.Millisecond
	in := l.Inherited()
	switch {
	case role == "fails":
		return 6
	case role == "dies again" && in.Resume:
		return 70
	case role == "counts":
		lives := 0
		if raw := in.Notes["lives"]; raw != nil {
			if err := json.Unmarshal(raw, &lives); err != nil {
				return 1
			}
		}
		lives++
		if err := l.Note("lives", lives); err != nil {
			return 1
		}
		var names []string
		for _, c := range in.Claims {
			names = append(names, c.Name)
		}
		c.Name = fmt.Sprintf("life %d of %t %v", lives, in.Resume, names)
	}
	if in.Resume {
		c.Down = 4 * time.Second
	}
	ended := make(chan struct{})
	defer close(ended)
	go beat(l, ended)
	l.Beat()
	l.Claim(c)
	l.Ready()
	select {
	case <-stop:
		l.Release(c.Name)
		if role == "hands over" {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		}
	case <-l.Lost():
		return 3
	}
	if err := l.Close(); err != nil {
		return 1
	}
	return 0
}

// beat beats until ended is closed.
func beat(l *Ledger, ended <-chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		l.Beat()
		select {
		case <-tick.C:
		case <-ended:
			return
		}
	}
}

// recorder is a Network that writes down what is asked of it, and a guard that runs on it.
type recorder struct {
	t    *testing.T
	mu   sync.Mutex
	did  []string
	news chan struct{}
	cmds []*exec.Cmd
}

func (r *recorder) note(format string, args ...any) {
	r.mu.Lock()
	r.did = append(r.did, fmt.Sprintf(format, args...))
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *recorder) Advertise(c Claim) error {
	r.note("advertise %s", c.Name)
	return nil
}

func (r *recorder) Resign(c Claim) error {
	r.note("resign %s", c.Name)
	return nil
}

func (r *recorder) Listen(c Claim, heard func()) (func(), error) {
	r.note("listen %s", c.Name)
	heard()
	return func() {}, nil
}

func (r *recorder) Withdraw(c Claim) error {
	r.note("withdraw %s", c.Name)
	return nil
}

// until waits for something to have happened.
func (r *recorder) until(what string) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		found := slices.Contains(r.did, what)
		did := slices.Clone(r.did)
		r.mu.Unlock()
		if found {
			return
		}
		select {
		case <-r.news:
		case <-deadline:
			r.t.Fatalf("wait for %q: got %q", what, did)
		}
	}
}

// guarded runs a guard whose workers play the role, and returns what stops it and gives its status.
func guarded(
	t *testing.T, role string, signals ...<-chan os.Signal,
) (*recorder, func() int) {
	r := &recorder{t: t, news: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	status := make(chan int, 1)
	go func() {
		o := Options{
			Network: r,
			Command: func() *exec.Cmd {
				cmd := exec.Command("/proc/self/exe")
				cmd.Env = append(os.Environ(), roleKey+"="+role)
				cmd.Stderr = os.Stderr
				r.mu.Lock()
				r.cmds = append(r.cmds, cmd)
				r.mu.Unlock()
				return cmd
			},
			Save: func(claims []Claim) {
				for _, c := range claims {
					r.note("save %s %s", c.Name, c.Down)
				}
				if claims == nil {
					r.note("save nothing")
				}
			},
		}
		if len(signals) > 0 {
			o.Signals = signals[0]
		}
		status <- Run(ctx, o)
	}()
	stop := func() int {
		cancel()
		select {
		case s := <-status:
			return s
		case <-time.After(20 * time.Second):
			t.Fatal("guard did not stop")
		}
		return 0
	}
	return r, stop
}

// signal sends a signal to the worker of that number.
func (r *recorder) signal(i int, s os.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.cmds[i].Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

func (r *recorder) check(want ...string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	got := slices.Compact(slices.Clone(r.did))
	got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "save A") })
	if got = slices.Compact(got); !slices.Equal(got, want) {
		r.t.Errorf("guard did\n%q\nwant\n%q", got, want)
	}
}

func TestStop(t *testing.T) {
	r, stop := guarded(t, "works")
	r.until("save A 3s")
	if got := stop(); got != 0 {
		t.Errorf("run: got status %d, want 0", got)
	}
	r.check("save nothing")
}

func TestCannotStart(t *testing.T) {
	r, stop := guarded(t, "fails")
	r.until("save nothing")
	if got := stop(); got != 6 {
		t.Errorf("run: got status %d, want 6", got)
	}
}

// TestKilled kills a worker: the guard stands in until there is another.
func TestKilled(t *testing.T) {
	r, stop := guarded(t, "works")
	r.until("save A 3s")
	r.signal(0, unix.SIGKILL)
	r.until("advertise A")
	r.until("save A 4s")
	stop()
	r.check("advertise A", "save nothing")
}

func TestDiesAgain(t *testing.T) {
	r, stop := guarded(t, "dies again")
	r.until("save A 3s")
	r.signal(0, unix.SIGKILL)
	r.until("withdraw A")
	stop()
	r.check("advertise A", "listen A", "resign A", "withdraw A", "save nothing")
}

// TestFrozen stops a worker by SIGSTOP, which the guard finds by its silence.
func TestFrozen(t *testing.T) {
	r, stop := guarded(t, "works")
	r.until("save A 3s")
	r.signal(0, unix.SIGSTOP)
	r.until("advertise A")
	r.until("save A 4s")
	if got := stop(); got != 0 {
		t.Errorf("run: got status %d, want 0", got)
	}
}

// TestHandsOver has a worker die after it was told to stop.
func TestHandsOver(t *testing.T) {
	r, stop := guarded(t, "hands over")
	r.until("save A 3s")
	if got := stop(); got != 0 {
		t.Errorf("run: got status %d, want 0", got)
	}
}

// TestNotes checks that a resumed worker gets what the last one has noted and claimed.
func TestNotes(t *testing.T) {
	r, stop := guarded(t, "counts")
	r.until("save life 1 of false [] 3s")
	r.signal(0, unix.SIGKILL)
	r.until("save life 2 of true [life 1 of false []] 4s")
	stop()
}

// TestEarlySignal sends a signal that would end a worker which does not listen yet.
func TestEarlySignal(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signals <- unix.SIGUSR1
	r, stop := guarded(t, "works", signals)
	r.until("save A 3s")
	if got := stop(); got != 0 {
		t.Errorf("run: got status %d, want 0", got)
	}
	r.check("save nothing")
}
