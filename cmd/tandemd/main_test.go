package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon"
	"github.com/tandemlb/tandem/daemon/guard"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// asDaemon in the environment makes the test binary the program itself.
const asDaemon = "TANDEMD_TEST_AS_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) != "" || guard.IsWorker() {
		main()
	}
	os.Exit(m.Run())
}

const configs = "../../daemon/config/testdata/"

// TestExitStatus runs what ends by itself.
func TestExitStatus(t *testing.T) {
	t.Setenv(enteredKey, "") // which it has entered is left there
	for _, tt := range []struct {
		name           string
		args           []string
		want           int
		stdout, stderr string // parts of them
	}{
		{"help", []string{"-h"}, 0, "--use-file=FILE", ""},
		{"version", []string{"--version"}, 0, "tandemd ", ""},
		{"signal number", []string{"--signum=RELOAD"}, 0, "1\n", ""},
		{"signal number for JSON", []string{"--signum=JSON"}, 0, "36\n", ""},
		{"unknown signal", []string{"--signum", "DANCE"}, 2, "", "expected STOP, RELOAD, DATA"},
		{"status of nobody", []string{"--status", "--control", "testdata/missing"}, 1, "",
			"ask director at testdata/missing"},
		{"unknown option", []string{"-Z"}, 2, "", "option -Z: unknown"},
		{"operand", []string{"x"}, 2, "", `argument "x": expected an option`},
		{"test of a good file", []string{"-t", "-f", "testdata/good.conf"}, 0, "", ""},
		{"test of a restricted file", []string{"-t", "-f", "testdata/restricted.conf"}, 5, "",
			"nobody logs in"},
		{"test of a bad file", []string{"-t", "-f", configs + "broken.conf"}, 4, "",
			"broken.conf:2:5: error: "},
		{"test of no file", []string{"-t", "-f", "testdata/missing"}, 4, "", "file does not exist"},
		{"peer without test", []string{"--peer", "x"}, 2, "", "option --peer: expected -t beside it"},
		{"format without test", []string{"--format=json"}, 2, "", "expected -t or --status beside"},
		{"unknown format", []string{"-t", "--format=xml"}, 2, "", "expected text or json"},
		{"two on standard output", []string{"-dt", "--format=json"}, 2, "", "expected no -d"},
		{"run of a bad file", []string{"-f", configs + "broken.conf"}, 2, "",
			"configuration is not valid"},
		{"run of no file", []string{"-nlD", "-f", "testdata/missing"}, 6, "", "no configuration"},
		{"option without effect", []string{"-a", "-f", "testdata/missing"}, 6, "",
			"warning: option -a: has no effect here"},
		{"namespace that is not there", []string{"-s", "tandemd-none"}, 1, "",
			"open network namespace tandemd-none"},
		{"process ID that cannot be written", []string{"-p", "testdata/missing/pid"}, 1, "",
			"write process ID"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr console
			if got := run(tt.args, &stdout, &stderr); got != tt.want {
				t.Errorf("run %q: got status %d, want %d\n%s", tt.args, got, tt.want, &stderr)
			}
			if !strings.Contains(stdout.String(), tt.stdout) {
				t.Errorf("standard output: got %q, want %q in it", &stdout, tt.stdout)
			}
			if !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("standard error: got %q, want %q in it", &stderr, tt.stderr)
			}
		})
	}
}

// TestConfigTestToFile checks that -tFILE writes to FILE, and nothing to standard error.
func TestConfigTestToFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "said")
	var stderr strings.Builder
	args := []string{"-t" + file, "-f", "testdata/restricted.conf"}
	if got := run(args, &stderr, &stderr); got != 5 {
		t.Errorf("run -t: got status %d, want 5", got)
	}
	said, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(said), "nobody logs in") || stderr.Len() > 0 {
		t.Errorf("-t wrote %q, %v, and %q to standard error", said, err, &stderr)
	}
}

func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"stopped", nil, 0},
		{"no configuration", daemon.ErrNoConfig, 6},
		{"bad configuration", daemon.ErrConfig, 2},
		{"missing right", daemon.ErrPermission, 4},
		{"kernel says no", unix.EPERM, 4},
		{"anything else", errors.New("x"), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var err error
			if tt.err != nil {
				err = fmt.Errorf("start: %w", tt.err)
			}
			if got := exitStatus(err); got != tt.want {
				t.Errorf("exitStatus(%v): got %d, want %d", err, got, tt.want)
			}
		})
	}
}

func TestStatusOfTest(t *testing.T) {
	for verdict, want := range map[daemon.Verdict]int{
		daemon.Usable: 0, daemon.Restricted: 5, daemon.Unsafe: 6, daemon.Unusable: 4,
	} {
		if got := testStatus(verdict); got != want {
			t.Errorf("testStatus(%s): got %d, want %d", verdict, got, want)
		}
	}
}

// TestProcess runs the program in a network namespace: it becomes master, tells its supervisor,
// answers to signals, and at TERM takes back its VIP and ends well.
func TestProcess(t *testing.T) {
	node, _ := netiftest.Pair(t)
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "pid")
	told := superviseAt(t, filepath.Join(dir, "notify"))
	logFile := filepath.Join(dir, "log")
	stderr, err := os.Create(logFile)
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	logged := func() string {
		text, err := os.ReadFile(logFile)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	config := dumpingConfig(t, dir)
	process := exec.Command("/proc/self/exe", "-nlD", "-f", config, "-p", pidFile)
	process.Env = append(os.Environ(), asDaemon+"=1", "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	process.Stderr = stderr
	node.Do(func() { err = process.Start() })
	if err != nil {
		t.Fatal(err)
	}
	defer process.Process.Kill() // does nothing to one that has ended

	told("READY=1")
	waitFor(t, "VIP", func() bool { return hasVIP(t, node) })
	pid, err := os.ReadFile(pidFile)
	if want := fmt.Sprintf("%d\n", process.Process.Pid); err != nil || string(pid) != want {
		t.Errorf("process ID: got %q, %v, want %q", pid, err, want)
	}

	sendSignals(t, process.Process, logged)
	told("RELOADING=1\nMONOTONIC_USEC=")
	told("READY=1")
	checkDumps(t, dir)
	checkStatus(t, pidFile)

	if err := process.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); err != nil {
		t.Errorf("after TERM: %v\n%s", err, logged())
	}
	if hasVIP(t, node) {
		t.Error("after TERM: expected the VIP to be gone")
	}
	if _, err := os.Stat(pidFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after TERM: process ID is still there: %v", err)
	}
}

// superviseAt listens as a supervisor at path, and returns what waits for the next state.
func superviseAt(t *testing.T, path string) (told func(want string)) {
	t.Helper()
	supervisor, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = supervisor.Close() })
	return func(want string) {
		t.Helper()
		if err := supervisor.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		state := make([]byte, 100)
		n, _, err := supervisor.ReadFrom(state)
		if err != nil || !strings.HasPrefix(string(state[:n]), want) {
			t.Errorf("supervisor was told %q, %v, want %s", state[:n], err, want)
		}
	}
}

// sendSignals sends each signal that the daemon answers to in its log, and waits for that.
func sendSignals(t *testing.T, process *os.Process, logged func() string) {
	t.Helper()
	for _, step := range []struct {
		signal unix.Signal
		said   string
	}{
		{unix.SIGUSR1, "/data"},
		{unix.SIGUSR2, "/stats"},
		{sigJSON, "/json"},
		{unix.SIGHUP, "msg=reloaded"},
	} {
		if err := process.Signal(step.signal); err != nil {
			t.Fatal(err)
		}
		waitFor(t, step.said, func() bool { return strings.Contains(logged(), step.said) })
	}
}

// dumpingConfig returns a file of good.conf, with all dumps in dir.
func dumpingConfig(t *testing.T, dir string) string {
	t.Helper()
	good, err := os.ReadFile("testdata/good.conf")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "conf")
	writeFile(t, file, fmt.Sprintf("global_defs {\nstate_dump_file %[1]s/data\n"+
		"stats_dump_file %[1]s/stats\njson_dump_file %[1]s/json\njson_version 2\n}\n%[2]s",
		dir, good))
	return file
}

// checkDumps looks at the files of dumpingConfig.
func checkDumps(t *testing.T, dir string) {
	t.Helper()
	for name, want := range map[string]string{
		"data": "State = MASTER", "stats": "VRRP Instance: VI_1", "json": `"vrrp"`,
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: got %s, %v, want %s in it", name, text, err, want)
		}
	}
}

// checkStatus asks the daemon with that process ID how it is.
func checkStatus(t *testing.T, pidFile string) {
	t.Helper()
	for format, want := range map[string]string{
		"text": "NO PROBLEMS KNOWN", "json": `"held": true`,
	} {
		var stdout, stderr strings.Builder
		args := []string{"--status", "-p", pidFile, "--format", format}
		if got := run(args, &stdout, &stderr); got != 0 || !strings.Contains(stdout.String(), want) {
			t.Errorf("run %q: got status %d, %s%s, want %s in it", args, got, &stdout, &stderr, want)
		}
	}
}

// console is what several goroutines may write to.
type console struct {
	mu   sync.Mutex
	text strings.Builder
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

// String returns what was written so far.
func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// patience is how long a condition may take on a busy machine.
const patience = 20 * time.Second

func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

func hasVIP(t *testing.T, n *netiftest.Node) bool {
	t.Helper()
	state, err := n.Host.Interface(netiftest.Device).State()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(state.Addrs, netip.MustParsePrefix("192.168.1.1/24"))
}
