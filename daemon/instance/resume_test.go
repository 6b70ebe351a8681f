package instance_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

func resumed(g *instance.Group) { g.Resume = true }

// TestResume starts where a worker died as master: at once, and without touching the VIP first.
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		l := b.links[0]("").(*simLink)
		if err := l.AddAddr(vip, 3*time.Second); err != nil {
			t.Fatal(err)
		}
		l.typed = nil
		d := b.start(0, resumed)
		synctest.Wait()
		if got := d.state(); got != vrrp.Master {
			t.Errorf("at once: %s, want %s", got, vrrp.Master)
		}
		want := []string{
			"ip addr replace 192.168.1.1/32 valid_lft 4s", "arping -U -c 5 [192.168.1.1]",
		}
		l.mu.Lock()
		if diff := cmp.Diff(want, l.typed); diff != "" {
			t.Errorf("typed (-want +got):\n%s", diff)
		}
		l.mu.Unlock()
		if diff := cmp.Diff([]vrrp.Reason{vrrp.ReasonResumed}, d.reasons()); diff != "" {
			t.Errorf("reasons (-want +got):\n%s", diff)
		}
		d.halt()
	})
}

// TestResumeIsFast measures, on a real wire, from Run to the first advert. A worker that takes an
// interval for it makes its peer take over.
func TestResumeIsFast(t *testing.T) {
	a, node := netiftest.Pair(t)
	b := realBench(t, a, node)
	ear, err := node.Host.Interface(netiftest.Device).Listen(51)
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan time.Time, 100)
	go func() { _ = ear.Receive(func(netif.Packet) { heard <- time.Now() }) }()
	best := time.Hour
	for range 5 {
		begin := time.Now()
		d := b.start(0, resumed)
		select {
		case at := <-heard:
			best = min(best, at.Sub(begin))
		case <-time.After(b.limit):
			t.Fatal("no advert")
		}
		d.halt()
		for len(heard) > 0 {
			<-heard
		}
	}
	if err := ear.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("first advert after %s", best)
	// The best of several is that of a machine that does nothing else.
	if limit := 10 * time.Millisecond; best > limit {
		t.Errorf("first advert after %s, want %s", best, limit)
	}
}
