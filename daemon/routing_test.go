package daemon

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
)

// TestRouting reads routes and rules and prints what is made of them as iproute2 would have it.
func TestRouting(t *testing.T) {
	cfg, ds := config.Load("testdata/routing.conf", config.Options{})
	if cfg == nil {
		t.Fatal(ds.Err())
	}
	if ds := checkRouting(cfg); len(ds) > 0 {
		t.Error(ds)
	}
	var got []string
	s := statics(cfg)
	c := groups(cfg)[0].Members[0]
	for _, r := range append(s.Routes, c.Routes...) {
		got = append(got, r.String())
	}
	for _, r := range append(s.Rules, c.Rules...) {
		got = append(got, r.String())
	}
	want := []string{
		"10.1.0.0/16 via 192.168.1.254 dev eth0",
		"blackhole 10.2.0.0/16 table 1000 metric 5",
		"0.0.0.0/0 via 192.168.1.254 onlink table 255",
		"10.3.0.0/16 nexthop via 192.168.1.253 weight 2 nexthop via 192.168.1.254 dev eth0",
		"2001:db8::/32 via fe80::1 dev eth0 metric 16",
		"10.4.0.0/16 src 192.168.1.2 dev eth0 tos 16 scope 253 protocol 4 realms 1/2 " +
			"advmss 1360 features 1 mtu lock 1400 quickack 1 rtt 80 congctl reno",
		"unreachable 10.9.0.0/16",
		"from 10.1.0.0/16 to 10.2.0.0/16 preference 100 table 1000",
		"not from all preference 16384 fwmark 0x1/0xff tos 16 iif eth0 oif lo table 254",
		"-6 from all preference 16384 ipproto 6 sport 1024-1024 dport 80-81 uidrange 0-10 " +
			"table 10 suppress_prefixlength 0",
		"from 10.1.0.0/16 preference 16383 prohibit",
		"from all preference 16382 goto 32766",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !c.PromoteSecondaries {
		t.Error("promote_secondaries: not taken over")
	}
}

// TestRefusedRouting says that nothing that cannot be done is left out in silence.
func TestRefusedRouting(t *testing.T) {
	cfg, ds := config.Load("testdata/refused-routing.conf", config.Options{})
	if cfg == nil {
		t.Fatal(ds.Err())
	}
	ds = checkRouting(cfg)
	want := []string{
		"2:5: route: type nat: not supported",
		"3:5: route: expires: not supported, pref high: not supported",
		"4:5: route: table nosuchtable: not supported",
		"5:5: route: encap: not supported",
		"6:5: route: vrf blue: not supported",
		"7:5: route: rtt often: not supported",
		"8:5: route: features none: not supported, realms here/there: not supported",
		"11:5: rule: action l3mdev: not supported",
		"12:5: rule: suppress with table 1000: not supported above 255",
		"18:22: route: append: not supported",
	}
	said := strings.NewReplacer("testdata/refused-routing.conf:", "", ": error", "").Replace(ds.String())
	got := strings.Split(strings.TrimSpace(said), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := instance.NewStatics(statics(cfg), nil, nil); err == nil {
		t.Error("NewStatics: no error")
	}
	if _, err := instance.New(groups(cfg)[0], func(string) instance.Link { return nil }); err == nil {
		t.Error("New: no error")
	}
}
