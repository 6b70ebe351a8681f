package ipvs_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
	"github.com/tandemlb/tandem/internal/bubbletest"
)

// reconciled is a Reconciler at work on a table in memory, inside a synctest bubble.
type reconciled struct {
	*ipvs.Reconciler
	*ipvstest.Memory
	t    *testing.T
	stop func() error
}

func reconcile(
	t *testing.T, table ipvs.Table, m *ipvstest.Memory, o ipvs.Options,
) *reconciled {
	r := ipvs.New(table, o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop := func() error {
		cancel()
		return <-ended
	}
	return &reconciled{Reconciler: r, Memory: m, t: t, stop: stop}
}

func reconcileMemory(t *testing.T, m *ipvstest.Memory, o ipvs.Options) *reconciled {
	return reconcile(t, m, m, o)
}

// set wants ss and waits until all is quiet.
func (r *reconciled) set(ss ipvs.Services) {
	r.Set(ss)
	synctest.Wait()
}

// after lets d pass on the bubble's clock, which jumps: nothing really sleeps.
func (r *reconciled) after(d time.Duration) {
	bubbletest.Pass(d)
}

// expect compares the table.
func (r *reconciled) expect(want ipvs.Services) {
	r.t.Helper()
	got := mustList(r.t, r.Memory)
	if diff := cmp.Diff(want.Canonical(), got.Canonical()); diff != "" {
		r.t.Errorf("table (-want +got):\n%s", diff)
	}
}

// commands compares what was carried out since the last call.
func (r *reconciled) commands(want ...string) {
	r.t.Helper()
	var got []string
	for _, op := range r.Applied() {
		got = append(got, op.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func webWith(ds ...ipvs.Destination) ipvs.Services {
	return ipvs.Services{{Key: web, Settings: wlc(), Destinations: ds}}
}

func TestReconcilerMakesItSoAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := reconcileMemory(t, &ipvstest.Memory{}, ipvs.Options{})
		r.set(webWith(realServer("192.168.2.11:80", 1)))
		r.commands("ipvsadm -A -t 192.168.1.1:80 -s wlc",
			"ipvsadm -a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1")
		r.set(webWith(realServer("192.168.2.11:80", 5)))
		r.commands("ipvsadm -e -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 5")
		want := ipvs.Status{Passes: 2, Changes: 3, Synced: true}
		if diff := cmp.Diff(want, r.Status()); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		r.commands("ipvsadm -D -t 192.168.1.1:80")
		r.expect(nil)
	})
}

// counting counts looks at the table it wraps, and at services in it.
type counting struct {
	ipvs.Table
	lists, gets, applies atomic.Int64
}

func (c *counting) Apply(ctx context.Context, ops []ipvs.Op) error {
	c.applies.Add(1)
	return c.Table.Apply(ctx, ops)
}

func (c *counting) List(ctx context.Context) (ipvs.Services, error) {
	c.lists.Add(1)
	return c.Table.List(ctx)
}

func (c *counting) Get(ctx context.Context, k ipvs.Key) (ipvs.Services, error) {
	c.gets.Add(1)
	return c.Table.Get(ctx, k)
}

func TestReconcilerLooksAtTheServiceThatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &ipvstest.Memory{}
		table := &counting{Table: m}
		r := reconcile(t, table, m, ipvs.Options{})
		a, b := realServer("192.168.2.11:80", 1), realServer("192.168.2.12:80", 1)
		named := ipvs.Service{Key: dns, Settings: ipvs.Settings{Scheduler: "rr"}}
		r.set(append(webWith(a), named))
		m.Applied()
		// A change of another service meanwhile is drift still, and left to the next look.
		drift := ipvs.Op{Kind: ipvs.SetService, Key: dns, Settings: wlc()}
		mustApply(t, m, drift)
		r.SetService(webWith(a, b)[0])
		synctest.Wait()
		r.commands(drift.String(), "ipvsadm -a -t 192.168.1.1:80 -r 192.168.2.12:80 -m -w 1")
		if table.lists.Load() != 1 || table.gets.Load() != 1 {
			t.Errorf("%d looks at the table and %d at a service, want 1 and 1",
				table.lists.Load(), table.gets.Load())
		}
		r.after(ipvs.Interval)
		r.commands("ipvsadm -E -u 192.168.1.1:53 -s rr")
		if s := r.Status(); !s.Synced || s.Repairs != 1 || s.Changes != 4 {
			t.Errorf("status %+v, want synced after 4 changes and a repair", s)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		r.expect(nil)
	})
}

// TestReconcilerLooksAtTheTableUnderChanges checks that changes do not put off the periodic look.
func TestReconcilerLooksAtTheTableUnderChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &ipvstest.Memory{}
		table := &counting{Table: m}
		r := reconcile(t, table, m, ipvs.Options{})
		r.set(webWith())
		const often = 10
		for i := range 3 * often {
			r.SetService(webWith(realServer("192.168.2.11:80", i))[0])
			r.after(ipvs.Interval / often)
		}
		if n := table.lists.Load(); n != 4 {
			t.Errorf("%d looks at the table in 3 intervals, want 4", n)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestReconcilerRetriesOneService fails a change of one service, and the look at it.
func TestReconcilerRetriesOneService(t *testing.T) {
	for _, tt := range []struct {
		name         string
		change, look error
		want         error
		failures     uint64
	}{
		{"change", unix.ENOMEM, nil, unix.ENOMEM, 1},
		{"look", nil, unix.ENOBUFS, unix.ENOBUFS, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &ipvstest.Memory{}
				table := &counting{Table: m}
				r := reconcile(t, table, m, ipvs.Options{})
				a := realServer("192.168.2.11:80", 1)
				r.set(webWith())
				m.Fail(func(ipvs.Op) error { return tt.change }, tt.look)
				r.SetService(webWith(a)[0])
				synctest.Wait()
				s := r.Status()
				if s.Synced || s.Failures != tt.failures || !errors.Is(s.Services[web], tt.want) {
					t.Errorf("status %+v, want %v of %s", s, tt.want, web)
				}
				m.Fail(nil, nil)
				r.after(100 * time.Millisecond)
				r.expect(webWith(a))
				if s := r.Status(); !s.Synced || s.Services != nil {
					t.Errorf("status %+v, want synced", s)
				}
				if table.lists.Load() != 1 || table.gets.Load() != 2 {
					t.Errorf("%d looks at the table and %d at a service, want 1 and 2",
						table.lists.Load(), table.gets.Load())
				}
				if err := r.stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestReconcilerIsToldOneByOne checks that it makes no difference whether all is said or only what
// changes.
func TestReconcilerIsToldOneByOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		first, second := drawServices(rt, "first"), drawServices(rt, "second")
		want := slices.Clone(first)
		synctest.Test(t, func(t *testing.T) {
			m := &ipvstest.Memory{}
			r := reconcileMemory(t, m, ipvs.Options{})
			r.Set(first)
			for _, s := range second {
				r.SetService(s)
				if i := slices.IndexFunc(want, func(o ipvs.Service) bool {
					return o.Key == s.Key
				}); i >= 0 {
					want[i] = s
				} else {
					want = append(want, s)
				}
				if rapid.Bool().Draw(rt, "wait") {
					synctest.Wait()
				}
			}
			synctest.Wait()
			r.expect(want)
			if err := r.stop(); err != nil {
				t.Error(err)
			}
		})
	})
}

func TestReconcilerRepairsDrift(t *testing.T) {
	ctx := context.Background()
	a, b := realServer("192.168.2.11:80", 1), realServer("192.168.2.12:80", 1)
	want := webWith(a, b)
	for _, tt := range []struct {
		name  string
		drift []ipvs.Op
	}{
		{"service deleted", []ipvs.Op{{Kind: ipvs.DeleteService, Key: web}}},
		{"destination deleted", []ipvs.Op{destinationOp(ipvs.DeleteDestination, a)}},
		{"destination added", []ipvs.Op{
			destinationOp(ipvs.AddDestination, realServer("192.168.2.99:80", 1))}},
		{"weight changed", []ipvs.Op{
			destinationOp(ipvs.SetDestination, realServer("192.168.2.11:80", 0))}},
		{"scheduler changed", []ipvs.Op{{Kind: ipvs.SetService, Key: web,
			Settings: ipvs.Settings{Scheduler: "rr"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := reconcileMemory(t, &ipvstest.Memory{}, ipvs.Options{})
				r.set(want)
				if err := r.Apply(ctx, tt.drift); err != nil {
					t.Fatal(err)
				}
				have := mustList(t, r.Memory)
				r.after(ipvs.Interval)
				r.expect(want)
				s := r.Status()
				if n := uint64(len(ipvs.Diff(have, want))); s.Repairs != n {
					t.Errorf("counted %d repairs, want %d", s.Repairs, n)
				}
				if s.Changes != 3 || !s.Synced {
					t.Errorf("status %+v, want 3 changes and synced", s)
				}
				if err := r.stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestReconcilerLeavesOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		others := ipvs.Services{{Key: dns, Settings: wlc()}}
		r := reconcileMemory(t, fill(t, others), ipvs.Options{})
		r.set(webWith())
		r.expect(slices.Concat(webWith(), others))
		r.set(nil)
		r.expect(others)
		// Once it is gone a service under the same key is somebody else's.
		r.after(ipvs.Interval)
		mustApply(t, r.Memory, addWeb())
		r.after(2 * ipvs.Interval)
		r.expect(slices.Concat(webWith(), others))
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		r.expect(slices.Concat(webWith(), others))
	})
}

func TestReconcilerTouchesNothingBeforeItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := webWith(realServer("192.168.2.11:80", 1))
		all := func(ipvs.Key) bool { return true }
		r := reconcileMemory(t, fill(t, left), ipvs.Options{Owns: all})
		r.after(3 * ipvs.Interval)
		r.expect(left)
		r.set(nil)
		r.expect(nil)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestReconcilerAdoptsWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := realServer("192.168.2.11:80", 1), realServer("192.168.2.12:80", 1)
		r := reconcileMemory(t, fill(t, webWith(a, b)), ipvs.Options{})
		r.set(webWith(a, realServer("192.168.2.12:80", 2)))
		r.commands("ipvsadm -e -t 192.168.1.1:80 -r 192.168.2.12:80 -m -w 2")
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		r.expect(nil)
	})
}

func TestReconcilerKeepsTheTableIfTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := reconcileMemory(t, &ipvstest.Memory{}, ipvs.Options{Keep: true})
		r.set(webWith())
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		r.expect(webWith())
	})
}

func TestReconcilerIsNotHeldUpByABadService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := ipvs.Service{Key: dns, Settings: ipvs.Settings{Scheduler: "none-such"}}
		bad.Destinations = []ipvs.Destination{realServer("192.168.2.11:53", 1)}
		r := reconcileMemory(t, &ipvstest.Memory{}, ipvs.Options{})
		r.set(append(ipvs.Services{bad}, webWith()...))
		r.expect(webWith())
		s := r.Status()
		if err := s.Services[dns]; !errors.Is(err, unix.ENOENT) || s.Synced {
			t.Errorf("status %+v, want ENOENT for %s", s, dns)
		}
		if s.Changes != 1 || s.Failures != 2 {
			t.Errorf("%d changes and %d failures, want 1 and 2", s.Changes, s.Failures)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestReconcilerBacksOff(t *testing.T) {
	want := webWith(realServer("192.168.2.11:80", 1))
	for _, tt := range []struct {
		name string
		tell func(*reconciled)
	}{
		{"all wanted anew", func(r *reconciled) { r.Set(want) }},
		{"the service wanted anew", func(r *reconciled) { r.SetService(want[0]) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var attempts []time.Duration
				start := time.Now()
				m := &ipvstest.Memory{}
				m.Fail(func(op ipvs.Op) error {
					attempts = append(attempts, time.Since(start))
					return unix.ENOMEM
				}, nil)
				r := reconcileMemory(t, m, ipvs.Options{})
				r.set(webWith())
				r.after(time.Minute)
				waits := []time.Duration{0, 100, 300, 700, 1500, 3100, 6300, 12700, 25500, 51100}
				for i := range waits {
					waits[i] *= time.Millisecond
				}
				if diff := cmp.Diff(waits, attempts); diff != "" {
					t.Errorf("attempts (-want +got):\n%s", diff)
				}
				// It is reason to try again at once.
				m.Fail(nil, nil)
				tt.tell(r)
				synctest.Wait()
				r.expect(want)
				if s := r.Status(); !s.Synced || s.Services != nil || s.Repairs != 0 {
					t.Errorf("status %+v, want synced and no repairs", s)
				}
				if err := r.stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestReconcilerOutlivesAnUnreadableTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &ipvstest.Memory{}
		m.Fail(nil, unix.ENOBUFS)
		var told []ipvs.Status
		r := reconcileMemory(t, m, ipvs.Options{Changed: func(s ipvs.Status) { told = append(told, s) }})
		r.set(webWith())
		if s := r.Status(); !errors.Is(s.List, unix.ENOBUFS) || s.Synced {
			t.Errorf("status %+v, want ENOBUFS", s)
		}
		m.Fail(nil, nil)
		r.after(100 * time.Millisecond)
		r.expect(webWith())
		if len(told) != 2 || told[0].List == nil || !told[1].Synced {
			t.Errorf("told %+v, want the failure and the recovery", told)
		}
		m.Fail(nil, unix.ENOBUFS)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		m.Fail(nil, nil)
		r.expect(nil)
	})
}

func TestReconcilerReportsWhatItCannotWithdraw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := reconcileMemory(t, &ipvstest.Memory{}, ipvs.Options{})
		r.set(slices.Concat(webWith(), ipvs.Services{{Key: dns, Settings: wlc()}}))
		r.Fail(func(op ipvs.Op) error {
			if op.Key == web {
				return unix.EPERM
			}
			return nil
		}, nil)
		err := r.stop()
		want := "withdraw: ipvsadm -D -t 192.168.1.1:80: operation not permitted"
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
		r.expect(webWith())
	})
}
