package ipvs_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/ipvs"
)

var (
	web   = ipvs.Key{Protocol: ipvs.TCP, Addr: netip.MustParseAddrPort("192.168.1.1:80")}
	dns   = ipvs.Key{Protocol: ipvs.UDP, Addr: netip.MustParseAddrPort("192.168.1.1:53")}
	web6  = ipvs.Key{Protocol: ipvs.TCP, Addr: netip.MustParseAddrPort("[2001:db8::1]:80")}
	mark  = ipvs.Key{Mark: 7, Family: ipvs.IPv4}
	mark6 = ipvs.Key{Mark: 7, Family: ipvs.IPv6}
)

func realServer(addr string, weight int) ipvs.Destination {
	a := netip.MustParseAddrPort(addr)
	return ipvs.Destination{Addr: a, Forward: ipvs.NAT, Weight: weight}
}

func wlc() ipvs.Settings { return ipvs.Settings{Scheduler: ipvs.WeightedLeastConnection} }

// expectCommand checks that the op is valid and prints itself as that command.
func expectCommand(t *testing.T, op ipvs.Op, want string) {
	t.Helper()
	if err := op.Validate(); err != nil {
		t.Errorf("Validate() = %v", err)
	}
	if diff := cmp.Diff("ipvsadm "+want, op.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestServiceOpString(t *testing.T) {
	persistent := ipvs.Settings{Scheduler: "wrr", Persistence: 50 * time.Second}
	subnet, subnet6 := persistent, persistent
	subnet.PersistenceBits, subnet6.PersistenceBits = 24, 64
	hash := ipvs.Settings{Scheduler: "sh", Flags: ipvs.Sched1 | ipvs.Sched2}
	sctp := ipvs.Key{Protocol: ipvs.SCTP, Addr: web.Addr}
	call := ipvs.Settings{Scheduler: "rr", Persistence: time.Minute, Engine: ipvs.SIP}
	for _, tt := range []struct {
		name string
		op   ipvs.Op
		want string
	}{
		{"add service", ipvs.Op{Kind: ipvs.AddService, Key: web, Settings: wlc()},
			"-A -t 192.168.1.1:80 -s wlc"},
		{"set service", ipvs.Op{Kind: ipvs.SetService, Key: dns, Settings: wlc()},
			"-E -u 192.168.1.1:53 -s wlc"},
		{"delete service", ipvs.Op{Kind: ipvs.DeleteService, Key: web6},
			"-D -t [2001:db8::1]:80"},
		{"mark", ipvs.Op{Kind: ipvs.DeleteService, Key: mark}, "-D -f 7"},
		{"mark of IPv6", ipvs.Op{Kind: ipvs.DeleteService, Key: mark6}, "-D -f 7 -6"},
		{"SCTP", ipvs.Op{Kind: ipvs.DeleteService, Key: sctp}, "-D --sctp-service 192.168.1.1:80"},
		{"persistent", ipvs.Op{Kind: ipvs.AddService, Key: web, Settings: persistent},
			"-A -t 192.168.1.1:80 -s wrr -p 50"},
		{"persistent by network", ipvs.Op{Kind: ipvs.AddService, Key: web, Settings: subnet},
			"-A -t 192.168.1.1:80 -s wrr -p 50 -M 255.255.255.0"},
		{"persistent by IPv6 network",
			ipvs.Op{Kind: ipvs.AddService, Key: web6, Settings: subnet6},
			"-A -t [2001:db8::1]:80 -s wrr -p 50 -M 64"},
		{"one packet", ipvs.Op{Kind: ipvs.AddService, Key: dns,
			Settings: ipvs.Settings{Scheduler: "rr", Flags: ipvs.OnePacket}},
			"-A -u 192.168.1.1:53 -s rr -o"},
		{"scheduler's flags", ipvs.Op{Kind: ipvs.AddService, Key: web, Settings: hash},
			"-A -t 192.168.1.1:80 -s sh -b sh-fallback,sh-port"},
		{"engine", ipvs.Op{Kind: ipvs.AddService, Key: dns, Settings: call},
			"-A -u 192.168.1.1:53 -s rr -p 60 --pe sip"},
		{"raw flags", ipvs.Op{Kind: ipvs.AddService, Key: web, Settings: ipvs.Settings{
			Scheduler: "rr", Flags: ipvs.Sched1 | ipvs.Sched2 | ipvs.Sched3}},
			"-A -t 192.168.1.1:80 -s rr -b flag-1,flag-2,flag-3"},
		{"mh's flags", ipvs.Op{Kind: ipvs.AddService, Key: web, Settings: ipvs.Settings{
			Scheduler: "mh", Flags: ipvs.Fallback | ipvs.HashPort}},
			"-A -t 192.168.1.1:80 -s mh -b mh-fallback,mh-port"},
	} {
		t.Run(tt.name, func(t *testing.T) { expectCommand(t, tt.op, tt.want) })
	}
}

func TestDestinationOpString(t *testing.T) {
	limited := realServer("192.168.2.11:80", 1)
	limited.Upper, limited.Lower = 100, 75
	direct, tunnel := realServer("192.168.2.11:80", 1), realServer("[2001:db8:2::11]:80", 1)
	direct.Forward, tunnel.Forward = ipvs.DR, ipvs.TUN
	add := func(k ipvs.Key, d ipvs.Destination) ipvs.Op {
		return ipvs.Op{Kind: ipvs.AddDestination, Key: k, Destination: d}
	}
	for _, tt := range []struct {
		name string
		op   ipvs.Op
		want string
	}{
		{"add destination", ipvs.Op{Kind: ipvs.AddDestination, Key: web,
			Destination: realServer("192.168.2.11:80", 1)},
			"-a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1"},
		{"direct routing", ipvs.Op{Kind: ipvs.SetDestination, Key: web, Destination: direct},
			"-e -t 192.168.1.1:80 -r 192.168.2.11:80 -g -w 1"},
		{"tunnel", ipvs.Op{Kind: ipvs.SetDestination, Key: web6, Destination: tunnel},
			"-e -t [2001:db8::1]:80 -r [2001:db8:2::11]:80 -i -w 1"},
		{"GUE", add(web, tunnelled("192.168.2.11:80", ipvs.Tunnel{Type: ipvs.GUE, Port: 6080})),
			"-a -t 192.168.1.1:80 -r 192.168.2.11:80 -i -w 1 --tun-type gue --tun-port 6080 " +
				"--tun-nocsum"},
		{"GUE with remote checksum", add(web, tunnelled("192.168.2.11:80",
			ipvs.Tunnel{Type: ipvs.GUE, Port: 6080, Checksum: ipvs.RemoteChecksum})),
			"-a -t 192.168.1.1:80 -r 192.168.2.11:80 -i -w 1 --tun-type gue --tun-port 6080 " +
				"--tun-remcsum"},
		{"GRE to another family", add(web, tunnelled("[2001:db8:2::11]:80",
			ipvs.Tunnel{Type: ipvs.GRE, Checksum: ipvs.FullChecksum})),
			"-a -t 192.168.1.1:80 -r [2001:db8:2::11]:80 -i -w 1 --tun-type gre --tun-csum"},
		{"largest weight", add(web, realServer("192.168.2.11:80", ipvs.MaxWeight)),
			"-a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 2147483647"},
		{"thresholds", ipvs.Op{Kind: ipvs.AddDestination, Key: web, Destination: limited},
			"-a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1 -x 100 -y 75"},
		{"delete destination", ipvs.Op{Kind: ipvs.DeleteDestination, Key: web,
			Destination: ipvs.Destination{Addr: limited.Addr}},
			"-d -t 192.168.1.1:80 -r 192.168.2.11:80"},
	} {
		t.Run(tt.name, func(t *testing.T) { expectCommand(t, tt.op, tt.want) })
	}
}

// expectInvalid checks that the op is refused for that reason.
func expectInvalid(t *testing.T, op ipvs.Op, want string) {
	t.Helper()
	if err := op.Validate(); err == nil || err.Error() != want {
		t.Errorf("Validate() = %v, want %s", err, want)
	}
}

func TestServiceOpValidate(t *testing.T) {
	mapped := netip.MustParseAddrPort("[::ffff:192.168.1.1]:80")
	zone := netip.MustParseAddrPort("[fe80::1%eth0]:80")
	service := func(k ipvs.Key, s ipvs.Settings) ipvs.Op {
		return ipvs.Op{Kind: ipvs.AddService, Key: k, Settings: s}
	}
	for _, tt := range []struct {
		op   ipvs.Op
		want string
	}{
		{ipvs.Op{Key: web}, "unknown operation 0"},
		{service(ipvs.Key{}, wlc()), "service Protocol(0) invalid AddrPort: unknown protocol"},
		{service(ipvs.Key{Protocol: ipvs.TCP}, wlc()),
			"service invalid AddrPort: no address"},
		{service(ipvs.Key{Protocol: ipvs.TCP, Addr: mapped}, wlc()),
			"service [::ffff:192.168.1.1]:80: an IPv4 address in IPv6 form"},
		{service(ipvs.Key{Protocol: ipvs.TCP, Addr: zone}, wlc()),
			"service [fe80::1%eth0]:80: an address with a zone"},
		{service(ipvs.Key{Mark: 1}, wlc()), "service mark 1 Family(0): unknown family"},
		{service(ipvs.Key{Mark: 1, Family: ipvs.IPv4, Protocol: ipvs.TCP}, wlc()),
			"service mark 1 IPv4: has a mark and an address"},
		{service(ipvs.Key{Protocol: ipvs.TCP, Addr: web.Addr, Family: ipvs.IPv4}, wlc()),
			"service TCP 192.168.1.1:80: a family is only for marks"},
		{service(web, ipvs.Settings{}), "service TCP 192.168.1.1:80: no scheduler"},
		{service(web, ipvs.Settings{Scheduler: "rr", Flags: 1}),
			"service TCP 192.168.1.1:80: unknown flags 0x1"},
		{service(web, ipvs.Settings{Scheduler: "rr", Persistence: time.Millisecond}),
			"service TCP 192.168.1.1:80: persistence 1ms is not whole seconds"},
		{service(web, ipvs.Settings{Scheduler: "rr", PersistenceBits: 33}),
			"service TCP 192.168.1.1:80: persistence prefix 33 is not 0 to 32"},
		{service(web, ipvs.Settings{Scheduler: "0123456789abcdef"}),
			"service TCP 192.168.1.1:80: a name of more than 15 bytes"},
		{service(dns, ipvs.Settings{Scheduler: "rr", Engine: ipvs.SIP}),
			"service UDP 192.168.1.1:53: engine sip without persistence"},
	} {
		t.Run(tt.want, func(t *testing.T) { expectInvalid(t, tt.op, tt.want) })
	}
}

func TestDestinationOpValidate(t *testing.T) {
	limits := realServer("192.168.2.11:80", 1)
	limits.Upper, limits.Lower = 1, 2
	noForward := realServer("192.168.2.11:80", 1)
	noForward.Forward = 0
	natTunnel := realServer("192.168.2.11:80", 1)
	natTunnel.Tunnel.Type = ipvs.GRE
	destination := func(d ipvs.Destination) ipvs.Op {
		return ipvs.Op{Kind: ipvs.AddDestination, Key: web, Destination: d}
	}
	tunnel := func(t ipvs.Tunnel) ipvs.Op {
		return destination(tunnelled("192.168.2.11:80", t))
	}
	for _, tt := range []struct {
		op   ipvs.Op
		want string
	}{
		{destination(realServer("192.168.2.11:80", -1)),
			"destination 192.168.2.11:80: weight -1 is not 0 to 2147483647"},
		{destination(realServer("192.168.2.11:80", ipvs.MaxWeight+1)),
			"destination 192.168.2.11:80: weight 2147483648 is not 0 to 2147483647"},
		{destination(realServer("[2001:db8:2::11]:80", 1)),
			"destination [2001:db8:2::11]:80: only TUN leads to another family, not NAT"},
		{destination(natTunnel),
			"destination 192.168.2.11:80: a tunnel with method NAT"},
		{tunnel(ipvs.Tunnel{Type: 3}), "destination 192.168.2.11:80: unknown tunnel type 3"},
		{tunnel(ipvs.Tunnel{Checksum: 3}),
			"destination 192.168.2.11:80: unknown tunnel checksum 3"},
		{tunnel(ipvs.Tunnel{Type: ipvs.GUE}),
			"destination 192.168.2.11:80: tunnel gue without a port"},
		{tunnel(ipvs.Tunnel{Type: ipvs.GRE, Port: 1}),
			"destination 192.168.2.11:80: tunnel gre with a port"},
		{tunnel(ipvs.Tunnel{Checksum: ipvs.FullChecksum}),
			"destination 192.168.2.11:80: tunnel ipip with csum"},
		{tunnel(ipvs.Tunnel{Type: ipvs.GRE, Checksum: ipvs.RemoteChecksum}),
			"destination 192.168.2.11:80: tunnel gre with remcsum"},
		{destination(limits), "destination 192.168.2.11:80: lower threshold 2 above the upper, 1"},
		{destination(noForward), "destination 192.168.2.11:80: unknown forwarding method"},
		{ipvs.Op{Kind: ipvs.DeleteDestination, Key: web},
			"destination invalid AddrPort: no address"},
	} {
		t.Run(tt.want, func(t *testing.T) { expectInvalid(t, tt.op, tt.want) })
	}
}

func TestParseFlag(t *testing.T) {
	for _, tt := range []struct {
		scheduler ipvs.Scheduler
		name      string
		want      ipvs.Flags // 0 is an error
	}{
		{"sh", "sh-fallback", ipvs.Sched1}, {"sh", "sh-port", ipvs.Sched2},
		{"mh", "mh-fallback", ipvs.Sched1}, {"mh", "mh-port", ipvs.Sched2},
		{"sh", "flag-1", ipvs.Sched1}, {"rr", "flag-2", ipvs.Sched2},
		{"wlc", "flag-3", ipvs.Sched3},
		{"sh", "mh-port", 0}, {"rr", "sh-port", 0}, {"rr", "flag-4", 0}, {"rr", "", 0},
	} {
		got, err := ipvs.ParseFlag(tt.scheduler, tt.name)
		if got != tt.want || (err == nil) != (tt.want != 0) {
			t.Errorf("%s of %s is %#x, error %v, want %#x",
				tt.name, tt.scheduler, uint32(got), err, uint32(tt.want))
		}
	}
}

func TestOpErrorSaysWhatItMeans(t *testing.T) {
	call := ipvs.Settings{Scheduler: "rr", Persistence: time.Minute, Engine: "xyz"}
	for _, tt := range []struct {
		op   ipvs.Op
		err  error
		want string
	}{
		{ipvs.Op{Kind: ipvs.SetService, Key: web, Settings: ipvs.Settings{Scheduler: "mh"}},
			unix.ENOENT, "scheduler mh: kernel has no module ip_vs_mh: no such file or directory"},
		{ipvs.Op{Kind: ipvs.AddService, Key: web, Settings: call}, unix.ENOENT,
			"scheduler rr, engine xyz: kernel has no module ip_vs_rr or ip_vs_pe_xyz: " +
				"no such file or directory"},
		{addWeb(), unix.ENOMEM, "the kernel is short of memory: cannot allocate memory"},
		{addWeb(), unix.EEXIST, "file exists"},
		{destinationOp(ipvs.DeleteDestination, realServer("192.168.2.11:80", 1)), unix.ENOENT,
			"no such destination: no such file or directory"},
		{ipvs.Op{Kind: ipvs.DeleteService, Key: web}, unix.ESRCH,
			"no such service: no such process"},
	} {
		err := &ipvs.OpError{Op: tt.op, Err: tt.err}
		if diff := cmp.Diff(tt.op.String()+": "+tt.want, err.Error()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
