package ipvs_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	moby "github.com/moby/ipvs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
)

var compareAddrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// controls is what a table can do beside holding services.
type controls interface {
	ipvs.Table
	Flush(context.Context) error
	Timeouts(context.Context) (ipvs.Timeouts, error)
	SetTimeouts(context.Context, ipvs.Timeouts) error
	StartSync(context.Context, ipvs.SyncDaemon) error
	StopSync(context.Context, ipvs.SyncRole) error
	SyncDaemons(context.Context) ([]ipvs.SyncDaemon, error)
}

// onControls runs test like onTables. Its ask is ipvsadm on the kernel's table, nil on the other.
func onControls(t *testing.T, test func(t *testing.T, c controls, ask asker)) {
	t.Run("memory", func(t *testing.T) { test(t, &ipvstest.Memory{}, nil) })
	t.Run("kernel", func(t *testing.T) {
		k := kernelTable(t)
		addInterface(t, "sync0")
		test(t, k, runIpvsadm)
	})
}

// asker asks ipvsadm.
type asker func(t *testing.T, args ...string) string

// expect compares what ipvsadm prints; a nil asker does nothing.
func (ask asker) expect(t *testing.T, want string, args ...string) {
	t.Helper()
	if ask == nil {
		return
	}
	if diff := cmp.Diff(want, ask(t, args...)); diff != "" {
		t.Errorf("ipvsadm %s (-want +got):\n%s", strings.Join(args, " "), diff)
	}
}

func TestTableFlushes(t *testing.T) {
	onControls(t, func(t *testing.T, c controls, ask asker) {
		mustApply(t, c, ipvs.Diff(nil, full())...)
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := mustList(t, c); len(got) > 0 {
			t.Errorf("left after flush:\n%s", got)
		}
		ask.expect(t, "", "-S", "-n")
	})
}

func TestKernelInfo(t *testing.T) {
	k := kernelTable(t)
	got, err := k.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != "1.2.1" || got.ConnectionTableSize < 256 {
		t.Errorf("got %+v, want version 1.2.1 and at least 256 buckets", got)
	}
}

func TestTableTimeouts(t *testing.T) {
	onControls(t, func(t *testing.T, c controls, ask asker) {
		for _, tt := range []struct {
			set, want ipvs.Timeouts
			printed   string
		}{
			{ipvs.Timeouts{},
				ipvs.Timeouts{TCP: 15 * time.Minute, TCPFin: 2 * time.Minute, UDP: 5 * time.Minute},
				"Timeout (tcp tcpfin udp): 900 120 300\n"},
			{ipvs.Timeouts{TCP: 20 * time.Minute, UDP: time.Second},
				ipvs.Timeouts{TCP: 20 * time.Minute, TCPFin: 2 * time.Minute, UDP: time.Second},
				"Timeout (tcp tcpfin udp): 1200 120 1\n"},
			{ipvs.Timeouts{TCPFin: 9 * time.Second},
				ipvs.Timeouts{TCP: 20 * time.Minute, TCPFin: 9 * time.Second, UDP: time.Second},
				"Timeout (tcp tcpfin udp): 1200 9 1\n"},
		} {
			if err := c.SetTimeouts(t.Context(), tt.set); err != nil {
				t.Fatal(err)
			}
			got, err := c.Timeouts(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("after %+v (-want +got):\n%s", tt.set, diff)
			}
			ask.expect(t, tt.printed, "-L", "--timeout")
		}
		if err := c.SetTimeouts(t.Context(), ipvs.Timeouts{UDP: 1}); err == nil {
			t.Error("a timeout of 1ns is set")
		}
	})
}

func TestTimeoutsValidate(t *testing.T) {
	for _, bad := range []time.Duration{-time.Second, time.Millisecond, 2147484 * time.Second} {
		if err := (ipvs.Timeouts{UDP: bad}).Validate(); err == nil {
			t.Errorf("%s is taken for a timeout", bad)
		}
	}
	if err := (ipvs.Timeouts{TCP: 2147483 * time.Second}).Validate(); err != nil {
		t.Error(err)
	}
}

// addInterface makes an interface with an address of either family in the test's namespace.
func addInterface(t *testing.T, name string) {
	t.Helper()
	err := netlink.LinkAdd(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: name, MTU: 1500}})
	if err != nil {
		t.Fatalf("add %s: %v", name, err)
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"10.1.1.1/24", "2001:db8:9::1/64"} {
		addr, err := netlink.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		addr.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(link, addr); err != nil {
			t.Fatalf("add %s to %s: %v", s, name, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
}

func TestTableSyncDaemons(t *testing.T) {
	group6 := netip.MustParseAddr("ff02::8848")
	master := ipvs.SyncDaemon{Role: ipvs.SyncMaster, Interface: "sync0", ID: 7}
	backup := ipvs.SyncDaemon{Role: ipvs.SyncBackup, Interface: "sync0", ID: 8, MaxLen: 1200,
		Group: netip.MustParseAddr("224.0.0.99"), Port: 9000, TTL: 3}
	over6 := ipvs.SyncDaemon{Role: ipvs.SyncMaster, Interface: "sync0", Group: group6}
	for _, tt := range []struct {
		name    string
		start   []ipvs.SyncDaemon
		want    []ipvs.SyncDaemon
		printed string
	}{
		{"none", nil, nil, ""},
		{"both at once", []ipvs.SyncDaemon{master, backup}, []ipvs.SyncDaemon{
			{Role: ipvs.SyncMaster, Interface: "sync0", ID: 7, MaxLen: 1472,
				Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1},
			backup,
		}, "master sync daemon (mcast=sync0, syncid=7, maxlen=1472, group=224.0.0.81, port=8848, " +
			"ttl=1)\nbackup sync daemon (mcast=sync0, syncid=8, maxlen=1200, group=224.0.0.99, " +
			"port=9000, ttl=3)\n"},
		{"IPv6", []ipvs.SyncDaemon{over6}, []ipvs.SyncDaemon{
			{Role: ipvs.SyncMaster, Interface: "sync0", MaxLen: 1452, Group: group6, Port: 8848,
				TTL: 1},
		}, "master sync daemon (mcast=sync0, syncid=0, maxlen=1452, group=ff02::8848, port=8848, " +
			"ttl=1)\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onControls(t, func(t *testing.T, c controls, ask asker) {
				startSync(t, c, tt.start)
				got, err := c.SyncDaemons(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got, compareAddrs, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				ask.expect(t, tt.printed, "-L", "--daemon", "-n")
				stopSync(t, c, tt.start)
			})
		})
	}
}

// startSync starts daemons, and checks that they cannot be started again.
func startSync(t *testing.T, c controls, ds []ipvs.SyncDaemon) {
	t.Helper()
	for _, d := range ds {
		if err := c.StartSync(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if err := c.StartSync(t.Context(), d); !errors.Is(err, unix.EEXIST) {
			t.Errorf("a second start: %v, want %v", err, unix.EEXIST)
		}
	}
}

// stopSync stops daemons, and checks that they cannot be stopped again and that none is left.
func stopSync(t *testing.T, c controls, ds []ipvs.SyncDaemon) {
	t.Helper()
	for _, d := range ds {
		if err := c.StopSync(t.Context(), d.Role); err != nil {
			t.Error(err)
		}
		if err := c.StopSync(t.Context(), d.Role); !errors.Is(err, unix.ESRCH) {
			t.Errorf("a second stop: %v, want %v", err, unix.ESRCH)
		}
	}
	if got, err := c.SyncDaemons(t.Context()); err != nil || len(got) > 0 {
		t.Errorf("after stop: %v, error %v", got, err)
	}
}

// TestSyncDaemonIsStartedByTheCommandThatItPrints lets ipvsadm start one with all options.
func TestSyncDaemonIsStartedByTheCommandThatItPrints(t *testing.T) {
	k := kernelTable(t)
	addInterface(t, "sync0")
	want := []ipvs.SyncDaemon{{Role: ipvs.SyncBackup, Interface: "sync0", ID: 8, MaxLen: 1200,
		Group: netip.MustParseAddr("224.0.0.99"), Port: 9000, TTL: 3}}
	runIpvsadm(t, strings.Fields(want[0].String())[1:]...)
	got, err := k.SyncDaemons(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, compareAddrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestKernelSyncErrors(t *testing.T) {
	k := kernelTable(t)
	d := ipvs.SyncDaemon{Role: ipvs.SyncMaster, Interface: "gone0"}
	err := k.StartSync(t.Context(), d)
	want := "start sync daemon master on gone0: no such device"
	if !errors.Is(err, unix.ENODEV) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestSyncDaemonValidate(t *testing.T) {
	for _, bad := range []ipvs.SyncDaemon{
		{Interface: "sync0"}, {Role: 3, Interface: "sync0"}, {Role: ipvs.SyncMaster},
		{Role: ipvs.SyncMaster, Interface: "0123456789abcdef"},
		{Role: ipvs.SyncMaster, Interface: "sync0", ID: 256},
		{Role: ipvs.SyncMaster, Interface: "sync0", ID: -1},
		{Role: ipvs.SyncMaster, Interface: "sync0", Group: netip.MustParseAddr("10.0.0.1")},
	} {
		if err := bad.Validate(); err == nil {
			t.Errorf("%s is taken for a daemon", bad)
		}
	}
}

func TestKernelStats(t *testing.T) {
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
	defer conn.Close()
	counted := func(n uint64) func(s, d ipvs.Stats) bool {
		return func(s, d ipvs.Stats) bool {
			return s.Connections == n && d.Connections == n && (n == 0) == (s.PacketsIn == 0) &&
				(n == 0) == (d.BytesIn == 0)
		}
	}
	expectStats(t, k, key, server, counted(1))
	if err := k.Zero(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	expectStats(t, k, key, server, counted(0))
	if err := k.ZeroAll(t.Context()); err != nil {
		t.Error(err)
	}
	if _, _, err := k.Stats(t.Context(), web); !errors.Is(err, unix.ESRCH) {
		t.Errorf("of a service that is not there: %v, want %v", err, unix.ESRCH)
	}
	if err := k.Zero(t.Context(), web); !errors.Is(err, unix.ESRCH) {
		t.Errorf("zero of a service that is not there: %v, want %v", err, unix.ESRCH)
	}
}

// expectStats waits until the counters of a service and its destination are right.
func expectStats(
	t *testing.T, k *ipvs.Kernel, key ipvs.Key, server netip.AddrPort,
	right func(service, destination ipvs.Stats) bool,
) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var s, d ipvs.Stats
	for ctx.Err() == nil {
		service, ds, err := k.Stats(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		if s, d = service, ds[server]; right(s, d) {
			return
		}
	}
	t.Errorf("stats %+v of the service, %+v of the destination", s, d)
}

func TestKernelShowsThresholds(t *testing.T) {
	k := kernelTable(t)
	d := realServer("192.168.2.11:80", 70000)
	d.Upper, d.Lower = 4000000000, 75
	mustApply(t, k, addWeb(), destinationOp(ipvs.AddDestination, d))
	out := runIpvsadm(t, "-L", "-n", "--thresholds")
	if !strings.Contains(strings.Join(strings.Fields(out), " "),
		"-> 192.168.2.11:80 4000000000 75") {
		t.Errorf("ipvsadm shows\n%s", out)
	}
	if got := mustList(t, k)[0].Destinations[0]; got != d {
		t.Errorf("comes back as %+v", got)
	}
}

// TestKernelAgreesWithMoby reads the table with a library that has its own codec.
func TestKernelAgreesWithMoby(t *testing.T) {
	k := kernelTable(t)
	mustApply(t, k, ipvs.Diff(nil, full())...)
	h, err := moby.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	services, err := h.GetServices()
	if err != nil {
		t.Fatal(err)
	}
	if len(services) != len(full()) {
		t.Fatalf("%d services, want %d", len(services), len(full()))
	}
	for _, m := range services {
		if m.FWMark != 0 || m.Protocol != unix.IPPROTO_TCP || m.AddressFamily != unix.AF_INET {
			continue
		}
		ds, err := h.GetDestinations(m)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]uint32{}
		for _, d := range ds {
			got[d.Address.String()] = d.ConnectionFlags & moby.ConnectionFlagFwdMask
		}
		want := map[string]uint32{
			"192.168.2.11": moby.ConnectionFlagMasq, "192.168.2.12": moby.ConnectionFlagDirectRoute,
			"192.168.2.13": moby.ConnectionFlagTunnel, "192.168.2.14": moby.ConnectionFlagTunnel,
			"2001:db8:2::15": moby.ConnectionFlagTunnel,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
