package track_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/script"
	"github.com/tandemlb/tandem/daemon/track"
)

// nasty is a tracked script that does, by its first argument, what scripts should not.
const nasty = `#!/bin/sh
case $1 in
good) exit 0 ;;
fails) echo no; exit 3 ;;
hangs) exec sleep 600 ;;
deaf) trap '' TERM; while :; do sleep 0.05; done ;;
chatty) exec head -c 300000 /dev/zero ;;
forks) SELF forked & SELF forked & exit 0 ;;
forked) sleep 600; exit 0 ;;
esac
`

// TestNastyScripts runs 200 scripts at once, of which most behave badly. Each has the state that it
// should, and nothing of them is left.
func TestNastyScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("starts hundreds of processes")
	}
	program := filepath.Join(t.TempDir(), "nasty")
	text := strings.ReplaceAll(nasty, "SELF", program)
	if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{
		"good": "up: exit status 0", "fails": "down: exit status 3: no",
		"hangs": "down: timed out after 5s", "deaf": "down: timed out after 5s",
		"chatty": "up: exit status 0", "forks": "up: exit status 0",
	}
	const each = 33
	patience := func(kind string) time.Duration {
		if strings.Contains(kinds[kind], "timed out") {
			return 5 * time.Second
		}
		return time.Minute // however busy the machine is
	}
	var c track.Config
	for kind := range kinds {
		for i := range each {
			c.Scripts = append(c.Scripts, track.Script{
				Name: fmt.Sprintf("%s %d", kind, i), Interval: time.Hour, Timeout: patience(kind),
				Command: script.Command{Args: []string{program, kind}},
			})
		}
	}
	before := descriptors(t)
	s := start(t, track.New, c)
	for range each * len(kinds) {
		change := s.next()
		kind, _, _ := strings.Cut(change.Name, " ")
		if got := fmt.Sprintf("%s: %s", change.State, change.Reason); got != kinds[kind] {
			t.Errorf("%s: got %q, want %q", change.Name, got, kinds[kind])
		}
	}
	s.stop()
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
		t.Errorf("wait: got %d, %v, want no child", pid, err)
	}
	if left := processes(t, program); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
}

// descriptors counts the open ones of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// processes are those whose command line names the program.
func processes(t *testing.T, program string) []string {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range lines {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(line), program) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}
