package instance_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// TestManyInstances has many instances of one VIP each become master at once on one real interface,
// and measures that and what it costs to keep them. TANDEM_TEST_INSTANCES says how many; the
// default is few.
func TestManyInstances(t *testing.T) {
	many := 100
	if s := os.Getenv("TANDEM_TEST_INSTANCES"); s != "" {
		var err error
		if many, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	node, _ := netiftest.Pair(t)
	links := instance.OnHost(node.Host)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	var runners []*instance.Runner
	for i := range many {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
		r, err := instance.New(instance.Group{
			Members: []instance.Config{{
				Name: fmt.Sprintf("VI_%d", i), Interface: netiftest.Device,
				VIPs: []instance.VIP{{Prefix: p}},
				Router: vrrp.Config{
					Version: vrrp.V3, VRID: uint8(i%255) + 1, Priority: 100, Interval: time.Second,
				},
			}},
			Resume: true, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		}, links)
		if err != nil {
			t.Fatal(err)
		}
		runners = append(runners, r)
	}
	begin, used := time.Now(), cpu(t)
	for _, r := range runners {
		running.Go(func() { _ = r.Run(ctx) })
	}
	for _, r := range runners {
		<-r.Ready()
	}
	t.Logf("%d masters after %s", many, time.Since(begin))
	eth := node.Host.Interface(netiftest.Device)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for ; ; <-look.C {
		s, err := eth.State() // which changes may interrupt
		if err == nil && len(s.Addrs) > many {
			break
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("%d addresses after a minute, want %d", len(s.Addrs), many)
		}
	}
	t.Logf("all VIPs after %s, %s of processor time", time.Since(begin), cpu(t)-used)
	const span = time.Second
	used = cpu(t)
	<-time.After(span)
	t.Logf("kept for %s with %s of processor time", span, cpu(t)-used)
	for _, r := range runners {
		s := r.Snapshot()[0]
		if s.State != vrrp.Master || s.BecameMaster != 1 || s.Errors > 0 {
			t.Errorf("%s: %s, master %d times, errors %d (%s); want a master from the start",
				s.Name, s.State, s.BecameMaster, s.Errors, s.LastError)
		}
	}
	begin = time.Now()
	cancel()
	running.Wait()
	t.Logf("ended after %s", time.Since(begin))
}

// cpu returns the processor time that this process has used.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
