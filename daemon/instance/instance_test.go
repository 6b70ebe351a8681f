package instance_test

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

var vip = netip.MustParsePrefix("192.168.1.1/32")

// bench is two directors on a LAN, simulated or real.
type bench struct {
	t     *testing.T
	links [2]instance.Links
	// setUp gives node i its carrier or takes it.
	setUp func(i int, up bool)
	// addrs lists the addresses of node i.
	addrs func(i int) []netip.Prefix
	// vip is what has looks for; the zero Prefix is vip.
	vip netip.Prefix
	// interval of the adverts, and limit on waiting for anything.
	interval, limit time.Duration
	// virtual time passes only while all wait: whatever comes first does so every time.
	virtual bool
}

// TestDirectors runs every case simulated, with a clock of its own, and on a real wire.
func TestDirectors(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		run  func(*bench)
	}{
		{"the higher becomes master", testElection},
		{"a planned stop loses no moment", testPlannedStop},
		{"a stop without a successor ends", testLonelyStop},
		{"a failed link hands over and comes back", testLinkFailure},
		{"a failed tracker hands over and comes back", testTracker},
		{"a lower priority hands over", testPriority},
		{"a stop before the start ends", testEarlyStop},
		{"a change moves no VIP that stays", testChange},
	}
	for _, tt := range cases {
		t.Run(tt.name+"/simulated", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tt.run(simulated(t)) })
		})
		t.Run(tt.name+"/real", func(t *testing.T) {
			t.Parallel()
			tt.run(real(t))
		})
	}
}

func simulated(t *testing.T) *bench {
	wire := &simWire{}
	nodes := []*simLink{wire.join("192.168.1.2/24"), wire.join("192.168.1.3/24")}
	return &bench{
		t:        t,
		links:    [2]instance.Links{only(nodes[0]), only(nodes[1])},
		setUp:    func(i int, up bool) { nodes[i].setUp(up) },
		addrs:    func(i int) []netip.Prefix { return nodes[i].addrs() },
		interval: time.Second, limit: 20 * time.Second, virtual: true,
	}
}

func only(l instance.Link) instance.Links { return func(string) instance.Link { return l } }

func real(t *testing.T) *bench {
	a, b := netiftest.Pair(t)
	return realBench(t, a, b)
}

func realBench(t *testing.T, a, b *netiftest.Node) *bench {
	nodes := []*netiftest.Node{a, b}
	return &bench{
		t:     t,
		links: [2]instance.Links{instance.OnHost(a.Host), instance.OnHost(b.Host)},
		setUp: func(i int, up bool) { nodes[i].Plug(up) },
		addrs: func(i int) []netip.Prefix {
			s, err := nodes[i].Host.Interface(netiftest.Device).State()
			if err != nil {
				t.Error(err)
			}
			return s.Addrs
		},
		interval: 100 * time.Millisecond, limit: 20 * time.Second,
	}
}

// config is node i's: the first has the higher priority.
func (b *bench) config(i int) instance.Config {
	return instance.Config{
		Name: "VI_1", Interface: netiftest.Device, VIPs: []instance.VIP{{Prefix: vip}},
		Router: vrrp.Config{
			Version: vrrp.V3, VRID: 51, Priority: uint8(150 - 50*i), Interval: b.interval,
		},
	}
}

// director is a Runner that runs, with what it reported.
type director struct {
	b      *bench
	runner *instance.Runner
	stop   context.CancelFunc
	ended  chan struct{}

	mu    sync.Mutex
	moves []instance.Transition
}

func (b *bench) start(i int, change func(*instance.Group)) *director {
	b.t.Helper()
	d := &director{b: b, ended: make(chan struct{})}
	g := instance.Group{
		Members: []instance.Config{b.config(i)},
		Log:     slog.New(slog.NewTextHandler(io.Discard, nil)),
		OnTransition: func(t instance.Transition) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.moves = append(d.moves, t)
		},
	}
	if change != nil {
		change(&g)
	}
	var err error
	if d.runner, err = instance.New(g, b.links[i]); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.stop = cancel
	go func() {
		defer close(d.ended)
		if err := d.runner.Run(ctx); err != nil {
			b.t.Errorf("Run: %v", err)
		}
	}()
	b.t.Cleanup(d.halt)
	return d
}

// halt stops d and waits for its end.
func (d *director) halt() {
	d.stop()
	<-d.ended
}

func (d *director) state() vrrp.State { return d.runner.Snapshot()[0].State }

func (d *director) reasons() []vrrp.Reason {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []vrrp.Reason
	for _, m := range d.moves {
		all = append(all, m.Reason)
	}
	return all
}

// await looks until cond holds.
func (b *bench) await(what string, cond func() bool) {
	b.t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for begin := time.Now(); !cond(); <-look.C {
		if time.Since(begin) > b.limit {
			b.t.Fatalf("%s: not in %s", what, b.limit)
		}
	}
}

func (b *bench) awaitState(d *director, want vrrp.State) {
	b.t.Helper()
	b.await(want.String(), func() bool { return d.state() == want })
}

func (b *bench) awaitVIP(i int, want bool) {
	b.t.Helper()
	b.await("VIP", func() bool { return b.has(i) == want })
}

func (b *bench) has(i int) bool {
	want := b.vip
	if !want.IsValid() {
		want = vip
	}
	return slices.Contains(b.addrs(i), want)
}

func testElection(b *bench) {
	high, low := b.start(0, nil), b.start(1, nil)
	<-high.runner.Ready()
	<-low.runner.Ready()
	b.awaitState(high, vrrp.Master)
	b.awaitVIP(0, true)
	if b.virtual && len(low.reasons()) > 1 { // else the higher one may have been held up
		b.t.Errorf("the lower one was more than a backup: %v", low.reasons())
	}
	b.awaitState(low, vrrp.Backup)
	b.awaitVIP(1, false)
	b.await("leader", func() bool { return low.runner.Snapshot()[0].LeaderPriority == 150 })
	high.halt()
	low.halt()
	if b.has(0) || b.has(1) {
		b.t.Errorf("VIPs left behind: %t %t", b.has(0), b.has(1))
	}
}

func testPlannedStop(b *bench) {
	high, low := b.start(0, nil), b.start(1, nil)
	b.awaitVIP(0, true)
	high.stop()
	b.await("handover", func() bool {
		if !b.has(0) && !b.has(1) {
			b.t.Error("a moment without the VIP")
			return true
		}
		return !b.has(0)
	})
	<-high.ended
	b.awaitState(low, vrrp.Master)
	if got := high.reasons(); got[len(got)-1] != vrrp.ReasonSuccessor {
		b.t.Errorf("reasons of the first = %v, want the last to be %v", got, vrrp.ReasonSuccessor)
	}
	if got := low.reasons(); got[len(got)-1] != vrrp.ReasonResigned {
		b.t.Errorf("reasons of the second = %v, want the last to be %v", got, vrrp.ReasonResigned)
	}
}

func testLonelyStop(b *bench) {
	alone := b.start(0, nil)
	b.awaitVIP(0, true)
	alone.halt()
	if b.has(0) {
		b.t.Error("VIP left behind")
	}
	if got := alone.reasons(); got[len(got)-1] != vrrp.ReasonNoSuccessor {
		b.t.Errorf("reasons = %v, want the last to be %v", got, vrrp.ReasonNoSuccessor)
	}
}

func testLinkFailure(b *bench) {
	high, low := b.start(0, nil), b.start(1, nil)
	b.awaitVIP(0, true)
	b.setUp(0, false)
	b.awaitState(high, vrrp.Faulty)
	b.awaitVIP(0, false)
	if got := high.runner.Snapshot()[0].Fault; got != vrrp.ReasonLinkDown {
		b.t.Errorf("fault = %v, want %v", got, vrrp.ReasonLinkDown)
	}
	b.awaitState(low, vrrp.Master)
	b.awaitVIP(1, true)
	b.setUp(0, true)
	b.awaitState(high, vrrp.Master)
	b.awaitVIP(0, true)
	b.awaitState(low, vrrp.Backup)
	b.awaitVIP(1, false)
}

func testTracker(b *bench) {
	high, low := b.start(0, nil), b.start(1, nil)
	b.awaitVIP(0, true)
	if err := high.runner.SetTracked("VI_1", false); err != nil {
		b.t.Fatal(err)
	}
	b.await("handover", func() bool {
		if !b.has(0) && !b.has(1) {
			b.t.Error("a moment without the VIP")
			return true
		}
		return !b.has(0)
	})
	b.awaitState(high, vrrp.Faulty)
	b.awaitState(low, vrrp.Master)
	if err := high.runner.SetTracked("VI_1", true); err != nil {
		b.t.Fatal(err)
	}
	b.awaitState(high, vrrp.Master)
	if got := high.reasons(); !slices.Contains(got, vrrp.ReasonTracker) {
		b.t.Errorf("reasons = %v, want %v among them", got, vrrp.ReasonTracker)
	}
}

func testPriority(b *bench) {
	high, low := b.start(0, nil), b.start(1, nil)
	b.awaitVIP(0, true)
	if err := high.runner.SetPriority("VI_1", 10); err != nil {
		b.t.Fatal(err)
	}
	b.awaitState(low, vrrp.Master)
	b.awaitState(high, vrrp.Backup)
	if got := high.runner.Snapshot()[0].Priority; got != 10 {
		b.t.Errorf("priority = %d, want 10", got)
	}
	if err := high.runner.SetPriority("VI_9", 10); err == nil {
		b.t.Error("SetPriority of a foreign instance: no error")
	}
}

func testEarlyStop(b *bench) {
	d := b.start(0, nil)
	d.halt()
	if b.has(0) {
		b.t.Error("VIP left behind")
	}
}

// TestStuckOwner says that a daemon whose loop hangs loses its VIPs, for nobody renews them, and
// that it has itself elected again when it goes on.
func TestStuckOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		l := b.links[0]("").(*simLink)
		d := b.start(0, nil)
		b.awaitVIP(0, true)
		living := time.Now()
		b.await("ten seconds", func() bool {
			if !b.has(0) {
				t.Error("a living daemon lost its VIP")
			}
			return time.Since(living) > 10*time.Second
		})
		release := make(chan struct{})
		l.mu.Lock()
		l.stuck = release
		l.mu.Unlock()
		begin := time.Now()
		b.awaitVIP(0, false)
		lease := instance.DefaultLease(b.interval)
		if took := time.Since(begin); took > lease {
			t.Errorf("VIP stayed for %s, want at most the lease of %s", took, lease)
		}
		l.mu.Lock()
		l.stuck = nil
		l.mu.Unlock()
		b.await("a long sleep", func() bool { return time.Since(begin) > 10*time.Second })
		close(release)
		b.awaitState(d, vrrp.Backup)
		if b.has(0) {
			t.Error("awake again, it has the VIP before it was elected")
		}
		b.awaitState(d, vrrp.Master)
		want := []vrrp.Reason{
			vrrp.ReasonStartup, vrrp.ReasonSilence, vrrp.ReasonStall, vrrp.ReasonSilence,
		}
		if diff := cmp.Diff(want, d.reasons()); diff != "" {
			t.Errorf("reasons (-want +got):\n%s", diff)
		}
		d.halt()
	})
}

// TestRepair says that an address which somebody deletes, or which the kernel refuses for a while,
// comes back.
func TestRepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		l := b.links[0]("").(*simLink)
		d := b.start(0, nil)
		b.awaitVIP(0, true)
		begin := time.Now()
		b.await("second announcement", func() bool { return time.Since(begin) > 6*time.Second })
		if err := l.RemoveAddr(vip); err != nil {
			t.Fatal(err)
		}
		b.awaitVIP(0, true)
		l.mu.Lock()
		l.broken = context.DeadlineExceeded
		l.mu.Unlock()
		b.awaitVIP(0, false) // the lease
		l.mu.Lock()
		l.broken = nil
		l.typed = nil
		l.mu.Unlock()
		b.awaitVIP(0, true)
		b.await("announcement", func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return slices.Contains(l.typed, "arping -U -c 5 [192.168.1.1]")
		})
		if s := d.runner.Snapshot()[0]; s.Errors == 0 || s.LastError == "" {
			t.Errorf("status has %d errors, last %q", s.Errors, s.LastError)
		}
		d.halt()
	})
}

// TestSyncGroup fails one side of a director that has two.
func TestSyncGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer, inner := &simWire{}, &simWire{}
		links := [2]map[string]*simLink{
			{"eth0": outer.join("192.168.1.2/24"), "eth1": inner.join("192.168.2.2/24")},
			{"eth0": outer.join("192.168.1.3/24"), "eth1": inner.join("192.168.2.3/24")},
		}
		b := &bench{t: t, interval: time.Second, limit: 20 * time.Second}
		var directors [2]*director
		for i := range directors {
			b.links[i] = func(name string) instance.Link { return links[i][name] }
			directors[i] = b.start(i, func(g *instance.Group) { twoSides(g) })
		}
		both := func(i int, want vrrp.State) {
			t.Helper()
			b.await("both sides "+want.String(), func() bool {
				s := directors[i].runner.Snapshot()
				return s[0].State == want && s[1].State == want
			})
		}
		both(0, vrrp.Master)
		links[0]["eth1"].setUp(false)
		both(0, vrrp.Faulty)
		begin := time.Now()
		both(1, vrrp.Master)
		// The resignation on the outer side shortens the wait on the inner one.
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("takeover of both sides took %s, want less than 2 s", took)
		}
		links[0]["eth1"].setUp(true)
		both(0, vrrp.Master)
		both(1, vrrp.Backup)
		directors[0].stop()
		both(1, vrrp.Master)
		directors[1].halt()
	})
}

// twoSides makes g the sync group of the outer and the inner side.
func twoSides(g *instance.Group) {
	inner := g.Members[0]
	inner.Name, inner.Interface = "VI_2", "eth1"
	inner.VIPs = []instance.VIP{{Prefix: netip.MustParsePrefix("192.168.2.1/32")}}
	g.Name, g.Members = "G1", append(g.Members, inner)
}

func TestNewRefuses(t *testing.T) {
	links := func(string) instance.Link { return nil }
	good := instance.Config{
		Name: "VI_1", Interface: "eth0", VIPs: []instance.VIP{{Prefix: vip}},
		Router: vrrp.Config{Version: vrrp.V2, VRID: 51, Priority: 100, Interval: time.Second},
	}
	tests := []struct {
		name   string
		change func(*instance.Group)
		want   string
	}{
		{"no member", func(g *instance.Group) { g.Members = nil },
			`make runner of "": no member`},
		{"one name twice", func(g *instance.Group) { g.Members = append(g.Members, good) },
			`make runner of "VI_1": instance "VI_1": named twice`},
		{"no interface", func(g *instance.Group) { g.Members[0].Interface = "" },
			`make runner of "VI_1": instance "VI_1": no interface`},
		{"no VIP", func(g *instance.Group) { g.Members[0].VIPs = nil },
			`make runner of "VI_1": instance "VI_1": no address to advertise: want at least one`},
		{"bad VIP", func(g *instance.Group) {
			g.Members[0].Excluded = []instance.VIP{{}}
		}, `make runner of "VI_1": instance "VI_1": VIP invalid Prefix: not an address`},
		{"bad interval", func(g *instance.Group) {
			g.Members[0].Router.Interval = time.Millisecond
		}, `make runner of "VI_1": instance "VI_1": ` +
			`encode advert: interval 1ms: want 1s to 4m15s in steps of 1s`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := instance.Group{Members: []instance.Config{good}}
			tt.change(&g)
			_, err := instance.New(g, links)
			if err == nil || err.Error() != tt.want {
				t.Errorf("New = %v, want %s", err, tt.want)
			}
		})
	}
}

func TestDefaultLease(t *testing.T) {
	for interval, want := range map[time.Duration]time.Duration{
		10 * time.Millisecond:   3 * time.Second,
		time.Second:             4 * time.Second,
		1100 * time.Millisecond: 5 * time.Second,
		5 * time.Second:         20 * time.Second,
	} {
		if got := instance.DefaultLease(interval); got != want {
			t.Errorf("DefaultLease(%s) = %s, want %s", interval, got, want)
		}
	}
}
