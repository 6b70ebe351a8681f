package scenarios_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/scenarios"
)

// clock is the --time of these tests: `go test ./scenarios -time virtual`.
var clock = flag.String("time", "", "real or virtual (default $TANDEM_TIME, else real)")

func TestMain(m *testing.M) {
	kernel.Init()
	lab.Main(probe.Roles()...)
	flag.Parse()
	env, clean, err := buildTandemd()
	status := 1
	if err == nil {
		status, err = enter(m, env)
	}
	clean()
	if err != nil {
		fmt.Fprintln(os.Stderr, "scenarios:", err)
	}
	os.Exit(status)
}

// enter runs the tests in a kernel that has what the scenarios need: this one, or a guest.
func enter(m *testing.M, env []string) (int, error) {
	mode, err := kernel.ModeFromEnvironment()
	if err != nil {
		return 2, err
	}
	t, err := kernel.TimeFromEnvironment()
	if *clock != "" {
		t, err = kernel.ParseTime(*clock)
	}
	if err != nil {
		return 2, err
	}
	if t == kernel.VirtualTime {
		// The limit of go test counts by the virtual clock, and by the wall's outside the guest.
		if err := flag.Set("test.timeout", "24h"); err != nil {
			return 2, err
		}
	}
	var need []lab.Capability
	fit, _ := scenarios.Clocked(scenarios.All(), t == kernel.VirtualTime)
	for _, s := range fit {
		need = append(need, scenarios.Needs(s)...)
	}
	return kernel.RunTests(context.Background(),
		kernel.Options{Mode: mode, Time: t, Seed: 1, Need: need, Env: env}, m.Run)
}

// buildTandemd builds the daemon for the specs, unless TANDEM_TANDEMD names one. clean removes it.
func buildTandemd() (env []string, clean func(), err error) {
	clean = func() {}
	if os.Getenv("TANDEM_TANDEMD") != "" || kernel.InGuest() {
		return nil, clean, nil
	}
	dir, err := os.MkdirTemp("", "tandemd-")
	if err != nil {
		return nil, clean, err
	}
	clean = func() { os.RemoveAll(dir) }
	path := filepath.Join(dir, "tandemd")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "../cmd/tandemd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, clean, fmt.Errorf("build tandemd: %w\n%s", err, out)
	}
	os.Setenv("TANDEM_TANDEMD", path)
	return []string{"TANDEM_TANDEMD=" + path}, clean, nil
}

func TestScenarios(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Scenarios")
}
