package ipvs_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/ipvs"
)

// kernelReconciler is a Reconciler at work on the kernel's table.
type kernelReconciler struct {
	*ipvs.Reconciler
	passes chan ipvs.Status
	stop   func() error
}

func reconcileKernel(t *testing.T, k *ipvs.Kernel) *kernelReconciler {
	passes := make(chan ipvs.Status, 10)
	r := ipvs.New(k, ipvs.Options{Changed: func(s ipvs.Status) { passes <- s }})
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return &kernelReconciler{Reconciler: r, passes: passes, stop: func() error {
		cancel()
		return <-ended
	}}
}

// next waits for the next pass that did something.
func (r *kernelReconciler) next(t *testing.T) ipvs.Status {
	t.Helper()
	select {
	case s := <-r.passes:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("no change within 10 s")
	}
	return ipvs.Status{}
}

func TestReconcilerRepairsTheKernelsTable(t *testing.T) {
	others := ipvs.Services{{Key: ipvs.Key{Mark: 99, Family: ipvs.IPv4}, Settings: wlc(),
		Destinations: []ipvs.Destination{realServer("192.168.2.99:0", 1)}}}
	for _, tt := range []struct {
		name  string
		drift func(*testing.T, *ipvs.Kernel)
		left  ipvs.Services // of others
	}{
		{"a service deleted, another changed", func(t *testing.T, k *ipvs.Kernel) {
			mustApply(t, k, ipvs.Op{Kind: ipvs.DeleteService, Key: web},
				ipvs.Op{Kind: ipvs.SetService, Key: dns, Settings: wlc()})
		}, others},
		{"ipvsadm -C", func(t *testing.T, _ *ipvs.Kernel) { runIpvsadm(t, "-C") }, nil},
		{"ipvsadm -e", func(t *testing.T, _ *ipvs.Kernel) {
			runIpvsadm(t, "-e", "-t", "192.168.1.1:80", "-r", "192.168.2.14:80", "-i", "-w", "5")
		}, others},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := kernelTable(t)
			mustApply(t, k, ipvs.Diff(nil, others)...)
			r := reconcileKernel(t, k)
			r.Set(full())
			if s := r.next(t); !s.Synced || s.Repairs != 0 {
				t.Fatalf("status %+v, want synced without repairs", s)
			}
			tt.drift(t, k)
			repairs := uint64(len(ipvs.Diff(mustList(t, k), append(full(), tt.left...))))
			start := time.Now()
			if s := r.next(t); !s.Synced || s.Repairs != repairs {
				t.Errorf("status %+v, want synced after %d repairs", s, repairs)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("repaired after %s, want at most 2s", took)
			}
			want := append(full(), tt.left...)
			if diff := cmp.Diff(want.Canonical(), mustList(t, k).Canonical()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := r.stop(); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(tt.left.Canonical(), mustList(t, k).Canonical()); diff != "" {
				t.Errorf("left behind (-want +got):\n%s", diff)
			}
		})
	}
}

// TestKernelGoesOnAfterErrors mixes good and bad operations in more than one batch.
func TestKernelGoesOnAfterErrors(t *testing.T) {
	k := kernelTable(t)
	bad := ipvs.Op{Kind: ipvs.AddService, Key: dns, Settings: ipvs.Settings{Scheduler: "none-such"}}
	onBad := ipvs.Op{Kind: ipvs.AddDestination, Key: dns,
		Destination: realServer("192.168.2.11:53", 1)}
	invalid := destinationOp(ipvs.AddDestination, realServer("192.168.2.12:80", -1))
	twice := destinationOp(ipvs.AddDestination, realServer("10.2.0.0:80", 1))
	ops := []ipvs.Op{addWeb(), bad, onBad}
	const n = 600
	for i := range n {
		addr := fmt.Sprintf("10.2.%d.%d:80", i/256, i%256)
		ops = append(ops, destinationOp(ipvs.AddDestination, realServer(addr, 1)))
		if i == n/2 {
			ops = append(ops, invalid, onBad, twice)
		}
	}
	err := k.Apply(t.Context(), ops)
	want := "ipvsadm -A -u 192.168.1.1:53 -s none-such: scheduler none-such: kernel has no module " +
		"ip_vs_none-such: no such file or directory\n" +
		"ipvsadm -a -t 192.168.1.1:80 -r 192.168.2.12:80 -m -w -1: destination 192.168.2.12:80: " +
		"weight -1 is not 0 to 2147483647\n" +
		"ipvsadm -a -t 192.168.1.1:80 -r 10.2.0.0:80 -m -w 1: file exists"
	if err == nil || cmp.Diff(want, err.Error()) != "" || !errors.Is(err, unix.ENOENT) {
		t.Errorf("(-want +got):\n%s", cmp.Diff(want, fmt.Sprint(err)))
	}
	got := mustList(t, k)
	if len(got) != 1 || len(got[0].Destinations) != n {
		t.Errorf("the table is\n%s", got)
	}
}

// TestKernelAnswersAreNotLost has every operation of more than one batch fail, so that there are as
// many answers at once as there can be.
func TestKernelAnswersAreNotLost(t *testing.T) {
	k := kernelTable(t)
	mustApply(t, k, addWeb())
	var ops []ipvs.Op
	for i := range 600 {
		addr := fmt.Sprintf("10.2.%d.%d:80", i/256, i%256)
		ops = append(ops, destinationOp(ipvs.DeleteDestination, realServer(addr, 1)))
	}
	err := k.Apply(t.Context(), ops)
	var all interface{ Unwrap() []error }
	if !errors.As(err, &all) || len(all.Unwrap()) != len(ops) {
		t.Fatalf("error %v, want one for each of %d operations", err, len(ops))
	}
	for _, err := range all.Unwrap() {
		var oe *ipvs.OpError
		if !errors.As(err, &oe) || oe.Rest || !errors.Is(err, unix.ENOENT) {
			t.Errorf("error %v, want %v", err, unix.ENOENT)
		}
	}
}

// many returns a table of that many services and destinations in all.
func many(services, destinations int) ipvs.Services {
	var out ipvs.Services
	for i := range services {
		s := ipvs.Service{Settings: ipvs.Settings{Scheduler: "rr"},
			Key: ipvs.Key{Mark: uint32(i + 1), Family: ipvs.IPv4}}
		for j := range destinations / services {
			s.Destinations = append(s.Destinations,
				realServer(fmt.Sprintf("10.%d.%d.%d:80", i, j/250, j%250+1), 1))
		}
		out = append(out, s)
	}
	return out
}

// TestKernelListsALargeTable needs many datagrams.
func TestKernelListsALargeTable(t *testing.T) {
	k := kernelTable(t)
	want := many(3, 3000)
	mustApply(t, k, ipvs.Diff(nil, want)...)
	if diff := cmp.Diff(want.Canonical(), mustList(t, k).Canonical()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// BenchmarkKernelFill fills a table with 5,000 destinations in 20 services, in batches and with an
// exchange for each, and reads it.
func BenchmarkKernelFill(b *testing.B) {
	k := kernelTable(b)
	ops := ipvs.Diff(nil, many(20, 5000))
	flush := func() {
		b.StopTimer()
		if err := k.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.Run("batched", func(b *testing.B) {
		for b.Loop() {
			flush()
			if err := k.Apply(b.Context(), ops); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			if _, err := k.List(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one by one", func(b *testing.B) {
		for b.Loop() {
			flush()
			for _, op := range ops {
				if err := k.Apply(b.Context(), []ipvs.Op{op}); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
