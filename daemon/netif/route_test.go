package netif_test

import (
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// shown returns the lines that `ip ARGS` prints in the node, their spaces made one.
func shown(t *testing.T, n *netiftest.Node, args ...string) []string {
	t.Helper()
	path, err := exec.LookPath("ip")
	if err != nil {
		t.Skip("iproute2 is not installed")
	}
	var out []byte
	n.Do(func() { out, err = exec.Command(path, args...).CombinedOutput() })
	if err != nil && !strings.Contains(string(out), "FIB table does not exist") {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
	// Versions of iproute2 differ in these.
	same := strings.NewReplacer("proto 18", "proto keepalived", "tos lowdelay", "tos 0x10",
		" [detached]", "", " error -113", "")
	var lines []string
	for line := range strings.Lines(string(out)) {
		if words := strings.Fields(line); len(words) > 0 && err == nil {
			lines = append(lines, same.Replace(strings.Join(words, " ")))
		}
	}
	return lines
}

// TestRoutes adds routes of every kind and has iproute2 say what the kernel has.
func TestRoutes(t *testing.T) {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	via := func(s string) []netif.Hop { return []netif.Hop{{Via: addr(s)}} }
	tests := []struct {
		name  string
		route netif.Route
		want  string
	}{
		{"gateway", netif.Route{Dest: prefix("10.1.0.0/16"), Hops: via("192.168.1.254")},
			"10.1.0.0/16 via 192.168.1.254 dev eth0 proto keepalived"},
		{"interface", netif.Route{Dest: prefix("10.2.0.0/16"),
			Hops: []netif.Hop{{Device: "eth0"}}, Source: addr("192.168.1.2"), Metric: 7},
			"10.2.0.0/16 dev eth0 proto keepalived scope link src 192.168.1.2 metric 7"},
		{"default", netif.Route{Hops: via("192.168.1.254"), Table: 1000},
			"default via 192.168.1.254 dev eth0 table 1000 proto keepalived"},
		{"blackhole", netif.Route{Type: "blackhole", Dest: prefix("10.3.0.0/16")},
			"blackhole 10.3.0.0/16 proto keepalived"},
		{"several hops", netif.Route{Dest: prefix("10.4.0.0/16"), Hops: []netif.Hop{
			{Via: addr("192.168.1.253"), Weight: 2}, {Via: addr("192.168.1.254"), Device: "eth0"},
		}}, "10.4.0.0/16 proto keepalived " +
			"nexthop via 192.168.1.253 dev eth0 weight 2 nexthop via 192.168.1.254 dev eth0 weight 1"},
		{"on link", netif.Route{Dest: prefix("10.5.0.0/16"), Hops: []netif.Hop{
			{Via: addr("172.16.0.1"), Device: "eth0", OnLink: true},
		}}, "10.5.0.0/16 via 172.16.0.1 dev eth0 proto keepalived onlink"},
		{"metrics", netif.Route{Dest: prefix("10.6.0.0/16"), Hops: via("192.168.1.254"),
			Protocol: 4, TOS: 0x10, Scope: 200, HasScope: true,
			Metrics: map[string]uint32{"mtu": 1400, "advmss": 1360, "initcwnd": 20, "quickack": 1},
			Locked:  []string{"mtu"}},
			"10.6.0.0/16 tos 0x10 via 192.168.1.254 dev eth0 proto static scope site " +
				"mtu lock 1400 advmss 1360 initcwnd 20 quickack 1"},
		{"IPv6", netif.Route{Dest: prefix("2001:db8:1::/48"),
			Hops: []netif.Hop{{Via: addr("fe80::1"), Device: "eth0"}}, Metric: 10},
			"2001:db8:1::/48 via fe80::1 dev eth0 proto keepalived metric 10 pref medium"},
		{"IPv6 unreachable", netif.Route{IPv6: true, Type: "unreachable", Table: 1001},
			"unreachable default dev lo table 1001 proto keepalived metric 1024 pref medium"},
		{"IPv4 over IPv6", netif.Route{Dest: prefix("10.7.0.0/16"),
			Hops: []netif.Hop{{Via: addr("fe80::1"), Device: "eth0"}}},
			"10.7.0.0/16 via inet6 fe80::1 dev eth0 proto keepalived"},
	}
	node, _ := netiftest.Pair(t)
	all := func() []string {
		lines := slices.Concat(shown(t, node, "-4", "route", "show", "table", "all"),
			shown(t, node, "-6", "route", "show", "table", "all"))
		return slices.DeleteFunc(lines, func(s string) bool { // it comes with time
			return strings.HasPrefix(s, "local fe80:")
		})
	}
	before := all()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ok(t, node.Host.DropRoute(tt.route)) // absent
			ok(t, node.Host.PutRoute(tt.route))
			ok(t, node.Host.PutRoute(tt.route)) // present
			if restored, err := node.Host.RestoreRoute(tt.route); restored || err != nil {
				t.Errorf("RestoreRoute of one that is there: %t, %v", restored, err)
			}
			got := slices.DeleteFunc(all(), func(s string) bool { return slices.Contains(before, s) })
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			ok(t, node.Host.DropRoute(tt.route))
			if restored, err := node.Host.RestoreRoute(tt.route); !restored || err != nil {
				t.Errorf("RestoreRoute of one that is gone: %t, %v", restored, err)
			}
			ok(t, node.Host.DropRoute(tt.route))
			if diff := cmp.Diff(before, all()); diff != "" {
				t.Errorf("left behind (-want +got)\n%s", diff)
			}
		})
	}
	gone := netif.Route{Dest: prefix("10.9.0.0/16"), Hops: []netif.Hop{{Device: "nowhere0"}}}
	ok(t, node.Host.DropRoute(gone))
	want := "add route 10.9.0.0/16 dev nowhere0: Link not found"
	if err := node.Host.PutRoute(gone); err == nil || err.Error() != want {
		t.Errorf("PutRoute = %v, want %s", err, want)
	}
}

// TestRules is TestRoutes for rules.
func TestRules(t *testing.T) {
	prefix := netip.MustParsePrefix
	zero := 0
	tests := []struct {
		name string
		rule netif.Rule
		want string
	}{
		{"from and to", netif.Rule{From: prefix("10.1.0.0/16"), To: prefix("10.2.0.0/16"),
			Table: 1000, Preference: 100},
			"100: from 10.1.0.0/16 to 10.2.0.0/16 lookup 1000 proto keepalived"},
		{"not, mark, interfaces", netif.Rule{Not: true, Mark: 1, Mask: 0xff, In: "eth0", Out: "lo",
			TOS: 0x10, Preference: 101}, "101: not from all tos 0x10 " +
			"fwmark 0x1/0xff iif eth0 oif lo lookup main proto keepalived"},
		{"ports and users", netif.Rule{IPProtocol: 6, DestPorts: &netif.Range{First: 80, Last: 81},
			SourcePorts: &netif.Range{First: 1024, Last: 1024},
			Users:       &netif.Range{First: 0, Last: 10},
			Table:       10, Preference: 102},
			"102: from all uidrange 0-10 ipproto tcp sport 1024 dport 80-81 lookup 10 proto keepalived"},
		{"suppress", netif.Rule{SuppressLength: &zero, Preference: 103},
			"103: from all lookup main suppress_prefixlength 0 proto keepalived"},
		{"refuse", netif.Rule{From: prefix("10.1.0.0/16"), Action: "prohibit", Preference: 104},
			"104: from 10.1.0.0/16 prohibit proto keepalived"},
		{"goto", netif.Rule{Action: "goto", Goto: 32766, Preference: 105},
			"105: from all goto 32766 proto keepalived"},
		{"IPv6", netif.Rule{IPv6: true, Table: 1000, Preference: 106},
			"106: from all lookup 1000 proto keepalived"},
	}
	node, _ := netiftest.Pair(t)
	all := func() []string {
		return slices.Concat(shown(t, node, "-4", "rule", "show"), shown(t, node, "-6", "rule", "show"))
	}
	before := all()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ok(t, node.Host.DropRule(tt.rule)) // absent
			ok(t, node.Host.PutRule(tt.rule))
			if restored, err := node.Host.RestoreRule(tt.rule); restored || err != nil {
				t.Errorf("RestoreRule of one that is there: %t, %v", restored, err)
			}
			got := slices.DeleteFunc(all(), func(s string) bool { return slices.Contains(before, s) })
			if diff := cmp.Diff([]string{tt.want}, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			ok(t, node.Host.DropRule(tt.rule))
			if diff := cmp.Diff(before, all()); diff != "" {
				t.Errorf("left behind (-want +got)\n%s", diff)
			}
		})
	}
}

// TestRefusedRoutesAndRules says what the library cannot say to the kernel.
func TestRefusedRoutesAndRules(t *testing.T) {
	one := 1
	for _, tt := range []struct {
		value interface{ Validate() error }
		want  string
	}{
		{netif.Route{Type: "nat"}, "type nat: not supported"},
		{netif.Route{Metrics: map[string]uint32{"pref": 1}}, "pref: not supported"},
		{netif.Route{Locked: []string{"rtt"}}, "rtt lock: not supported"},
		{netif.Route{Hops: []netif.Hop{{}}}, "next hop: want a gateway or an interface"},
		{netif.Rule{}, "preference 0: want 1 or more"},
		{netif.Rule{Preference: 1, Action: "l3mdev"}, "action l3mdev: not supported"},
		{netif.Rule{Preference: 1, Table: 256, SuppressGroup: &one},
			"suppress with table 256: not supported above 255"},
	} {
		if err := tt.value.Validate(); err == nil || err.Error() != tt.want {
			t.Errorf("%v: %v, want %s", tt.value, err, tt.want)
		}
	}
}
