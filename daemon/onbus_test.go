package daemon

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// privateBus starts a bus that is the system bus of this test, and returns its address. Without
// dbus-daemon it skips the test.
func privateBus(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		t.Skipf("dbus-daemon is not installed (apt-get install dbus-daemon): %v", err)
	}
	dir := t.TempDir()
	address := "unix:path=" + filepath.Join(dir, "bus")
	conf := fmt.Sprintf(`<busconfig><listen>%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
<allow receive_sender="*"/></policy></busconfig>
`, address)
	file := filepath.Join(dir, "conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { netiftest.Finish(cmd, unix.SIGTERM) })
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
	return address
}

// listener hears the director's signals on the bus.
type listener struct {
	*dbus.Conn
	t     *testing.T
	heard chan *dbus.Signal
}

func listenOnBus(t *testing.T, address string) *listener {
	t.Helper()
	l := &listener{t: t, heard: make(chan *dbus.Signal, 100)}
	until(t, "the bus", func() (there bool) {
		var err error
		l.Conn, err = dbus.Connect(address)
		return err == nil
	})
	t.Cleanup(func() { _ = l.Close() })
	l.Signal(l.heard)
	if err := l.AddMatchSignal(dbus.WithMatchPathNamespace("/org/keepalived")); err != nil {
		t.Fatal(err)
	}
	return l
}

// hears waits for a signal with all of these parts.
func (l *listener) hears(parts ...string) {
	l.t.Helper()
	for late := time.After(patience); ; {
		select {
		case s := <-l.heard:
			said, all := fmt.Sprint(s.Path, " ", s.Name, " ", s.Body), true
			for _, p := range parts {
				all = all && strings.Contains(said, p)
			}
			if all {
				return
			}
		case <-late:
			l.t.Fatalf("signal with %q: not within %s", parts, patience)
		}
	}
}

// calls calls a method of the director or of an instance, and returns what is said against it.
func (l *listener) calls(name, path, method string) error {
	return l.Object(name, dbus.ObjectPath(path)).Call(method, 0).Err
}

// TestOnBus has a director on a bus: it tells of its instance, does what it is asked to, and comes,
// goes and takes another name with reloads.
func TestOnBus(t *testing.T) {
	node, _ := netiftest.Pair(t)
	l := listenOnBus(t, privateBus(t))
	file := filepath.Join(t.TempDir(), "data")
	with := func(words ...string) string {
		return "global_defs {\n    state_dump_file " + file + "\n    " + strings.Join(words, "\n    ") +
			"\n}\n" + oneInstance
	}
	const service, director = "org.keepalived.Vrrp1", "/org/keepalived/Vrrp1/Vrrp"
	const instance = "/org/keepalived/Vrrp1/Instance/eth0/51/IPv4"
	d := serve(t, node, with("enable_dbus"))
	l.hears(director, "VrrpStarted")
	l.hears(instance, "VrrpStatusChange [1]")
	l.hears(instance, "VrrpStatusChange [2]")
	state, err := l.Object(service, instance).GetProperty("org.keepalived.Vrrp1.Instance.State")
	if got := fmt.Sprint(state); err != nil || got != `@(us) [2, "Master"]` {
		t.Errorf("State: got %s, %v", got, err)
	}
	for _, call := range []struct{ path, method string }{
		{director, service + ".Vrrp.PrintData"}, {instance, service + ".Instance.SendGarp"},
		{director, service + ".Vrrp.ReloadConfig"},
	} {
		if err := l.calls(service, call.path, call.method); err != nil {
			t.Errorf("%s: %v", call.method, err)
		}
	}
	l.hears(director, "VrrpReloaded")
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "VI_1") {
		t.Errorf("PrintData: got %q, %v", text, err)
	}
	if !d.log.has("announced on demand") {
		t.Error("SendGarp: expected a line in the log")
	}
	if err := os.WriteFile(d.file, []byte("nonsense {"), 0o644); err != nil {
		t.Fatal(err)
	}
	err = l.calls(service, director, service+".Vrrp.ReloadConfig")
	if err == nil || !strings.Contains(err.Error(), "configuration is not valid") {
		t.Errorf("ReloadConfig of a bad file: got %v", err)
	}

	d.change(with())
	l.hears(director, "VrrpStopped")
	// The name goes after the signal has gone out.
	until(t, "nobody of that name without enable_dbus", func() bool {
		return l.calls(service, director, service+".Vrrp.PrintData") != nil
	})
	d.change(with("enable_dbus", "dbus_service_name org.example.LB1", "dbus_no_interface_name"))
	l.hears(director, "VrrpStarted")
	path := strings.Replace(instance, "/eth0", "", 1)
	if err := l.calls("org.example.LB1", path, service+".Instance.SendGarp"); err != nil {
		t.Errorf("by another name: %v", err)
	}
	d.end()
	l.hears(path, "VrrpStatusChange [98]")
	l.hears(director, "VrrpStopped")
}
