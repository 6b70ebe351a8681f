package ipvs_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

func TestOpString(t *testing.T) {
	persistent := ipvs.Settings{Scheduler: "wrr", Persistence: 50 * time.Second}
	subnet, subnet6 := persistent, persistent
	subnet.PersistenceBits, subnet6.PersistenceBits = 24, 64
	hash := ipvs.Settings{Scheduler: "sh", Flags: ipvs.Sched1 | ipvs.Sched2}
	limited := realServer("192.168.2.11:80", 1)
	limited.Upper, limited.Lower = 100, 75
	direct, tunnel := realServer("192.168.2.11:80", 1), realServer("[2001:db8:2::11]:80", 1)
	direct.Forward, tunnel.Forward = ipvs.DR, ipvs.TUN
	sctp := ipvs.Key{Protocol: ipvs.SCTP, Addr: web.Addr}

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
		{"add destination", ipvs.Op{Kind: ipvs.AddDestination, Key: web,
			Destination: realServer("192.168.2.11:80", 1)},
			"-a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1"},
		{"direct routing", ipvs.Op{Kind: ipvs.SetDestination, Key: web, Destination: direct},
			"-e -t 192.168.1.1:80 -r 192.168.2.11:80 -g -w 1"},
		{"tunnel", ipvs.Op{Kind: ipvs.SetDestination, Key: web6, Destination: tunnel},
			"-e -t [2001:db8::1]:80 -r [2001:db8:2::11]:80 -i -w 1"},
		{"thresholds", ipvs.Op{Kind: ipvs.AddDestination, Key: web, Destination: limited},
			"-a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1 -x 100 -y 75"},
		{"delete destination", ipvs.Op{Kind: ipvs.DeleteDestination, Key: web,
			Destination: ipvs.Destination{Addr: limited.Addr}},
			"-d -t 192.168.1.1:80 -r 192.168.2.11:80"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.op.Validate(); err != nil {
				t.Errorf("Validate() = %v", err)
			}
			if diff := cmp.Diff("ipvsadm "+tt.want, tt.op.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOpValidate(t *testing.T) {
	mapped := netip.MustParseAddrPort("[::ffff:192.168.1.1]:80")
	zone := netip.MustParseAddrPort("[fe80::1%eth0]:80")
	limits := realServer("192.168.2.11:80", 1)
	limits.Upper, limits.Lower = 1, 2
	noForward := realServer("192.168.2.11:80", 1)
	noForward.Forward = 0
	service := func(k ipvs.Key, s ipvs.Settings) ipvs.Op {
		return ipvs.Op{Kind: ipvs.AddService, Key: k, Settings: s}
	}
	destination := func(d ipvs.Destination) ipvs.Op {
		return ipvs.Op{Kind: ipvs.AddDestination, Key: web, Destination: d}
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
		{destination(realServer("192.168.2.11:80", -1)),
			"destination 192.168.2.11:80: weight -1 is not 0 to 65535"},
		{destination(realServer("192.168.2.11:80", 65536)),
			"destination 192.168.2.11:80: weight 65536 is not 0 to 65535"},
		{destination(limits), "destination 192.168.2.11:80: lower threshold 2 above the upper, 1"},
		{destination(noForward), "destination 192.168.2.11:80: unknown forwarding method"},
		{ipvs.Op{Kind: ipvs.DeleteDestination, Key: web},
			"destination invalid AddrPort: no address"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			err := tt.op.Validate()
			if err == nil || err.Error() != tt.want {
				t.Errorf("Validate() = %v, want %s", err, tt.want)
			}
		})
	}
}
