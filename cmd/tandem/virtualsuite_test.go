package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestVirtualSuiteSameFromEverywhere runs two specs of the scenarios' own suite from two source trees,
// with other environments and temporary directories, as a developer and a CI job do: what they print
// and Ginkgo's report, which has each spec's times in nanoseconds, are the same to the last byte.
func TestVirtualSuiteSameFromEverywhere(t *testing.T) {
	needVirtual(t)
	suite := filepath.Join(t.TempDir(), "scenarios.test")
	build := exec.Command("go", "test", "-c", "-trimpath", "-o", suite, "../../scenarios")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the suite: %v\n%s", err, out)
	}
	director := tandemd(t)
	one := suiteIn(t, suite, filepath.Join(t.TempDir(), "a"), "TANDEM_TANDEMD="+director)
	moveTandemd(t)
	two := suiteIn(t, suite, filepath.Join(t.TempDir(), strings.Repeat("elsewhere", 10)),
		"TANDEM_TANDEMD="+os.Getenv("TANDEM_TANDEMD"), "TZ=Asia/Tokyo", "CI=true",
		"PADDING="+strings.Repeat("x", 5000))
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("two places (-one +two):\n%s", diff)
	}
	if !strings.Contains(one, "2 Passed | 0 Failed") {
		t.Errorf("two specs were to pass:\n%s", one)
	}
}

// suiteIn runs specs in a source tree, of which it makes no more than they need, and returns all that
// they say.
func suiteIn(t *testing.T, suite, tree string, env ...string) string {
	t.Helper()
	tmp, dir := filepath.Join(tree, "tmp"), filepath.Join(tree, "scenarios")
	program := filepath.Join(tree, "bin", "scenarios.test")
	for _, d := range []string{tmp, dir, filepath.Dir(program)} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(tree, "go.mod"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(suite, program); err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(dir, "report.json")
	cmd := exec.Command(program, "-time", "virtual", "-test.run", "TestScenarios", "-test.v",
		"-ginkgo.v", "-ginkgo.no-color", "-ginkgo.seed=1", "-ginkgo.json-report="+report,
		"-ginkgo.focus", "tandemd holds every bound of (fig6-wrr|fig5-director-terminated)$")
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "TMPDIR="+tmp), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + string(b)
}
