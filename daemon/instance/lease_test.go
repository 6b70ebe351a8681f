package instance_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// renewing is a link whose host renews leases. It notes them.
type renewing struct {
	*simLink
	leases *noted
}

type noted struct {
	mu  sync.Mutex
	all []*notedLease
}

// notedLease is renewed by every touch.
type notedLease struct {
	addrs  []netif.LeasedAddr
	failed func(error)

	mu      sync.Mutex
	renewed time.Time
	touches int
	ended   bool
}

func (l renewing) Lease(a []netif.LeasedAddr, _ time.Duration,
	failed func(error)) (instance.Lease, error) {
	lease := &notedLease{addrs: a, failed: failed, renewed: time.Now()}
	l.leases.mu.Lock()
	defer l.leases.mu.Unlock()
	l.leases.all = append(l.leases.all, lease)
	return lease, nil
}

func (l *notedLease) Touch(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = now
	l.touches++
}

func (l *notedLease) Renewed() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.renewed
}

// touched returns how often it was touched.
func (l *notedLease) touched() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.touches
}

// over says whether it was ended.
func (l *notedLease) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

// backdate has it renewed that long ago.
func (l *notedLease) backdate(ago time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = time.Now().Add(-ago)
}

func (l *notedLease) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

// last returns the last lease, of which there are to be that many, all others ended.
func (n *noted) last(t *testing.T, what string, count int, ended bool) *notedLease {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.all) != count {
		t.Fatalf("%s: %d leases, want %d", what, len(n.all), count)
	}
	for i, l := range n.all {
		if want := ended || i < count-1; l.over() != want {
			t.Errorf("%s: lease %d ended: %t, want %t", what, i, !want, want)
		}
	}
	return n.all[count-1]
}

// TestLeases says what a master does with its lease, and when it is renewed no more.
func TestLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := renewing{(&simWire{}).join("192.168.1.2/24"), &noted{}}
		b := &bench{t: t, interval: time.Second, limit: 20 * time.Second,
			links: [2]instance.Links{only(link)}}
		d := b.start(0, func(g *instance.Group) { g.Members[0].Router.AnnounceDelay = -1 })
		b.awaitState(d, vrrp.Master)
		pass(10 * time.Second)
		typing(link.simLink)
		first := link.leases.last(t, "master", 1, false)
		if n := len(first.addrs); n != 1 || first.addrs[0].Prefix != vip || first.touched() < 9 {
			t.Errorf("leased %v, touched %d times, want %s and 9 or more",
				first.addrs, first.touched(), vip)
		}
		pass(10 * time.Second)
		wantTyped(t, "while it is renewed", typing(link.simLink))

		first.failed(errors.New("no such device"))
		synctest.Wait()
		wantTyped(t, "refused", typing(link.simLink), "ip addr replace 192.168.1.1/32 valid_lft 4s")
		second := link.leases.last(t, "refused", 2, false)
		if s := d.runner.Snapshot()[0]; s.Errors != 1 || s.LastError != "no such device" {
			t.Errorf("refused: errors %d, %q, want 1, that", s.Errors, s.LastError)
		}
		first.failed(errors.New("again")) // nobody cares any more
		synctest.Wait()
		link.leases.last(t, "of an old one", 2, false)

		second.backdate(5 * time.Second) // longer ago than the lease lasts
		second.failed(nil)
		synctest.Wait()
		wantTyped(t, "late", typing(link.simLink),
			"ip addr replace 192.168.1.1/32 valid_lft 4s", "arping -U -c 5 [192.168.1.1]")
		link.leases.last(t, "late", 3, false)
		d.halt()
		link.leases.last(t, "no master", 3, true)
		if left := link.addrs(); len(left) != 1 {
			t.Errorf("left behind: %v", left[1:])
		}
	})
}

// TestLeaseIsKept has a master keep its VIP for several leases: of two seconds, for the kernel counts
// whole ones and a busy machine may hold up a renewal for one.
func TestLeaseIsKept(t *testing.T) {
	t.Parallel()
	a, node := netiftest.Pair(t)
	b := realBench(t, a, node)
	d := b.start(0, func(g *instance.Group) { g.Members[0].Lease = 2 * time.Second })
	b.awaitVIP(0, true)
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for begin := time.Now(); time.Since(begin) < 7*time.Second; <-look.C {
		if !b.has(0) {
			t.Fatalf("the VIP has gone after %s", time.Since(begin))
		}
	}
	if s := d.runner.Snapshot()[0]; s.Errors > 0 || s.Restored > 0 {
		t.Errorf("errors %d (%s), restored %d, want none", s.Errors, s.LastError, s.Restored)
	}
}
