package check_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/script"
)

// command is a script as the daemon runs it.
type command struct {
	script.Command
	grace time.Duration
}

func (c command) Run(ctx context.Context, timeout time.Duration) check.ScriptExit {
	r := script.Run(ctx, c.Command, script.Options{Timeout: timeout, Grace: c.grace})
	return check.ScriptExit{Status: r.Status, Signal: r.Signal, TimedOut: r.TimedOut, Err: r.Err,
		Words: r.Reason()}
}

// scriptRounds is fewer by default than rounds: 10000 take a minute of a processor's time.
var scriptRounds = flag.Int("scriptrounds", 500, "how often scripts that fail are run")

// nasty does what its argument says.
const nasty = `#!/bin/sh
case $1 in
good) exit 0 ;;
heavy) exit 12 ;;
bad) echo no route >&2; exit 1 ;;
hangs) while :; do sleep 60; done ;;
forks) (while :; do sleep 60; done) & (while :; do sleep 60; done) & exit 1 ;;
fills) while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done ;;
ignores) trap '' TERM; while :; do sleep 0.01; done ;;
dies) kill -9 $$ ;;
esac
`

// nastyScript writes it, and returns its path.
func nastyScript(t testing.TB) string {
	t.Helper()
	path := t.TempDir() + "/nasty"
	if err := os.WriteFile(path, []byte(nasty), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// processes are the command lines with this path in them, of processes that are not ours but run.
func processes(t testing.TB, path string) []string {
	t.Helper()
	all, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, p := range all {
		line, err := os.ReadFile("/proc/" + p.Name() + "/cmdline")
		if err == nil && strings.Contains(string(line), path) {
			found = append(found, p.Name()+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func misc(path, kind string, timeout time.Duration) check.Misc {
	return check.Misc{Timeout: timeout, Dynamic: true, Script: command{
		script.Command{Args: []string{path, kind}}, 100 * time.Millisecond}}
}

func TestScripts(t *testing.T) {
	const long, short = 30 * time.Second, 300 * time.Millisecond
	path := nastyScript(t)
	for _, tt := range []struct {
		kind    string
		timeout time.Duration
		weight  check.Weight
		reason  check.Reason
		want    string
	}{
		{"good", long, check.Weight{}, 0, "<nil>"},
		{"heavy", long, exactly(10), 0, "<nil>"},
		{"bad", long, check.Weight{}, check.Exit, "script: exit status 1: no route"},
		{"forks", long, check.Weight{}, check.Exit, "script: exit status 1"},
		{"dies", long, check.Weight{}, check.Signal, "script: killed by SIGKILL"},
		{"hangs", short, check.Weight{}, check.Timeout, "script: timed out after 300ms"},
		{"ignores", short, check.Weight{}, check.Timeout, "script: timed out after 300ms"},
		{"fills", short, check.Weight{}, check.Timeout,
			"script: timed out after 300ms: " + strings.Repeat("x", 65)},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			start := time.Now()
			w, err := misc(path, tt.kind, tt.timeout).Weigh(t.Context())
			if w != tt.weight || check.ReasonOf(err) != tt.reason || message(err) != tt.want {
				t.Errorf("weight %s, %s: %v; want %s, %s: %s", w, check.ReasonOf(err), err,
					tt.weight, tt.reason, tt.want)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
			if left := processes(t, path); len(left) > 0 {
				t.Errorf("left are %v", left)
			}
		})
	}
	if err := misc("/nowhere/x", "", long).Check(t.Context()); check.ReasonOf(err) != check.NotRun {
		t.Errorf("a script that is not there: %v, want %s", err, check.NotRun)
	}
}

// TestScriptsLeaveNothing runs those that fail again and again.
func TestScriptsLeaveNothing(t *testing.T) {
	path := nastyScript(t)
	var checkers []check.Checker
	for _, kind := range []string{"bad", "hangs", "forks", "fills", "ignores", "dies"} {
		checkers = append(checkers, misc(path, kind, 20*time.Millisecond))
	}
	manyRounds(t, len(checkers), checkers)
	files, routines := descriptors(t), runtime.NumGoroutine()
	n := *scriptRounds
	manyRounds(t, n, checkers)
	until(t, func() string {
		f, r, left := descriptors(t), runtime.NumGoroutine(), processes(t, path)
		if f <= files && r <= routines && len(left) == 0 {
			return ""
		}
		return fmt.Sprintf("%d descriptors, %d goroutines, before %d and %d; processes %v", f, r,
			files, routines, left)
	})
	t.Logf("%d rounds; %d descriptors, %d goroutines before and after", n, files, routines)
}
