package daemon

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// pairOfGroups is what TestCompareRouters changes: a sync group, and two instances alone.
const pairOfGroups = `vrrp_sync_group VG {
    group { VI_OUT VI_IN }
}
vrrp_instance VI_OUT {
    interface eth0
    virtual_router_id 51
    priority 150
    virtual_ipaddress { 192.168.1.1/24 }
}
vrrp_instance VI_IN {
    interface eth1
    virtual_router_id 52
    priority 150
    virtual_ipaddress { 192.168.2.1/24 }
}
vrrp_instance VI_A {
    interface eth2
    virtual_router_id 53
    virtual_ipaddress {
        192.168.3.1/24
        192.168.3.2/24
    }
}
vrrp_instance VI_B {
    interface eth2
    virtual_router_id 54
    virtual_ipaddress { 192.168.3.9/24 }
}
`

// parseConfig reads a configuration from text.
func parseConfig(t testing.TB, text string) *config.Config {
	t.Helper()
	cfg, ds := config.Parse("test.conf", []byte(text))
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// edited replaces pieces of text: old, new, old, new, each as often as it is there, at least once.
func edited(t testing.TB, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("%q is not in the configuration", pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

func TestCompareRouters(t *testing.T) {
	const kept = "keep vrrp_sync_group VG\nkeep vrrp_instance VI_A\nkeep vrrp_instance VI_B\n"
	const alone = `vrrp_instance VI_B {
    interface eth2
    virtual_router_id 54
    virtual_ipaddress { 192.168.3.9/24 }
}
`
	for _, tt := range []struct {
		name string
		edit []string
		want string
	}{
		{"nothing", nil, kept},
		{"places and comments", []string{"vrrp_instance VI_A", "# a comment\n\nvrrp_instance VI_A"},
			kept},
		{"what has no effect", []string{"group { VI_OUT VI_IN }",
			"group { VI_OUT VI_IN }\nnotify_master /bin/true"}, kept},
		{"order of members", []string{"VI_OUT VI_IN", "VI_IN VI_OUT"}, kept},
		{"order of VIPs", []string{"192.168.3.1/24\n        192.168.3.2/24",
			"192.168.3.2/24\n        192.168.3.1/24"},
			kept},
		{"priority of one", []string{"virtual_router_id 53", "virtual_router_id 53\npriority 90"},
			strings.Replace(kept, "keep vrrp_instance VI_A",
				"change vrrp_instance VI_A: priority 100 -> 90", 1)},
		{"priority of members", []string{"priority 150", "priority 151"},
			strings.Replace(kept, "keep vrrp_sync_group VG", "change vrrp_sync_group VG: "+
				"VI_OUT: priority 150 -> 151, VI_IN: priority 150 -> 151", 1)},
		{"VIPs", []string{"192.168.3.1/24\n", "192.168.3.7/24\n"},
			strings.Replace(kept, "keep vrrp_instance VI_A", "change vrrp_instance VI_A: "+
				"VIP 192.168.3.7/24 on eth2 more, VIP 192.168.3.1/24 on eth2 less", 1)},
		{"password", []string{"virtual_router_id 53",
			"virtual_router_id 53\nauthentication {\nauth_type PASS\nauth_pass 1111\n}"},
			strings.Replace(kept, "keep vrrp_instance VI_A", "change vrrp_instance VI_A: "+
				"auth_type none -> password, auth_pass", 1)},
		{"virtual router", []string{"virtual_router_id 53", "virtual_router_id 59"},
			strings.Replace(kept, "keep vrrp_instance VI_A",
				"restart vrrp_instance VI_A: virtual_router_id 53 -> 59", 1)},
		{"VIP that moves", []string{"192.168.3.1/24\n", "", "192.168.3.9/24",
			"192.168.3.9/24\n192.168.3.1/24\n"},
			strings.Replace(kept, "keep vrrp_instance VI_A\nkeep vrrp_instance VI_B",
				"restart vrrp_instance VI_A: VIP 192.168.3.1/24 on eth2 less, "+
					"VIP 192.168.3.1/24 on eth2 moves to vrrp_instance VI_B\n"+
					"change vrrp_instance VI_B: VIP 192.168.3.1/24 on eth2 more", 1)},
		{"instance gone", []string{alone, ""},
			strings.Replace(kept, "keep vrrp_instance VI_B",
				"stop vrrp_instance VI_B: not configured", 1)},
		{"instance new", []string{alone, alone + edited(t, alone, "VI_B", "VI_C", "54", "55",
			"192.168.3.9", "192.168.3.8")}, kept + "start vrrp_instance VI_C: new\n"},
		{"instance renamed", []string{"VI_B", "VI_C"},
			strings.Replace(kept, "keep vrrp_instance VI_B",
				"stop vrrp_instance VI_B: not configured\nstart vrrp_instance VI_C: new", 1)},
		{"member leaves its group", []string{"VI_OUT VI_IN", "VI_OUT"},
			strings.Replace(kept, "keep vrrp_sync_group VG",
				"restart vrrp_sync_group VG: members [VI_OUT VI_IN] -> [VI_OUT]", 1) +
				"start vrrp_instance VI_IN: new\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := compare(parseConfig(t, pairOfGroups),
				parseConfig(t, edited(t, pairOfGroups, tt.edit...)))
			var got strings.Builder
			for _, s := range p.routers {
				fmt.Fprintln(&got, s)
			}
			if diff := cmp.Diff(tt.want, got.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestCompareServices(t *testing.T) {
	const second = `virtual_server 192.168.1.1 443 {
    protocol TCP
    real_server 192.168.2.11 443 { }
}
`
	const of = "virtual_server TCP 192.168.1.1:80"
	for _, tt := range []struct {
		name string
		edit []string
		want string
	}{
		{"nothing", nil, ""},
		{"places", []string{"protocol TCP", "\n\nprotocol TCP"}, ""},
		{"scheduler", []string{"lb_algo rr", "lb_algo wlc"}, "change " + of + ": settings\n"},
		{"real server less", []string{"    real_server 192.168.2.12 80 { TCP_CHECK { } }\n", ""},
			"change " + of + ": real server 192.168.2.12:80 less\n"},
		{"real server more", []string{"sorry_server", "real_server 192.168.2.13 80 { }\nsorry_server"},
			"change " + of + ": real server 192.168.2.13:80 more\n"},
		{"weight", []string{"12 80 {", "12 80 {\nweight 7\n"},
			"change " + of + ": real server 192.168.2.12:80\n"},
		{"check", []string{"12 80 { TCP_CHECK { }", "12 80 { TCP_CHECK { connect_timeout 2\n}"},
			"change " + of + ": real server 192.168.2.12:80\n"},
		{"service gone", []string{second, ""},
			"stop virtual_server TCP 192.168.1.1:443: not configured\n"},
		{"other port", []string{"192.168.1.1 443", "192.168.1.1 444"},
			"stop virtual_server TCP 192.168.1.1:443: not configured\n" +
				"start virtual_server TCP 192.168.1.1:444: new\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := compare(parseConfig(t, twoServers+second),
				parseConfig(t, edited(t, twoServers+second, tt.edit...)))
			var got strings.Builder
			for _, s := range p.services {
				fmt.Fprintln(&got, s)
			}
			if diff := cmp.Diff(tt.want, got.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestNoSettingIsForgotten changes each field of an instance, one at a time, and looks whether the
// reload would notice.
func TestNoSettingIsForgotten(t *testing.T) {
	first := instance.Config{Name: "VI_1", Interface: "eth0"}
	var walk func(t *testing.T, whole *instance.Config, at reflect.Value, path string)
	walk = func(t *testing.T, whole *instance.Config, at reflect.Value, path string) {
		for i := range at.NumField() {
			f := at.Field(i)
			name := path + at.Type().Field(i).Name
			if name == "Name" || name == "Router.Addrs" { // the group's key; taken from VIPs
				continue
			}
			if f.Type() == reflect.TypeFor[vrrp.Config]() {
				walk(t, whole, f, name+".")
				continue
			}
			old := reflect.New(f.Type()).Elem()
			old.Set(f)
			f.Set(another(t, f))
			v, reasons := compareMember(&first, whole)
			if v == keep || len(reasons) == 0 {
				t.Errorf("%s: got %s %v, want a change and its reason", name, v, reasons)
			}
			f.Set(old)
		}
	}
	changed := first
	walk(t, &changed, reflect.ValueOf(&changed).Elem(), "")
}

// another returns a value that differs from the zero value and from "eth0".
func another(t *testing.T, v reflect.Value) reflect.Value {
	t.Helper()
	switch v.Interface().(type) {
	case netip.Addr:
		return reflect.ValueOf(netip.MustParseAddr("192.168.1.7"))
	case []instance.VIP:
		return reflect.ValueOf([]instance.VIP{{Device: "eth0"}})
	case []uint8:
		return reflect.ValueOf([]uint8{7})
	case []vrrp.Peer:
		return reflect.ValueOf([]vrrp.Peer{{Addr: netip.MustParseAddr("192.168.1.7")}})
	case []netif.Route:
		return reflect.ValueOf([]netif.Route{{Table: 9}})
	case []netif.Rule:
		return reflect.ValueOf([]netif.Rule{{Not: true}})
	case []netif.Macvlan:
		return reflect.ValueOf([]netif.Macvlan{{Name: "eth9"}})
	case []instance.PaceGroup:
		return reflect.ValueOf([]instance.PaceGroup{{Devices: []string{"eth9"}}})
	case *netif.Macvlan:
		return reflect.ValueOf(&netif.Macvlan{Name: "eth9"})
	case vrrp.Password:
		return reflect.ValueOf(vrrp.MakePassword("1111"))
	}
	n := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.String:
		n.SetString("eth9")
	case reflect.Bool:
		n.SetBool(true)
	case reflect.Uint8:
		n.SetUint(7)
	case reflect.Int, reflect.Int32, reflect.Int64:
		n.SetInt(7)
	default:
		t.Fatalf("no other value of %s is known: add one", v.Type())
	}
	return n
}

// largest returns a configuration of the size of the largest seen in the wild: 2,300 virtual
// servers with 37,300 real servers, each with a check. No two calls share memory.
func largest() *config.Config {
	const virtual, real = 2300, 37300
	cfg := &config.Config{}
	for i := range virtual {
		vs := config.VirtualServer{
			Pos:       config.At("test.conf", i+1, 1),
			Address:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 80),
			Protocol:  config.TCP,
			Scheduler: config.Scheduler(strings.Clone("wlc")), Forward: config.NAT, Quorum: 1,
		}
		for j := i * real / virtual; j < (i+1)*real/virtual; j++ {
			a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 2, byte(j >> 8), byte(j)}), 80)
			vs.RealServers = append(vs.RealServers, config.RealServer{
				Pos: vs.Pos, Address: a, Weight: 1,
				RealServerSettings: &config.RealServerSettings{},
				Checks: []config.Check{{Pos: vs.Pos, Target: a, CheckSettings: &config.CheckSettings{
					Kind: config.CheckHTTP, ConnectTimeout: 5 * time.Second,
					DelayLoop: 10 * time.Second, Retry: 3, DelayBeforeRetry: time.Second,
					HTTP: &config.HTTPCheck{Version: config.HTTP11, URLs: []config.URL{{
						Path:   strings.Clone("/health"),
						Status: []config.StatusRange{{First: 200, Last: 299}},
					}}},
				}}},
			})
		}
		cfg.VirtualServers = append(cfg.VirtualServers, vs)
	}
	return cfg
}

// lessOne takes a real server out of the last virtual server.
func lessOne(cfg *config.Config) {
	vs := &cfg.VirtualServers[len(cfg.VirtualServers)-1]
	vs.RealServers = slices.Delete(vs.RealServers, 0, 1)
}

// TestCompareIsFast compares the largest configuration with itself less one real server. The best
// of several runs is that of a machine that does nothing else.
func TestCompareIsFast(t *testing.T) {
	const limit = 200 * time.Millisecond * slowdown
	before, after := largest(), largest()
	lessOne(after)
	best := time.Hour
	for range 5 {
		begin := time.Now()
		p := compare(before, after)
		best = min(best, time.Since(begin))
		if len(p.steps()) != 1 || len(p.services[0].reasons) != 1 {
			t.Fatalf("got %v, want one real server less", p.steps())
		}
	}
	if best >= limit {
		t.Errorf("took %s, want less than %s", best, limit)
	}
}

func BenchmarkCompare(b *testing.B) {
	before, after := largest(), largest()
	lessOne(after)
	b.ReportAllocs()
	for b.Loop() {
		if got := len(compare(before, after).steps()); got != 1 {
			b.Fatalf("got %d steps, want 1", got)
		}
	}
}
