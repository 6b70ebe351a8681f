package script_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/script"
)

func TestRun(t *testing.T) {
	plain := file(t, "plain", "echo $1; exit 7\n")
	other := file(t, "other", "#!/nowhere/sh\n")
	hidden := file(t, "hidden", "#!/bin/sh\n")
	if err := os.Chmod(hidden, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		command script.Command
		options script.Options
		want    string // reason
		output  string
	}{
		{"good", sh("exit 0"), script.Options{}, "exit status 0", ""},
		{"bad", sh("exit 3"), script.Options{}, "exit status 3", ""},
		{"bad with words", sh("echo a; echo b >&2; exit 3"), script.Options{},
			"exit status 3: b", "a\nb\n"},
		{"words that no log should show", sh(`printf 'a\033[2J\377'; exit 1`), script.Options{},
			"exit status 1: a?[2J?", "a\x1b[2J\xff"},
		{"killed", sh("kill -9 $$"), script.Options{}, "killed by SIGKILL", ""},
		{"bare name", script.Command{Args: []string{"true"}}, script.Options{},
			"exit status 0", ""},
		{"bare name that is nowhere", script.Command{Args: []string{"no-such-name"}},
			script.Options{},
			"find no-such-name in /bin:relative:/usr/bin: file does not exist", ""},
		{"relative", script.Command{Args: []string{"bin/true"}}, script.Options{},
			"exit status 0", ""},
		{"missing", script.Command{Args: []string{"/nowhere/x"}}, script.Options{},
			"run /nowhere/x: no such file or directory", ""},
		{"interpreter is missing", script.Command{Args: []string{other}}, script.Options{},
			"run " + other + ": no such file or directory", ""},
		{"not executable", script.Command{Args: []string{hidden}}, script.Options{},
			"run " + hidden + ": permission denied", ""},
		{"directory", script.Command{Args: []string{"/bin/"}}, script.Options{},
			"run /bin: permission denied", ""},
		{"nothing says what interprets it", script.Command{Args: []string{plain, "a b"}},
			script.Options{}, "exit status 7: a b", "a b\n"},
		{"no command", script.Command{}, script.Options{}, "run script: no command", ""},
		{"unknown user", script.Command{Args: []string{"true"},
			Account: script.Account{User: "no-such-user"}}, script.Options{},
			"run true: look up user: user: unknown user no-such-user", ""},
		{"unknown group", script.Command{Args: []string{"true"},
			Account: script.Account{Group: "no-such-group"}}, script.Options{},
			"run true: look up group: group: unknown group no-such-group", ""},
		{"number without a group", script.Command{Args: []string{"true"},
			Account: script.Account{User: "4000000"}}, script.Options{},
			"run true: look up user: user: unknown userid 4000000, and no group is named", ""},
		{"file that opens", script.Command{Args: []string{"</dev/null"}}, script.Options{},
			"exit status 0", ""},
		{"more arguments", script.Command{Args: []string{"/bin/echo", "a"}},
			script.Options{ExtraArgs: []string{"b c", "d"}}, "exit status 0", "a b c d\n"},
		{"environment", sh("echo $A ${NOTIFY_SOCKET:-none}"), script.Options{Env: []string{"A=b"}},
			"exit status 0", "b none\n"},
		{"surroundings", sh("pwd; umask; cat; ls /proc/$$/fd"), script.Options{},
			"exit status 0", "/\n0022\n0\n1\n2\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("PATH", "/bin:relative:/usr/bin")
			t.Setenv("NOTIFY_SOCKET", "/run/x")
			r := script.Run(t.Context(), tt.command, tt.options)
			if diff := cmp.Diff(tt.want, r.Reason()); diff != "" {
				t.Errorf("reason (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.output, r.Output); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if r.OK() != (tt.want == "exit status 0") {
				t.Errorf("OK: %t for %s", r.OK(), r.Reason())
			}
		})
	}
}

func TestFileThatDoesNotOpen(t *testing.T) {
	r := script.Run(t.Context(), script.Command{Args: []string{"</nowhere/x"}}, script.Options{})
	if r.OK() || r.Status <= 0 || !strings.Contains(r.Reason(), "/nowhere/x") {
		t.Errorf("got %s", r.Reason())
	}
}

func TestNoDescriptorIsHandedOn(t *testing.T) {
	fd, err := unix.Dup(1) // stays open in programs that are executed
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	r := script.Run(t.Context(), sh("ls /proc/$$/fd"), script.Options{})
	if diff := cmp.Diff("0\n1\n2\n", r.Output); diff != "" {
		t.Errorf("descriptors (-want +got):\n%s", diff)
	}
}

func TestOutputIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name    string
		command script.Command
		timeout time.Duration
	}{
		{"much", sh("head -c 2000000 /dev/zero | tr '\\0' x; echo end"), time.Minute},
		{"endless", script.Command{Args: []string{"yes", "end"}}, 300 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := script.Run(t.Context(), tt.command, script.Options{Timeout: tt.timeout})
			if len(r.Output) != 4<<10 || !strings.Contains(r.Output, "end") {
				t.Errorf("got %d bytes of output", len(r.Output))
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		signal     syscall.Signal
		status     int
	}{
		{"ends", "exec sleep 100", syscall.SIGTERM, -1},
		{"whole group ends", "sleep 100; true", syscall.SIGTERM, -1},
		{"cleans up", "trap 'exit 0' TERM; sleep 100 & wait", 0, 0},
		{"ignores it", "trap '' TERM; sleep 100", syscall.SIGKILL, -1},
		{"is stopped", "kill -STOP $$", syscall.SIGKILL, -1},
		{"leaves its group", "exec perl -e 'setpgrp(0, getpgrp(getppid)); sleep 100'",
			syscall.SIGTERM, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := exec.LookPath("perl"); strings.Contains(tt.text, "perl") && err != nil {
				t.Skip(err)
			}
			r := script.Run(t.Context(), sh(tt.text), script.Options{
				Timeout: 300 * time.Millisecond, Grace: 300 * time.Millisecond,
			})
			want := script.Result{Status: tt.status, Signal: tt.signal, TimedOut: true,
				Timeout: 300 * time.Millisecond}
			if diff := cmp.Diff(want, r); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if r.OK() || r.Reason() != "timed out after 300ms" {
				t.Errorf("OK %t, reason %q", r.OK(), r.Reason())
			}
		})
	}
}

// background prints the number of a process that it leaves in the background.
func background(t *testing.T, r script.Result) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(r.Output))
	if err != nil {
		t.Fatalf("%v in the output of: %s", err, r.Reason())
	}
	return pid
}

func TestNothingOfTheGroupIsLeft(t *testing.T) {
	r := script.Run(t.Context(), sh("trap '' TERM; sleep 100 & echo $!"), script.Options{})
	if pid := background(t, r); r.OK() {
		until(t, "the process in the background", func() bool { return ended(pid) })
	} else {
		t.Error(r.Reason())
	}
}

func TestLeave(t *testing.T) {
	at := t.TempDir() + "/pid"
	r := script.Run(t.Context(), sh("sleep 100 & echo $! >"+at), script.Options{Leave: true})
	b, err := os.ReadFile(at)
	if err != nil {
		t.Fatalf("%v after: %s", err, r.Reason())
	}
	pid := background(t, script.Result{Output: string(b)})
	if ended(pid) {
		t.Error("the process in the background was ended")
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Error(err)
	}
}

// TestOutputHeldOpen runs a script that leaves a process outside its group with its output.
func TestOutputHeldOpen(t *testing.T) {
	pipe := t.TempDir() + "/pipe"
	text := "mkfifo %s; setsid sh -c 'echo $$; echo >%s; exec sleep 100' & " +
		"until read x <%s; do :; done 2>/dev/null"
	start := time.Now()
	r := script.Run(t.Context(), sh(strings.ReplaceAll(text, "%s", pipe)),
		script.Options{Timeout: 20 * time.Second})
	if !r.OK() {
		t.Error(r.Reason())
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
	pid := background(t, r)
	if ended(pid) {
		t.Error("the process outside the group was ended")
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Error(err)
	}
}

func TestCancel(t *testing.T) {
	at := t.TempDir() + "/pid"
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan script.Result)
	go func() {
		c := sh("trap '' TERM; echo $$ >" + at + ".new; mv " + at + ".new " + at + "; sleep 100")
		done <- script.Run(ctx, c, script.Options{Grace: 50 * time.Millisecond})
	}()
	until(t, "the script's start", func() bool { _, err := os.Stat(at); return err == nil })
	cancel()
	r := <-done
	if !errors.Is(r.Err, context.Canceled) || r.OK() || r.TimedOut {
		t.Errorf("got %s", r.Reason())
	}
	b, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	if pid := background(t, script.Result{Output: string(b)}); !ended(pid) {
		t.Error("the script runs on")
	}
	if r = script.Run(ctx, sh("true"), script.Options{}); !errors.Is(r.Err, context.Canceled) {
		t.Errorf("run after the end: got %s", r.Reason())
	}
}

// helper returns the test binary as a process that runs a command, started by args.
func helper(words string, args ...string) *exec.Cmd {
	args = append(args, "/proc/self/exe")
	if self, err := os.Executable(); err == nil {
		args[len(args)-1] = self
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), helperKey+"="+words)
	return cmd
}

func TestScriptDiesWithUs(t *testing.T) {
	at := t.TempDir() + "/pid"
	text := fmt.Sprintf("echo $$ >%s.new\nmv %s.new %s\nexec sleep 100\n", at, at, at)
	cmd := helper(file(t, "endless", "#!/bin/sh\n"+text))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the script's start", func() bool { _, err := os.Stat(at); return err == nil })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the process was not killed")
	}
	b, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	pid := background(t, script.Result{Output: string(b)})
	until(t, "the script", func() bool { return ended(pid) })
}

func TestOrdinaryScheduling(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("raising a priority needs root")
	}
	print := file(t, "print", "#!/bin/sh\nnice; chrt -p $$ | head -1 | sed 's/.*: //'; umask\n")
	for name, args := range map[string][]string{
		"nice":      {"nice", "-n", "-5"},
		"real time": {"chrt", "-f", "5"},
		"umask":     {"/bin/sh", "-c", `umask 0; exec "$0"`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, program := range []string{args[0], "chrt"} {
				if _, err := exec.LookPath(program); err != nil {
					t.Skip(err)
				}
			}
			out, err := helper(print, args...).Output()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if diff := cmp.Diff("0\nSCHED_OTHER\n0022\n", string(out)); diff != "" {
				t.Errorf("nice, policy and umask (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAccount(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("changing the user needs root")
	}
	for _, tt := range []struct {
		account script.Account
		want    string
	}{
		{script.Account{}, "0 0 0"},
		{script.Account{User: "nobody"}, "65534 65534 65534"},
		{script.Account{User: "65534", Group: "daemon"}, "65534 1 1"},
		{script.Account{User: "4000000", Group: "5"}, "4000000 5 5"},
		{script.Account{User: "nobody", Supplementary: true}, "65534 65534 65534"},
	} {
		t.Run(fmt.Sprintf("%s:%s", tt.account.User, tt.account.Group), func(t *testing.T) {
			c := sh("echo $(id -u) $(id -g) $(id -G)")
			c.Account = tt.account
			c, err := c.Resolve()
			if err != nil {
				t.Fatal(err)
			}
			r := script.Run(t.Context(), c, script.Options{})
			if diff := cmp.Diff(tt.want, strings.TrimSpace(r.Output)); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
		})
	}
}

// TestManyAtOnce counts descriptors and threads before and after.
func TestManyAtOnce(t *testing.T) {
	count := func(dir string) int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	script.Run(t.Context(), sh("true"), script.Options{})
	fds := count("/proc/self/fd")
	results := make(chan script.Result)
	const n = 50
	for range n {
		go func() { results <- script.Run(t.Context(), sh("echo x; exit 1"), script.Options{}) }()
	}
	for range n {
		if r := <-results; r.Reason() != "exit status 1: x" {
			t.Errorf("got %s", r.Reason())
		}
	}
	if got := count("/proc/self/fd"); got > fds {
		t.Errorf("%d descriptors, %d before", got, fds)
	}
	until(t, "threads", func() bool { return count("/proc/self/task") < n })
	runtime.KeepAlive(results)
}

func TestRelativePartOfPathIsNotSearched(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.Mkdir("relative", 0o755))
	must(t, os.WriteFile("relative/x", []byte("#!/bin/sh\n"), 0o755))
	t.Setenv("PATH", "/nowhere:relative")
	r := script.Run(t.Context(), script.Command{Args: []string{"x"}}, script.Options{})
	if !errors.Is(r.Err, os.ErrNotExist) || !strings.HasPrefix(r.Reason(), "find x in") {
		t.Errorf("got %s", r.Reason())
	}
}
