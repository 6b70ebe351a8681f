package kernel_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
)

// roleVariable makes this test binary play a program that runs itself in a guest.
const roleVariable = "TANDEM_KERNEL_TEST_ROLE"

func TestMain(m *testing.M) {
	kernel.Init()
	role := os.Getenv(roleVariable)
	switch {
	case role == "":
		os.Exit(m.Run())
	case kernel.InGuest():
		os.Exit(playInGuest(role))
	}
	status, err := runInGuest()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 255
	}
	os.Exit(status)
}

// runInGuest runs this program in a guest, on the clock that TANDEM_TIME asks for.
func runInGuest() (int, error) {
	if os.Getenv(roleVariable) == "suite" {
		return kernel.RunTests(context.Background(), kernel.Options{Time: kernel.VirtualTime, Seed: 1},
			func() int { return 98 })
	}
	clock, err := kernel.TimeFromEnvironment()
	if err != nil || clock == kernel.RealTime {
		return kernel.RunInGuest(context.Background(), kernel.Options{})
	}
	seed, _ := strconv.ParseUint(os.Getenv(seedVariable), 10, 64)
	g := kernel.Guest{Time: clock, Seed: seed}
	if os.Getenv(roleVariable) == "spin" {
		g.HangLimit = spinLimit
	}
	if dir := os.Getenv(mountVariable); dir != "" {
		g.Mounts = map[string]string{mountPoint: dir}
	}
	return g.Run(context.Background())
}

// playInGuest is what the program does once it is in the guest.
func playInGuest(role string) int {
	switch role {
	case "streams":
		in, _ := io.ReadAll(os.Stdin)
		fmt.Printf("read %q\n", in)
		fmt.Fprintln(os.Stderr, "to standard error")
		return 7
	case "interrupt":
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, unix.SIGINT)
		fmt.Println("waiting")
		fmt.Println("got", <-signals)
		return 3
	case "clock":
		return tellTime()
	case "suite":
		return tellPlace()
	case "spin":
		fmt.Println("up")
		time.Sleep(time.Second) // virtual: it is over when all others wait, the line handed on
		spinForEver()
	case "poll":
		return poll()
	case "mount":
		return touch([]string{mountPoint})
	case "killed":
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	case "files":
		return touch(os.Args[1:])
	case "hang":
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, unix.SIGUSR1)
		fmt.Println("up")
		<-signals
	case "terminal":
		return describeTerminal()
	case "probe":
		for _, f := range kernel.Probe(nil) {
			fmt.Println(f.Name, f.OK, f.Reason)
		}
		return 0
	}
	return 99
}

// touch writes a file into each directory and says how it went.
func touch(dirs []string) int {
	for _, dir := range dirs {
		err := os.WriteFile(filepath.Join(dir, "touched"), []byte("by the guest"), 0o644)
		fmt.Println(dir, err == nil)
	}
	return 0
}

// describeTerminal says what the program's terminal is like, and again when its size has changed.
func describeTerminal() int {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, unix.SIGWINCH)
	for range 2 {
		cols, rows, err := term.GetSize(int(os.Stdout.Fd()))
		fmt.Println("terminal", term.IsTerminal(int(os.Stdin.Fd())), cols, rows, err)
		<-changed
	}
	return 0
}

// inGuest prepares this test binary to play a role in a guest. It skips where no guest can run.
func inGuest(t *testing.T, role string, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := kernel.FindImage(); err != nil {
		t.Skip(err)
	}
	return asGuest(t, role, args...)
}

func asGuest(t *testing.T, role string, args ...string) *exec.Cmd {
	t.Helper()
	if kernel.InGuest() {
		t.Skip("no guest in a guest: this test starts one from the host")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if kernel.RaceEnabled {
		t.Skip("the race detector cannot run in User Mode Linux; run this package without -race")
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	return cmd
}

func TestGuestHandsOnStreamsAndStatus(t *testing.T) {
	cmd := inGuest(t, "streams")
	cmd.Stdin = strings.NewReader("one\ntwo\n")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if got, want := stdout.String(), `read "one\ntwo\n"`+"\n"; got != want {
		t.Errorf("standard output %q, want %q", got, want)
	}
	if got, want := stderr.String(), "to standard error\n"; got != want {
		t.Errorf("standard error %q, want %q", got, want)
	}
	if status := cmd.ProcessState.ExitCode(); status != 7 {
		t.Errorf("exit status %d (%v), want the program's 7", status, err)
	}
}

func TestGuestReportsASignalAsAShellDoes(t *testing.T) {
	cmd := inGuest(t, "killed")
	_ = cmd.Run()
	if status := cmd.ProcessState.ExitCode(); status != 128+9 {
		t.Errorf("exit status %d, want 137 for a program that SIGKILL ended", status)
	}
}

func TestGuestHandsOnSignals(t *testing.T) {
	cmd := inGuest(t, "interrupt")
	out, lines := startAndReadLine(t, cmd)
	if out != "waiting" {
		t.Fatalf("first line %q, want the program's before it ends", out)
	}
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	lines.Scan()
	if got, want := lines.Text(), "got interrupt"; got != want {
		t.Errorf("after SIGINT %q, want %q", got, want)
	}
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 3 {
		t.Errorf("exit status %d, want 3", status)
	}
}

func TestGuestHasTheHostsTerminal(t *testing.T) {
	cmd := inGuest(t, "terminal")
	host, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 100, Rows: 30})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	lines := bufio.NewScanner(host)
	for _, want := range []struct {
		line string
		size pty.Winsize
	}{
		{"terminal true 100 30 <nil>", pty.Winsize{Cols: 70, Rows: 20}},
		{"terminal true 70 20 <nil>", pty.Winsize{Cols: 80, Rows: 24}},
	} {
		lines.Scan()
		if got := strings.TrimSpace(lines.Text()); got != want.line {
			t.Errorf("the guest's program says %q, want %q", got, want.line)
		}
		if err := pty.Setsize(host, &want.size); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestGuestWritesOnlyWhereItMay(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("an ordinary user could not write outside anyway; the check is weaker")
	}
	allowed := t.TempDir() // below the temporary directory
	outside := "/var/tmp"
	cmd := inGuest(t, "files", allowed, outside, ".")
	defer os.Remove("touched")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%s true\n%s false\n. true\n", allowed, outside)
	if string(out) != want {
		t.Errorf("guest wrote:\n%swant:\n%s", out, want)
	}
	if _, err := os.Stat(filepath.Join(allowed, "touched")); err != nil {
		t.Errorf("what the guest wrote is not on the host: %v", err)
	}
}

func TestKilledParentLeavesNoGuest(t *testing.T) {
	im, err := kernel.FindImage()
	if err != nil {
		t.Skip(err)
	}
	leavesNothing(t, inGuest(t, "hang"), im, (*os.Process).Kill)
}

// leavesNothing runs a guest until its program says "up", ends its parent, and demands that the
// guest's processes and the parent's temporary files are gone.
func leavesNothing(t *testing.T, cmd *exec.Cmd, im kernel.Image, end func(*os.Process) error) {
	t.Helper()
	before := umlProcesses(im)
	home, temp := t.TempDir(), t.TempDir()
	cmd.Env = append(cmd.Env, "TMPDIR="+temp, "HOME="+home, "XDG_CACHE_HOME="+cacheHome(t))
	if line, _ := startAndReadLine(t, cmd); line != "up" {
		t.Fatalf("first line %q, want up", line)
	}
	if n := len(umlProcesses(im)); n <= len(before) {
		t.Fatalf("%d guest processes while one runs, %d before: the check sees nothing", n, len(before))
	}
	if err := end(cmd.Process); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	deadline := time.Now().Add(5 * time.Second)
	for {
		left := umlProcesses(im)
		if len(left) <= len(before) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("guest processes left behind: %v", left)
		}
		syscall.Select(0, nil, nil, nil, &syscall.Timeval{Usec: 10000})
	}
	for _, dir := range []string{home, temp} {
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("files left behind: %v", left)
		}
	}
}

// cacheHome is where this user's cache is, so that a test may move the home directory.
func cacheHome(t *testing.T) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestGuestHasWhatALabNeeds(t *testing.T) {
	cmd := inGuest(t, "probe")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []lab.Capability{lab.Root, lab.NetNS, lab.PIDNS, lab.Veth, lab.Bridge,
		lab.Macvlan, lab.IPVS, lab.Netem, lab.NftablesBridge} {
		if !strings.Contains(string(out), c.String()+" true") {
			t.Errorf("the guest lacks %s; it says:\n%s", c, out)
		}
	}
}

// startAndReadLine starts the command and returns its first line of output.
func startAndReadLine(t *testing.T, cmd *exec.Cmd) (string, *bufio.Scanner) {
	t.Helper()
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	lines.Scan()
	return lines.Text(), lines
}

// umlProcesses are the processes of this test's user that run a guest kernel, zombies left out: they
// hold nothing.
func umlProcesses(im kernel.Image) []string {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	var found []string
	for _, l := range links {
		if target, err := os.Readlink(l); err == nil && target == im.Program {
			found = append(found, l)
		}
	}
	return found
}
