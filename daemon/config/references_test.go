package config

import (
	"strings"
	"testing"
)

// TestReferences has one case for each check of what blocks say of each other.
func TestReferences(t *testing.T) { checkAll(t, referenceCases) }

var referenceCases = []saying{
	{"track_script", "vrrp_script web {\nscript /bin/true\n}\n" + instance,
		"track_script { wbe }", []string{`8:16: error: track_script "wbe": expected the name of ` +
			`a vrrp_script (did you mean web?)`}},
	{"track_script weight", "vrrp_script web {\nscript /bin/true\n}\n" + instance,
		"track_script { web weight 300 }", []string{`8:27: error: weight "300": expected a whole ` +
			`number from -253 to 253`}},
	{"track_file", instance, "track_file { f }", []string{
		`5:14: error: track_file "f": expected the name of a track_file`}},
	{"track_process", instance, "track_process { f }", []string{
		`5:17: error: track_process "f": expected the name of a vrrp_track_process`}},
	{"track_bfd of a group", two, "vrrp_sync_group G { group { A } track_bfd { b } }", []string{
		`11:45: error: track_bfd "b": expected the name of a bfd_instance`}},
	{"tracker twice", "vrrp_script a { script /bin/a\n}\nvrrp_script a { script /bin/b\n}\n%" +
		instance, "", []string{
		`3:1: error: vrrp_script "a": expected a name of its own; line 1 has it`}},
	{"script without command", "vrrp_script a { }\n%" + instance, "", []string{
		`1:1: error: vrrp_script "a": expected script in it`}},
	{"track_group", "track_group T { group { B } }\n%" + instance, "", []string{
		`1:25: error: group "B": expected the name of a vrrp_instance`}},
	{"track_group of an address", "static_ipaddress { 10.0.0.9/24 track_group T }\n%" + instance,
		"", []string{`1:20: error: track_group "T": expected the name of a track_group`}},
	{"sync daemon", "global_defs {\nlvs_sync_daemon eth0 VI_1\n}\n%" + instance, "", []string{
		`2:1: error: lvs_sync_daemon "VI_1": expected the name of a vrrp_instance`}},
	{"BFD_CHECK", real4, "BFD_CHECK { name b }", []string{
		`4:1: error: name "b": expected the name of a bfd_instance`}},
	{"FILE_CHECK", real4, "FILE_CHECK { track_file b }", []string{
		`4:1: error: track_file "b": expected the name of a track_file`}},
	{"BFD without neighbour", "bfd_instance b { }\n%" + instance, "", []string{
		`1:1: error: bfd_instance "b": expected neighbor_ip in it`}},
	{"garp_group without interface", "garp_group { garp_interval 1\n}\n%" + instance, "",
		[]string{`1:1: error: garp_group: expected interface or interfaces in it`}},
	{"out of reach", two + "\n" + service, "virtual_server 10.0.0.2 80 {\nprotocol TCP\n" +
		"real_server 10.9.0.9 80 { }\n}\n", []string{
		`13:1: note: real_server "10.9.0.9": expected it in a network of the VIPs or behind a ` +
			`route of the file; the machine's own routes must lead there`}},
	{"behind a route", "static_routes { 10.9.0.0/16 via 10.0.0.254 }\n" + two,
		"virtual_server 10.0.0.2 80 {\nprotocol TCP\nreal_server 10.9.0.9 80 { }\n}\n", nil},
	{"thresholds", real4, "lthreshold 9\nuthreshold 8", []string{
		`3:1: warning: lthreshold "9": expected less than uthreshold, 8; it is left out`}},
}

// TestRoutes has one case for each thing that can be wrong with a route or a rule.
func TestRoutes(t *testing.T) { checkAll(t, routeCases) }

const (
	routes = "static_routes {\n%\n}\n" + instance
	rules  = "static_rules {\n%\n}\n" + instance
)

var routeCases = []saying{
	{"prefix", routes, "10.0.0.0/40 via 10.0.0.1", []string{
		`2:1: error: static_routes "10.0.0.0/40": prefix length must be 0..32`}},
	{"no destination", routes, "via 10.0.0.1", []string{
		`2:1: error: static_routes "via": expected a destination`}},
	{"two destinations", routes, "10.0.0.0/8 10.1.0.0/16", []string{
		`2:12: error: static_routes "10.1.0.0/16": expected ` + routeUsage}},
	{"gateway", routes, "10.0.0.0/8 via x", []string{
		`2:16: error: static_routes "x": expected an IP address`}},
	{"gateway of the other family", routes, "fe80::/64 via 10.0.0.1", []string{
		`2:1: error: static_routes: expected via 10.0.0.1 of the family of the route`}},
	{"source of the other family", routes, "10.0.0.0/8 src fe80::1", []string{
		`2:1: error: static_routes: expected src fe80::1 of the family of the route`}},
	{"value missing", routes, "10.0.0.0/8 via", []string{
		`2:12: error: static_routes "via": expected a value after it`}},
	{"metric", routes, "10.0.0.0/8 metric x", []string{
		`2:19: error: static_routes "x": expected a whole number`}},
	{"mtu", routes, "10.0.0.0/8 mtu lock x", []string{
		`2:21: error: static_routes "x": expected a whole number`}},
	{"older way of two hops", routes, "10.0.0.0/8 via 10.0.0.1 or 10.0.0.2", []string{
		`2:25: warning: static_routes "or": expected nexthop, which says the same`}},
	{"rule", rules, "frm 10.0.0.0/8 preference 1", []string{
		`2:1: error: static_rules "frm": expected ` + ruleUsage}},
	{"rule without preference", rules, "from 10.0.0.0/8 table 1", []string{
		`2:1: warning: static_rules "from": expected a preference; without it the place of ` +
			`the rule is anywhere`}},
	{"rule of two families", rules, "from 10.0.0.0/8 to fe80::/64 preference 1", []string{
		`2:1: error: static_rules "from": expected from and to of one family`}},
	{"rule's range", rules, "sport 1-x preference 1", []string{
		`2:7: error: static_rules "1-x": expected a value that sport can have`}},
}

// TestServerGroups has one case for each thing that can be wrong with a group of services.
func TestServerGroups(t *testing.T) { checkAll(t, serverGroupCases) }

const serverGroup = "virtual_server_group g {\n%\n}\nvirtual_server group g {\nprotocol TCP\n" +
	"real_server 10.0.0.9 80 { }\n}"

var serverGroupCases = []saying{
	{"well", serverGroup, "10.0.0.1-9 80\nfwmark 3 inet\nfwmark 4\n10.0.1.1 81", nil},
	{"address", serverGroup, "x 80", []string{
		`2:1: error: virtual_server_group "x": expected ` + rangeUsage}},
	{"range", serverGroup, "10.0.0.9-1 80", []string{
		`2:1: error: virtual_server_group "10.0.0.9-1": expected the last part of an address, ` +
			`not below that of the first`}},
	{"twice", serverGroup, "10.0.0.1 80\n}\nvirtual_server_group g {\n10.0.0.2 80", []string{
		`4:1: error: virtual_server_group "g": expected a name of its own; line 1 has it`}},
	{"no port", serverGroup, "10.0.0.1", []string{
		`4:1: warning: virtual_server "group g": expected a port for 10.0.0.1, or ` +
			`persistence_timeout; 360 it is`}},
	{"other family", serverGroup, "10.0.0.1 80\n2001:db8::1-ff 80", []string{
		`7:1: error: real_server "10.0.0.9:80": expected the family of virtual_server_group g, ` +
			`2001:db8::1-ff 80`}},
	{"mark of the other family", serverGroup, "fwmark 3 inet6", []string{
		`6:1: error: real_server "10.0.0.9:80": expected the family of virtual_server_group g, ` +
			`fwmark 3 inet6`}},
	{"sorry server of the other family", serverGroup, "10.0.0.1 80\n}\nvirtual_server group g {\n" +
		"protocol UDP\nsorry_server fe80::1 80\nreal_server 10.0.0.9 80 { }", []string{
		`4:1: error: sorry_server "[fe80::1]:80": expected the family of virtual_server_group g, ` +
			`10.0.0.1 80`}},
	{"in a tunnel", serverGroup + "%", "10.0.0.1 80\n}\nvirtual_server group g {\nprotocol UDP\n" +
		"lb_kind TUN\nsorry_server fe80::1 80\nreal_server fe80::2 80 { }", nil},
	{"service of its own", serverGroup + "\nvirtual_server 10.0.0.7 80 {\nprotocol TCP\n" +
		"real_server 10.0.0.9 80 { }\n}", "10.0.0.1-9 80", []string{
		`8:1: error: virtual_server "10.0.0.7 80": expected once for TCP; line 4 has it`}},
	{"group of others", "virtual_server 10.0.0.7 80 {\nprotocol TCP\n" +
		"real_server 10.0.0.9 80 { }\n}\n" + serverGroup, "10.0.0.1-9 80", []string{
		`8:1: error: virtual_server "group g": expected once for TCP 10.0.0.7:80; line 1 has it`}},
	{"for two protocols", serverGroup + "\nvirtual_server group g {\nprotocol UDP\n" +
		"real_server 10.0.0.9 80 { }\n}", "10.0.0.1-9 80", nil},
	{"one mark for two protocols", serverGroup + "\nvirtual_server group g {\nprotocol UDP\n" +
		"real_server 10.0.0.9 80 { }\n}", "fwmark 3", []string{
		`8:1: error: virtual_server "group g": expected once for fwmark 3, inet; line 4 has it`}},
	{"ha_suspend with a mark", strings.Replace(serverGroup, "TCP", "TCP\nha_suspend", 1),
		"10.0.0.1 80\nfwmark 3", []string{
			`5:1: warning: virtual_server "group g": ha_suspend: expected no fwmark; it is left out`}},
	{"long prefix", strings.Replace(serverGroup, "TCP",
		"TCP\npersistence_timeout\npersistence_granularity 33", 1), "10.0.0.1 80", []string{
		`4:1: error: persistence_granularity "33": expected at most 32 for IPv4`}},
}

// TestHintsEnd checks that the nearest name is not looked for without end: it takes as long as there
// are names.
func TestHintsEnd(t *testing.T) {
	_, ds := Parse("f", []byte("vrrp_instance named {\ninterface eth0\nvirtual_router_id 1\n"+
		"virtual_ipaddress { 10.0.0.1 }\n}\n$G= \\\nvrrp_sync_group G$N { \\\n"+
		"group { name${N} } \\\n}\n~SEQ(N, 1, 200) $G\n"))
	if got := strings.Count(ds.String(), "did you mean named?"); got != mostHints {
		t.Errorf("hints: got %d, want %d\n%.900s", got, mostHints, ds)
	}
}
