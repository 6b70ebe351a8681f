package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// patience is how long a condition may take on a busy machine.
const patience = 20 * time.Second

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// console is a log that can be read while it is written.
type console struct {
	mu   sync.Mutex
	text strings.Builder
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

// String returns what was written.
func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

func (c *console) has(part string) bool { return strings.Contains(c.String(), part) }

// holds says whether the node has the VIP of oneInstance.
func holds(t *testing.T, n *netiftest.Node) bool {
	t.Helper()
	state, err := n.Host.Interface(netiftest.Device).State()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(state.Addrs, netip.MustParsePrefix("192.168.1.1/24"))
}

// TestRun runs an instance in a network namespace: it becomes master, refuses a bad reload, and
// leaves nothing behind.
func TestRun(t *testing.T) {
	node, _ := netiftest.Pair(t)
	file := write(t, oneInstance)
	log, reload, ready := &console{}, make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go node.Do(func() {
		ended <- Run(ctx, Options{
			File: file, Reload: reload, Diagnostics: log, Dump: log, Control: file,
			Ready: func() { close(ready) }, Log: slog.New(slog.NewTextHandler(log, nil)),
		})
	})
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("Run: %v", err)
	case <-time.After(patience):
		t.Fatalf("ready: not within %s", patience)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(log.String())
		}
	})
	until(t, "master has its VIP", func() bool { return holds(t, node) })
	if !log.has("no control socket") {
		t.Error("log: expected that the path of the control socket is taken")
	}
	if !log.has("virtual_router_id 51\n") {
		t.Error("Dump: expected the configuration in it")
	}

	for _, step := range []struct{ name, text, said string }{
		{"bad file", oneInstance + "nonsense {", "reload refused"},
		{"same file", oneInstance, "changes=0"},
		{"other priority", strings.Replace(oneInstance, "150", "151", 1),
			`what="vrrp_instance VI_1" reason="priority 150 -> 151"`},
	} {
		if err := os.WriteFile(file, []byte(step.text), 0o644); err != nil {
			t.Fatal(err)
		}
		reload <- struct{}{}
		until(t, "reload of "+step.name, func() bool { return log.has(step.said) })
		if !holds(t, node) {
			t.Errorf("reload of %s: expected the VIP to stay", step.name)
		}
	}

	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if holds(t, node) {
		t.Error("after Run: expected the VIP to be gone")
	}
}

// leaving is a router that looks at the table of virtual services while it leaves.
type leaving struct {
	table *ipvstest.Memory
	seen  string
}

func (l *leaving) Begin(ctx context.Context, ended func(error)) {
	context.AfterFunc(ctx, func() {
		// However long a successor takes, what waits for the router must wait.
		<-time.After(time.Hour)
		l.seen = l.table.String()
		ended(errors.New("left something"))
	})
}

func (l *leaving) Change(instance.Group) error { return nil }

func (l *leaving) Snapshot() []instance.Status { return nil }

func (l *leaving) Ping(context.Context) error { return nil }

func (l *leaving) SetPriority(string, uint8) error { return nil }

func (l *leaving) SetTracked(string, bool) error { return nil }

func (l *leaving) Ready() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}

// TestServicesOutliveRouters checks that connections go on while a master hands over.
func TestServicesOutliveRouters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table ipvstest.Memory
		log := slog.New(slog.DiscardHandler)
		services, err := newServices(parse(t, oneServer), &table, false, log)
		if err != nil {
			t.Fatal(err)
		}
		slow := &leaving{table: &table}
		d := director{log: log, config: &config.Config{}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- d.run(ctx, &transition{
				config: &config.Config{}, services: services,
				plan:    plan{routers: []step{{verb: start, key: "slow"}}},
				routers: map[string]router{"slow": slow},
			})
		}()
		synctest.Wait()
		cancel()
		if err := <-ended; err == nil || err.Error() != "left something" {
			t.Errorf("run: got %v, want the router's error", err)
		}
		if slow.seen == "" {
			t.Error("while the router left: expected the services to be there")
		}
		if after := table.String(); after != "" {
			t.Errorf("after the stop: got\n%s, want no service", after)
		}
	})
}

// TestRunWithoutIPVS checks that virtual services which cannot be are an error with a remedy.
func TestRunWithoutIPVS(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("opening the table of virtual services needs root")
	}
	switch table, err := ipvs.OpenKernel(t.Context()); {
	case err == nil:
		if err := table.Close(); err != nil {
			t.Error(err)
		}
		t.Skip("this kernel has IPVS")
	case !errors.Is(err, ipvs.ErrNoIPVS):
		t.Fatal(err)
	}
	err := Run(t.Context(), Options{File: write(t, oneServer), Log: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, ipvs.ErrNoIPVS) || !strings.Contains(err.Error(), "modprobe ip_vs") {
		t.Errorf("Run: got %v, want that there is no IPVS and what to do", err)
	}
}
