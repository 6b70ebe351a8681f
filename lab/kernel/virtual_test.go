package kernel_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/lab/kernel/build"
)

// What a program in a guest on virtual time is given by these tests.
const (
	seedVariable  = "TANDEM_KERNEL_TEST_SEED"
	mountVariable = "TANDEM_KERNEL_TEST_MOUNT"
	mountPoint    = "/dev/shm/given"
	// spinLimit leaves a busy machine time to come to the point where the program spins.
	spinLimit = 20 * time.Second
)

// tellTime prints what a clock and a generator say, before and after a night's sleep.
func tellTime() int {
	for range 2 {
		var noise [8]byte
		if _, err := rand.Read(noise[:]); err != nil {
			return 1
		}
		fmt.Printf("%s %v %x\n", time.Now().UTC().Format(time.RFC3339Nano), lab.VirtualClock(), noise)
		time.Sleep(10 * time.Hour)
	}
	return 0
}

// spinForEver computes without end, in a loop that calls nothing.
//
//go:noinline
func spinForEver() {
	for i := uint64(1); i != 0; i += 2 {
	}
}

// poll asks the kernel again and again for something that another thread changes after a while. It
// never asks for the time.
func poll() int {
	var ready [2]int
	if err := unix.Pipe2(ready[:], unix.O_NONBLOCK); err != nil {
		return 1
	}
	go func() {
		time.Sleep(5 * time.Millisecond)
		_, _ = unix.Write(ready[1], []byte("x"))
	}()
	for n := 0; n == 0; {
		_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		fds := []unix.PollFd{{Fd: int32(ready[0]), Events: unix.POLLIN}}
		n, _ = unix.Poll(fds, 0)
	}
	return 0
}

// onVirtualTime prepares this test binary to play a role in a guest on virtual time.
func onVirtualTime(t *testing.T, role string, env ...string) (*exec.Cmd, kernel.Image) {
	t.Helper()
	im, err := kernel.FindVirtualImage()
	if errors.Is(err, build.ErrNone) {
		t.Skip("no kernel with a virtual clock here: `tandem kernel build` makes it")
	} else if err != nil {
		t.Fatal(err)
	}
	cmd := asGuest(t, role)
	cmd.Env = append(append(cmd.Env, "TANDEM_TIME=virtual"), env...)
	return cmd, im
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v\n%s%s", err, out, exit.Stderr)
		}
		t.Fatal(err)
	}
	return string(out)
}

func TestVirtualNightPassesAtOnce(t *testing.T) {
	cmd, _ := onVirtualTime(t, "clock")
	begin := time.Now()
	lines := strings.Split(output(t, cmd), "\n")
	if took := time.Since(begin); took > time.Hour {
		t.Errorf("two sleeps of ten hours took %s of wall time", took)
	}
	var at [2]time.Time
	for i := range at {
		words := strings.Fields(lines[i])
		var err error
		if at[i], err = time.Parse(time.RFC3339Nano, words[0]); err != nil || words[1] != "true" {
			t.Fatalf("line %d is %q, want a time on a virtual clock", i, lines[i])
		}
	}
	if early := at[0].Sub(kernel.VirtualEpoch); early < 0 || early > time.Second {
		t.Errorf("the clock began at %s, want %s and the time of a boot", at[0], kernel.VirtualEpoch)
	}
	// The kernel rounds long waits up, by 0.1 s at most (fs/select.c, select_estimate_accuracy).
	if slept := at[1].Sub(at[0]); slept < 10*time.Hour || slept > 10*time.Hour+time.Second {
		t.Errorf("a sleep of ten hours took %s of virtual time", slept)
	}
}

func TestVirtualSeedDecidesClockAndRandomness(t *testing.T) {
	run := func(seed string, dir string) string {
		cmd, _ := onVirtualTime(t, "clock", seedVariable+"="+seed, "TMPDIR="+dir)
		return output(t, cmd)
	}
	long := filepath.Join(t.TempDir(), strings.Repeat("elsewhere", 10))
	if err := os.Mkdir(long, 0o755); err != nil {
		t.Fatal(err)
	}
	one, again, two := run("1", t.TempDir()), run("1", long), run("2", t.TempDir())
	if one != again {
		t.Errorf("seed 1 gave\n%sand from another directory\n%s", one, again)
	}
	if one == two {
		t.Errorf("seeds 1 and 2 gave the same:\n%s", one)
	}
}

func TestVirtualTimePassesWhilePolling(t *testing.T) {
	cmd, _ := onVirtualTime(t, "poll")
	if out := output(t, cmd); out != "" {
		t.Errorf("the program says %q", out)
	}
}

func TestVirtualGuestHasNoInputAndKeepsStreamsApart(t *testing.T) {
	cmd, _ := onVirtualTime(t, "streams")
	cmd.Stdin = strings.NewReader("not heard")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	if stdout.String() != "read \"\"\n" || stderr.String() != "to standard error\n" {
		t.Errorf("standard output %q, error %q; want no input, and both", &stdout, &stderr)
	}
	if status := cmd.ProcessState.ExitCode(); status != 7 {
		t.Errorf("exit status %d, want the program's 7", status)
	}
}

func TestVirtualGuestSeesAMountedDirectory(t *testing.T) {
	dir := t.TempDir()
	cmd, _ := onVirtualTime(t, "mount", mountVariable+"="+dir)
	if out := output(t, cmd); out != mountPoint+" true\n" {
		t.Errorf("the guest says %q", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "touched")); err != nil {
		t.Errorf("what the guest wrote is not on the host: %v", err)
	}
}

func TestHungVirtualGuestNamesTheCulprit(t *testing.T) {
	cmd, im := onVirtualTime(t, "spin")
	before := len(umlProcesses(im))
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 255 {
		t.Errorf("a program that spins for ever ended with %v", err)
	}
	for _, want := range []string{"stood still", "kernel.test", "pid ", "spinForEver"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the error says nothing of %q:\n%s", want, out)
		}
	}
	if left := umlProcesses(im); len(left) > before {
		t.Errorf("guest processes left behind: %v", left)
	}
}

// TestVirtualGuestIsGone ends guests in each way there is, with a process in them that never stops
// computing.
func TestVirtualGuestIsGone(t *testing.T) {
	ends := []struct {
		name string
		end  func(*os.Process) error
	}{
		{"parent killed", (*os.Process).Kill},
		{"interrupts", func(p *os.Process) error {
			// Interrupts that come before the last one was taken are one with it, so three may not do.
			for begin := time.Now(); !ended(p.Pid); {
				if time.Since(begin) > spinLimit/2 {
					return errors.New("interrupts do not end it")
				}
				if err := p.Signal(syscall.SIGINT); err != nil {
					return err
				}
			}
			return nil
		}},
	}
	for _, tt := range ends {
		t.Run(tt.name, func(t *testing.T) {
			cmd, im := onVirtualTime(t, "spin")
			leavesNothing(t, cmd, im, tt.end)
		})
	}
}

// ended says that a process has ended, whether somebody has waited for it or not.
func ended(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return err != nil || strings.Contains(string(b), "\nState:\tZ")
}

func TestParseTime(t *testing.T) {
	tests := []struct {
		text string
		want kernel.Time
		ok   bool
	}{
		{"", kernel.RealTime, true},
		{"real", kernel.RealTime, true},
		{"virtual", kernel.VirtualTime, true},
		{"Virtual", 0, false},
		{"fast", 0, false},
	}
	for _, tt := range tests {
		got, err := kernel.ParseTime(tt.text)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("ParseTime(%q) = %v, %v", tt.text, got, err)
		}
	}
}
