package netif_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
)

// TestMain runs the tests here, or, where TANDEM_KERNEL asks for it, in a guest kernel.
func TestMain(m *testing.M) {
	kernel.Init()
	mode, err := kernel.ModeFromEnvironment()
	status := 2
	if err == nil {
		need := []lab.Capability{lab.Root, lab.NetNS, lab.Veth, lab.Bridge}
		status, err = kernel.RunTests(context.Background(), kernel.Options{Mode: mode, Need: need},
			func() int { return leakless(m) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "netif:", err)
	}
	os.Exit(status)
}

// leakless runs the tests and then looks for goroutines that they have left.
func leakless(m *testing.M) int {
	status := m.Run()
	if err := goleak.Find(); err != nil && status == 0 {
		fmt.Fprintln(os.Stderr, "netif:", err)
		status = 1
	}
	return status
}
