package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// guarded is a director in a namespace of its own.
type guarded struct {
	t       *testing.T
	node    *netiftest.Node
	process *exec.Cmd
	log     *console
	file    string // the configuration
	args    []string
}

// startGuarded starts a director and waits until it has its VIP.
func startGuarded(t *testing.T) *guarded {
	t.Helper()
	return startWith(t, "")
}

// worker returns the number of the worker.
func (g *guarded) worker() int {
	g.t.Helper()
	lists, err := filepath.Glob("/proc/[0-9]*/status") // not every kernel lists a process's children
	if err != nil {
		g.t.Fatal(err)
	}
	parent := fmt.Sprintf("\nPPid:\t%d\n", g.process.Process.Pid)
	var children []string
	for _, list := range lists {
		text, _ := os.ReadFile(list) // a process may end meanwhile
		if strings.Contains(string(text), parent) {
			children = append(children, filepath.Base(filepath.Dir(list)))
		}
	}
	if len(children) != 1 {
		g.t.Fatalf("children of the guard: got %q, want one", children)
	}
	pid, err := strconv.Atoi(children[0])
	if err != nil {
		g.t.Fatal(err)
	}
	return pid
}

func (g *guarded) kill(pid int) {
	g.t.Helper()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		g.t.Fatal(err)
	}
}

// said waits for a line of the log.
func (g *guarded) said(what string) {
	g.t.Helper()
	waitFor(g.t, what, func() bool { return strings.Contains(g.log.String(), what) })
}

// TestWorkerDies kills the worker: another goes on as master, and the VIP never goes.
func TestWorkerDies(t *testing.T) {
	g := startGuarded(t)
	first := g.worker()
	g.kill(first)
	g.said("reason=resumed")
	if !hasVIP(t, g.node) {
		t.Error("after the worker's death: expected the VIP to stay")
	}
	if again := g.worker(); again == first {
		t.Errorf("worker %d: expected another", again)
	}
	if err := g.process.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := g.process.Wait(); err != nil {
		t.Errorf("after TERM: %v", err)
	}
	if hasVIP(t, g.node) {
		t.Error("after TERM: expected the VIP to be gone")
	}
}

// TestWorkerDiesBesideABadFile says that a file which was broken since the start is not the price of
// a crash: the next worker runs what the last one ran.
func TestWorkerDiesBesideABadFile(t *testing.T) {
	g := startGuarded(t)
	writeFile(t, g.file, "vrrp_instance VI_1 {")
	g.kill(g.worker())
	g.said("reason=resumed")
	if !hasVIP(t, g.node) {
		t.Error("after the worker's death: expected the VIP to stay")
	}
}

// TestWorkerDiesTwice kills it twice in a minute: the guard takes the VIP back.
func TestWorkerDiesTwice(t *testing.T) {
	g := startGuarded(t)
	g.kill(g.worker())
	g.said("reason=resumed")
	g.kill(g.worker())
	waitFor(t, "VIP is gone", func() bool { return !hasVIP(t, g.node) })
	g.said("worker ended again; handing over")
}

// TestGuardDies kills the guard: the worker hands over and ends.
func TestGuardDies(t *testing.T) {
	g := startGuarded(t)
	g.kill(g.process.Process.Pid)
	g.said("msg=stop")
	waitFor(t, "VIP is gone", func() bool { return !hasVIP(t, g.node) })
}

// TestAllDie kills both, and cleans up behind them.
func TestAllDie(t *testing.T) {
	g := startGuarded(t)
	g.killAll()
	g.cleanUp()
	if hasVIP(t, g.node) {
		t.Error("after --cleanup: expected the VIP to be gone")
	}
}

// killAll kills the worker and the guard.
func (g *guarded) killAll() {
	g.t.Helper()
	worker := g.worker()
	g.kill(worker) // not reaped as long as the guard is stopped
	g.kill(g.process.Process.Pid)
	_ = g.process.Wait() // it was killed
	waitFor(g.t, "no worker is left", func() bool { return unix.Kill(worker, 0) != nil })
}

// cleanUp runs --cleanup.
func (g *guarded) cleanUp() {
	g.t.Helper()
	cleanup := exec.Command("/proc/self/exe", append(g.args, "--cleanup")...)
	cleanup.Env = append(os.Environ(), asDaemon+"=1")
	cleanup.Stderr = g.log
	var err error
	g.node.Do(func() { err = cleanup.Run() })
	if err != nil {
		g.t.Errorf("clean up: %v", err)
	}
}

// TestCleanupLeavesTheLiving says that --cleanup takes nothing from a director that runs.
func TestCleanupLeavesTheLiving(t *testing.T) {
	g := startGuarded(t)
	cleanup := exec.Command("/proc/self/exe", append(g.args, "--cleanup")...)
	cleanup.Env = append(os.Environ(), asDaemon+"=1")
	var said []byte
	var err error
	g.node.Do(func() { said, err = cleanup.CombinedOutput() })
	if err == nil || !strings.Contains(string(said), "its director runs") {
		t.Errorf("clean up: got %v, %s", err, said)
	}
	if !hasVIP(t, g.node) {
		t.Error("after --cleanup: expected the VIP to stay")
	}
}
