package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/notify"
	"github.com/tandemlb/tandem/daemon/pool"
	"github.com/tandemlb/tandem/daemon/status"
	"github.com/tandemlb/tandem/internal/bubbletest"
)

// aGroup is a virtual server of two services.
const aGroup = `virtual_server_group web {
    192.168.1.1 80
    fwmark 7
}
virtual_server group web {
    lb_algo rr
    lb_kind DR
    protocol TCP
    sorry_server 192.168.2.200 80
    real_server 192.168.2.11 80 { TCP_CHECK { } }
    real_server 192.168.2.12 80 { TCP_CHECK { } }
}
`

var markKey = ipvs.Key{Mark: 7, Family: ipvs.IPv4}

// TestGroupFollowsHealth checks each real server of a group once, and has all services follow.
func TestGroupFollowsHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, aGroup, false)
		type told struct {
			notify.Subject
			up bool
		}
		var tells []told
		b.services.tell = func(s notify.Subject, up bool, _ string) { tells = append(tells, told{s, up}) }
		const both = `-A -t 192.168.1.1:80 -s rr
-a -t 192.168.1.1:80 -r 192.168.2.11:80 -g -w 1
-a -t 192.168.1.1:80 -r 192.168.2.12:80 -g -w 1
-A -f 7 -s rr
-a -f 7 -r 192.168.2.11:0 -g -w 1
-a -f 7 -r 192.168.2.12:0 -g -w 1
`
		b.expect("all up before the first check", both)
		if n := len(b.checks.States()); n != 2 {
			t.Errorf("%d checks, want 2", n)
		}
		refused := &check.Failure{Reason: check.Refused, Detail: "connect"}
		b.tell("192.168.2.11:80", check.Down, refused)
		b.tell("192.168.2.12:80", check.Down, refused)
		b.expect("both are down", `-A -t 192.168.1.1:80 -s rr
-a -t 192.168.1.1:80 -r 192.168.2.200:80 -g -w 1
-A -f 7 -s rr
-a -f 7 -r 192.168.2.200:0 -g -w 1
`)
		b.tell("192.168.2.11:80", check.Up, nil)
		b.tell("192.168.2.12:80", check.Up, nil)
		b.expect("both are up", both)
		if err := b.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		b.expect("stopped", "")
		web := notify.Subject{Kind: notify.VirtualService, Name: "[web]:0", Service: "group web TCP"}
		server := func(name string) notify.Subject {
			return notify.Subject{Kind: notify.RealServer, Name: name, Service: "[web]:0"}
		}
		first, second := server("[192.168.2.11]:tcp:80"), server("[192.168.2.12]:tcp:80")
		want := []told{{first, false}, {second, false}, {web, false}, {first, true}, {web, true},
			{second, true}}
		if diff := cmp.Diff(want, tells, cmp.AllowUnexported(told{})); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// TestGroupDrains takes a real server out of a group: it is drained when no service of the group
// has a connection to it any more.
func TestGroupDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, aGroup, false)
		defer func() { _ = b.stop() }()
		synctest.Wait()
		b.table.Connect(webKey, second, 1, 0)
		b.table.Connect(markKey, netip.MustParseAddrPort("192.168.2.12:0"), 1, 0)
		b.commands()
		b.reload(strings.Replace(aGroup, "    real_server 192.168.2.12 80 { TCP_CHECK { } }\n", "", 1))
		pass(t, 5*time.Second)
		b.table.Connect(webKey, second, 0, 0)
		pass(t, 5*time.Second)
		const drains = "ipvsadm -e -t 192.168.1.1:80 -r 192.168.2.12:80 -g -w 0\n" +
			"ipvsadm -e -f 7 -r 192.168.2.12:0 -g -w 0\n"
		if diff := cmp.Diff(drains, b.commands()); diff != "" {
			t.Errorf("while one has a connection (-want +got):\n%s", diff)
		}
		b.table.Connect(markKey, netip.MustParseAddrPort("192.168.2.12:0"), 0, 0)
		pass(t, 2*time.Second)
		const ended = "ipvsadm -d -t 192.168.1.1:80 -r 192.168.2.12:80\n" +
			"ipvsadm -d -f 7 -r 192.168.2.12:0\n"
		if diff := cmp.Diff(ended, b.commands()); diff != "" {
			t.Errorf("when none has (-want +got):\n%s", diff)
		}
	})
}

// TestGroupChanges changes the members of a group.
func TestGroupChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, aGroup, false)
		defer func() { _ = b.stop() }()
		synctest.Wait()
		before := parse(t, aGroup)
		other := strings.Replace(aGroup, "fwmark 7", "192.168.1.1 443", 1)
		plan := compareServices(before, parse(t, other))
		if len(plan) != 1 || plan[0].String() !=
			"change virtual_server group web TCP: members of the group" {
			t.Errorf("plan %v", plan)
		}
		b.commands()
		b.reload(other)
		want := `ipvsadm -A -t 192.168.1.1:443 -s rr
ipvsadm -a -t 192.168.1.1:443 -r 192.168.2.11:443 -g -w 1
ipvsadm -a -t 192.168.1.1:443 -r 192.168.2.12:443 -g -w 1
ipvsadm -D -f 7
`
		if diff := cmp.Diff(want, b.commands()); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
	})
}

// TestSnapshotOfGroups has the sums of the services, and the errors of those that fail.
func TestSnapshotOfGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, aGroup+strings.Replace(oneServer, "192.168.1.1 80", "192.168.1.9 80", 1), false)
		defer func() { _ = b.stop() }()
		synctest.Wait()
		b.table.Connect(webKey, second, 2, 3)
		b.table.Connect(markKey, netip.MustParseAddrPort("192.168.2.12:0"), 5, 7)
		got := b.snapshot(t.Context(), b.config.VirtualServers)
		one := 1
		server := status.Server{Name: "192.168.2.12:80", Forward: "route", Wanted: &one, Weight: &one,
			Active: 7, Inactive: 10, Since: got[0].Servers[1].Since}
		if diff := cmp.Diff(server, got[0].Servers[1]); diff != "" {
			t.Errorf("server (-want +got):\n%s", diff)
		}
		if got[0].Name != "group web" || got[0].Protocol != "TCP" || got[0].Error != "" {
			t.Errorf("service %+v", got[0])
		}
	})
}

// TestKernelRefuses has the kernel refuse one service of several: its error is told, it is tried
// again, and the others are as they should be.
func TestKernelRefuses(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EEXIST, unix.ENOENT, unix.ENOMEM} {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { refuse(t, errno) })
		})
	}
}

func refuse(t *testing.T, errno unix.Errno) {
	b := newBench(t, oneServer, false)
	defer func() { _ = b.stop() }()
	synctest.Wait()
	tries := 0
	b.table.Fail(func(op ipvs.Op) error {
		if op.Key == markKey && op.Kind == ipvs.AddService {
			tries++
			return errno
		}
		return nil
	}, nil)
	both := strings.Replace(oneServer, "192.168.1.1 80", "192.168.1.9 80", 1) + aGroup
	b.reload(both)
	pass(t, time.Minute)
	services := b.snapshot(t.Context(), b.config.VirtualServers)
	if services[0].Error != "" {
		t.Errorf("the other service: error %q", services[0].Error)
	}
	if e := services[1].Error; !strings.HasPrefix(e, "mark 7 IPv4: ipvsadm -A -f 7") ||
		!strings.Contains(e, errno.Error()) {
		t.Errorf("the group: error %q", e)
	}
	if tries < 3 || tries > 15 {
		t.Errorf("%d tries in a minute", tries)
	}
	if !strings.Contains(b.table.String(), "-a -t 192.168.1.1:80 -r 192.168.2.12:80") {
		t.Errorf("table:\n%s", &b.table)
	}
	b.table.Fail(nil, nil)
	pass(t, time.Minute)
	if e := b.snapshot(t.Context(), b.config.VirtualServers)[1].Error; e != "" {
		t.Errorf("afterwards: error %q", e)
	}
}

// TestOverrides has an operator give weights, before and after a reload and while a server is down.
func TestOverrides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoServers, false)
		defer func() { _ = b.stop() }()
		const head = "-A -t 192.168.1.1:80 -s rr\n"
		at := func(server, weight string) string {
			return "-a -t 192.168.1.1:80 -r 192.168.2." + server + ":80 -m -w " + weight + "\n"
		}
		web := pool.NameOf(&b.config.VirtualServers[0])
		first := pool.ID{Service: web, Server: netip.MustParseAddrPort("192.168.2.11:80")}
		b.setOverrides(map[pool.ID]int{first: 0, {Service: web, Server: nobody}: 9})
		b.expect("drained", head+at("11", "0")+at("12", "1"))
		b.reload(strings.Replace(twoServers, "lb_algo rr", "lb_algo rr\nweight 5", 1))
		b.expect("over a reload", head+at("11", "0")+at("12", "5"))
		b.tell("192.168.2.12:80", check.Down, errors.New("connect"))
		b.expect("and the sorry server", head+at("11", "0")+at("200", "1"))
		b.setOverrides(map[pool.ID]int{first: 7})
		b.expect("another weight", head+at("11", "7"))
		b.tell("192.168.2.11:80", check.Down, errors.New("connect"))
		b.expect("down nevertheless", head+at("200", "1"))
		b.tell("192.168.2.11:80", check.Up, nil)
		b.setOverrides(nil)
		b.expect("as configured", head+at("11", "5"))
	})
}

var nobody = netip.MustParseAddrPort("10.9.9.9:80")

// near is what a machine has with those addresses and that many interfaces.
func near(up int, addrs ...string) netif.Here {
	h := netif.Here{Addrs: map[netip.Addr]bool{}, Up: map[int]bool{}}
	for _, a := range addrs {
		h.Addrs[netip.MustParseAddr(a)] = true
	}
	for i := range up {
		h.Up[i] = true
	}
	return h
}

// TestSuspendOnBackup makes the checks of services with ha_suspend only while an address is here.
func TestSuspendOnBackup(t *testing.T) {
	aRange := strings.Replace(aGroup, "fwmark 7", "192.168.1.5-9 80", 1)
	for _, tt := range []struct {
		name, text string
		here       []string
		suspended  bool
	}{
		{"address here", twoServers, []string{"192.168.1.1"}, false},
		{"address elsewhere", twoServers, []string{"192.168.1.2"}, true},
		{"no address", twoServers, nil, true},
		{"without the keyword", strings.Replace(twoServers, "lb_algo rr", "ha_suspend off", 1), nil,
			false},
		{"group, first member here", aRange, []string{"192.168.1.1"}, false},
		{"group, in the range", aRange, []string{"10.0.0.1", "192.168.1.9"}, false},
		{"group, below the range", aRange, []string{"192.168.1.4"}, true},
		{"group, above the range", aRange, []string{"192.168.1.10"}, true},
		{"group, of the other family", aRange, []string{"::1"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				text := tt.text
				if !strings.Contains(text, "ha_suspend") {
					text = strings.Replace(text, "lb_algo rr", "lb_algo rr\nha_suspend", 1)
				}
				s, err := newServices(parse(t, text), &counted{}, false, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				s.here(near(1, tt.here...))
				if got := len(s.away) == 1; got != tt.suspended {
					t.Errorf("suspended %t, want %t", got, tt.suspended)
				}
				shown := s.snapshot(t.Context(), s.config.VirtualServers)[0].Servers[0].Reason
				if said := strings.Contains(shown, "not checked"); said != tt.suspended {
					t.Errorf("status: %q", shown)
				}
				s.here(netif.Here{})
				if len(s.away) > 0 {
					t.Error("nothing known: expected no service suspended")
				}
			})
		})
	}
}

// TestNewCarrierChecksAtOnce has an interface come up after one check of two has failed, whose next
// turn is in an hour.
func TestNewCarrierChecksAtOnce(t *testing.T) {
	good, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	bad, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := bad.Close(); err != nil {
		t.Fatal(err)
	}
	text := func(at net.Listener) string {
		port := at.Addr().(*net.TCPAddr).Port
		return fmt.Sprintf("real_server 127.0.0.1 %d { TCP_CHECK { } }\n", port)
	}
	synctest.Test(t, func(t *testing.T) {
		s, err := newServices(parse(t, "virtual_server 192.168.1.1 80 {\nprotocol TCP\n"+
			"delay_loop 3600\nretry 0\nwarmup 0\n"+text(good)+text(bad)+"}\n"),
			&counted{}, false, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.run(ctx) }()
		for _, step := range []struct {
			name string
			here netif.Here
			want uint64 // attempts of the one that fails
		}{
			{"at first", near(1, "127.0.0.1"), 1},
			{"less", near(1), 1},
			{"a carrier", near(2), 2},
			{"the same", near(2), 2},
			{"an address", near(2, "127.0.0.1"), 3},
		} {
			s.here(step.here)
			bubbletest.Pass(time.Second) // a connection is looked at a little later
			for _, state := range s.checks.States() {
				want := uint64(1)
				if state.Err != nil {
					want = step.want
				}
				if state.Attempts != want {
					t.Errorf("%s: %s: %d attempts, want %d", step.name, state.ID, state.Attempts, want)
				}
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
