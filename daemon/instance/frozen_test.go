package instance_test

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"os/signal"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// asDaemon in the environment makes this test binary a daemon of one instance.
const asDaemon = "TANDEM_TEST_AS_DAEMON"

// sideBySide is how many of the tests on real wires, each with hosts of its own, run at once unless
// -parallel says otherwise. Nearly all of the time they wait for adverts: two processors carry them.
const sideBySide = "6"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) != "" {
		if err := daemon(); err != nil {
			panic(err)
		}
		return
	}
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// daemon drives the first director of a bench until it is told to stop.
func daemon() error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	host, err := netif.Open()
	if err != nil {
		return err
	}
	defer host.Close()
	b := &bench{interval: 100 * time.Millisecond}
	g := instance.Group{Members: []instance.Config{b.config(0)}}
	r, err := instance.New(g, instance.OnHost(host))
	if err != nil {
		return err
	}
	return r.Run(ctx)
}

// TestDeadDaemon says that a daemon that is killed or frozen, with all that it consists of, loses
// its VIP to the kernel, and that one that goes on afterwards is elected as any other.
func TestDeadDaemon(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		signal os.Signal
	}{
		{"killed", unix.SIGKILL},
		{"frozen", unix.SIGSTOP},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, node := netiftest.Pair(t)
			b := realBench(t, a, node)
			process := startDaemon(t, a)
			b.awaitVIP(0, true)
			low := b.start(1, nil)
			b.await("leader", func() bool {
				return low.runner.Snapshot()[0].LeaderPriority == 150
			})
			if err := process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			b.awaitVIP(1, true)
			b.awaitVIP(0, false)
			// The kernel may take two seconds more than the lease, and this host one.
			if took := time.Since(begin); took > instance.MinLease+3*time.Second {
				t.Errorf("the VIP stayed for %s, its lease was %s", took, instance.MinLease)
			}
			if tt.signal == unix.SIGKILL {
				return
			}
			if err := process.Signal(unix.SIGCONT); err != nil {
				t.Fatal(err)
			}
			b.awaitState(low, vrrp.Backup) // the higher one has been elected again
			b.awaitVIP(0, true)
			b.awaitVIP(1, false)
		})
	}
}

// startDaemon runs this binary as a daemon in the node.
func startDaemon(t *testing.T, node *netiftest.Node) *os.Process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asDaemon+"=1")
	var err error
	node.Do(func() { err = cmd.Start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // its status says only how it was ended
	})
	return cmd.Process
}
