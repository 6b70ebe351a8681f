package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestSettle takes from the file where the daemon is.
func TestSettle(t *testing.T) {
	file := filepath.Join(t.TempDir(), "conf")
	writeFile(t, file, "net_namespace red\ninstance a\nglobal_defs {\n}\n")
	for _, tt := range []struct {
		name                string
		command             command
		namespace, instance string
	}{
		{"run", command{file: file}, "red", "a"},
		{"option", command{file: file, namespace: "blue"}, "blue", "a"},
		{"status", command{file: file, action: actionStatus}, "red", "a"},
		{"status by a socket", command{file: file, action: actionStatus, control: "/c"}, "", ""},
		{"test", command{file: file, action: actionTest}, "", ""},
		{"no file", command{file: file + "x"}, "", ""},
		{"no regular file", command{file: "/dev/null"}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.command
			c.settle()
			if c.namespace != tt.namespace || c.instance != tt.instance {
				t.Errorf("got %q and %q, want %q and %q", c.namespace, c.instance, tt.namespace,
					tt.instance)
			}
		})
	}
}

// TestNamespaceOfTheFile starts the program outside of the namespace that its file names: guard and
// worker are in there, and a reload cannot take them elsewhere.
func TestNamespaceOfTheFile(t *testing.T) {
	node, _ := netiftest.Pair(t)
	name := fmt.Sprintf("tandemd-test-%d", os.Getpid())
	bind(t, node, name)
	dir := t.TempDir()
	file, control := filepath.Join(dir, "conf"), filepath.Join(dir, "sock")
	good := string(readFile(t, "testdata/good.conf"))
	writeFile(t, file, "net_namespace "+name+"\n"+good)
	process := exec.Command("/proc/self/exe", "-f", file, "--control", control)
	process.Env = append(os.Environ(), asDaemon+"=1")
	log := &console{}
	process.Stderr = log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	defer process.Process.Kill() // does nothing to one that has ended
	g := &guarded{t: t, process: process, log: log}
	waitFor(t, "VIP", func() bool { return hasVIP(t, node) })
	here := namespaceOf(t, "self")
	for _, pid := range []int{process.Process.Pid, g.worker()} {
		if got := namespaceOf(t, fmt.Sprint(pid)); got == here {
			t.Errorf("process %d: expected it in %s", pid, name)
		}
	}
	writeFile(t, file, "net_namespace another\n"+good)
	var said strings.Builder
	if got := run([]string{"--reload", "--control", control}, nil, &said); got != exitTestUnusable ||
		!strings.Contains(said.String(), `net_namespace "another": expected "`+name) {
		t.Errorf("reload elsewhere: got status %d, %s", got, &said)
	}
	if err := process.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); err != nil || hasVIP(t, node) {
		t.Errorf("after TERM: %v\n%s", err, log)
	}
}

// bind gives the node's namespace a name for the time of the test.
func bind(t *testing.T, node *netiftest.Node, name string) {
	t.Helper()
	const dir = "/run/netns"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	writeFile(t, path, "")
	t.Cleanup(func() { _ = os.Remove(path) })
	var err error
	node.Do(func() {
		var ns netns.NsHandle
		if ns, err = netns.Get(); err == nil {
			err = unix.Mount(fmt.Sprintf("/proc/self/fd/%d", int(ns)), path, "", unix.MS_BIND, "")
			_ = ns.Close()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
}

func namespaceOf(t *testing.T, pid string) string {
	t.Helper()
	name, err := os.Readlink("/proc/" + pid + "/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return name
}
