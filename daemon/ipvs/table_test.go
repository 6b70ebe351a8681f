package ipvs_test

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
)

// onTables runs test on an empty table in memory, and on an empty one of the kernel's, in a network
// namespace of its own, where the kernel has IPVS.
func onTables(t *testing.T, test func(t *testing.T, table ipvs.Table)) {
	t.Run("memory", func(t *testing.T) { test(t, &ipvstest.Memory{}) })
	t.Run("kernel", func(t *testing.T) { test(t, kernelTable(t)) })
}

// kernelTable puts the test into a new network namespace and opens its table. The test's thread
// ends with the test, and the namespace with the thread.
func kernelTable(t testing.TB) *ipvs.Kernel {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a network namespace")
	}
	runtime.LockOSThread()
	ns, err := netns.New()
	if err != nil {
		t.Fatalf("make network namespace: %v", err)
	}
	t.Cleanup(func() {
		if err := ns.Close(); err != nil {
			t.Errorf("close network namespace: %v", err)
		}
	})
	// Without an IPv4 address a namespace has no table of local routes, and then the kernel takes
	// every IPv4 destination for one that is not unicast.
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatalf("set lo up: %v", err)
	}
	k, err := ipvs.OpenKernel(t.Context())
	if errors.Is(err, ipvs.ErrNoIPVS) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Errorf("close table: %v", err)
		}
	})
	return k
}

func mustApply(t *testing.T, table ipvs.Table, ops ...ipvs.Op) {
	t.Helper()
	if err := table.Apply(t.Context(), ops); err != nil {
		t.Fatal(err)
	}
}

func mustList(t *testing.T, table ipvs.Table) ipvs.Services {
	t.Helper()
	ss, err := table.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ss
}

func addWeb() ipvs.Op { return ipvs.Op{Kind: ipvs.AddService, Key: web, Settings: wlc()} }

func destinationOp(kind ipvs.OpKind, d ipvs.Destination) ipvs.Op {
	return ipvs.Op{Kind: kind, Key: web, Destination: d}
}

func TestTableErrors(t *testing.T) {
	a := realServer("192.168.2.11:80", 1)
	unknown := addWeb()
	unknown.Settings.Scheduler = "none-such"
	for _, tt := range []struct {
		name string
		have []ipvs.Op
		op   ipvs.Op
		want error
	}{
		{"add a service twice", []ipvs.Op{addWeb()}, addWeb(), unix.EEXIST},
		{"set a missing service", nil,
			ipvs.Op{Kind: ipvs.SetService, Key: web, Settings: wlc()}, unix.ESRCH},
		{"delete a missing service", nil, ipvs.Op{Kind: ipvs.DeleteService, Key: web}, unix.ESRCH},
		{"unknown scheduler", nil, unknown, unix.ENOENT},
		{"add to a missing service", nil, destinationOp(ipvs.AddDestination, a), unix.ESRCH},
		{"add a destination twice", []ipvs.Op{addWeb(), destinationOp(ipvs.AddDestination, a)},
			destinationOp(ipvs.AddDestination, a), unix.EEXIST},
		{"set a missing destination", []ipvs.Op{addWeb()},
			destinationOp(ipvs.SetDestination, a), unix.ENOENT},
		{"delete a missing destination", []ipvs.Op{addWeb()},
			destinationOp(ipvs.DeleteDestination, a), unix.ENOENT},
		{"add a multicast destination", []ipvs.Op{addWeb()},
			destinationOp(ipvs.AddDestination, realServer("224.0.0.18:80", 1)), unix.EINVAL},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onTables(t, func(t *testing.T, table ipvs.Table) {
				mustApply(t, table, tt.have...)
				before := mustList(t, table)
				err := table.Apply(t.Context(), []ipvs.Op{tt.op})
				if !errors.Is(err, tt.want) {
					t.Errorf("error %v, want %v", err, tt.want)
				}
				var oe *ipvs.OpError
				if !errors.As(err, &oe) || oe.Op != tt.op {
					t.Errorf("error %v does not name the operation", err)
				}
				if diff := cmp.Diff(before, mustList(t, table)); diff != "" {
					t.Errorf("the table changed (-before +after):\n%s", diff)
				}
			})
		})
	}
}

func TestTableGoesOnAfterAnError(t *testing.T) {
	onTables(t, func(t *testing.T, table ipvs.Table) {
		a, b := realServer("192.168.2.11:80", 1), realServer("192.168.2.12:80", 1)
		bad := realServer("224.0.0.18:80", 1)
		err := table.Apply(t.Context(), []ipvs.Op{
			addWeb(), destinationOp(ipvs.AddDestination, a),
			destinationOp(ipvs.AddDestination, bad), destinationOp(ipvs.AddDestination, b),
		})
		want := "ipvsadm -a -t 192.168.1.1:80 -r 224.0.0.18:80 -m -w 1: invalid argument"
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
		if diff := cmp.Diff(2, len(mustList(t, table)[0].Destinations)); diff != "" {
			t.Errorf("destinations (-want +got):\n%s", diff)
		}
	})
}

func TestTableTellsOnlyTheCauseOfAMissingService(t *testing.T) {
	onTables(t, func(t *testing.T, table ipvs.Table) {
		add := addWeb()
		add.Settings.Scheduler = "none-such"
		a := realServer("192.168.2.11:80", 1)
		err := table.Apply(t.Context(), []ipvs.Op{add, destinationOp(ipvs.AddDestination, a)})
		want := "ipvsadm -A -t 192.168.1.1:80 -s none-such: scheduler none-such: " +
			"kernel has no module ip_vs_none-such: no such file or directory"
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	})
}

// full has every kind of service and destination that a table can hold.
func full() ipvs.Services {
	limited, direct := realServer("192.168.2.11:80", 3), realServer("192.168.2.12:80", 0)
	limited.Upper, limited.Lower = 100, 75
	direct.Forward = ipvs.DR
	tunnel := realServer("192.168.2.13:80", ipvs.MaxWeight)
	tunnel.Forward = ipvs.TUN
	gue := tunnelled("192.168.2.14:80",
		ipvs.Tunnel{Type: ipvs.GUE, Port: 6080, Checksum: ipvs.FullChecksum})
	gre := tunnelled("[2001:db8:2::15]:80", ipvs.Tunnel{Type: ipvs.GRE})
	sctp := ipvs.Key{Protocol: ipvs.SCTP, Addr: web.Addr}
	return ipvs.Services{
		{Key: web, Settings: wlc(), Destinations: []ipvs.Destination{limited, direct, tunnel, gue, gre}},
		{Key: dns, Settings: ipvs.Settings{Scheduler: "rr", Flags: ipvs.OnePacket},
			Destinations: []ipvs.Destination{realServer("192.168.2.11:53", 1)}},
		{Key: sctp, Settings: ipvs.Settings{
			Scheduler: "wrr", Persistence: 50 * time.Second, PersistenceBits: 24,
		}},
		{Key: web6, Settings: ipvs.Settings{
			Scheduler: "sh", Flags: ipvs.Sched1 | ipvs.Sched2,
		}, Destinations: []ipvs.Destination{realServer("[2001:db8:2::11]:80", 1)}},
		{Key: mark, Settings: ipvs.Settings{Scheduler: "mh", Flags: ipvs.Sched1},
			Destinations: []ipvs.Destination{realServer("192.168.2.11:0", 1)}},
		{Key: mark6, Settings: ipvs.Settings{
			Scheduler: "rr", Persistence: 360 * time.Second, PersistenceBits: 64,
		}, Destinations: []ipvs.Destination{realServer("[2001:db8:2::11]:0", 1)}},
	}
}

func TestTableReturnsWhatWasPutIn(t *testing.T) {
	onTables(t, func(t *testing.T, table ipvs.Table) {
		want := full()
		mustApply(t, table, ipvs.Diff(nil, want)...)
		if diff := cmp.Diff(want.Canonical(), mustList(t, table).Canonical()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		mustApply(t, table, ipvs.Diff(want, nil)...)
		if got := mustList(t, table); len(got) > 0 {
			t.Errorf("left after all was deleted:\n%s", got)
		}
	})
}

func TestTableChangesInPlace(t *testing.T) {
	onTables(t, func(t *testing.T, table ipvs.Table) {
		have := full()
		mustApply(t, table, ipvs.Diff(nil, have)...)
		want := full()
		want[0].Scheduler, want[0].Persistence = "sed", 10*time.Second
		want[0].Destinations[0].Forward = ipvs.DR
		want[0].Destinations[1].Weight = 9
		want[0].Destinations[2].Tunnel = ipvs.Tunnel{Type: ipvs.GRE, Checksum: ipvs.FullChecksum}
		want[0].Destinations[3].Tunnel.Port = 6090
		want[0].Destinations[4].Tunnel = ipvs.Tunnel{}
		want[2].Settings = ipvs.Settings{Scheduler: "lc"}
		want[3].Flags = 0
		mustApply(t, table, ipvs.Diff(have, want)...)
		if diff := cmp.Diff(want.Canonical(), mustList(t, table).Canonical()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestTableGetsOneService(t *testing.T) {
	onTables(t, func(t *testing.T, table ipvs.Table) {
		have := full()
		mustApply(t, table, ipvs.Diff(nil, have)...)
		for _, want := range have {
			got, err := table.Get(t.Context(), want.Key)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(ipvs.Services{want}.Canonical(), got.Canonical()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", want.Key, diff)
			}
		}
		mustApply(t, table, ipvs.Op{Kind: ipvs.DeleteService, Key: web})
		if got, err := table.Get(t.Context(), web); err != nil || len(got) > 0 {
			t.Errorf("after it was deleted: %v, error %v", got, err)
		}
	})
}

func TestTableLoads(t *testing.T) {
	onTables(t, func(t *testing.T, table ipvs.Table) {
		a, b := realServer("192.168.2.11:80", 3), realServer("192.168.2.12:80", 0)
		mustApply(t, table, addWeb(), destinationOp(ipvs.AddDestination, a),
			destinationOp(ipvs.AddDestination, b))
		got, err := table.Loads(t.Context(), web)
		if err != nil {
			t.Fatal(err)
		}
		want := map[netip.AddrPort]ipvs.Load{a.Addr: {Weight: 3}, b.Addr: {}}
		if !maps.Equal(want, got) {
			t.Errorf("got %v, want %v", got, want)
		}
		got, err = table.Loads(t.Context(), dns)
		if err != nil || got == nil || len(got) > 0 {
			t.Errorf("a service that is not there: %v, error %v, want an empty map", got, err)
		}
	})
}

// TestKernelCountsConnections holds a connection through a service, with its real server on lo.
func TestKernelCountsConnections(t *testing.T) {
	k := kernelTable(t)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	server := netip.MustParseAddrPort(listener.Addr().String())
	key := ipvs.Key{Protocol: ipvs.TCP, Addr: netip.MustParseAddrPort("127.0.0.2:80")}
	service := ipvs.Service{Key: key, Settings: wlc(), Destinations: []ipvs.Destination{
		{Addr: server, Forward: ipvs.NAT, Weight: 1}}}
	mustApply(t, k, ipvs.Diff(nil, ipvs.Services{service})...)
	conn, err := net.Dial("tcp4", key.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	drained := service.Destinations[0]
	drained.Weight = 0
	mustApply(t, k, ipvs.Op{Kind: ipvs.SetDestination, Key: key, Destination: drained})
	expectLoad(t, k, key, server, ipvs.Load{Active: 1})
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := accepted.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Errorf("a connection to a real server of weight 0: %v", err)
	}
	if second, err := net.Dial("tcp4", key.Addr.String()); err == nil {
		t.Error("a real server of weight 0 got a new connection")
		_ = second.Close()
	}
	// Who closes both halves leaves an entry behind that is not active.
	if err := errors.Join(conn.Close(), accepted.Close()); err != nil {
		t.Fatal(err)
	}
	expectLoad(t, k, key, server, ipvs.Load{Inactive: 1})
}

// expectLoad waits until a destination has that load.
func expectLoad(
	t *testing.T, k *ipvs.Kernel, key ipvs.Key, server netip.AddrPort, want ipvs.Load,
) {
	t.Helper()
	var got ipvs.Load
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		loads, err := k.Loads(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if got = loads[server]; got == want {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("load %+v, want %+v", got, want)
}

func TestTableKeepsTheOrderOfAdding(t *testing.T) {
	onTables(t, func(t *testing.T, table ipvs.Table) {
		a, b := realServer("192.168.2.12:80", 1), realServer("192.168.2.11:80", 1)
		c := realServer("192.168.2.13:80", 1)
		heavy := a
		heavy.Weight = 5
		mustApply(t, table, addWeb(), destinationOp(ipvs.AddDestination, a),
			destinationOp(ipvs.AddDestination, b), destinationOp(ipvs.AddDestination, c),
			destinationOp(ipvs.SetDestination, heavy))
		want := []ipvs.Destination{heavy, b, c}
		if diff := cmp.Diff(want, mustList(t, table)[0].Destinations,
			cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestTableKnowsAllSchedulers(t *testing.T) {
	onTables(t, func(t *testing.T, table ipvs.Table) {
		for _, s := range ipvs.Schedulers() {
			t.Run(string(s), func(t *testing.T) {
				op := addWeb()
				op.Settings.Scheduler = s
				err := table.Apply(t.Context(), []ipvs.Op{op})
				if s == ipvs.PowerOfTwo && errors.Is(err, unix.ENOENT) {
					t.Skip("this kernel is built without twos")
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := mustList(t, table)[0].Scheduler; got != s {
					t.Errorf("comes back as %s", got)
				}
				mustApply(t, table, ipvs.Op{Kind: ipvs.DeleteService, Key: web})
			})
		}
	})
}

// sortedLines makes two listings comparable whatever order the services are in.
func sortedLines(s string) []string {
	return slices.Sorted(strings.Lines(s))
}

func TestTableIsMadeByTheCommandsThatOpsPrint(t *testing.T) {
	k := kernelTable(t)
	want := full()
	for _, op := range ipvs.Diff(nil, want) {
		runIpvsadm(t, strings.Fields(op.String())[1:]...)
	}
	if diff := cmp.Diff(want.Canonical(), mustList(t, k).Canonical()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestKernelTableStaysInItsNamespace(t *testing.T) {
	k := kernelTable(t)
	mustApply(t, k, addWeb())
	if err := k.DropSocket(); err != nil {
		t.Fatal(err)
	}
	listed := make(chan ipvs.Services, 1)
	go func() { // on a thread of the namespace that the test came from
		ss, err := k.List(t.Context())
		if err != nil {
			t.Error(err)
		}
		listed <- ss
	}()
	want := ipvs.Services{{Key: web, Settings: wlc()}}
	if diff := cmp.Diff(want.Canonical(), (<-listed).Canonical()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
