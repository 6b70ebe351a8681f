package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUnit has the systemd of this machine run deploy/tandemd.service in a guest kernel: it starts,
// reloads, refuses a broken file, outlives its worker, is started anew and cleaned up behind when
// all of it is killed, and stops.
func TestUnit(t *testing.T) {
	const systemd = "/lib/systemd/systemd"
	if _, err := os.Stat(systemd); err != nil {
		t.Skipf("no %s to run the unit", systemd)
	}
	out := t.TempDir()
	cmd := tandem(t, "--kernel", "uml", "kernel", "exec", "--",
		"unshare", "--fork", "--pid", "--mount", "--mount-proc", "sh", "testdata/unit/boot.sh")
	daemon, err := filepath.Abs(tandemd(t))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "OUT="+out, "TANDEMD="+daemon, "UNIT=../../deploy/tandemd.service")
	said, err := cmd.CombinedOutput()
	facts, missing := os.ReadFile(filepath.Join(out, "facts"))
	if missing != nil {
		t.Fatalf("run systemd: %v, %v\n%s", err, missing, said)
	}
	const want = `started: active
vip: yes
reload: taken
reload: refused
after it: active
vip: yes
restarts after the worker's death: 0
restarted 1: yes
vip: yes
cleaned up
stopped: success
gone: yes
`
	if diff := cmp.Diff(want, string(facts)); diff != "" {
		journal, _ := os.ReadFile(filepath.Join(out, "journal")) // it may not have come so far
		trace, _ := os.ReadFile(filepath.Join(out, "trace"))
		t.Errorf("facts (-want +got)\n%s\n%s\n%s", diff, journal, trace)
	}
}
