package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
)

// asProgram makes this test binary be the program.
const asProgram = "TANDEM_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	kernel.Init()
	lab.Main(probe.Roles()...)
	inGuest := len(os.Args) > 1 && os.Args[1] == carryOutName // with no environment of ours
	if os.Getenv(asProgram) != "" || inGuest {
		main()
	}
	os.Exit(m.Run())
}

// tandem prepares a call of the program. It skips where no lab can run.
func tandem(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if d := examine(); !d.LabsRun {
		t.Skip("labs cannot run here: tandem doctor --install fetches a guest kernel")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "TANDEM_TANDEMD="+tandemd(t))
	return cmd
}

// tandemd returns the daemon's executable, built if need be.
func tandemd(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("TANDEM_TANDEMD"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "tandemd")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "../tandemd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build tandemd: %v\n%s", err, out)
	}
	return path
}

func TestDrillReportsAndExits(t *testing.T) {
	out := t.TempDir()
	cmd := tandem(t, "drill", "run", "fig6-rr", "--format", "json", "--out", out)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var report reports.Report
	if err := json.Unmarshal(stdout, &report); err != nil {
		t.Fatalf("standard output is no report: %v\n%s", err, stdout)
	}
	if report.Verdict != reports.Pass {
		t.Errorf("verdict %s with exit status 0", report.Verdict)
	}
	for _, name := range []string{"report.json", "report.html", "junit.xml", "history.ndjson",
		"logs/lb1.log"} {
		if _, err := os.Stat(filepath.Join(out, "latest", name)); err != nil {
			t.Errorf("the run directory lacks a file: %v", err)
		}
	}
}

// awaitLine reads lines of a command's standard error until one contains text.
func awaitLine(t *testing.T, lines *bufio.Scanner, text string) {
	t.Helper()
	for lines.Scan() {
		t.Log(lines.Text())
		if strings.Contains(lines.Text(), text) {
			return
		}
	}
	t.Fatalf("the drill ended before it said %q", text)
}

func TestInterruptHealsAndReports(t *testing.T) { interruptHealsAndReports(t) }

// interruptHealsAndReports ends a drill by SIGINT while its fault holds.
func interruptHealsAndReports(t *testing.T, flags ...string) {
	t.Helper()
	out := t.TempDir()
	args := append([]string{"drill", "run", "fig7-director-frozen", "--out", out}, flags...)
	cmd := tandem(t, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	awaitLine(t, lines, "took hold")
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	awaitLine(t, lines, "healed director-frozen")
	for lines.Scan() {
		t.Log(lines.Text())
	}
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != exitInconclusive {
		t.Errorf("exit status %d after an interrupt, want %d", status, exitInconclusive)
	}
	f, err := os.Open(filepath.Join(out, "latest", "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	report, err := reports.ReadJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	faults := reports.Faults(&report.Recording)
	if report.Verdict == reports.Pass || len(faults) != 1 || !faults[0].Healed {
		t.Errorf("verdict %s, faults %+v; want one healed fault and no pass", report.Verdict, faults)
	}
}

func TestUsage(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"no drill", []string{"drill", "run"}, exitUsage, "tandem drill list"},
		{"unknown drill", []string{"drill", "run", "fig8"}, exitUsage, "fig7-director-killed"},
		{"two ways to choose", []string{"drill", "run", "--demo", "--all"}, exitUsage, "--all"},
		{"a pattern of none", []string{"drill", "run", "--all", "fig8-*"}, exitUsage, "fig7-director-killed"},
		{"a topology without its flag", []string{"lab", "up", "fig7"}, exitUsage, "-t preset:fig7"},
		{"a file without its flag", []string{"lab", "graph", "my.yml"}, exitUsage, "-t my.yml"},
		{"unknown flag", []string{"drill", "run", "--speed"}, exitUsage, "--speed"},
		{"unknown director", []string{"drill", "run", "fig6-rr", "--director", "no-such-program"},
			exitInconclusive, "no-such-program"},
		{"unknown format", []string{"drill", "list", "--format", "xml"}, exitUsage, "table or json"},
		{"unknown preset", []string{"lab", "graph", "-t", "preset:fig8"}, exitInconclusive, "fig7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := newRoot()
			root.SetArgs(tt.args)
			root.SetOut(&bytes.Buffer{})
			root.SetErr(&bytes.Buffer{})
			err := root.ExecuteContext(context.Background())
			if err == nil {
				t.Fatal("no error")
			}
			status := exitUsage
			var exit exitError
			if errors.As(err, &exit) {
				status = exit.status
			}
			if status != tt.status || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("exit status %d, %q; want %d and a word on %q", status, err, tt.status, tt.says)
			}
		})
	}
}

func TestWrap(t *testing.T) {
	tests := []struct {
		text  string
		width int
		want  []string
	}{
		{"", 10, []string{""}},
		{"one two three", 7, []string{"one two", "three"}},
		{"a-very-long-word b", 5, []string{"a-very-long-word", "b"}},
		{"größe → maß", 9, []string{"größe →", "maß"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, wrap(tt.text, tt.width)); diff != "" {
			t.Errorf("wrap %q at %d (-want +got):\n%s", tt.text, tt.width, diff)
		}
	}
}
