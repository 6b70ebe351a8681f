package probe_test

import (
	"context"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/topology"
	"go.uber.org/goleak"
)

// specTimeout bounds every wait of a spec, with an allowance for a busy machine.
const specTimeout = 20 * time.Second

func TestMain(m *testing.M) {
	lab.Main(probe.Roles()...)
	goleak.VerifyTestMain(m,
		// Ginkgo watches for interrupts until the process ends.
		goleak.IgnoreAnyFunction("github.com/onsi/ginkgo/v2/internal/interrupt_handler."+
			"(*InterruptHandler).registerForInterrupts.func2"),
		goleak.IgnoreTopFunction("os/signal.signal_recv"),
	)
}

func TestProbe(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: namespaces and links cannot be made")
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(specTimeout)
	RunSpecs(t, "probe")
}

// fig5 brings up the preset fig5, one network with client1, lb1 and lb2, for the length of a spec.
func fig5(ctx context.Context) *lab.Lab {
	GinkgoHelper()
	t, err := topology.Preset("fig5")
	Expect(err).NotTo(HaveOccurred())
	l, err := lab.Up(ctx, t, lab.Options{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(l.Close)
	return l
}

// node returns a node of a lab.
func node(l *lab.Lab, name string) *lab.Node {
	GinkgoHelper()
	n, ok := l.Node(name)
	Expect(ok).To(BeTrue(), "node %s", name)
	return n
}

// task is what all probes are.
type task interface {
	Run(ctx context.Context) error
	Ready() <-chan struct{}
}

// start runs a probe, waits until it measures, and returns a function that ends it and returns its
// error. It ends with the spec at the latest.
func start(ctx context.Context, p task) (stop func() error) {
	GinkgoHelper()
	running, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(running) }()
	stop = func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	DeferCleanup(func() { stop() })
	select {
	case <-p.Ready():
	case err := <-ended:
		ended <- err
		Fail("the probe ended: " + err.Error())
	case <-ctx.Done():
		Fail("the probe is not ready in time")
	}
	return stop
}
