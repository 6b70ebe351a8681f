package main

import (
	"bytes"
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

// startWith starts a director with good.conf and more in a namespace, and waits for its VIP.
func startWith(t *testing.T, more string) *guarded {
	t.Helper()
	node, _ := netiftest.Pair(t)
	g := startIn(t, node, string(readFile(t, "testdata/good.conf"))+more)
	waitFor(t, "VIP", func() bool { return hasVIP(t, node) })
	return g
}

// startIn starts a director with that configuration on a node.
func startIn(t *testing.T, node *netiftest.Node, text string) *guarded {
	t.Helper()
	dir := t.TempDir()
	g := &guarded{t: t, node: node, log: &console{}, file: filepath.Join(dir, "good.conf")}
	writeFile(t, g.file, text)
	g.args = []string{"-f", g.file, "--control", filepath.Join(dir, "control.sock")}
	g.process = exec.Command("/proc/self/exe", g.args...)
	g.process.Env = append(os.Environ(), asDaemon+"=1")
	g.process.Stderr = g.log
	var err error
	node.Do(func() { err = g.process.Start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = g.process.Process.Kill() // does nothing to one that has ended
		if t.Failed() {
			t.Log(g.log)
		}
	})
	return g
}

// mayRaise says whether this process may have real-time priority.
func mayRaise(t *testing.T) bool {
	t.Helper()
	cmd := exec.Command("chrt", "-r", "1", "true")
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%s: %v: %s", cmd, err, bytes.TrimSpace(said))
	}
	return err == nil
}

// scheduled asks for everything.
const scheduled = `global_defs {
    script_user root
    vrrp_rt_priority 7
    checker_rt_priority 3
    vrrp_rlimit_rttime 2000000
    vrrp_priority -5
    vrrp_no_swap
    vrrp_cpu_affinity 0
}
`

// TestScheduling looks at every thread of the worker. It runs no script, for a thread that one was
// started on is ordinary.
func TestScheduling(t *testing.T) {
	if !mayRaise(t) {
		t.Skip("no right to real-time priority: needs CAP_SYS_NICE, and chrt(1)")
	}
	g := startWith(t, scheduled)
	worker := g.worker()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", worker))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("threads: got %d, %v", len(tasks), err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Fatal(err)
		}
		checkThread(t, tid)
	}
	status := string(readFile(t, fmt.Sprintf("/proc/%d/status", worker)))
	if strings.Contains(status, "VmLck:\t       0 kB") {
		t.Errorf("locked memory: got none\n%s", status)
	}
	limits := string(readFile(t, fmt.Sprintf("/proc/%d/limits", worker)))
	if want := "Max realtime timeout      2000000 "; !strings.Contains(limits, want) {
		t.Errorf("limits: got %s, want %s in it", limits, want)
	}
	guard, err := unix.SchedGetAttr(g.process.Process.Pid, 0)
	if err != nil || guard.Policy != unix.SCHED_NORMAL {
		t.Errorf("guard: got %+v, %v, want it ordinary", guard, err)
	}
}

// TestSchedulingOfScripts says that a script has nothing of it.
func TestSchedulingOfScripts(t *testing.T) {
	if !mayRaise(t) {
		t.Skip("no right to real-time priority: needs CAP_SYS_NICE, and chrt(1)")
	}
	out := filepath.Join(t.TempDir(), "script")
	startWith(t, fmt.Sprintf(`%s
vrrp_script look {
    script "/bin/sh -c 'cat /proc/self/stat > %s'"
    interval 1
}
vrrp_instance VI_2 {
    interface eth0
    virtual_router_id 77
    virtual_ipaddress { 192.168.1.7/24 }
    track_script { look }
}
`, scheduled, out))
	waitFor(t, "script", func() bool {
		text, _ := os.ReadFile(out) // it may not be there yet
		return strings.HasSuffix(string(text), "\n")
	})
	// Of proc_pid_stat(5), behind the name: nice is field 19, policy 41.
	fields := strings.Fields(string(bytes.SplitN(readFile(t, out), []byte(") "), 2)[1]))
	if nice, policy := fields[19-3], fields[41-3]; nice != "0" || policy != "0" {
		t.Errorf("script: got nice %s and policy %s, want 0 and 0", nice, policy)
	}
}

// checkThread looks at a thread of the worker.
func checkThread(t *testing.T, tid int) {
	t.Helper()
	attr, err := unix.SchedGetAttr(tid, 0)
	if err == unix.ESRCH {
		return // it has ended
	}
	if err != nil {
		t.Fatal(err)
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(tid, &set); err != nil && err != unix.ESRCH {
		t.Fatal(err)
	}
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", tid)) // it may have ended
	t.Logf("thread %d %s: %+v, on %d processors", tid, bytes.TrimSpace(name), *attr, set.Count())
	if attr.Policy != unix.SCHED_RR || attr.Priority != 7 || set.Count() != 1 || !set.IsSet(0) {
		t.Errorf("thread %d: got %+v on %d processors, want SCHED_RR 7 on the first", tid, *attr,
			set.Count())
	}
}

// TestSchedulingGivesUp sends the signal of the kernel for a process that does not pause: it is
// ordinary again, and goes on.
func TestSchedulingGivesUp(t *testing.T) {
	if !mayRaise(t) {
		t.Skip("no right to real-time priority: needs CAP_SYS_NICE, and chrt(1)")
	}
	g := startWith(t, "global_defs {\nvrrp_rt_priority 7\nvrrp_priority -5\n}\n")
	worker := g.worker()
	if err := unix.Kill(worker, unix.SIGXCPU); err != nil {
		t.Fatal(err)
	}
	g.said("real-time priority given up")
	attr, err := unix.SchedGetAttr(worker, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL || attr.Nice != -5 {
		t.Errorf("got %+v, %v, want it ordinary with nice -5", attr, err)
	}
	if !hasVIP(t, g.node) {
		t.Error("expected the VIP to stay")
	}
}
