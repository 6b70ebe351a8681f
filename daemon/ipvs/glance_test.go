package ipvs_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
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

// TestGlance changes the kernel's table in every way that a print tells of, and looks again.
func TestGlance(t *testing.T) {
	k := kernelTable(t)
	a, b := realServer("192.168.2.11:80", 1), realServer("192.168.2.12:80", 1)
	heavier, bounded := realServer("192.168.2.11:80", 2), realServer("192.168.2.11:80", 2)
	bounded.Upper = 100
	mark := ipvs.Key{Mark: 7, Family: ipvs.IPv4}
	mustApply(t, k, addWeb(), destinationOp(ipvs.AddDestination, a),
		ipvs.Op{Kind: ipvs.AddService, Key: mark, Settings: wlc()})
	print := func() string {
		t.Helper()
		services := mustList(t, k)
		prints, err := k.Glance(services)
		if err != nil || len(prints) != len(services) || slices.Contains(prints, 0) {
			t.Fatalf("prints of %d services: got %x, %v", len(services), prints, err)
		}
		return fmt.Sprintf("%x", prints)
	}
	last := print()
	for _, op := range []ipvs.Op{
		destinationOp(ipvs.SetDestination, heavier),
		destinationOp(ipvs.SetDestination, bounded),
		destinationOp(ipvs.AddDestination, b),
		destinationOp(ipvs.DeleteDestination, ipvs.Destination{Addr: b.Addr}),
		{Kind: ipvs.AddDestination, Key: mark, Destination: b},
		{Kind: ipvs.SetService, Key: web, Settings: ipvs.Settings{Scheduler: "rr"}},
		{Kind: ipvs.AddService, Key: dns, Settings: wlc()},
		{Kind: ipvs.DeleteService, Key: web},
	} {
		if again := print(); again != last {
			t.Errorf("before %s: got %s, want %s, for nothing has changed", op, again, last)
		}
		mustApply(t, k, op)
		now := print()
		if now == last {
			t.Errorf("after %s: got the same print, want another", op)
		}
		last = now
	}
	if got, err := k.Glance(webWith()); err != nil || got[0] != 0 {
		t.Errorf("a service that is not there: got %x, %v, want none", got, err)
	}
}

// TestGlanceOfMore has destinations in the table that are not wanted.
func TestGlanceOfMore(t *testing.T) {
	k := kernelTable(t)
	a, b := realServer("192.168.2.11:80", 1), realServer("192.168.2.12:80", 1)
	mustApply(t, k, addWeb(), destinationOp(ipvs.AddDestination, a))
	want := webWith(a)
	before, err := k.Glance(want)
	if err != nil {
		t.Fatal(err)
	}
	mustApply(t, k, destinationOp(ipvs.AddDestination, b))
	if after, err := k.Glance(want); err != nil || after[0] == before[0] {
		t.Errorf("one more: got %x, %v, want another than %x", after, err, before)
	}
}

// TestGlanceTellsNotAll names services of which there is no print.
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
		"engine": {{Key: sip, Settings: ipvs.Settings{Scheduler: "rr", Engine: "sip", Persistence: time.Minute}}},
	} {
		mustApply(t, k, ipvs.Diff(nil, services)...)
		prints, err := k.Glance(append(services, other))
		if err != nil || prints[0] != 0 || prints[1] == 0 {
			t.Errorf("%s: got %x, %v, want a print of the other one only", name, prints, err)
		}
		mustApply(t, k, ipvs.Diff(services, nil)...)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Glance(nil); err == nil {
		t.Error("closed: got a print, want none")
	}
}

// glancing is a table in memory of which there are prints, unless it is blind.
type glancing struct {
	counting
	m     *ipvstest.Memory
	blind atomic.Bool
	// gate, if it is not nil, is received from before a print is made.
	gate atomic.Pointer[chan bool]
}

func (g *glancing) Glance(services ipvs.Services) ([]uint64, error) {
	if gate := g.gate.Load(); gate != nil {
		<-*gate
	}
	if g.blind.Load() {
		return nil, errors.New("no print")
	}
	prints := make([]uint64, len(services))
	for i := range services {
		found, err := g.m.Get(context.Background(), services[i].Key)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 && !services[i].Key.IsIPv6() {
			h := fnv.New64a()
			_, _ = h.Write([]byte(found.String()))
			prints[i] = h.Sum64()
		}
	}
	return prints, nil
}

// TestReconcilerGlances counts how often the table is listed: when something was wanted, and once
// more to see it; when somebody has changed it; and now and then.
func TestReconcilerGlances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &ipvstest.Memory{}
		table := &glancing{counting: counting{Table: m}, m: m}
		r := reconcile(t, table, m, ipvs.Options{})
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
		looked("quiet", 1)
		mustApply(t, m, ipvs.Op{Kind: ipvs.DeleteService, Key: web})
		r.after(ipvs.Interval)
		r.expect(webWith(a))
		looked("deleted by another", 1)
		r.after(5 * ipvs.Interval)
		looked("repaired", 1)
		r.SetService(webWith(a, b)[0])
		r.after(ipvs.Interval)
		r.expect(webWith(a, b))
		looked("one service wanted", 1)
		r.set(webWith(b))
		r.expect(webWith(b))
		looked("all wanted anew", 1)
		r.after(60 * ipvs.Interval)
		looked("now and then", 3)
		table.blind.Store(true)
		r.after(5 * ipvs.Interval)
		looked("without prints", 5)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestReconcilerLooksAtWhatDiffers counts the looks where few of many services differ, from what was
// wanted or from what they were: at those alone.
func TestReconcilerLooksAtWhatDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &ipvstest.Memory{}
		table := &glancing{counting: counting{Table: m}, m: m}
		r := reconcile(t, table, m, ipvs.Options{})
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
		looked("filled and seen", 2, 0)
		change := func(i int, f func(*ipvs.Service)) {
			want = slices.Clone(want)
			want[i].Destinations = slices.Clone(want[i].Destinations)
			f(&want[i])
		}
		change(3, func(s *ipvs.Service) { s.Destinations = s.Destinations[1:] })
		r.set(want)
		looked("one destination less", 0, 1)
		r.after(ipvs.Interval)
		looked("seen to be so", 0, 1)
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
		looked("seen to be repaired", 0, 1)
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
		m := &ipvstest.Memory{}
		table := &glancing{counting: counting{Table: m}, m: m}
		r := reconcile(t, table, m, ipvs.Options{})
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

// TestReconcilerWantsAnewWhileItLooks has other services wanted during a look that takes longer than
// the time to the next one, which is of the whole table then.
func TestReconcilerWantsAnewWhileItLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &ipvstest.Memory{}
		table := &glancing{counting: counting{Table: m}, m: m}
		r := reconcile(t, table, m, ipvs.Options{})
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
		if n := table.lists.Load(); n != 2 {
			t.Errorf("%d looks at the whole table, want the 2 of the start", n)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}
