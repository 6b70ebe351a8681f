package ipvs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
)

// TestMain runs the tests in a kernel that has IPVS: this one, or a guest. The tests of the
// kernel's table are skipped where there is none, as with TANDEM_KERNEL=host on most machines or
// with the race detector, which no guest can carry.
func TestMain(m *testing.M) {
	kernel.Init()
	mode, err := kernel.ModeFromEnvironment()
	status := 2
	if err == nil {
		status, err = runTests(mode, func() int { return leakless(m) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ipvs:", err)
	}
	os.Exit(status)
}

func runTests(mode kernel.Mode, run func() int) (int, error) {
	if mode == kernel.Host || raceEnabled {
		return run(), nil
	}
	need := []lab.Capability{lab.Root, lab.NetNS, lab.IPVS}
	o := kernel.Options{Mode: mode, Need: need}
	status, err := kernel.RunTests(context.Background(), o, run)
	if errors.Is(err, kernel.ErrNoImage) {
		return run(), nil
	}
	return status, err
}

// leakless runs the tests and then looks for goroutines that they have left.
func leakless(m *testing.M) int {
	status := m.Run()
	if err := goleak.Find(); err != nil && status == 0 {
		fmt.Fprintln(os.Stderr, "ipvs:", err)
		status = 1
	}
	return status
}
