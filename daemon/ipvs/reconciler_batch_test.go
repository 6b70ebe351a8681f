package ipvs_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
)

// TestReconcilerDoesAllInOneGo checks that many services are one batch, of which each keeps its own
// error and its own retry.
func TestReconcilerDoesAllInOneGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &ipvstest.Memory{}
		table := &counting{Table: m}
		r := reconcile(t, table, m, ipvs.Options{})
		want := append(webWith(realServer("192.168.2.11:80", 1)),
			ipvs.Service{Key: dns, Settings: wlc()}, ipvs.Service{Key: mark, Settings: wlc()})
		m.Fail(func(op ipvs.Op) error {
			return map[ipvs.Key]error{web: unix.ENOMEM, mark: unix.EPERM}[op.Key]
		}, nil)
		r.set(want)
		if n := table.applies.Load(); n != 1 {
			t.Errorf("%d batches, want 1", n)
		}
		s := r.Status()
		if len(s.Services) != 2 || !errors.Is(s.Services[web], unix.ENOMEM) ||
			!errors.Is(s.Services[mark], unix.EPERM) {
			t.Errorf("errors %v, want ENOMEM of %s and EPERM of %s", s.Services, web, mark)
		}
		if s.Changes != 1 || s.Failures != 3 {
			t.Errorf("%d changes and %d failures, want 1 and 3", s.Changes, s.Failures)
		}
		r.expect(ipvs.Services{want[1]})
		m.Fail(nil, nil)
		r.after(time.Second)
		r.expect(want)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestReconcilerOutlivesALostAnswer loses the answer to the first batch, although part of it was
// carried out.
func TestReconcilerOutlivesALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &ipvstest.Memory{}
		r := reconcileMemory(t, m, ipvs.Options{})
		want := append(webWith(realServer("192.168.2.11:80", 1)),
			ipvs.Service{Key: dns, Settings: wlc()}, ipvs.Service{Key: mark, Settings: wlc()})
		m.Fail(func(op ipvs.Op) error {
			if op.Kind == ipvs.AddDestination {
				return context.DeadlineExceeded
			}
			return nil
		}, nil)
		r.set(want)
		s := r.Status()
		for _, k := range []ipvs.Key{web, dns, mark} {
			if !errors.Is(s.Services[k], context.DeadlineExceeded) {
				t.Errorf("%s: %v, want %v", k, s.Services[k], context.DeadlineExceeded)
			}
		}
		if s.Changes != 1 || s.Failures != 3 {
			t.Errorf("%d changes and %d failures, want 1 and 3", s.Changes, s.Failures)
		}
		r.expect(webWith())
		m.Fail(nil, nil)
		r.after(time.Second)
		r.expect(want)
		if s := r.Status(); !s.Synced || s.Repairs != 0 {
			t.Errorf("status %+v, want synced without repairs", s)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestReconcilerCountsARepairThatFailsAtFirst also counts what was repaired at once beside it.
func TestReconcilerCountsARepairThatFailsAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := realServer("192.168.2.11:80", 1), realServer("192.168.2.12:80", 1)
		m := &ipvstest.Memory{}
		r := reconcileMemory(t, m, ipvs.Options{})
		r.set(webWith(a, b))
		mustApply(t, m, destinationOp(ipvs.DeleteDestination, a),
			destinationOp(ipvs.DeleteDestination, b))
		m.Fail(func(op ipvs.Op) error {
			if op.Destination == b {
				return unix.ENOMEM
			}
			return nil
		}, nil)
		r.after(ipvs.Interval)
		if s := r.Status(); s.Synced || s.Repairs != 1 || s.Failures != 1 {
			t.Errorf("status %+v, want a repair and a failure", s)
		}
		m.Fail(nil, nil)
		r.after(time.Second)
		r.expect(webWith(a, b))
		if s := r.Status(); !s.Synced || s.Repairs != 2 || s.Changes != 3 {
			t.Errorf("status %+v, want synced after 3 changes and 2 repairs", s)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestReconcilersShareATable lets two daemons and an operator use one table.
func TestReconcilersShareATable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		byHand := ipvs.Services{{Key: mark, Settings: wlc()}}
		m := fill(t, byHand)
		a, b := reconcileMemory(t, m, ipvs.Options{}), reconcileMemory(t, m, ipvs.Options{})
		ofA := webWith(realServer("192.168.2.11:80", 1))
		ofB := ipvs.Services{{Key: dns, Settings: wlc()}}
		a.set(ofA)
		b.set(ofB)
		a.after(3 * ipvs.Interval)
		a.expect(slices.Concat(byHand, ofA, ofB))
		if a, b := a.Status(), b.Status(); a.Repairs != 0 || b.Repairs != 0 {
			t.Errorf("%d and %d repairs, want none", a.Repairs, b.Repairs)
		}
		if err := a.stop(); err != nil {
			t.Error(err)
		}
		b.expect(slices.Concat(byHand, ofB))
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		b.expect(byHand)
	})
}

// mute is a table that does not answer to operations while it is mute.
type mute struct {
	counting
	mute atomic.Bool
}

func (m *mute) Apply(ctx context.Context, ops []ipvs.Op) error {
	if err := m.counting.Apply(ctx, ops[:0]); err != nil {
		return err
	}
	if m.mute.Load() {
		return errors.Join(&ipvs.OpError{Op: ops[0], Err: unix.ETIMEDOUT, Rest: true})
	}
	return m.Table.Apply(ctx, ops)
}

// TestReconcilerFillsInPieces wants many destinations of a table that does not answer, and then
// does: it is asked once, and what is known of none is tried again; later all are carried out, some
// at a time.
func TestReconcilerFillsInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &ipvstest.Memory{}
		table := &mute{counting: counting{Table: m}}
		table.mute.Store(true)
		r := reconcile(t, table, m, ipvs.Options{})
		want := many(10, 5000)
		r.set(want)
		r.expect(nil)
		s := r.Status()
		if n := table.applies.Load(); n != 1 || len(s.Services) != 10 || s.Failures != 5010 {
			t.Errorf("mute: asked %d times, %d services and %d operations failed; want 1, 10, 5010",
				n, len(s.Services), s.Failures)
		}
		for k, err := range s.Services {
			if !errors.Is(err, unix.ETIMEDOUT) {
				t.Errorf("%s: got %v, want ETIMEDOUT", k, err)
			}
		}
		table.mute.Store(false)
		r.set(want)
		r.expect(want)
		s = r.Status()
		if n := table.applies.Load() - 1; n != 5 || !s.Synced || s.Changes != 5010 {
			t.Errorf("asked %d times, synced %t, %d changes; want 5 times all", n, s.Synced, s.Changes)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}
