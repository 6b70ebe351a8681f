package track_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/track"
)

var errNews = errors.New("no news")

// machine is a table of processes that tests write.
type machine struct {
	mu      sync.Mutex
	running map[int]track.Running
	broken  error // of List
	silent  bool  // tells of nothing
	lists   int
	watches int
	full    bool

	events chan track.ProcessEvent
	lose   chan struct{}
}

func newMachine() *machine {
	return &machine{running: map[int]track.Running{}, events: make(chan track.ProcessEvent),
		lose: make(chan struct{})}
}

func (m *machine) List(full bool) ([]track.Running, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lists++
	m.full = full
	var all []track.Running
	for _, r := range m.running {
		all = append(all, r)
	}
	return all, m.broken
}

func (m *machine) Read(pid int, _ bool) (track.Running, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.running[pid]
	return r, ok
}

func (m *machine) Watch(
	ctx context.Context, ready func(), out chan<- track.ProcessEvent,
) error {
	if m.silent {
		return errNews
	}
	m.mu.Lock()
	m.watches++
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.watches--
	}()
	ready()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.lose:
			return errNews
		case e := <-m.events:
			select {
			case out <- e:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// put changes what runs, by command lines, without telling; "" ends one.
func (m *machine) put(pid int, line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.running, pid)
	if words := strings.Fields(line); len(words) > 0 {
		m.running[pid] = track.Running{PID: pid, Name: filepath.Base(words[0]), Args: words}
	}
}

// tell sends an event.
func (m *machine) tell(e track.ProcessEvent) {
	m.events <- e
	synctest.Wait()
}

func (m *machine) listed() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lists
}

func counted(t *testing.T, m *machine, ps ...track.Process) *set {
	return start(t, func(report func(track.Change)) *track.Set {
		return track.NewWith(report, nil, m)
	}, track.Config{Processes: ps})
}

func web() track.Process { return track.Process{Name: "web", Command: []string{"nginx"}} }

func TestProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		m.put(1, "/sbin/init")
		m.put(2, "/usr/sbin/nginx -g x")
		p, all := web(), web()
		p.TerminateDelay = 2 * time.Second
		all.Name, all.Command = "all", []string{"/usr/sbin/nginx", "-g", "y"}
		s := counted(t, m, p, all)
		defer s.stop()
		s.after(0)
		s.expect("process web up at 0s: 1 processes, wanted 1",
			"process all down at 0s: 0 processes, wanted 1")
		if !m.full {
			t.Error("command lines were not asked for")
		}
		m.put(3, "/usr/sbin/nginx -g y")
		m.tell(track.Forked(1, 3)) // as its parent until it executes
		s.expect()
		m.tell(track.Began(3))
		s.expect("process all up at 0s: 1 processes, wanted 1")
		m.tell(track.Forked(3, 4))
		m.tell(track.Ended(2))
		m.tell(track.Ended(3))
		s.expect()
		m.put(4, "sh")
		m.tell(track.Began(4))
		s.expect("process all down at 0s: 0 processes, wanted 1")
		s.after(3 * time.Second)
		s.expect("process web down at 2s: 0 processes, wanted 1")
		m.tell(track.Began(9)) // ended before it could be looked at
		s.expect()
	})
}

func TestProcessesAreLookedAtAgainWhenEventsAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		s := counted(t, m, web())
		defer s.stop()
		s.after(time.Second)
		s.expect("process web down at 0s: 0 processes, wanted 1")
		m.put(2, "nginx")
		m.lose <- struct{}{}
		s.after(time.Second)
		s.expect("process web up at 1.2s: 1 processes, wanted 1")
		m.tell(track.Ended(2))
		s.expect("process web down at 2s: 0 processes, wanted 1")
		before := m.listed()
		s.after(10 * time.Minute)
		if n := m.listed() - before; n != 10 {
			t.Errorf("looked at all processes %d times in 10 minutes, want 10", n)
		}
		s.expect("process web up at 1m1.2s: 1 processes, wanted 1")
	})
}

func TestProcessesWhereTheKernelTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		m.silent = true
		s := counted(t, m, web())
		defer s.stop()
		s.after(0)
		s.expect("process web down at 0s: 0 processes, wanted 1")
		m.put(2, "nginx")
		s.after(1500 * time.Millisecond)
		s.expect("process web up at 200ms: 1 processes, wanted 1")
		m.put(2, "")
		s.after(time.Second)
		s.expect("process web down at 2.2s: 0 processes, wanted 1")
		m.mu.Lock()
		m.broken = errors.New("list processes: no /proc")
		m.mu.Unlock()
		m.put(2, "nginx")
		s.after(time.Second)
		s.expect("process web up at 3.2s: list processes: no /proc")
	})
}

func TestProcessesConfiguredAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		m.put(2, "nginx")
		s := counted(t, m, web())
		defer s.stop()
		s.after(time.Second)
		s.expect("process web up at 0s: 1 processes, wanted 1")
		before := m.listed()
		p := web()
		s.configure(track.Config{Processes: []track.Process{p}})
		s.after(time.Second)
		s.expect()
		if m.listed() != before {
			t.Error("looked at all processes for nothing")
		}
		p.Quorum = 2
		s.configure(track.Config{Processes: []track.Process{p}})
		s.after(time.Second)
		s.expect("process web down at 2s: 1 processes, wanted 2")
		p.Quorum = 1
		s.configure(track.Config{Processes: []track.Process{p}})
		s.after(0)
		s.expect("process web up at 3s: 1 processes, wanted 1")
		p.Command = []string{"other"}
		s.configure(track.Config{Processes: []track.Process{p}})
		s.after(0)
		s.expect("process web down at 3s: 0 processes, wanted 1")
		q := web()
		q.Name = "second"
		s.configure(track.Config{Processes: []track.Process{p, q}})
		s.after(time.Second)
		s.expect("process second up at 3s: 1 processes, wanted 1")
		s.configure(track.Config{})
		s.after(time.Second)
		before = m.listed()
		s.after(time.Hour)
		if m.listed() != before || m.watches != 0 {
			t.Errorf("%d looks at all processes and %d watches for no tracker",
				m.listed()-before, m.watches)
		}
		s.configure(track.Config{Processes: []track.Process{q}})
		s.after(time.Second)
		s.expect("process second up at 1h0m5s: 1 processes, wanted 1")
	})
}

// TestProcessesThatAreReal starts and ends a process with a name of its own, where the kernel tells
// of processes and where it does not.
func TestProcessesThatAreReal(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	must(t, err)
	for name, table := range map[string]track.ProcessTable{
		"told": track.ProcTable{}, "looked at": silent{},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "told" {
				needEvents(t)
			}
			name := fmt.Sprintf("track-%d", os.Getpid())
			link := filepath.Join(t.TempDir(), name)
			must(t, os.Symlink(sleep, link))
			s := start(t, func(report func(track.Change)) *track.Set {
				return track.NewWith(report, nil, table)
			}, track.Config{Processes: []track.Process{
				{Name: "name", Command: []string{name}},
				{Name: "line", Command: []string{link, "100"}},
			}})
			defer s.stop()
			both := func(want track.State) {
				t.Helper()
				for range 2 {
					if c := s.next(); c.State != want {
						t.Fatalf("got %+v, want %s", c, want)
					}
				}
			}
			both(track.Down)
			cmd := exec.Command(link, "100")
			must(t, cmd.Start())
			both(track.Up)
			must(t, cmd.Process.Kill())
			if err := cmd.Wait(); err == nil {
				t.Error("the process was not killed")
			}
			both(track.Down)
		})
	}
}

// silent is the table of this machine without news.
type silent struct{ track.ProcTable }

func (silent) Watch(context.Context, func(), chan<- track.ProcessEvent) error { return errNews }

// needEvents skips where the kernel does not tell of processes: to another than root, outside the
// initial namespaces, or if it was built without.
func needEvents(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- track.ProcTable{}.Watch(ctx, func() { close(ready) },
			make(chan track.ProcessEvent, 1))
	}()
	select {
	case <-ready:
		cancel()
		<-ended
	case err := <-ended:
		t.Skip(err)
	}
}

// TestNoEventsInANamespace asks for events where the kernel takes the question and never answers.
func TestNoEventsInANamespace(t *testing.T) {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // and never back: the thread ends in its namespace
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			ended <- err
			return
		}
		ended <- track.ProcTable{}.Watch(t.Context(), func() { t.Error("ready") }, nil)
	}()
	err := <-ended
	if errors.Is(err, unix.EPERM) {
		t.Skip("making a network namespace:", err)
	}
	if err == nil {
		t.Error("no error without events")
	}
}

func TestProcTable(t *testing.T) {
	all, err := track.ProcTable{}.List(true)
	must(t, err)
	found := false
	for _, r := range all {
		if r.PID == os.Getpid() {
			found = true
			if diff := cmp.Diff(os.Args, r.Args); diff != "" {
				t.Errorf("own command line (-want +got):\n%s", diff)
			}
		}
	}
	if !found {
		t.Error("this process is not listed")
	}
}
