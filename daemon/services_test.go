package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
	"github.com/tandemlb/tandem/daemon/pool"
)

const twoServers = `virtual_server 192.168.1.1 80 {
    lb_algo rr
    protocol TCP
    sorry_server 192.168.2.200 80
    real_server 192.168.2.11 80 { TCP_CHECK { } }
    real_server 192.168.2.12 80 { TCP_CHECK { } }
}
`

// newServices returns the services of servers in table, which Run will fill, as servicesOf does in
// a configuration that has nothing else. With keep they stay there at the end.
func newServices(
	servers []config.VirtualServer, table ipvs.Table, keep bool, log *slog.Logger,
) (*services, error) {
	return servicesOf(&config.Config{VirtualServers: servers}, table, keep, log)
}

// parse reads virtual servers.
func parse(t *testing.T, text string) []config.VirtualServer {
	t.Helper()
	cfg, ds := config.Parse("test.conf", []byte(text))
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg.VirtualServers
}

// counted counts the looks at the connections of a table in memory.
type counted struct {
	ipvstest.Memory
	looks int
}

func (c *counted) Loads(
	ctx context.Context, k ipvs.Key,
) (map[netip.AddrPort]ipvs.Load, error) {
	c.looks++
	return c.Memory.Loads(ctx, k)
}

// bench is services on a table in memory. No check is carried out: the test reports for them.
type bench struct {
	t *testing.T
	*services
	table counted
	log   strings.Builder
	stop  func() error
}

func newBench(t *testing.T, text string, keep bool) *bench {
	t.Helper()
	b := &bench{t: t}
	log := slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	var err error
	if b.services, err = newServices(parse(t, text), &b.table, keep, log); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done, drained := make(chan error, 1), make(chan struct{})
	go func() { done <- b.reconciler.Run(ctx) }()
	go func() {
		defer close(drained)
		b.drain(ctx)
	}()
	b.stop = sync.OnceValue(func() error {
		cancel()
		<-drained
		return <-done
	})
	return b
}

// reload replaces the configuration.
func (b *bench) reload(text string) {
	b.t.Helper()
	if err := b.set(parse(b.t, text)); err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
}

// commands are those carried out since the last call, one a line.
func (b *bench) commands() string {
	var lines strings.Builder
	for _, op := range b.table.Applied() {
		fmt.Fprintln(&lines, op)
	}
	return lines.String()
}

// logged compares the log.
func (b *bench) logged(want string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.log.String()); diff != "" {
		b.t.Errorf("log: (-want +got)\n%s", diff)
	}
}

// tell reports a change of the check of that server.
func (b *bench) tell(server string, change check.Change, err error) {
	b.t.Helper()
	b.report(check.Report{ID: b.checksOf(server)[0], Change: change, Err: err})
}

// checksOf returns the IDs of the checks of that server, sorted by what they are; at least one.
func (b *bench) checksOf(server string) []string {
	b.t.Helper()
	var ids []string
	for _, state := range b.checks.States() {
		if strings.Contains(b.index.Text(state.ID), server+": ") {
			ids = append(ids, state.ID)
		}
	}
	if len(ids) == 0 {
		b.t.Fatalf("server %s has no check", server)
	}
	slices.SortFunc(ids, func(i, j string) int {
		return strings.Compare(b.index.Text(i), b.index.Text(j))
	})
	return ids
}

// expect waits until everything is quiet and compares the table.
func (b *bench) expect(why, want string) {
	b.t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, b.table.String()); diff != "" {
		b.t.Errorf("%s: (-want +got)\n%s", why, diff)
	}
}

func TestServicesFollowHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			head   = "-A -t 192.168.1.1:80 -s rr\n"
			first  = "-a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1\n"
			second = "-a -t 192.168.1.1:80 -r 192.168.2.12:80 -m -w 1\n"
			sorry  = "-a -t 192.168.1.1:80 -r 192.168.2.200:80 -m -w 1\n"
		)
		refused := &check.Failure{Reason: check.Refused, Detail: "connect"}
		b := newBench(t, twoServers, false)
		b.expect("all up before the first check", head+first+second)
		b.tell("192.168.2.11:80", check.Down, refused)
		b.expect("the first is down", head+second)
		b.tell("192.168.2.12:80", check.Down, refused)
		b.expect("both are down", head+sorry)
		b.tell("192.168.2.12:80", check.Up, nil)
		b.expect("the second is up again", head+second)
		if err := b.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		b.expect("stopped", "")
		const log = `msg="real server" service="TCP 192.168.1.1:80" server=192.168.2.11:80 ` +
			`from=up to=down reason=refused err=connect
msg="real server" service="TCP 192.168.1.1:80" server=192.168.2.12:80 ` +
			`from=up to=down reason=refused err=connect
msg=quorum service="TCP 192.168.1.1:80" from=kept to=lost
msg="real server" service="TCP 192.168.1.1:80" server=192.168.2.12:80 from=down to=up
msg=quorum service="TCP 192.168.1.1:80" from=lost to=kept
`
		b.logged(log)
	})
}

func TestServicesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, oneServer, true)
		synctest.Wait()
		before := b.table.String()
		if err := b.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if before == "" {
			t.Error("table: expected a service in it")
		}
		b.expect("stopped", before)
	})
}

// TestServicesAreReplaced changes the configuration.
func TestServicesAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoServers, false)
		defer func() { _ = b.stop() }()
		b.reload(strings.Replace(twoServers, "lb_algo rr", "lb_algo wlc", 1))
		b.expect("other scheduler", `-A -t 192.168.1.1:80 -s wlc
-a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1
-a -t 192.168.1.1:80 -r 192.168.2.12:80 -m -w 1
`)
		if err := b.set(nil); err != nil {
			t.Fatal(err)
		}
		b.expect("no service", "")
	})
}

// lessServers is twoServers without the second real server.
var lessServers = strings.Replace(twoServers, "    real_server 192.168.2.12 80 { TCP_CHECK { } }\n",
	"", 1)

var (
	webKey = ipvs.Key{Protocol: ipvs.TCP, Addr: netip.MustParseAddrPort("192.168.1.1:80")}
	second = netip.MustParseAddrPort("192.168.2.12:80")
)

const (
	weight0 = "ipvsadm -e -t 192.168.1.1:80 -r 192.168.2.12:80 -m -w 0\n"
	weight1 = "ipvsadm -e -t 192.168.1.1:80 -r 192.168.2.12:80 -m -w 1\n"
	remove  = "ipvsadm -d -t 192.168.1.1:80 -r 192.168.2.12:80\n"

	starts = `msg="real server draining" service="TCP 192.168.1.1:80" server=192.168.2.12:80 ` +
		"limit=1m0s\n"
	ends = `msg="real server drained" service="TCP 192.168.1.1:80" server=192.168.2.12:80 `
	back = `msg="real server" service="TCP 192.168.1.1:80" server=192.168.2.12:80 ` +
		"from=draining to=up\n"
)

// drainage takes the second real server out of a service, does something, and looks at all
// commands, the log, and the number of looks at the connections.
type drainage struct {
	name          string
	then          func(b *bench)
	commands, log string
	looks         int
}

func (d drainage) judge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoServers, false)
		defer func() { _ = b.stop() }()
		synctest.Wait()
		b.table.Connect(webKey, second, 1, 0)
		b.commands()
		b.reload(lessServers)
		d.then(b)
		if diff := cmp.Diff(d.commands, b.commands()); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
		b.logged(d.log)
		if b.table.looks != d.looks {
			t.Errorf("%d looks at connections, want %d", b.table.looks, d.looks)
		}
	})
}

func TestServicesDrain(t *testing.T) {
	for _, d := range []drainage{
		{"without connections", func(b *bench) {
			b.table.Connect(webKey, second, 0, 7)
			pass(b.t, 3*time.Second)
		}, weight0 + remove, starts + ends + "reason=empty connections=0\n", 1},
		{"until its connections end", func(b *bench) {
			pass(b.t, 5*time.Second+drainRhythm/2)
			b.table.Connect(webKey, second, 0, 1)
			pass(b.t, 5*time.Second)
		}, weight0 + remove, starts + ends + "reason=empty connections=0\n", 6},
		{"until the time is over", func(b *bench) {
			pass(b.t, 2*pool.DrainTime)
		}, weight0 + remove, starts + ends + "reason=timeout connections=1\n", 60},
		{"until it is back", func(b *bench) {
			pass(b.t, 5*time.Second+drainRhythm/2)
			b.reload(twoServers)
			pass(b.t, 2*pool.DrainTime)
		}, weight0 + weight1, starts + back, 5},
		{"anew after it was back", func(b *bench) {
			pass(b.t, 50*time.Second+drainRhythm/2)
			b.reload(twoServers)
			b.reload(lessServers)
			pass(b.t, 50*time.Second)
		}, weight0 + weight1 + weight0, starts + back + starts, 100},
		{"while the table cannot be read", func(b *bench) {
			b.table.Fail(nil, unix.ENOBUFS)
			pass(b.t, 5*time.Second+drainRhythm/2)
			b.table.Connect(webKey, second, 0, 0)
			b.table.Fail(nil, nil)
			pass(b.t, 30*time.Second)
		}, weight0 + remove, starts +
			"msg=\"cannot count connections\" err=\"no buffer space available\"\n" +
			"msg=\"cannot read table\" err=\"no buffer space available\"\n" +
			ends + "reason=empty connections=0\n", 6},
	} {
		t.Run(d.name, d.judge)
	}
}

// TestServicesDrainAmongChanges has something else change while a real server drains.
func TestServicesDrainAmongChanges(t *testing.T) {
	down := &check.Failure{Reason: check.Refused, Detail: "connect"}
	const isDown = `msg="real server" service="TCP 192.168.1.1:80" server=192.168.2.11:80 ` +
		"from=up to=down reason=refused err=connect\n" +
		"msg=quorum service=\"TCP 192.168.1.1:80\" from=kept to=lost\n"
	for _, d := range []drainage{
		{"another reload and a report", func(b *bench) {
			b.reload(strings.Replace(lessServers, "rr", "wlc", 1))
			b.tell("192.168.2.11:80", check.Down, down)
			synctest.Wait()
		}, weight0 + "ipvsadm -E -t 192.168.1.1:80 -s wlc\n" +
			"ipvsadm -a -t 192.168.1.1:80 -r 192.168.2.200:80 -m -w 1\n" +
			"ipvsadm -d -t 192.168.1.1:80 -r 192.168.2.11:80\n", starts + isDown, 0},
		{"the service goes", func(b *bench) {
			b.reload(strings.ReplaceAll(twoServers, "192.168.1.1", "192.168.1.9"))
			pass(b.t, 5*time.Second)
		}, weight0 + "ipvsadm -A -t 192.168.1.9:80 -s rr\n" +
			"ipvsadm -a -t 192.168.1.9:80 -r 192.168.2.11:80 -m -w 1\n" +
			"ipvsadm -a -t 192.168.1.9:80 -r 192.168.2.12:80 -m -w 1\n" +
			"ipvsadm -D -t 192.168.1.1:80\n", starts, 0},
		{"the stop", func(b *bench) {
			begin := time.Now()
			if err := b.stop(); err != nil {
				b.t.Error(err)
			}
			if took := time.Since(begin); took > 0 {
				b.t.Errorf("the stop took %s, want no wait", took)
			}
		}, weight0 + "ipvsadm -D -t 192.168.1.1:80\n", starts, 0},
	} {
		t.Run(d.name, d.judge)
	}
}

// TestServicesLookOnlyWhileSomethingDrains checks that a look finds out when it was the last.
func TestServicesLookOnlyWhileSomethingDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoServers, false)
		defer func() { _ = b.stop() }()
		b.table.Connect(webKey, second, 1, 0)
		b.reload(lessServers)
		now := time.Now()
		for _, tt := range []struct {
			after time.Duration
			want  bool
		}{{time.Second, true}, {pool.DrainTime, false}, {pool.DrainTime, false}} {
			if got := b.look(t.Context(), now.Add(tt.after)); got != tt.want {
				t.Errorf("after %s: something drains: %t, want %t", tt.after, got, tt.want)
			}
		}
	})
}

// TestServicesDeleteTheDeadAtOnce takes a real server out that is down, and held for its
// connections by inhibit_on_failure.
func TestServicesDeleteTheDeadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const plain = "real_server 192.168.2.12 80 { TCP_CHECK { } }"
		text := strings.Replace(twoServers, plain,
			"real_server 192.168.2.12 80 { inhibit_on_failure\nTCP_CHECK { } }", 1)
		b := newBench(t, text, false)
		defer func() { _ = b.stop() }()
		b.table.Connect(webKey, second, 1, 0)
		b.tell("192.168.2.12:80", check.Down, &check.Failure{Reason: check.Refused})
		synctest.Wait()
		b.commands()
		b.reload(lessServers)
		if diff := cmp.Diff(remove, b.commands()); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
	})
}

// TestServicesForgetChecks has a check report whose real server has left.
func TestServicesForgetChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoServers, false)
		defer func() { _ = b.stop() }()
		var late check.Report
		for _, state := range b.checks.States() {
			if strings.Contains(b.index.Text(state.ID), second.String()) {
				late = check.Report{ID: state.ID, Change: check.Down}
			}
		}
		b.reload(lessServers)
		b.report(late)
		b.logged(starts)
	})
}

// many returns so many virtual servers that share so many real servers, each with a check.
func many(services, servers int) []config.VirtualServer {
	vss := make([]config.VirtualServer, services)
	addr := netip.MustParseAddr("10.0.0.0")
	for i := range vss {
		addr = addr.Next()
		vss[i] = config.VirtualServer{Address: netip.AddrPortFrom(addr, 80), Protocol: config.TCP,
			Scheduler: "wlc", Forward: config.NAT, Quorum: 1}
	}
	for i := range servers {
		addr = addr.Next()
		vs := &vss[i%services]
		target := netip.AddrPortFrom(addr, 80)
		vs.RealServers = append(vs.RealServers, config.RealServer{Address: target, Weight: 1,
			Checks: []config.Check{{Target: target, CheckSettings: &config.CheckSettings{
				Kind: config.CheckTCP, ConnectTimeout: time.Second, DelayLoop: time.Minute}}},
			RealServerSettings: &config.RealServerSettings{}})
	}
	return vss
}

// reporting returns services on a table, and what has their checks report one after another, first
// all down and then all up.
func reporting(t testing.TB, table ipvs.Table, vss []config.VirtualServer) (*services, func()) {
	t.Helper()
	s, err := newServices(vss, table, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	states, n := s.checks.States(), 0
	return s, func() {
		change := check.Down
		if n/len(states)%2 == 1 {
			change = check.Up
		}
		s.report(check.Report{ID: states[n%len(states)].ID, Change: change})
		n++
	}
}

func TestReportCostsNoMoreAmongMoreServices(t *testing.T) {
	cost := func(services int) float64 {
		_, report := reporting(t, &ipvstest.Memory{}, many(services, 5*services))
		return testing.AllocsPerRun(100, report)
	}
	if few, all := cost(5), cost(100); all > 2*few {
		t.Errorf("%g allocations of 5 services, %g of 100: want about as many", few, all)
	}
}

// BenchmarkReport has the checks of the largest table that users tell of report one after another:
// until it is decided what is wanted, and until the table is so.
func BenchmarkReport(b *testing.B) {
	const services, servers = 2284, 37298
	b.Run("decide", func(b *testing.B) {
		_, report := reporting(b, &ipvstest.Memory{}, many(services, servers))
		for b.Loop() {
			report()
		}
	})
	b.Run("table", func(b *testing.B) {
		var table ipvstest.Memory
		s, report := reporting(b, &table, many(services, servers))
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		changes := make(chan struct{}, services+servers)
		table.Fail(func(ipvs.Op) error { changes <- struct{}{}; return nil }, nil)
		go func() { _ = s.reconciler.Run(ctx) }()
		for range services + servers {
			<-changes
		}
		for b.Loop() {
			report()
			<-changes
		}
	})
}
