package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

func TestSocket(t *testing.T) {
	for _, tt := range []struct {
		name    string
		command command
		want    string
	}{
		{"nothing told", command{}, stateDir() + "/tandemd.sock"},
		{"namespace", command{namespace: "red"}, stateDir() + "/tandemd-red.sock"},
		{"instance", command{instance: "a/b"}, stateDir() + "/tandemd-a_b.sock"},
		{"namespace and instance", command{namespace: "red", instance: "a"},
			stateDir() + "/tandemd-red-a.sock"},
		{"process ID", command{namespace: "red", pidFiles: []string{"/run/a.pid", "/b"}}, "/run/a.sock"},
		{"process ID of another name", command{pidFiles: []string{"/run/a"}}, "/run/a.sock"},
		{"told", command{control: "/c", pidFiles: []string{"/run/a.pid"}}, "/c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.command.socket(); got != tt.want {
				t.Errorf("socket: got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestReload asks a running daemon to reload good and bad files.
func TestReload(t *testing.T) {
	node, _ := netiftest.Pair(t)
	dir := t.TempDir()
	file, pid := filepath.Join(dir, "test.conf"), filepath.Join(dir, "test.pid")
	good, err := os.ReadFile("testdata/good.conf")
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(string(good))
	process := exec.Command("/proc/self/exe", "-n", "-f", file, "-p", pid)
	process.Env = append(os.Environ(), asDaemon+"=1")
	var log strings.Builder
	process.Stderr = &log
	node.Do(func() { err = process.Start() })
	if err != nil {
		t.Fatal(err)
	}
	defer process.Process.Kill() // does nothing to one that has ended
	waitFor(t, "VIP", func() bool { return hasVIP(t, node) })

	for _, step := range []struct {
		name, text string
		args       []string
		want       int
		said       string
	}{
		{"same file", string(good), nil, 0, ""},
		{"other priority", strings.Replace(string(good), "priority 150", "priority 120", 1),
			[]string{"-f", file}, 0, "change vrrp_instance VI_1: priority 150 -> 120"},
		{"bad file", string(good) + "instanze x\n", nil, 4, "did you mean instance?"},
		{"another file", string(good), []string{"-f", "/another"}, 1, "this director runs"},
		{"good file again", string(good), nil, 0, "priority 120 -> 150"},
	} {
		write(step.text)
		var stderr strings.Builder
		args := append([]string{"--reload", "-p", pid}, step.args...)
		if got := run(args, nil, &stderr); got != step.want {
			t.Errorf("%s: got status %d, want %d", step.name, got, step.want)
		}
		if !strings.Contains(stderr.String(), step.said) {
			t.Errorf("%s: said %q, want %q in it", step.name, &stderr, step.said)
		}
		if !hasVIP(t, node) {
			t.Errorf("%s: want the VIP to stay", step.name)
		}
	}

	if err := process.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); err != nil {
		t.Errorf("after TERM: %v\n%s", err, &log)
	}
	if _, err := os.Lstat(filepath.Join(dir, "test.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after TERM: socket is still there: %v", err)
	}
}
