package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOutputDirectoryThatTakesNothing: the verdict is told though no report can be written, and what
// could not be is named.
func TestOutputDirectoryThatTakesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts a small directory")
	}
	for _, tt := range []struct {
		name, options, stdout, stderr string
		status                        int
	}{
		{"read-only", "ro", "", "make output directory", exitInconclusive},
		{"full", "size=24k", "1 drill: 1 passed.", "no space left on device", exitInternal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := t.TempDir()
			cmd := tandem(t, "drill", "run", "fig6-rr", "--out", filepath.Join(at, "out"))
			// The mount is of a namespace of its own, and goes with it.
			script := "mount -t tmpfs -o " + tt.options + " tmpfs " + at + ` && exec "$0" "$@"`
			cmd.Args = append([]string{"unshare", "--mount", "sh", "-c", script, cmd.Path},
				cmd.Args[1:]...)
			path, err := exec.LookPath("unshare")
			if err != nil {
				t.Skip(err)
			}
			cmd.Path = path
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			_ = cmd.Run() // its status is looked at
			if got := cmd.ProcessState.ExitCode(); got != tt.status {
				t.Errorf("exit status %d, want %d", got, tt.status)
			}
			if !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("expected %q and %q, got\n%s\n%s", tt.stdout, tt.stderr, &stdout, &stderr)
			}
			if strings.Contains(stdout.String(), "report.html") {
				t.Errorf("it names a report that is not there:\n%s", &stdout)
			}
			var mounted unix.Statfs_t
			if err := unix.Statfs(at, &mounted); err != nil || mounted.Type == unix.TMPFS_MAGIC &&
				mounted.Blocks < 100 {
				t.Errorf("%s is still mounted: %v", at, err)
			}
		})
	}
}
