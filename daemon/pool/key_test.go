package pool_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
	"github.com/tandemlb/tandem/daemon/pool"
)

var (
	address   = netip.MustParseAddr
	sameAddrs = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
)

const (
	twoReals = "real_server 10.0.0.11 80 { weight 3 }\nreal_server 10.0.0.12 80 { }\n"
	webGroup = "virtual_server_group web {\n192.0.2.1-2 80\n192.0.2.9 443\nfwmark 7\n}\n"
)

// serviceCase is a configuration and what is wanted in the kernel, in the words of ipvsadm.
type serviceCase struct{ name, text, want string }

// TestServices has all that a virtual_server can say.
func TestServices(t *testing.T) {
	for _, tt := range serviceCases {
		t.Run(tt.name, func(t *testing.T) {
			cfg, ds := config.Parse("f", []byte(tt.text))
			if err := ds.Err(); err != nil {
				t.Fatal(err)
			}
			var all ipvs.Services
			for i := range cfg.VirtualServers {
				vs := &cfg.VirtualServers[i]
				wanted, _ := pool.Desired(vs, &pool.State{})
				all = append(all, pool.Services(vs, wanted)...)
			}
			for _, op := range ipvs.Diff(nil, all) {
				if err := op.Validate(); err != nil {
					t.Errorf("not fit for the kernel: %v", err)
				}
			}
			if diff := cmp.Diff(tt.want, all.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

var serviceCases = []serviceCase{
	{"address", "virtual_server 192.0.2.1 80 {\nprotocol TCP\n" + twoReals + "}",
		`-A -t 192.0.2.1:80 -s wlc
-a -t 192.0.2.1:80 -r 10.0.0.11:80 -m -w 3
-a -t 192.0.2.1:80 -r 10.0.0.12:80 -m -w 1
`},
	{"scheduler, one packet", "virtual_server 192.0.2.1 53 {\nprotocol UDP\nlb_algo rr\nops\n" +
		"real_server 10.0.0.11 53 { }\n}",
		`-A -u 192.0.2.1:53 -s rr -o
-a -u 192.0.2.1:53 -r 10.0.0.11:53 -m -w 1
`},
	{"hash", "virtual_server 192.0.2.1 80 {\nprotocol TCP\nlb_algo sh\nsh-port\nsh-fallback\n" +
		"mh-port\nreal_server 10.0.0.11 80 { }\n}",
		`-A -t 192.0.2.1:80 -s sh -b sh-fallback,sh-port
-a -t 192.0.2.1:80 -r 10.0.0.11:80 -m -w 1
`},
	{"flags", "virtual_server 192.0.2.1 80 {\nprotocol TCP\nflag-1\nflag-2\nflag-3\nhashed\n" +
		"real_server 10.0.0.11 80 { }\n}",
		`-A -t 192.0.2.1:80 -s wlc -b flag-1,flag-2,flag-3
-a -t 192.0.2.1:80 -r 10.0.0.11:80 -m -w 1
`},
	{"persistence", "virtual_server 192.0.2.1 5060 {\nprotocol UDP\npersistence_timeout 120\n" +
		"persistence_granularity 255.255.255.0\npersistence_engine sip\n" +
		"real_server 10.0.0.11 5060 { }\n}",
		`-A -u 192.0.2.1:5060 -s wlc -p 120 -M 255.255.255.0 --pe sip
-a -u 192.0.2.1:5060 -r 10.0.0.11:5060 -m -w 1
`},
	{"persistence by IPv6 prefix", "virtual_server 2001:db8::1 80 {\nprotocol TCP\n" +
		"persistence_timeout\npersistence_granularity 64\nreal_server fd00::11 80 { }\n}",
		`-A -t [2001:db8::1]:80 -s wlc -p 360 -M 64
-a -t [2001:db8::1]:80 -r [fd00::11]:80 -m -w 1
`},
	{"every port", "virtual_server 192.0.2.1 {\nprotocol TCP\npersistence_timeout 50\n" +
		"real_server 10.0.0.11 { }\n}",
		`-A -t 192.0.2.1:0 -s wlc -p 50
-a -t 192.0.2.1:0 -r 10.0.0.11:0 -m -w 1
`},
	{"thresholds", "virtual_server 192.0.2.1 80 {\nprotocol SCTP\n" +
		"real_server 10.0.0.11 80 {\nuthreshold 100\nlthreshold 50\n}\n}",
		`-A --sctp-service 192.0.2.1:80 -s wlc
-a --sctp-service 192.0.2.1:80 -r 10.0.0.11:80 -m -w 1 -x 100 -y 50
`},
	{"methods", "virtual_server 192.0.2.1 80 {\nprotocol TCP\n" +
		"lb_kind TUN type gue port 6080 remcsum\nreal_server 10.0.0.11 80 { }\n" +
		"real_server 10.0.0.12 81 {\nlvs_method NAT\n}\n" +
		"real_server 10.0.0.13 80 {\nlvs_method TUN type gre csum\n}\n" +
		"real_server fd00::14 80 {\nlvs_method TUN\n}\n" +
		"real_server 10.0.0.15 80 {\nlvs_method DR\n}\n}",
		`-A -t 192.0.2.1:80 -s wlc
-a -t 192.0.2.1:80 -r 10.0.0.11:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum
-a -t 192.0.2.1:80 -r 10.0.0.12:81 -m -w 1
-a -t 192.0.2.1:80 -r 10.0.0.13:80 -i -w 1 --tun-type gre --tun-csum
-a -t 192.0.2.1:80 -r [fd00::14]:80 -i -w 1
-a -t 192.0.2.1:80 -r 10.0.0.15:80 -g -w 1
`},
	{"sorry server with a method of its own", "virtual_server 192.0.2.1 80 {\nprotocol TCP\n" +
		"alpha\nsorry_server 10.0.0.99 80\nsorry_server_lvs_method TUN type gre\n" +
		"real_server 10.0.0.11 80 { TCP_CHECK { } }\n}",
		`-A -t 192.0.2.1:80 -s wlc
-a -t 192.0.2.1:80 -r 10.0.0.99:80 -i -w 1 --tun-type gre --tun-nocsum
`},
	{"mark", "virtual_server fwmark 7 {\n" + twoReals + "real_server 10.0.0.13 { }\n}",
		`-A -f 7 -s wlc
-a -f 7 -r 10.0.0.11:80 -m -w 3
-a -f 7 -r 10.0.0.12:80 -m -w 1
-a -f 7 -r 10.0.0.13:0 -m -w 1
`},
	{"mark of IPv6", "virtual_server fwmark 7 {\nlb_kind DR\nops\nreal_server fd00::11 80 { }\n}",
		`-A -f 7 -6 -s wlc -o
-a -f 7 -6 -r [fd00::11]:0 -g -w 1
`},
	{"marks of both families", "virtual_server fwmark 7 inet6 {\nlb_kind TUN\n" +
		"real_server 10.0.0.11 { }\n}\nvirtual_server fwmark 7 {\nip_family inet\n" +
		"lb_kind TUN\nreal_server 10.0.0.11 { }\n}",
		`-A -f 7 -s wlc
-a -f 7 -r 10.0.0.11:0 -i -w 1
-A -f 7 -6 -s wlc
-a -f 7 -6 -r 10.0.0.11:0 -i -w 1
`},
	{"group", webGroup + "virtual_server group web {\nprotocol TCP\n" + twoReals + "}",
		`-A -t 192.0.2.1:80 -s wlc
-a -t 192.0.2.1:80 -r 10.0.0.11:80 -m -w 3
-a -t 192.0.2.1:80 -r 10.0.0.12:80 -m -w 1
-A -t 192.0.2.2:80 -s wlc
-a -t 192.0.2.2:80 -r 10.0.0.11:80 -m -w 3
-a -t 192.0.2.2:80 -r 10.0.0.12:80 -m -w 1
-A -t 192.0.2.9:443 -s wlc
-a -t 192.0.2.9:443 -r 10.0.0.11:80 -m -w 3
-a -t 192.0.2.9:443 -r 10.0.0.12:80 -m -w 1
-A -f 7 -s wlc
-a -f 7 -r 10.0.0.11:80 -m -w 3
-a -f 7 -r 10.0.0.12:80 -m -w 1
`},
	{"group that keeps ports", webGroup +
		"virtual_server group web {\nprotocol TCP\nlb_kind DR\n" + twoReals + "}",
		`-A -t 192.0.2.1:80 -s wlc
-a -t 192.0.2.1:80 -r 10.0.0.11:80 -g -w 3
-a -t 192.0.2.1:80 -r 10.0.0.12:80 -g -w 1
-A -t 192.0.2.2:80 -s wlc
-a -t 192.0.2.2:80 -r 10.0.0.11:80 -g -w 3
-a -t 192.0.2.2:80 -r 10.0.0.12:80 -g -w 1
-A -t 192.0.2.9:443 -s wlc
-a -t 192.0.2.9:443 -r 10.0.0.11:443 -g -w 3
-a -t 192.0.2.9:443 -r 10.0.0.12:443 -g -w 1
-A -f 7 -s wlc
-a -f 7 -r 10.0.0.11:0 -g -w 3
-a -f 7 -r 10.0.0.12:0 -g -w 1
`},
	{"group whose members overlap", "virtual_server_group web {\n192.0.2.1-2 80\n192.0.2.2-3 80\n" +
		"}\nvirtual_server group web {\nprotocol TCP\nreal_server 10.0.0.11 80 { }\n}",
		`-A -t 192.0.2.1:80 -s wlc
-a -t 192.0.2.1:80 -r 10.0.0.11:80 -m -w 1
-A -t 192.0.2.2:80 -s wlc
-a -t 192.0.2.2:80 -r 10.0.0.11:80 -m -w 1
-A -t 192.0.2.3:80 -s wlc
-a -t 192.0.2.3:80 -r 10.0.0.11:80 -m -w 1
`},
	{"group of two families in a tunnel", "virtual_server_group web {\n192.0.2.1 80\n" +
		"2001:db8::fffe-ffff 80\n}\nvirtual_server group web {\nprotocol TCP\nlb_kind TUN\n" +
		"persistence_timeout 9\npersistence_granularity 24\nreal_server 10.0.0.11 80 { }\n}",
		`-A -t 192.0.2.1:80 -s wlc -p 9 -M 255.255.255.0
-a -t 192.0.2.1:80 -r 10.0.0.11:80 -i -w 1
-A -t [2001:db8::fffe]:80 -s wlc -p 9 -M 24
-a -t [2001:db8::fffe]:80 -r 10.0.0.11:80 -i -w 1
-A -t [2001:db8::ffff]:80 -s wlc -p 9 -M 24
-a -t [2001:db8::ffff]:80 -r 10.0.0.11:80 -i -w 1
`},
}

func TestNames(t *testing.T) {
	var got []string
	byMark, byGroup := web(), web()
	byMark.Mark, byMark.Family = 7, config.IPv6
	byGroup.Group = "web"
	for _, vs := range []config.VirtualServer{web(), byMark, byGroup} {
		got = append(got, pool.NameOf(&vs).String())
	}
	want := []string{"TCP 192.168.1.1:80", "mark 7 IPv6", "group web TCP"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestServicesLargeGroup has the largest range of IPv6, up to the last address that there is.
func TestServicesLargeGroup(t *testing.T) {
	vs := web(1)
	vs.Address, vs.Group = netip.AddrPort{}, "web"
	vs.Members = []config.ServiceRange{{First: address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:0"),
		Last: address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Port: 80}}
	if n := len(pool.Keys(&vs)); n != 1<<16 {
		t.Errorf("%d services, want %d", n, 1<<16)
	}
}

// TestServicesOfOnePlace has a reload that only changes the port of a real server which keeps its
// port in the kernel: what drains is the same destination as what is wanted.
func TestServicesOfOnePlace(t *testing.T) {
	vs := web(1)
	vs.Address, vs.Mark, vs.Family, vs.Forward = netip.AddrPort{}, 7, config.IPv4, config.DR
	drain := draining(0)
	drain.Destination.Addr = netip.AddrPortFrom(server(0).Addr(), 8080)
	drain.Destination.Forward = ipvs.DR
	got := pool.Services(&vs, wanted(vs, nil, drain)).String()
	want := "-A -f 7 -s wlc\n-a -f 7 -r 192.168.2.11:0 -g -w 1\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSum adds up the connections of the services of a group.
func TestSum(t *testing.T) {
	vs := web(1, 1)
	vs.Address, vs.Group, vs.Forward = netip.AddrPort{}, "web", config.DR
	vs.Members = []config.ServiceRange{{Mark: 7, Family: config.IPv4},
		{First: address("192.168.1.1"), Last: address("192.168.1.1"), Port: 443}}
	ds, _ := pool.Desired(&vs, &pool.State{})
	at := func(i int, port uint16) netip.AddrPort {
		return netip.AddrPortFrom(server(i).Addr(), port)
	}
	loads := func(k ipvs.Key) (map[netip.AddrPort]ipvs.Load, error) {
		if k.Mark != 0 {
			return map[netip.AddrPort]ipvs.Load{at(0, 0): {Weight: 1, Active: 1, Persistent: 4}}, nil
		}
		return map[netip.AddrPort]ipvs.Load{at(0, 443): {Active: 2, Inactive: 3},
			at(1, 443): {Weight: 5}, at(1, 80): {Active: 9}}, nil
	}
	got, err := pool.Sum(&vs, ds, loads)
	want := map[netip.AddrPort]ipvs.Load{
		server(0): {Weight: 1, Active: 3, Inactive: 3, Persistent: 4}, server(1): {Weight: 5}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
	got, err = pool.Sum(&vs, ds, func(k ipvs.Key) (map[netip.AddrPort]ipvs.Load, error) {
		if k.Mark != 0 {
			return nil, unix.ESRCH
		}
		return loads(k)
	})
	want[server(0)] = ipvs.Load{Active: 2, Inactive: 3}
	if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, unix.ESRCH) {
		t.Errorf("one is not there: %v, (-want +got):\n%s", err, diff)
	}
}

// TestServicesNeverStandStill goes from one health, quorum, override and set of drains of a virtual
// server to another, one operation after the other, and demands that each service has a destination
// that takes connections at each moment if it has one before and after, and what is wanted then.
func TestServicesNeverStandStill(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		var table ipvstest.Memory
		before, quorum := pool.Desired(&d.vs, &d.State)
		have := pool.Services(&d.vs, before)
		apply(t, &table, ipvs.Diff(nil, have)...)
		for i := range d.vs.RealServers {
			a := d.vs.RealServers[i].Address
			d.Health[a] = rapid.Bool().Draw(t, "up later")
			if rapid.Bool().Draw(t, "overridden later") {
				d.Overrides[a] = rapid.IntRange(0, 3).Draw(t, "override later")
			}
		}
		d.Quorum = quorum
		after, _ := pool.Desired(&d.vs, &d.State)
		want := pool.Services(&d.vs, after)
		for _, op := range ipvs.Diff(have, want) {
			apply(t, &table, op)
			now, err := table.List(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range now {
				was, _ := have.Get(s.Key)
				will, _ := want.Get(s.Key)
				if takes(was) && takes(will) && !takes(s) {
					t.Fatalf("after %s nobody takes connections of %s", op, s.Key)
				}
			}
		}
		if now, err := table.List(context.Background()); err != nil || !now.Equal(want) {
			t.Fatalf("%v, table:\n%s, want:\n%s", err, now, want)
		}
	})
}

func takes(s ipvs.Service) bool {
	for _, d := range s.Destinations {
		if d.Weight > 0 {
			return true
		}
	}
	return false
}

func apply(t *rapid.T, table *ipvstest.Memory, ops ...ipvs.Op) {
	for _, op := range ops {
		if err := op.Validate(); err != nil {
			t.Fatalf("not fit for the kernel: %v", err)
		}
	}
	if err := table.Apply(context.Background(), ops); err != nil {
		t.Fatal(fmt.Errorf("apply: %w", err))
	}
}
