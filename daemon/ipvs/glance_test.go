package ipvs_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
)

// TestGlance changes the kernel's table in every way that a glance tells of, and looks again.
func TestGlance(t *testing.T) {
	k := kernelTable(t)
	a, b := realServer("192.168.2.11:80", 1), realServer("192.168.2.12:80", 1)
	heavier, bounded, direct := a, a, a
	heavier.Weight, bounded.Upper, direct.Forward = 2, 100, ipvs.DR
	lower := bounded
	lower.Lower = 10
	mark := ipvs.Key{Mark: 7, Family: ipvs.IPv4}
	persistent := ipvs.Settings{Scheduler: "rr", Persistence: time.Minute, PersistenceBits: 24,
		Flags: ipvs.OnePacket}
	longer, wider, flagged := persistent, persistent, persistent
	longer.Persistence, wider.PersistenceBits = 2*time.Minute, 16
	flagged.Flags |= ipvs.Sched1
	mustApply(t, k, addWeb(), destinationOp(ipvs.AddDestination, a),
		ipvs.Op{Kind: ipvs.AddService, Key: mark, Settings: wlc()},
		ipvs.Op{Kind: ipvs.AddService, Key: dns, Settings: persistent},
		ipvs.Op{Kind: ipvs.AddDestination, Key: dns, Destination: b})
	look := func(services ipvs.Services) (wrong []ipvs.Key) {
		t.Helper()
		right, err := k.Glance(services)
		if err != nil || len(right) != len(services) {
			t.Fatalf("glance at %d services: got %v, %v", len(services), right, err)
		}
		for i := range services {
			if !right[i] {
				wrong = append(wrong, services[i].Key)
			}
		}
		return wrong
	}
	for _, op := range []ipvs.Op{
		destinationOp(ipvs.SetDestination, heavier),
		destinationOp(ipvs.SetDestination, bounded),
		destinationOp(ipvs.SetDestination, lower),
		destinationOp(ipvs.SetDestination, direct),
		destinationOp(ipvs.AddDestination, b),
		destinationOp(ipvs.DeleteDestination, ipvs.Destination{Addr: a.Addr}),
		destinationOp(ipvs.AddDestination, a),
		{Kind: ipvs.AddDestination, Key: mark, Destination: b},
		{Kind: ipvs.SetService, Key: web, Settings: ipvs.Settings{Scheduler: "rr"}},
		{Kind: ipvs.SetService, Key: dns, Settings: longer},
		{Kind: ipvs.SetService, Key: dns, Settings: wider},
		{Kind: ipvs.SetService, Key: dns, Settings: flagged},
		{Kind: ipvs.SetService, Key: dns, Settings: wlc()},
		{Kind: ipvs.DeleteService, Key: web},
	} {
		was := mustList(t, k)
		if wrong := look(was); wrong != nil {
			t.Errorf("before %s: got %s wrong, want nothing", op, wrong)
		}
		mustApply(t, k, op)
		if wrong := look(was); len(wrong) != 1 || wrong[0] != op.Key {
			t.Errorf("after %s: got %s wrong, want %s", op, wrong, op.Key)
		}
	}
}

// TestGlanceInAnyOrder wants destinations in another order than that in which they were added.
func TestGlanceInAnyOrder(t *testing.T) {
	k := kernelTable(t)
	a, b, c := realServer("192.168.2.11:80", 1), realServer("192.168.2.12:80", 2),
		realServer("192.168.2.13:80", 3)
	mustApply(t, k, ipvs.Diff(nil, webWith(a, b, c))...)
	heavier := b
	heavier.Weight = 5
	for _, tt := range []struct {
		want  ipvs.Services
		right bool
	}{
		{webWith(a, b, c), true}, {webWith(c, a, b), true}, {webWith(c, a, heavier), false},
		{webWith(c, a), false}, {webWith(c, a, b, realServer("192.168.2.14:80", 1)), false},
		{webWith(c, a, realServer("192.168.2.14:80", 2)), false},
	} {
		if got, err := k.Glance(tt.want); err != nil || got[0] != tt.right {
			t.Errorf("%s: got %v, %v, want %t", tt.want, got, err, tt.right)
		}
	}
}

// TestGlanceTellsNotAll names services of which a glance does not tell all.
func TestGlanceTellsNotAll(t *testing.T) {
	k := kernelTable(t)
	six := ipvs.Key{Protocol: ipvs.TCP, Addr: netip.MustParseAddrPort("[2001:db8::1]:80")}
	sip := ipvs.Key{Protocol: ipvs.UDP, Addr: netip.MustParseAddrPort("192.168.1.1:5060")}
	tunnel := realServer("192.168.2.11:80", 1)
	tunnel.Forward = ipvs.TUN
	other := ipvs.Service{Key: dns, Settings: wlc()}
	mustApply(t, k, ipvs.Op{Kind: ipvs.AddService, Key: dns, Settings: other.Settings})
	for name, services := range map[string]ipvs.Services{
		"IPv6":   {{Key: six, Settings: wlc()}},
		"tunnel": webWith(tunnel),
		"engine": {{Key: sip, Settings: ipvs.Settings{Scheduler: "rr", Engine: "sip",
			Persistence: time.Minute}}},
	} {
		mustApply(t, k, ipvs.Diff(nil, services)...)
		right, err := k.Glance(append(services, other))
		if err != nil || right[0] || !right[1] {
			t.Errorf("%s: got %v, %v, want to be told of the other one only", name, right, err)
		}
		mustApply(t, k, ipvs.Diff(services, nil)...)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Glance(nil); err == nil {
		t.Error("closed: want an error")
	}
}

// glancing is a table in memory that can be glanced at, unless it is blind.
type glancing struct {
	counting
	m     *ipvstest.Memory
	blind atomic.Bool
	// gate, if it is not nil, is received from before each glance.
	gate atomic.Pointer[chan bool]
}

// glanced returns a Reconciler of such a table, the table and its memory.
func glanced(t *testing.T) (*ipvstest.Memory, *glancing, *reconciled) {
	t.Helper()
	m := &ipvstest.Memory{}
	table := &glancing{counting: counting{Table: m}, m: m}
	return m, table, reconcile(t, table, m, ipvs.Options{})
}

func (g *glancing) Glance(services ipvs.Services) ([]bool, error) {
	if gate := g.gate.Load(); gate != nil {
		<-*gate
	}
	if g.blind.Load() {
		return nil, errors.New("blind")
	}
	right := make([]bool, len(services))
	for i := range services {
		found, err := g.m.Get(context.Background(), services[i].Key)
		if err != nil {
			return nil, err
		}
		right[i] = !services[i].IsIPv6() && found.Equal(services[i:i+1])
	}
	return right, nil
}

// TestReconcilerGlances counts how often the table is listed: when all is wanted anew, when
// somebody has changed the most of it, and now and then.
func TestReconcilerGlances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, table, r := glanced(t)
		a, b := realServer("192.168.2.11:80", 1), realServer("192.168.2.12:80", 1)
		lists := int64(0)
		looked := func(what string, times int64) {
			t.Helper()
			if n := table.lists.Load() - lists; n != times {
				t.Errorf("%s: %d looks at the whole table, want %d", what, n, times)
			}
			lists = table.lists.Load()
		}
		r.set(webWith(a))
		looked("wanted", 1)
		r.after(10 * ipvs.Interval)
		looked("quiet", 0)
		mustApply(t, m, ipvs.Op{Kind: ipvs.DeleteService, Key: web})
		r.after(ipvs.Interval)
		r.expect(webWith(a))
		looked("deleted by another", 1)
		r.after(5 * ipvs.Interval)
		looked("repaired", 0)
		r.SetService(webWith(a, b)[0])
		r.after(ipvs.Interval)
		r.expect(webWith(a, b))
		looked("one service wanted", 0)
		r.set(webWith(b))
		r.expect(webWith(b))
		looked("all wanted anew", 1)
		r.after(60 * ipvs.Interval)
		looked("now and then", 2)
		table.blind.Store(true)
		r.after(5 * ipvs.Interval)
		looked("blind", 5)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestReconcilerLooksAtWhatDiffers counts the looks where few of many services differ, from what
// was wanted or from what they were: at those alone.
func TestReconcilerLooksAtWhatDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, table, r := glanced(t)
		want := many(10, 50)
		r.set(want)
		r.after(ipvs.Interval)
		var lists, gets int64
		looked := func(what string, newLists, newGets int64) {
			t.Helper()
			r.expect(want)
			l, g := table.lists.Load(), table.gets.Load()
			if l-lists != newLists || g-gets != newGets {
				t.Errorf("%s: %d looks at the whole table and %d at services, want %d and %d", what,
					l-lists, g-gets, newLists, newGets)
			}
			lists, gets = l, g
		}
		looked("filled and seen", 1, 0)
		change := func(i int, f func(*ipvs.Service)) {
			want = slices.Clone(want)
			want[i].Destinations = slices.Clone(want[i].Destinations)
			f(&want[i])
		}
		change(3, func(s *ipvs.Service) { s.Destinations = s.Destinations[1:] })
		r.set(want)
		looked("one destination less", 0, 1)
		r.after(ipvs.Interval)
		looked("seen to be so", 0, 0)
		r.after(ipvs.Interval)
		looked("quiet", 0, 0)
		r.set(want)
		looked("the same wanted again", 0, 0)
		gone := want[5]
		want = slices.Delete(slices.Clone(want), 5, 6)
		r.set(want)
		looked("one service less", 0, 1)
		m.Applied()
		mustApply(t, m, ipvs.Diff(nil, ipvs.Services{gone})...)
		r.after(30 * ipvs.Interval)
		if got := len(m.Applied()); got != 1+len(gone.Destinations) {
			t.Errorf("a service that was ours and is somebody else's: %d operations on it", got)
		}
		want = append(want, gone)
		looked("quiet for long", 1, 0)
		mustApply(t, m, ipvs.Op{Kind: ipvs.DeleteService, Key: want[0].Key})
		r.after(ipvs.Interval)
		looked("one deleted by another", 0, 1)
		r.after(ipvs.Interval)
		looked("seen to be repaired", 0, 0)
		if got := r.Status().Repairs; got != 1+uint64(len(want[0].Destinations)) {
			t.Errorf("%d repairs, want those of one service", got)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestReconcilerWantsAnewWhileItFails has services fail, and something else wanted of them before
// their next attempts: that is made at once, and a service that is wanted no longer goes.
func TestReconcilerWantsAnewWhileItFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _, r := glanced(t)
		want := many(10, 50)
		r.set(want)
		r.after(2 * ipvs.Interval)
		fails := want[2].Key
		m.Fail(func(op ipvs.Op) error {
			if op.Key == fails {
				return unix.ENOMEM
			}
			return nil
		}, nil)
		less := slices.Delete(slices.Clone(want), 2, 3)
		r.set(less)
		r.after(20 * ipvs.Interval)
		r.expect(want)
		if got := len(r.Status().Services); got != 1 {
			t.Errorf("%d services fail, want one", got)
		}
		m.Fail(nil, nil)
		r.set(less)
		r.expect(less)
		m.Fail(func(op ipvs.Op) error { return unix.ENOMEM }, nil)
		r.set(want)
		r.expect(less)
		m.Fail(nil, nil)
		r.set(want)
		r.expect(want)
		if s := r.Status(); !s.Synced {
			t.Errorf("status %+v, want synced", s)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestReconcilerWantsAnewWhileItLooks has other services wanted during a look that takes longer
// than the time to the next one, which is of the whole table then.
func TestReconcilerWantsAnewWhileItLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, table, r := glanced(t)
		want := many(10, 50)
		r.set(want)
		r.after(2 * ipvs.Interval)
		gate := make(chan bool)
		table.gate.Store(&gate)
		r.after(3 * ipvs.Interval)
		want = slices.Delete(slices.Clone(want), 5, 6)
		want[3].Destinations = want[3].Destinations[1:]
		r.Set(want)
		table.gate.Store(nil)
		close(gate)
		synctest.Wait()
		r.expect(want)
		if n := table.lists.Load(); n != 1 {
			t.Errorf("%d looks at the whole table, want that of the start", n)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestReconcilerSeesThatItIsRight has a service fail, and somebody else make it right long before
// its next attempt.
func TestReconcilerSeesThatItIsRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, table, r := glanced(t)
		want := many(10, 50)
		r.set(want[:9])
		r.after(2 * ipvs.Interval)
		m.Fail(func(ipvs.Op) error { return unix.ENOMEM }, nil)
		r.set(want)
		r.after(15 * ipvs.Interval)
		m.Fail(nil, nil)
		mustApply(t, m, ipvs.Diff(nil, want[9:])...)
		r.after(ipvs.Interval)
		if s := r.Status(); !s.Synced || table.lists.Load() != 1 {
			t.Errorf("status %+v after %d lists, want synced after one", s, table.lists.Load())
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}
