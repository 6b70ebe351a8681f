package instance_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

var second = netip.MustParsePrefix("192.168.1.200/32")

// ear hears what is sent on a wire.
type ear struct {
	mu    sync.Mutex
	times []time.Time
	heard []vrrp.Advert
}

func listen(t *testing.T, w *simWire) *ear {
	t.Helper()
	e := &ear{}
	s, err := w.join("192.168.1.250/24").Listen(51)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Receive(e.hear) }()
	t.Cleanup(func() { _ = s.Close() })
	return e
}

func (e *ear) hear(p netif.Packet) {
	a, err := vrrp.Parse(p.Payload, p.From, p.To)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		e.times, e.heard = append(e.times, time.Now()), append(e.heard, a)
	}
}

// longest is the longest silence between two adverts.
func (e *ear) longest() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	var gap time.Duration
	for i := 1; i < len(e.times); i++ {
		gap = max(gap, e.times[i].Sub(e.times[i-1]))
	}
	return gap
}

func (e *ear) last() vrrp.Advert {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard[len(e.heard)-1]
}

// pass lets time go by until everything is quiet.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// testChange takes the first of three VIPs of a network of their own from a master. On a real host
// the kernel removes the others with it.
func testChange(b *bench) {
	c := b.config(0)
	for _, p := range []string{"10.9.9.1/24", "10.9.9.2/24", "10.9.9.3/24"} {
		c.VIPs = append(c.VIPs, instance.VIP{Prefix: netip.MustParsePrefix(p)})
	}
	d := b.start(0, func(g *instance.Group) { g.Members[0] = c })
	has := func(v instance.VIP) bool { return slices.Contains(b.addrs(0), v.Prefix) }
	hasAll := func() bool {
		return !slices.ContainsFunc(c.VIPs, func(v instance.VIP) bool { return !has(v) })
	}
	b.await("all VIPs", hasAll)
	first := c.VIPs[1]
	c.VIPs = slices.Concat(c.VIPs[:1], c.VIPs[2:])
	if err := d.runner.Change(instance.Group{Members: []instance.Config{c}}); err != nil {
		b.t.Fatal(err)
	}
	b.await("one VIP less", func() bool { return !has(first) && hasAll() })
	if s := d.runner.Snapshot()[0]; s.State != vrrp.Master || s.BecameMaster != 1 || s.Errors != 0 {
		b.t.Errorf("after it: %+v, want a master all the time", s)
	}
	d.halt()
	if slices.ContainsFunc(c.VIPs, has) {
		b.t.Errorf("left behind: %v", b.addrs(0))
	}
}

// TestChangeOfMaster changes a master, which stays one and is never silent.
func TestChangeOfMaster(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*instance.Config)
		// typed is what is done to the addresses at once.
		typed string
		check func(*testing.T, vrrp.Advert)
	}{
		{"priority", func(c *instance.Config) { c.Router.Priority = 77 },
			"ip addr replace 192.168.1.1/32 valid_lft 4s",
			func(t *testing.T, a vrrp.Advert) {
				if a.Priority != 77 {
					t.Errorf("priority of the advert: got %d, want 77", a.Priority)
				}
			}},
		{"owner", func(c *instance.Config) { c.Router.Priority = 255 },
			"ip addr replace 192.168.1.1/32 valid_lft 4s",
			func(t *testing.T, a vrrp.Advert) {
				if a.Priority != 255 {
					t.Errorf("priority of the advert: got %d, want 255", a.Priority)
				}
			}},
		{"one VIP more", func(c *instance.Config) {
			c.VIPs = append(c.VIPs, instance.VIP{Prefix: second})
		}, `ip addr replace 192.168.1.1/32 valid_lft 4s
ip addr replace 192.168.1.200/32 valid_lft 4s
arping -U -c 5 [192.168.1.1 192.168.1.200]`,
			func(t *testing.T, a vrrp.Advert) {
				if !slices.Contains(a.Addrs, second.Addr()) {
					t.Errorf("advert of %v: want %s in it", a.Addrs, second.Addr())
				}
			}},
		{"another VIP", func(c *instance.Config) { c.VIPs[0].Prefix = second },
			`ip addr replace 192.168.1.200/32 valid_lft 4s
ip addr del 192.168.1.1/32
ip addr replace 192.168.1.200/32 valid_lft 4s
arping -U -c 5 [192.168.1.200]`, nil},
		{"an excluded VIP more", func(c *instance.Config) {
			c.Excluded = []instance.VIP{{Prefix: second}}
		}, `ip addr replace 192.168.1.1/32 valid_lft 4s
ip addr replace 192.168.1.200/32 valid_lft 4s
arping -U -c 5 [192.168.1.1 192.168.1.200]`, nil},
		{"lease", func(c *instance.Config) { c.Lease = 9 * time.Second },
			"ip addr replace 192.168.1.1/32 valid_lft 9s", nil},
		{"no preemption", func(c *instance.Config) { c.Router.NoPreempt = true },
			"ip addr replace 192.168.1.1/32 valid_lft 4s", nil},
		{"interval", func(c *instance.Config) { c.Router.Interval = 500 * time.Millisecond },
			"ip addr replace 192.168.1.1/32 valid_lft 3s",
			func(t *testing.T, a vrrp.Advert) {
				if a.Interval != 500*time.Millisecond {
					t.Errorf("interval of the advert: got %s, want 500ms", a.Interval)
				}
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wire := &simWire{}
				link := wire.join("192.168.1.2/24")
				b := &bench{t: t, interval: time.Second, limit: 20 * time.Second,
					links: [2]instance.Links{only(link)}}
				ear := listen(t, wire)
				d := b.start(0, nil)
				b.awaitState(d, vrrp.Master)
				pass(20*time.Second + 300*time.Millisecond)
				link.mu.Lock()
				link.typed = nil
				link.mu.Unlock()
				c := b.config(0)
				tt.change(&c)
				if err := d.runner.Change(instance.Group{Members: []instance.Config{c}}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				link.mu.Lock()
				typed := strings.Join(link.typed, "\n")
				link.mu.Unlock()
				if diff := cmp.Diff(tt.typed, typed); diff != "" {
					t.Errorf("done at once (-want +got):\n%s", diff)
				}
				if tt.check != nil {
					tt.check(t, ear.last())
				}
				pass(20 * time.Second)
				if s := d.runner.Snapshot()[0]; s.State != vrrp.Master || s.BecameMaster != 1 {
					t.Errorf("after it: %s, master %d times, want to stay master",
						s.State, s.BecameMaster)
				}
				if gap := ear.longest(); gap > time.Second {
					t.Errorf("longest silence: %s, want at most an interval", gap)
				}
				d.halt()
				if left := link.addrs(); len(left) != 1 {
					t.Errorf("left behind: %v", left[1:])
				}
			})
		})
	}
}

// TestChangeOfBackup changes a backup, which goes on listening to the same master.
func TestChangeOfBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		high, low := b.start(0, nil), b.start(1, nil)
		b.awaitState(high, vrrp.Master)
		pass(10 * time.Second)
		c := b.config(1)
		c.Router.Priority, c.VIPs = 90, append(c.VIPs, instance.VIP{Prefix: second})
		if err := low.runner.Change(instance.Group{Members: []instance.Config{c}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s := low.runner.Snapshot()[0]
		if s.State != vrrp.Backup || s.LeaderPriority != 150 || s.Priority != 90 || len(s.VIPs) != 2 {
			t.Errorf("after it: %+v, want a backup of priority 90 with 2 VIPs, led by 150", s)
		}
		pass(10 * time.Second)
		if got, want := low.reasons(), []vrrp.Reason{vrrp.ReasonStartup}; !slices.Equal(got, want) {
			t.Errorf("reasons = %v, want %v", got, want)
		}
		// Raised above the master, it takes over as the protocol has it; and it does not fall
		// silent when the master ends.
		c.Router.Priority = 200
		if err := low.runner.Change(instance.Group{Members: []instance.Config{c}}); err != nil {
			t.Fatal(err)
		}
		b.awaitState(low, vrrp.Master)
		b.awaitState(high, vrrp.Backup)
		if !b.has(1) || !slices.Contains(b.addrs(1), second) {
			t.Errorf("addresses of the new master: %v, want both VIPs", b.addrs(1))
		}
	})
}

// TestChangeToOwner makes a backup the owner of the addresses, which is master at once.
func TestChangeToOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		high, low := b.start(0, nil), b.start(1, nil)
		b.awaitState(high, vrrp.Master)
		c := b.config(1)
		c.Router.Priority = 255
		if err := low.runner.Change(instance.Group{Members: []instance.Config{c}}); err != nil {
			t.Fatal(err)
		}
		b.awaitState(low, vrrp.Master)
		b.awaitVIP(1, true)
		b.awaitState(high, vrrp.Backup)
	})
}

// TestChangeTakesTheSource gives a master a VIP that is the address it speaks from: it has none
// then, resigns, and comes back with the old configuration.
func TestChangeTakesTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		high, low := b.start(0, nil), b.start(1, nil)
		b.awaitState(high, vrrp.Master)
		good, bad := b.config(0), b.config(0)
		bad.VIPs = append(bad.VIPs, instance.VIP{Prefix: netip.MustParsePrefix("192.168.1.2/24")})
		if err := high.runner.Change(instance.Group{Members: []instance.Config{bad}}); err != nil {
			t.Fatal(err)
		}
		b.awaitState(high, vrrp.Faulty)
		b.awaitState(low, vrrp.Master)
		if got := high.runner.Snapshot()[0].Fault; got != vrrp.ReasonNoSource {
			t.Errorf("fault = %v, want %v", got, vrrp.ReasonNoSource)
		}
		if err := high.runner.Change(instance.Group{Members: []instance.Config{good}}); err != nil {
			t.Fatal(err)
		}
		b.awaitState(high, vrrp.Master)
	})
}

// TestChangeOfSyncGroup changes one side of a group; neither lets go.
func TestChangeOfSyncGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer, inner := &simWire{}, &simWire{}
		links := map[string]*simLink{
			"eth0": outer.join("192.168.1.2/24"), "eth1": inner.join("192.168.2.2/24"),
		}
		b := &bench{t: t, interval: time.Second, limit: 20 * time.Second}
		b.links[0] = func(name string) instance.Link { return links[name] }
		ears := []*ear{listen(t, outer), listen(t, inner)}
		d := b.start(0, twoSides)
		b.awaitState(d, vrrp.Master)
		pass(10 * time.Second)
		g := instance.Group{Members: []instance.Config{b.config(0)}}
		twoSides(&g)
		g.Members[1].Router.Priority = 40
		if err := d.runner.Change(g); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		for i, s := range d.runner.Snapshot() {
			if s.State != vrrp.Master || s.BecameMaster != 1 {
				t.Errorf("side %d: %s, master %d times, want to stay master", i, s.State, s.BecameMaster)
			}
			if gap := ears[i].longest(); gap > time.Second {
				t.Errorf("side %d: silent for %s, want at most an interval", i, gap)
			}
		}
		if got := ears[1].last().Priority; got != 40 {
			t.Errorf("priority of the inner advert: got %d, want 40", got)
		}
		// The group still moves as one.
		links["eth1"].setUp(false)
		b.awaitState(d, vrrp.Faulty)
		d.halt()
	})
}

// TestChangeAtAnyTime changes a group that has not begun, one in fault, and one that leaves.
func TestChangeAtAnyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		l := b.links[0]("").(*simLink)
		l.setUp(false)
		d := b.start(0, nil)
		c := b.config(0)
		c.VIPs[0].Prefix = second
		g := instance.Group{Members: []instance.Config{c}}
		if err := d.runner.Change(g); err != nil { // perhaps before the group has begun
			t.Fatal(err)
		}
		<-d.runner.Ready()
		pass(time.Second)
		if d.state() != vrrp.Faulty {
			t.Errorf("without a link: %s, want Faulty", d.state())
		}
		if err := d.runner.Change(g); err != nil {
			t.Fatal(err)
		}
		l.setUp(true)
		b.awaitState(d, vrrp.Master)
		synctest.Wait()
		if got := b.addrs(0); !slices.Contains(got, second) || slices.Contains(got, vip) {
			t.Errorf("addresses: %v, want %s and not %s", got, second, vip)
		}
		d.stop()
		if err := d.runner.Change(g); err != nil { // has no effect any more
			t.Fatal(err)
		}
		d.halt()
		if left := l.addrs(); len(left) != 1 {
			t.Errorf("left behind: %v", left[1:])
		}
	})
}

// TestChangeRepeatsRemoval takes away a VIP that the kernel does not let go of at first.
func TestChangeRepeatsRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		l := b.links[0]("").(*simLink)
		c := b.config(0)
		c.Lease = -1 // else the kernel would let go of it
		d := b.start(0, func(g *instance.Group) { g.Members = []instance.Config{c} })
		b.awaitState(d, vrrp.Master)
		l.mu.Lock()
		l.held = context.DeadlineExceeded
		l.mu.Unlock()
		c.VIPs = []instance.VIP{{Prefix: second}}
		if err := d.runner.Change(instance.Group{Members: []instance.Config{c}}); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		if !b.has(0) || !slices.Contains(b.addrs(0), second) {
			t.Errorf("addresses: %v, want both", b.addrs(0))
		}
		l.mu.Lock()
		l.held = nil
		l.mu.Unlock()
		b.awaitVIP(0, false)
		d.halt()
	})
}

func TestChangeRefuses(t *testing.T) {
	b := &bench{t: t, interval: time.Second}
	r, err := instance.New(instance.Group{Members: []instance.Config{b.config(0)}},
		func(string) instance.Link { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*instance.Group)
		want   string
	}{
		{"member", func(g *instance.Group) {
			twoSides(g)
		}, "change vrrp VI_1: 2 members: want 1"},
		{"name", func(g *instance.Group) { g.Members[0].Name = "VI_2" },
			`change vrrp VI_1: instance "VI_2": want VI_1 on eth0, version 3, virtual router 51`},
		{"interface", func(g *instance.Group) { g.Members[0].Interface = "eth1" },
			`change vrrp VI_1: instance "VI_1": want VI_1 on eth0, version 3, virtual router 51`},
		{"virtual router", func(g *instance.Group) { g.Members[0].Router.VRID = 1 },
			`change vrrp VI_1: instance "VI_1": want VI_1 on eth0, version 3, virtual router 51`},
		{"version", func(g *instance.Group) { g.Members[0].Router.Version = vrrp.V2 },
			`change vrrp VI_1: instance "VI_1": want VI_1 on eth0, version 3, virtual router 51`},
		{"priority 0", func(g *instance.Group) { g.Members[0].Router.Priority = 0 },
			`change vrrp VI_1: instance "VI_1": priority 0: want 1 to 255`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := instance.Group{Members: []instance.Config{b.config(0)}}
			tt.change(&g)
			if err := r.Change(g); err == nil || err.Error() != tt.want {
				t.Errorf("Change = %v, want %s", err, tt.want)
			}
		})
	}
}
