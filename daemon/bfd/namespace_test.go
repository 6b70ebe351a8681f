package bfd_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/bfd"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// limit is much longer than anything here takes.
const limit = 20 * time.Second

// own and others are the addresses of the two nodes, by family.
var (
	own    = netip.MustParseAddr("192.168.1.2")
	other  = netip.MustParseAddr("192.168.1.3")
	own6   = netip.MustParseAddr("2001:db8::2")
	other6 = netip.MustParseAddr("2001:db8::3")
	ownLL  = netip.MustParseAddr("fe80::2")
	otherL = netip.MustParseAddr("fe80::3")
)

// nodes returns two that have those addresses.
func nodes(t *testing.T) (a, b *netiftest.Node) {
	t.Helper()
	a, b = netiftest.Pair(t)
	for n, addrs := range map[*netiftest.Node][]netip.Addr{a: {own6, ownLL}, b: {other6, otherL}} {
		for _, addr := range addrs {
			i := n.Host.Interface(netiftest.Device)
			if err := i.AddAddr(netip.PrefixFrom(addr, 64), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	return a, b
}

// director is a Speaker that runs in a node.
type director struct {
	*bfd.Speaker
	t    *testing.T
	stop func()

	mu      sync.Mutex
	changes []bfd.Change
	logged  strings.Builder
}

// speak starts a Speaker in a node.
func speak(t *testing.T, n *netiftest.Node, sessions ...bfd.Config) *director {
	t.Helper()
	d := &director{t: t}
	d.Speaker = bfd.NewSpeaker(slog.New(slog.NewTextHandler(d, nil)), func(c bfd.Change) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.changes = append(d.changes, c)
	})
	if err := d.Set(sessions); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go n.Do(func() { over <- d.Run(ctx) })
	d.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("changes %v\nlog:\n%s", d.changes, d.logged.String())
		}
	})
	t.Cleanup(d.stop)
	return d
}

// Write is for the log.
func (d *director) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.logged.Write(b)
}

// status returns where the first session stands.
func (d *director) status() bfd.Status { return d.States()[0] }

// await waits until the first session is as asked.
func (d *director) await(what string, is func(bfd.Status) bool) bfd.Status {
	d.t.Helper()
	var last bfd.Status
	await(d.t, what, func() bool {
		last = d.status()
		return is(last)
	})
	return last
}

// awaitState waits until the first session has that state.
func (d *director) awaitState(s bfd.State) bfd.Status {
	d.t.Helper()
	return d.await(s.String(), func(st bfd.Status) bool { return st.State == s })
}

// awaitAgreed waits until the first session is Up with those times.
func (d *director) awaitAgreed(interval, detection time.Duration) bfd.Status {
	d.t.Helper()
	what := fmt.Sprintf("Up, %s and %s", interval, detection)
	return d.await(what, func(s bfd.Status) bool {
		return s.State == bfd.Up && s.Interval == interval && s.Detection == detection
	})
}

// await asks again and again until it is so.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(limit); !is(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("no %s after %s", what, limit)
		}
	}
}

// to is a session.
func to(neighbor, source netip.Addr) bfd.Config {
	return bfd.Config{
		Name: "n", Neighbor: neighbor, Source: source,
		Params: bfd.Params{
			MinTx: 50 * time.Millisecond, MinRx: 50 * time.Millisecond, Multiplier: 3,
		},
	}
}

// TestKernel runs two Speakers on the kernel's sockets: they come Up, miss each other when the
// cable is pulled, and come Up again.
func TestKernel(t *testing.T) {
	tests := []struct {
		name     string
		a, b     netip.Addr
		named    bool // both name their source
		multihop bool
	}{
		{name: "IPv4", a: own, b: other},
		{name: "IPv4, sources named", a: own, b: other, named: true},
		{name: "IPv4 multihop", a: own, b: other, multihop: true},
		{name: "IPv6", a: own6, b: other6},
		{name: "IPv6, sources named", a: own6, b: other6, named: true},
		{name: "IPv6 multihop", a: own6, b: other6, named: true, multihop: true},
		{name: "IPv6 link-local", a: ownLL, b: otherL},
		{name: "IPv6 link-local, sources named", a: ownLL, b: otherL, named: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			session := func(neighbor, source netip.Addr) bfd.Config {
				if neighbor.IsLinkLocalUnicast() {
					neighbor = neighbor.WithZone(netiftest.Device)
				}
				if !tt.named {
					source = netip.Addr{}
				}
				c := to(neighbor, source)
				c.Multihop = tt.multihop
				return c
			}
			na, nb := nodes(t)
			a, b := speak(t, na, session(tt.b, tt.a)), speak(t, nb, session(tt.a, tt.b))
			for _, d := range []*director{a, b} {
				d.awaitAgreed(50*time.Millisecond, 150*time.Millisecond)
			}
			na.Plug(false)
			a.awaitState(bfd.Down)
			b.awaitState(bfd.Down)
			t.Logf("a missed b %s after its last packet", a.missed())
			na.Plug(true)
			for _, d := range []*director{a, b} {
				st := d.awaitState(bfd.Up)
				if len(st.Drops) > 0 || len(d.Drops()) > 0 {
					t.Errorf("drops %v and %v, want none", st.Drops, d.Drops())
				}
			}
			a.stop()
			if st := b.awaitState(bfd.Down); st.Reason != bfd.ReasonAdminDown {
				t.Errorf("Down because of %s, want %s", st.Reason, bfd.ReasonAdminDown)
			}
		})
	}
}

// missed returns how long after the last packet silence was believed, the last time.
func (d *director) missed() time.Duration {
	st := d.status()
	return st.Since.Sub(st.HeardAt)
}
