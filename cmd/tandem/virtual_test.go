package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/lab/kernel/build"
	"github.com/tandemlb/tandem/reports"
)

// needVirtual skips a test where the kernel with a virtual clock is not built.
func needVirtual(t *testing.T) {
	t.Helper()
	if _, err := kernel.FindVirtualImage(); errors.Is(err, build.ErrNone) {
		t.Skip("no kernel with a virtual clock here: `tandem kernel build` makes it")
	} else if err != nil {
		t.Fatal(err)
	}
}

// seeded is a drill's directory under runs/latest.
type seeded struct{ dir string }

// equal demands that two runs left the same, byte for byte.
func (s seeded) equal(t *testing.T, other seeded) {
	t.Helper()
	if diff := cmp.Diff(s.history(t), other.history(t)); diff != "" {
		t.Errorf("%s and %s: history.ndjson (-first +second):\n%s", s.dir, other.dir, diff)
	}
	if diff := cmp.Diff(s.report(t), other.report(t)); diff != "" {
		t.Errorf("%s and %s: report.json but for its host (-first +second):\n%s", s.dir, other.dir, diff)
	}
}

func (s seeded) history(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "history.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// report is report.json as it stands, without the section on the host.
func (s seeded) report(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var whole struct {
		Recording struct {
			Host json.RawMessage `json:"host"`
		} `json:"recording"`
	}
	if err := json.Unmarshal(b, &whole); err != nil {
		t.Fatal(err)
	}
	host := append([]byte(`"host":`), whole.Recording.Host...)
	if !bytes.Contains(b, host) {
		t.Fatalf("%s: report.json has no section on the host", s.dir)
	}
	return string(bytes.Replace(b, host, nil, 1))
}

func (s seeded) verdict(t *testing.T) reports.Verdict {
	t.Helper()
	r, err := readReport(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	return r.Verdict
}

// drillVirtual runs drills on virtual time and returns what each left, in order.
func drillVirtual(t *testing.T, args ...string) []seeded {
	t.Helper()
	out := t.TempDir()
	cmd := tandem(t, append([]string{"drill", "run", "--time", "virtual", "--out", out}, args...)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	dirs, err := filepath.Glob(filepath.Join(out, "latest", "[0-9]*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no drill left anything in %s: %v", out, err)
	}
	runs := make([]seeded, len(dirs))
	for i, d := range dirs {
		runs[i] = seeded{d}
	}
	return runs
}

// burn keeps every CPU busy with processes until the test ends.
func burn(t *testing.T) {
	t.Helper()
	for range runtime.NumCPU() {
		cmd := exec.Command("/bin/sh", "-c", "while :; do :; done")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
}

// TestVirtualSameSeedSameRun says that what virtual time promises holds: a run alone and two at once on a
// busy machine, from other directories and with other environments, are equal to the last byte.
func TestVirtualSameSeedSameRun(t *testing.T) {
	needVirtual(t)
	names := []string{"fig7-director-killed", "fig6-wrr", "fig7-random-faults"}
	first := drillVirtual(t, append(names, "--jobs", "1")...)
	burn(t)
	t.Setenv("TANDEM_TEST_PADDING", string(bytes.Repeat([]byte("x"), 5000)))
	moveTandemd(t)
	elsewhere := filepath.Join(t.TempDir(), strings.Repeat("elsewhere", 10))
	if err := os.Mkdir(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", elsewhere)
	again := drillVirtual(t, append(names, "--repeat", "2")...)
	if len(first) != len(names) || len(again) != 2*len(names) {
		t.Fatalf("%d and %d runs, want %d and %d", len(first), len(again), len(names), 2*len(names))
	}
	for i, one := range first {
		if v := one.verdict(t); v != reports.Pass {
			t.Errorf("%s: verdict %s, want pass", names[i], v)
		}
		one.equal(t, again[2*i])
		one.equal(t, again[2*i+1])
	}
}

// moveTandemd has the daemon at another path from now on, which is longer.
func moveTandemd(t *testing.T) {
	t.Helper()
	program, err := os.ReadFile(tandemd(t))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "at", "another", "place", "tandemd")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TANDEM_TANDEMD", path)
}

// TestVirtualOtherSeedOtherRun guards the comparison above: it can tell runs apart.
func TestVirtualOtherSeedOtherRun(t *testing.T) {
	needVirtual(t)
	one := drillVirtual(t, "fig6-wrr", "fig6-rr", "--seed", "1")
	two := drillVirtual(t, "fig6-wrr", "fig6-rr", "--seed", "2")
	for i := range one {
		if one[i].history(t) == two[i].history(t) {
			t.Errorf("%s: seeds 1 and 2 gave the same history", one[i].dir)
		}
		if v := two[i].verdict(t); v != reports.Pass {
			t.Errorf("%s with seed 2: verdict %s, want pass", two[i].dir, v)
		}
	}
}

// TestVirtualHungDrillIsInconclusive gives the lab a director that computes and does nothing else.
func TestVirtualHungDrillIsInconclusive(t *testing.T) {
	needVirtual(t)
	spinner := filepath.Join(t.TempDir(), "spinner")
	program := "#!/bin/sh\nwhile :; do :; done\n"
	if err := os.WriteFile(spinner, []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	cmd := tandem(t, "drill", "run", "fig6-rr", "--time", "virtual", "--director", spinner,
		"--hang-limit", "20s", "--out", out)
	text, _ := cmd.CombinedOutput()
	if status := cmd.ProcessState.ExitCode(); status != exitInconclusive {
		t.Errorf("exit status %d, want %d\n%s", status, exitInconclusive, text)
	}
	r, err := readReport(filepath.Join(out, "latest"))
	if err != nil {
		t.Fatal(err)
	}
	last := r.Findings[len(r.Findings)-1]
	if r.Verdict != reports.Inconclusive || !strings.Contains(last.Detail, "process spinner (pid ") {
		t.Errorf("verdict %s, %q; want inconclusive by the spinner", r.Verdict, last.Detail)
	}
}

// TestVirtualInterruptHealsAndReports ends a drill in the middle of a fault.
func TestVirtualInterruptHealsAndReports(t *testing.T) {
	needVirtual(t)
	interruptHealsAndReports(t, "--time", "virtual")
}
