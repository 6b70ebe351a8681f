package instance_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// ledger keeps what claims say.
type ledger struct {
	mu     sync.Mutex
	claims []instance.Claim
}

func (l *ledger) note(c instance.Claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.claims = append(l.claims, c)
}

// take returns what has been noted since the last call.
func (l *ledger) take() []instance.Claim {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.claims
	l.claims = nil
	return all
}

var compareAddrs = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

// TestClaims follows what a master claims through its life.
func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		l := b.links[0]("").(*simLink)
		var book ledger
		d := b.start(0, func(g *instance.Group) {
			g.Claims = func(c instance.Claim) {
				<-time.After(time.Millisecond) // whatever has been ordered is done by then
				if c.Held && b.has(0) && c.Priority == 150 && len(c.Addresses) == 1 {
					t.Error("claimed what it had already")
				}
				book.note(c)
			}
		})
		b.awaitState(d, vrrp.Master)
		synctest.Wait()
		want := instance.Claim{
			Instance: "VI_1", Held: true, Interface: "eth0", Index: 1,
			Version: vrrp.V3, VRID: 51, Priority: 150, Interval: time.Second,
			Checksum: vrrp.ChecksumPseudo, Advertised: []netip.Addr{vip.Addr()},
			Source: l.own.Addr(), Dest: netip.MustParseAddr("224.0.0.18"),
			Addresses: []instance.VIP{{Prefix: vip, Device: "eth0"}},
		}
		check := func(what string, want ...instance.Claim) {
			t.Helper()
			if diff := cmp.Diff(want, book.take(), compareAddrs); diff != "" {
				t.Errorf("%s: claims (-want +got):\n%s", what, diff)
			}
		}
		check("master", want)
		if err := d.runner.SetPriority("VI_1", 90); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Millisecond)
		want.Priority = 90
		check("priority", want)

		c := b.config(0)
		c.Router.Priority = 90
		c.VIPs[0].Prefix = second
		if err := d.runner.Change(instance.Group{Members: []instance.Config{c}}); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Millisecond)
		both := want
		both.Advertised = []netip.Addr{second.Addr()}
		both.Addresses = []instance.VIP{
			{Prefix: second, Device: "eth0"}, {Prefix: vip, Device: "eth0"},
		}
		want = both
		want.Addresses = both.Addresses[:1]
		check("another VIP", both, want)

		d.halt()
		want.Held = false
		check("stop", want)
		if left := l.addrs(); len(left) != 1 {
			t.Errorf("left behind: %v", left[1:])
		}
	})
}

// TestClaimOfDeadWorker resigns and withdraws what a claim names that has been to another process.
func TestClaimOfDeadWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := &simWire{}
		l := wire.join("192.168.1.2/24")
		b := &bench{t: t, interval: time.Second, limit: 20 * time.Second}
		b.links[0] = only(l)
		b.addrs = func(int) []netip.Prefix { return l.addrs() }
		ear := listen(t, wire)
		var book ledger
		d := b.start(0, func(g *instance.Group) { g.Claims = book.note })
		b.awaitState(d, vrrp.Master)
		synctest.Wait()
		text, err := json.Marshal(book.take()[0])
		if err != nil {
			t.Fatal(err)
		}
		var c instance.Claim
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		if err := c.Resign(b.links[0]); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if a := ear.last(); a.Priority != 0 || !slices.Equal(a.Addrs, c.Advertised) {
			t.Errorf("advert %v, want a resignation for %v", a, c.Advertised)
		}
		if err := c.Withdraw(b.links[0]); err != nil {
			t.Fatal(err)
		}
		if b.has(0) {
			t.Error("the VIP is still there")
		}
		d.halt()
	})
}

// TestPing asks an owner that turns, one that is stuck, and one that has ended.
func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		l := b.links[0]("").(*simLink)
		d := b.start(0, nil)
		b.awaitState(d, vrrp.Master)
		ping := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			return d.runner.Ping(ctx)
		}
		if err := ping(); err != nil {
			t.Errorf("while it turns: %v", err)
		}
		release := make(chan struct{})
		l.mu.Lock()
		l.stuck = release
		l.mu.Unlock()
		pass(2 * time.Second)
		if err := ping(); err == nil {
			t.Error("while it is stuck: no error")
		}
		l.mu.Lock()
		l.stuck = nil
		l.mu.Unlock()
		close(release)
		d.halt()
		if err := ping(); err == nil {
			t.Error("after its end: no error")
		}
	})
}
