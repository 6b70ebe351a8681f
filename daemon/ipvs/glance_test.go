package ipvs_test

import (
	"errors"
	"hash/fnv"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"

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
	print := func() uint64 {
		t.Helper()
		p, err := k.Glance(mustList(t, k))
		if err != nil {
			t.Fatal(err)
		}
		return p
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
			t.Errorf("before %s: got %x, want %x, for nothing has changed", op, again, last)
		}
		mustApply(t, k, op)
		now := print()
		if now == last {
			t.Errorf("after %s: got the same print, want another", op)
		}
		last = now
	}
	if _, err := k.Glance(webWith()); !errors.Is(err, unix.ESRCH) {
		t.Errorf("a service that is not there: got %v, want ESRCH", err)
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
	if after, err := k.Glance(want); err != nil || after == before {
		t.Errorf("one more: got %x, %v, want another than %x", after, err, before)
	}
}

// TestGlanceTellsNotAll names services of which there is no print.
func TestGlanceTellsNotAll(t *testing.T) {
	k := kernelTable(t)
	six := ipvs.Key{Protocol: ipvs.TCP, Addr: netip.MustParseAddrPort("[2001:db8::1]:80")}
	tunnel := realServer("192.168.2.11:80", 1)
	tunnel.Forward = ipvs.TUN
	for name, services := range map[string]ipvs.Services{
		"IPv6":   {{Key: six, Settings: wlc()}},
		"tunnel": webWith(tunnel),
		"engine": {{Key: web, Settings: ipvs.Settings{Engine: "sip"}}},
	} {
		if _, err := k.Glance(services); err == nil {
			t.Errorf("%s: got a print, want none", name)
		}
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
}

func (g *glancing) Glance(ipvs.Services) (uint64, error) {
	if g.blind.Load() {
		return 0, errors.New("no print")
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(g.m.String()))
	return h.Sum64(), nil
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
