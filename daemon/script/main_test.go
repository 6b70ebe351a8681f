package script_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/script"
)

// helperKey makes the test binary run the command in its value, with a space between the words, and
// print what it wrote: a process whose death and rights tests can choose.
const helperKey = "SCRIPT_TEST_RUN"

func TestMain(m *testing.M) {
	if words := os.Getenv(helperKey); words != "" {
		c := script.Command{Args: strings.Split(words, " ")}
		result := script.Run(context.Background(), c, script.Options{Timeout: time.Minute})
		fmt.Print(result.Output)
		if !result.OK() {
			fmt.Println(result.Reason())
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		// Nothing may be left to be waited for.
		err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != unix.ECHILD {
			fmt.Println("a child process is left:", err)
			status = max(status, 1)
		}
		os.Exit(status)
	}))
}

// until waits for a condition, for at most 10 s.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("no end after 10 s: %s", what)
		case <-tick.C:
		}
	}
}

// ended says whether there is no such process, or only what is left for its parent to look at.
func ended(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

// file writes an executable file and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := t.TempDir() + "/" + name
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// sh is a command for a shell.
func sh(text string) script.Command {
	return script.Command{Args: []string{"/bin/sh", "-c", text}}
}
