package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// limit is how long a condition may take on a busy machine.
const limit = 20 * time.Second

// daemonConfig is that of a bus where everybody may do everything.
const daemonConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path=%s</listen><auth>EXTERNAL</auth><policy context="default">
<allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
</policy></busconfig>
`

// private is a bus of the test's own.
type private struct {
	t    *testing.T
	dir  string
	cmd  *exec.Cmd
	addr string
}

// newPrivate returns a bus that does not run yet. Without dbus-daemon it skips the test.
func newPrivate(t *testing.T) *private {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		t.Skipf("dbus-daemon is not installed (apt-get install dbus-daemon): %v", err)
	}
	p := &private{t: t, dir: t.TempDir()}
	socket := filepath.Join(p.dir, "bus")
	p.addr = "unix:path=" + socket
	file := filepath.Join(p.dir, "conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, daemonConfig, socket), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p
}

// start starts the bus and waits until it answers.
func (p *private) start() {
	p.t.Helper()
	p.cmd = exec.Command("dbus-daemon", "--nofork", "--nopidfile",
		"--config-file="+filepath.Join(p.dir, "conf"))
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.until("the bus", func() bool {
		conn, err := dbus.Connect(p.addr)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

// stop ends the bus, if it runs.
func (p *private) stop() {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(unix.SIGKILL) // it may have ended
		_ = p.cmd.Wait()                       // its status says only how it was ended
		p.cmd = nil
	}
}

// until waits for a condition.
func (p *private) until(what string, holds func() bool) {
	p.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(limit); !holds(); {
		select {
		case <-tick.C:
		case <-deadline:
			p.t.Fatalf("%s: not within %s", what, limit)
		}
	}
}

// client returns a connection to the bus that hears all signals of the director.
func (p *private) client() (*dbus.Conn, chan *dbus.Signal) {
	p.t.Helper()
	conn, err := dbus.Connect(p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	heard := make(chan *dbus.Signal, 100)
	conn.Signal(heard)
	if err := conn.AddMatchSignal(dbus.WithMatchPathNamespace("/org/keepalived")); err != nil {
		p.t.Fatal(err)
	}
	return conn, heard
}

// next returns the next signal that is not the bus's own, in words.
func (p *private) next(heard chan *dbus.Signal) string {
	p.t.Helper()
	for late := time.After(limit); ; {
		select {
		case s := <-heard:
			if !strings.HasPrefix(s.Name, "org.freedesktop.") {
				return fmt.Sprint(s.Path, " ", s.Name, " ", s.Body)
			}
		case <-late:
			p.t.Fatalf("signal: not within %s", limit)
		}
	}
}

// fake is a director with two instances.
type fake struct {
	mu   sync.Mutex
	done []string
}

func (f *fake) did(what string, err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = append(f.done, what)
	return err
}

func (f *fake) director() Director {
	return Director{
		Instances: func() []Instance {
			return []Instance{{"VI_1", "eth0.5", 51, false, Master}, {"VI_6", "eth0", 52, true, Fault}}
		},
		PrintData:  func(context.Context) error { return f.did("data", nil) },
		PrintStats: func(context.Context) error { return f.did("stats", nil) },
		Reload:     func(context.Context) error { return f.did("reload", errors.New("file is bad")) },
		Announce:   func(name string) error { return f.did("announce "+name, nil) },
	}
}

// run runs a Bus until the test ends, or what it returns is called.
func (p *private) run(o Options) (b *Bus, end func()) {
	o.Address, o.Log = p.addr, slog.New(slog.DiscardHandler)
	b = New(o)
	ctx, cancel := context.WithCancel(p.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			p.t.Errorf("Run: %v", err)
		}
	})
	p.t.Cleanup(end)
	return b, end
}

func TestCalls(t *testing.T) {
	p := newPrivate(t)
	p.start()
	conn, heard := p.client()
	f := &fake{}
	p.run(Options{Director: f.director()})
	if got := p.next(heard); got != directorPath+" "+directorInterface+".VrrpStarted []" {
		t.Errorf("at the start: got %s", got)
	}
	instance := dbus.ObjectPath("/org/keepalived/Vrrp1/Instance/eth0_5/51/IPv4")
	for _, tt := range []struct {
		path   dbus.ObjectPath
		method string
		args   []any
		want   string // result, or a part of the error
	}{
		{directorPath, directorInterface + ".PrintData", nil, "[]"},
		{directorPath, directorInterface + ".PrintStats", nil, "[]"},
		{directorPath, directorInterface + ".PrintStatsClear", nil, "count from the start"},
		{directorPath, directorInterface + ".ReloadConfig", nil, "file is bad"},
		{directorPath, directorInterface + ".PrintData", []any{"x"}, "invalid"},
		{directorPath, directorInterface + ".Nonsense", nil, "nknown"},
		{directorPath, properties + ".GetAll", []any{directorInterface}, "[map[]]"},
		{instance, instanceInterface + ".SendGarp", nil, "[]"},
		{instance, properties + ".Get", []any{instanceInterface, "Name"}, `[["VI_1"]]`},
		{instance, properties + ".Get", []any{instanceInterface, "State"}, `[@(us) [2, "Master"]]`},
		{instance, properties + ".Get", []any{instanceInterface, "Other"}, "not there"},
		{instance, properties + ".Get", []any{instanceInterface, 1}, "invalid"},
		{instance, properties + ".Set", []any{instanceInterface, "Name", dbus.MakeVariant("x")},
			"no property can be set"},
		{instance, directorInterface + ".PrintData", nil, "does not implement"},
		{"/org/keepalived/Vrrp1/Instance/eth0/52/IPv6", properties + ".Get",
			[]any{instanceInterface, "State"}, `[@(us) [3, "Fault"]]`},
		{"/org/keepalived/Vrrp1/Instance/eth1", properties + ".GetAll", []any{""}, "no such object"},
	} {
		call := conn.Object(DefaultName, tt.path).Call(tt.method, 0, tt.args...)
		got := fmt.Sprint(call.Body)
		if call.Err != nil {
			got = call.Err.Error()
		}
		if !strings.Contains(strings.ToLower(got), strings.ToLower(tt.want)) {
			t.Errorf("%s of %s: got %s, expected %s", tt.method, tt.path, got, tt.want)
		}
	}
	want := []string{"data", "stats", "reload", "announce VI_1"}
	f.mu.Lock()
	defer f.mu.Unlock()
	if diff := cmp.Diff(want, f.done); diff != "" {
		t.Errorf("done (-want +got)\n%s", diff)
	}
}

// TestIntrospection finds all objects from the root on.
func TestIntrospection(t *testing.T) {
	f := &fake{}
	d := f.director()
	for _, tt := range []struct {
		withInterface bool
		want          []string
	}{
		{true, []string{"/", "/org", "/org/keepalived", "/org/keepalived/Vrrp1",
			"/org/keepalived/Vrrp1/Instance", "/org/keepalived/Vrrp1/Instance/eth0",
			"/org/keepalived/Vrrp1/Instance/eth0/52", "/org/keepalived/Vrrp1/Instance/eth0/52/IPv6 *",
			"/org/keepalived/Vrrp1/Instance/eth0_5", "/org/keepalived/Vrrp1/Instance/eth0_5/51",
			"/org/keepalived/Vrrp1/Instance/eth0_5/51/IPv4 *", "/org/keepalived/Vrrp1/Vrrp *"}},
		{false, []string{"/", "/org", "/org/keepalived", "/org/keepalived/Vrrp1",
			"/org/keepalived/Vrrp1/Instance",
			"/org/keepalived/Vrrp1/Instance/51", "/org/keepalived/Vrrp1/Instance/51/IPv4 *",
			"/org/keepalived/Vrrp1/Instance/52", "/org/keepalived/Vrrp1/Instance/52/IPv6 *",
			"/org/keepalived/Vrrp1/Vrrp *"}},
	} {
		o := &objects{t.Context(), &d, tt.withInterface}
		var got []string
		var walk func(path string)
		walk = func(path string) {
			x, ok := o.LookupObject(dbus.ObjectPath(path))
			if !ok {
				t.Fatalf("%s: no such object", path)
			}
			at, _ := x.(*object)
			mark := ""
			if strings.Contains(at.introspect(), "keepalived.Vrrp1.") {
				mark = " *"
			}
			got = append(got, path+mark)
			for _, name := range at.below {
				walk(strings.TrimSuffix(path, "/") + "/" + name)
			}
		}
		walk("/")
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("with interfaces %t (-want +got)\n%s", tt.withInterface, diff)
		}
	}
}

// TestAgain begins without a bus, and loses it: what waits is told when it is there, and the
// director comes back when it is there again.
func TestAgain(t *testing.T) {
	p := newPrivate(t)
	f := &fake{}
	b, end := p.run(Options{Director: f.director(), Name: "org.example.Director", NoInterface: true})
	i := f.director().Instances()[0]
	tell := func() { b.Tell(func() (Signal, bool) { return Changed(&i, false), true }) }
	tell()
	b.Tell(func() (Signal, bool) { return Signal{}, false })
	p.start()
	conn, _ := p.client()
	// A signal that was sent before anybody listened is gone: the name is there when it was.
	there := func() bool {
		return conn.Object("org.example.Director", directorPath).Call(properties+".GetAll", 0,
			directorInterface).Err == nil
	}
	p.until("the director", there)
	p.stop()
	p.start()
	conn, heard := p.client()
	p.until("the director again", there)
	tell()
	want := "/org/keepalived/Vrrp1/Instance/51/IPv4 " + instanceInterface + ".VrrpStatusChange [2]"
	if got := p.next(heard); got != want {
		t.Errorf("got %s, expected %s", got, want)
	}
	tell()
	end()
	if got := p.next(heard); got != want {
		t.Errorf("at the end: got %s, expected %s", got, want)
	}
	if got := p.next(heard); !strings.Contains(got, "VrrpStopped") {
		t.Errorf("at the end: got %s, expected VrrpStopped", got)
	}
}

// TestNameTaken has somebody else have the name: the director waits for it.
func TestNameTaken(t *testing.T) {
	p := newPrivate(t)
	p.start()
	conn, heard := p.client()
	if _, err := conn.RequestName(DefaultName, 0); err != nil {
		t.Fatal(err)
	}
	f := &fake{}
	d := f.director()
	b := New(Options{Address: p.addr, Director: d, Log: slog.New(slog.DiscardHandler)})
	served, err := b.connect(t.Context(), slog.New(slog.DiscardHandler))
	if served || err == nil || !strings.Contains(err.Error(), "somebody else has it") {
		t.Errorf("connect: got %t, %v", served, err)
	}
	p.run(Options{Director: d})
	if _, err := conn.ReleaseName(DefaultName); err != nil {
		t.Fatal(err)
	}
	if got := p.next(heard); !strings.Contains(got, "VrrpStarted") {
		t.Errorf("got %s, expected VrrpStarted", got)
	}
}

func TestQueue(t *testing.T) {
	b := New(Options{})
	for range queueLength + 2 {
		b.Tell(func() (Signal, bool) { return stopped(), true })
	}
	if n := b.Lost(); n != 2 {
		t.Errorf("lost %d, expected 2", n)
	}
}
