package config

import "testing"

// TestValidation has one case for each check of whole objects and between them.
func TestValidation(t *testing.T) { checkAll(t, validationCases) }

var validationCases = []saying{
	{"instance needs", "vrrp_instance A {\n%\n}", "", []string{
		`1:1: error: vrrp_instance "A": expected interface in it`,
		`1:1: error: vrrp_instance "A": expected virtual_router_id in it`,
		`1:1: error: vrrp_instance "A": expected at least one virtual_ipaddress`}},
	{"list of VIPs with nothing in it", "vrrp_instance A {\n%\n}",
		"interface eth0\nvirtual_router_id 1\nvirtual_ipaddress { }", []string{
			`1:1: error: vrrp_instance "A": expected at least one virtual_ipaddress`}},
	{"instance without name", "vrrp_instance {\n%\n}", "interface eth0\nvirtual_router_id 1\n" +
		"virtual_ipaddress { 10.0.0.1 }", []string{
		`1:1: error: vrrp_instance: expected one name`}},
	{"instance twice", two, "vrrp_instance A { }", []string{
		`11:1: error: vrrp_instance "A": expected a name of its own; line 1 has it`}},
	{"VRID twice", two, "vrrp_instance C {\ninterface eth0\nvirtual_router_id 2\n" +
		"virtual_ipaddress { 10.0.0.3 }\n}", []string{
		`11:1: error: virtual_router_id "2" of C: expected another than that of B on eth0 ` +
			`(line 6)`}},
	{"VRID twice on two interfaces", two, "vrrp_instance C {\ninterface eth1\n" +
		"virtual_router_id 2\nvirtual_ipaddress { 10.0.0.3 }\n}", nil},
	{"VRID twice in two families", two, "vrrp_instance C {\ninterface eth0\n" +
		"virtual_router_id 2\nvirtual_ipaddress { fe80::3 }\n}", nil},
	{"VIP twice in one", instance, "virtual_ipaddress { 10.0.0.1 }", []string{
		`5:21: warning: virtual_ipaddress "10.0.0.1/32": expected once; line 4 has it`}},
	{"VIP in two", two, "vrrp_instance C {\ninterface eth0\nvirtual_router_id 3\n" +
		"virtual_ipaddress { 10.0.0.1 }\n}", []string{
		`14:21: warning: virtual_ipaddress "10.0.0.1/32": expected in one instance; ` +
			`A has it (line 4)`}},
	{"VIP of the other family", instance, "virtual_ipaddress { fe80::1 }", []string{
		`5:21: warning: virtual_ipaddress "fe80::1/128": expected the family of the first; ` +
			`it is held, not advertised`}},
	{"VIP", instance, "virtual_ipaddress { 0.0.0.0 }", []string{
		`5:21: error: virtual_ipaddress "0.0.0.0": expected another address ` +
			`than the unspecified one`}},
	{"VIP prefix", instance, "virtual_ipaddress { 192.168.1.1/33 }", []string{
		`5:21: error: virtual_ipaddress "192.168.1.1/33": prefix length must be 0..32`}},
	{"VIP option", instance, "virtual_ipaddress { 10.0.0.3 lable x }", []string{
		`5:30: error: virtual_ipaddress "lable": expected one of -nodad, autojoin, brd, ` +
			`broadcast, dev, home, label, mngtmpaddr, no_track, noprefixroute, peer, ` +
			`preferred_lft, scope, track_group or use_vmac (did you mean label?)`}},
	{"VIP option without value", instance, "virtual_ipaddress { 10.0.0.3 dev }", []string{
		`5:30: error: virtual_ipaddress "dev": expected a value after it`}},
	{"VIP scope", instance, "virtual_ipaddress { 10.0.0.3 scope near }", []string{
		`5:36: error: scope "near": expected global, site, link, host or nowhere`}},
	{"VIP broadcast", instance, "virtual_ipaddress_excluded { fe80::3/64 brd + }", []string{
		`5:45: error: brd "+": expected an IPv4 address, + or -, for an IPv4 address`}},
	{"VIP idle option", instance, "virtual_ipaddress { 10.0.0.3 use_vmac }", []string{
		`5:30: warning: virtual_ipaddress "use_vmac": has no effect yet in this version`}},
	{"v2 fraction", instance, "advert_int 0.5", []string{
		`5:1: error: advert_int "0.5" of A: expected whole seconds from 1 to 255 in version 2`}},
	{"v3 too long", instance, "version 3\nadvert_int 40.96", []string{
		`6:1: error: advert_int "40.96" of A: expected seconds from 0.01 to 40.95 ` +
			`in steps of 0.01 in version 3`}},
	{"v3 too fine", instance, "version 3\nadvert_int 0.015", []string{
		`6:1: error: advert_int "0.015" of A: expected seconds from 0.01 to 40.95 ` +
			`in steps of 0.01 in version 3`}},
	{"v3 longest", instance, "version 3\nadvert_int 40.95", nil},
	{"v2 longest", instance, "advert_int 255", nil},
	{"IPv6 in v2", "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\n%\n}",
		"version 2\nvirtual_ipaddress { fe80::1 }", []string{
			`4:1: warning: version "2": expected 3 for IPv6; 3 it is`}},
	{"nopreempt with MASTER", instance, "state MASTER\npriority 7\nnopreempt", []string{
		`7:1: warning: vrrp_instance "A": expected state BACKUP beside nopreempt; BACKUP it is`}},
	{"auth in v3", instance, "version 3\nauthentication { auth_type PASS\nauth_pass a\n}",
		[]string{`6:1: warning: authentication: expected none in version 3 or strict mode; ` +
			`it is left out`}},
	{"auth without type", instance, "authentication { }", []string{
		`5:1: error: authentication: expected auth_type PASS or AH in it`}},
	{"auth without password", instance, "authentication { auth_type PASS }", []string{
		`5:1: error: authentication: expected auth_pass in it`}},
	{"auth AH", instance, "authentication { auth_type AH }", []string{
		`5:18: error: auth_type "AH": expected PASS, or version 3 and no authentication: RFC 3768 ` +
			`has given AH up, and peers that want it would take no advert`}},
	{"strict mode with peers", instance, "strict_mode\nunicast_peer { 10.0.0.3 }", []string{
		`6:1: error: unicast_peer of A: expected none in strict mode`}},
	{"strict mode without preemption", instance, "strict_mode\nnopreempt", []string{
		`6:1: warning: nopreempt of A: expected preempt in strict mode; it is left out`}},
	{"strict mode as master", instance, "strict_mode\npriority 150\nstate MASTER", []string{
		`7:1: warning: state "MASTER" of A: expected BACKUP in strict mode, or priority 255; ` +
			`BACKUP it is`}},
	{"strict mode as owner", instance, "strict_mode\npriority 255\nstate MASTER\naccept", nil},
	{"fast takeover among three", instance, "fast_takeover\nunicast_peer {\n10.0.0.3\n10.0.0.4\n}",
		[]string{`5:1: error: fast_takeover of A: expected one unicast_peer, for it is for two ` +
			`routers`}},
	{"mail with two passwords", "global_defs {\n%\n}",
		"smtp_user a\nsmtp_password b\nsmtp_password_file /c", []string{
			`3:1: warning: smtp_password: expected no smtp_password_file beside it; the file counts`}},
	{"mail without a password", "global_defs {\n%\n}", "smtp_user a", []string{
		`2:1: error: smtp_user "a": expected smtp_password or smtp_password_file beside it`}},
	{"mail with a word too many", "global_defs {\n%\n}", "smtp_starttls maybe", []string{
		`2:15: error: smtp_starttls "maybe": expected one of off, offered or required`}},
	{"strict mode that answers", instance, "strict_mode\naccept", []string{
		`6:1: warning: accept of A: expected none in strict mode; what goes to the VIPs is dropped`}},
	{"auth password too long", instance, "authentication { auth_type PASS\nauth_pass 123456789\n}",
		[]string{`5:1: warning: auth_pass: expected up to 8 characters; the rest is cut off`}},
	{"peer", instance, "unicast_peer { host }", []string{
		`5:16: error: unicast_peer "host": expected an IP address`}},
	{"peer of the other family", instance, "unicast_peer { fe80::3 }", []string{
		`5:1: error: unicast_peer "fe80::3" of A: expected the family of its VIPs`}},
	{"peer TTL", instance, "unicast_peer { 10.0.0.3 min_ttl 9 max_ttl 8 }", []string{
		`5:16: error: unicast_peer "10.0.0.3": expected min_ttl of at most max_ttl`}},
	{"source of the other family", instance, "unicast_src_ip fe80::3", []string{
		`5:1: error: unicast_src_ip "fe80::3" of A: expected the family of its VIPs`}},
	{"multicast destination", instance, "mcast_dst_ip 10.0.0.3", []string{
		`5:1: error: mcast_dst_ip "10.0.0.3" of A: expected a multicast address`}},
	{"VMAC name", instance, "use_vmac a/b", []string{
		`5:10: error: use_vmac "a/b": expected the name of an interface, or ` +
			`[NAME [INTERFACE]] [MAC] [netlink_notify_msg] [group N]`}},
	{"VMAC option", instance, "use_vmac a b netlink_notify_msg group 3 02:00:00:00:01", []string{
		`5:14: warning: use_vmac "netlink_notify_msg": has no effect: whoever watches links is told ` +
			`anyway`,
		`5:39: warning: use_vmac "3": has no effect yet in this version`}},

	{"group twice", two, "vrrp_sync_group G { group { A } }\nvrrp_sync_group G { group { B } }",
		[]string{
			`12:1: error: vrrp_sync_group "G": expected a name of its own; line 11 has it`}},
	{"group empty", two, "vrrp_sync_group G { }", []string{
		`11:1: error: vrrp_sync_group "G": expected group { … } with its instances`}},
	{"member unknown", two, "vrrp_sync_group G { group { AB } }", []string{
		`11:29: error: group "AB": expected the name of a vrrp_instance (did you mean A?)`}},
	{"member twice", two, "vrrp_sync_group G { group { A } }\nvrrp_sync_group H { group { A } }",
		[]string{`12:29: error: group "A": expected in one group; G has it`}},
}

// TestServerValidation does the same for virtual servers.
func TestServerValidation(t *testing.T) { checkAll(t, serverCases) }

const mark = "virtual_server fwmark 3 {\nreal_server 10.0.0.9 80 { }\n%\n}"

var serverCases = []saying{
	{"nothing wrong", service, "", nil},
	{"address", "virtual_server host 80 {\n%\n}", "", []string{
		`1:16: error: virtual_server "host": expected an IP address and a port from 0 to 65535`}},
	{"port", "virtual_server 10.0.0.1 http {\n%\n}", "", []string{
		`1:25: error: virtual_server "http": expected an IP address and a port ` +
			`from 0 to 65535`}},
	{"no port", "virtual_server 10.0.0.1 {\nprotocol TCP\nreal_server 10.0.0.9 80 { }\n%\n}", "",
		[]string{`1:1: error: virtual_server "10.0.0.1": expected a port, ` +
			`or persistence_timeout in it`}},
	{"fwmark", "virtual_server fwmark 3 {\nreal_server 10.0.0.9 80 { TCP_CHECK { } }\n%\n}", "",
		nil},
	{"fwmark and a check without a port",
		"virtual_server fwmark 3 {\nreal_server 10.0.0.9 { TCP_CHECK { } }\n%\n}", "",
		[]string{`2:24: error: TCP_CHECK: expected connect_port, because 10.0.0.9 has no port`}},
	{"fwmark number", "virtual_server fwmark 0 {\nreal_server 10.0.0.9 { }\n%\n}", "",
		[]string{`1:23: error: fwmark "0": expected a whole number from 1 to 4294967295`}},
	{"fwmark and another family", mark, "ip_family inet6", []string{
		`2:1: error: real_server "10.0.0.9:80": expected the family of fwmark 3, inet6`}},
	{"fwmark and a sorry server of another family", mark, "sorry_server fe80::1", []string{
		`3:1: error: sorry_server "[fe80::1]:0": expected the family of fwmark 3, inet`}},
	{"fwmark twice", mark + "\nvirtual_server fwmark 3 inet {\nreal_server 10.0.0.8 80 { }\n}",
		"", []string{
			`5:1: error: virtual_server "fwmark 3": expected once for fwmark 3, inet; ` +
				`line 1 has it`}},
	{"fwmark of two families",
		mark + "\nvirtual_server fwmark 3 inet6 {\nreal_server fe80::8 80 { }\n}", "", nil},
	{"fwmark and two ports of one server", mark, "lb_kind DR\nreal_server 10.0.0.9 81 { }",
		[]string{`4:1: error: real_server "10.0.0.9": expected once, because only NAT can change ` +
			`the port; line 2 has it`}},
	{"fwmark and two ports of one server by NAT", mark, "real_server 10.0.0.9 81 { }", nil},
	{"fwmark and ha_suspend", mark, "ha_suspend", []string{
		`1:1: warning: virtual_server "fwmark 3": ha_suspend: expected no fwmark; it is left out`}},
	{"group", "virtual_server group g {\nprotocol TCP\nreal_server 10.0.0.9 { }\n%\n}", "",
		[]string{`1:1: error: group "g": expected the name of a virtual_server_group`}},
	{"a virtual_server_group", "virtual_server_group g {\n10.0.0.1 80\n}\n%", "", nil},
	{"one packet", service, "ops", []string{
		`4:1: warning: ops: expected protocol UDP, not TCP; it is left out`}},
	{"one packet with a mark", mark, "ops", nil},
	{"flag of another scheduler", service, "lb_algo mh\nsh-port", []string{
		`1:1: warning: sh-port, sh-fallback: expected lb_algo sh, not mh; they mean nothing`}},
	{"flag of the scheduler", service, "mh-port\nmh-fallback\nlb_algo mh", nil},
	{"engine without persistence", service, "persistence_engine sip", []string{
		`4:1: warning: persistence_engine: expected persistence_timeout with it; it is left out`}},
	{"granularity without persistence", service, "persistence_granularity 255.255.0.0", []string{
		`4:1: warning: persistence_granularity: expected persistence_timeout with it; ` +
			`it is left out`}},
	{"long prefix", service, "persistence_timeout\npersistence_granularity 64", []string{
		`1:1: error: persistence_granularity "64": expected at most 32 for IPv4`}},
	{"no protocol", "virtual_server 10.0.0.1 80 {\nreal_server 10.0.0.9 80 { }\n%\n}", "",
		[]string{`1:1: warning: virtual_server: expected protocol TCP, UDP or SCTP in it; ` +
			`UDP it is`}},
	{"twice", service + "\n" + service, "", []string{
		`6:1: error: virtual_server "10.0.0.1 80": expected once for TCP; line 1 has it`}},
	{"no real server", "virtual_server 10.0.0.1 80 {\nprotocol TCP\n%\n}", "", []string{
		`1:1: warning: virtual_server "10.0.0.1 80": expected at least one real_server; ` +
			`it is left out`}},
	{"scheduler", service, "lb_algo wrrr", []string{
		`4:9: error: lb_algo "wrrr": expected one of rr, wrr, lc, wlc, lblc, lblcr, sh, mh, ` +
			`dh, sed, nq, fo, ovf or twos (did you mean wrr?)`}},
	{"forward", service, "lb_kind NAD", []string{
		`4:9: error: lb_kind "NAD": expected one of NAT, DR, TUN (did you mean NAT?)`}},
	{"forward missing", service, "lb_kind", []string{
		`4:1: error: lb_kind: expected one of NAT, DR, TUN`}},
	{"tunnels", service, "lb_kind TUN type gue port 6080 remcsum\n" +
		"real_server 10.0.0.7 80 { lvs_method TUN type gre csum }\n" +
		"real_server 10.0.0.8 80 { lvs_method TUN }", nil},
	{"tunnel without port", service, "lb_kind TUN type gue", []string{
		`4:1: error: lb_kind: expected port behind type gue`}},
	{"tunnel with port", service, "lb_kind TUN type gre port 80", []string{
		`4:1: error: lb_kind: expected port only with type gue`}},
	{"tunnel with checksum", service, "lb_kind TUN csum", []string{
		`4:1: error: lb_kind: expected csum only with type gue or gre`}},
	{"tunnel with remote checksum", service, "lb_kind TUN type gre remcsum", []string{
		`4:1: error: lb_kind: expected remcsum only with type gue`}},
	{"real server of the other family with a tunnel of its own", service,
		"real_server fe80::1 80 { lvs_method TUN }", nil},
	{"port of a sorry server that cannot change", service,
		"sorry_server 10.0.0.8 81\nsorry_server_lvs_method DR", []string{
			`4:1: warning: sorry_server "10.0.0.8:81": expected port 80, because DR cannot change ` +
				`it; 80 it is`}},
	{"persistence", service, "persistence_timeout 1.5", []string{
		`4:21: error: persistence_timeout "1.5": expected a whole number from 0 to 2678400, ` +
			`or nothing for 360`}},
	{"quorum", service, "quorum 2", []string{
		`4:1: warning: quorum "2": expected at most the sum of the weights, 1; 1 it is`}},
	{"hysteresis", service, "hysteresis 1", []string{
		`4:1: warning: hysteresis "1": expected less than the quorum, 1; 0 it is`}},
	{"sorry server of the other family", service, "sorry_server fe80::1 80", []string{
		`4:1: error: sorry_server "[fe80::1]:80": expected the family of virtual_server ` +
			`10.0.0.1`}},
	{"real server of the other family", service, "real_server fe80::1 80 { }", []string{
		`4:1: error: real_server "[fe80::1]:80": expected the family of virtual_server ` +
			`10.0.0.1`}},
	{"real server of the other family in a tunnel", service,
		"lb_kind TUN\nreal_server fe80::1 80 { }", nil},
	{"real server twice", service, "real_server 10.0.0.9 { }", []string{
		`4:1: error: real_server "10.0.0.9:80": expected once; line 3 has it`}},
	{"port that cannot change", service, "lb_kind DR\nreal_server 10.0.0.8 81 { }", []string{
		`5:1: warning: real_server "10.0.0.8:81": expected port 80, because DR cannot change ` +
			`it; 80 it is`}},
	{"weight", real4, "weight 65536", []string{
		`4:8: error: weight "65536": expected a whole number from 0 to 65535`}},
	{"checker with a word", real4, "TCP_CHECK x { }", []string{
		`4:11: error: TCP_CHECK "x": expected { after the keyword`}},
	{"checker's keyword", real4, "MISC_CHECK { misc_pth /bin/true }", []string{
		`4:1: error: MISC_CHECK: expected misc_path in it`,
		`4:14: error: misc_pth "/bin/true": expected a keyword of MISC_CHECK ` +
			`(did you mean misc_path?)`}},
	{"bind of the other family", real4, "TCP_CHECK { bindto fe80::1 }", []string{
		`4:1: error: bindto "fe80::1": expected the family of 10.0.0.9`}},
	{"no port to check", "virtual_server 10.0.0.1 {\nprotocol TCP\npersistence_timeout\n" +
		"real_server 10.0.0.9 { TCP_CHECK { } }\n%\n}", "", []string{
		`4:24: error: TCP_CHECK: expected connect_port, because 10.0.0.9 has no port`}},
	{"no url", check, "", []string{`4:1: error: HTTP_GET: expected a url in it`}},
	{"no path", check, "url { }", []string{`5:1: error: url: expected a path in it`}},
	{"path", check, "url { path a }", []string{
		`5:12: error: path "a": expected a path that starts with /`}},
	{"digest", check, "url { path /\ndigest 12 }", []string{
		`6:8: error: digest "12": expected an MD5 digest of 32 hexadecimal digits`}},
	{"status", check, "url { path /\nstatus_code 200 300-299 }", []string{
		`6:17: error: status_code "300-299": expected status codes from 100 to 999, ` +
			`such as 200 or 200-299`}},
	{"version", check, "url { path / }\nhttp_protocol 2", []string{
		`6:15: error: http_protocol "2": expected one of 1.0, 1.0C, 1.1`}},
	{"address that nobody holds", two + "\n" + service, "virtual_server 10.0.0.3 80 {\n" +
		"protocol TCP\nreal_server 10.0.0.9 80 { }\n}\n", []string{
		`11:1: note: virtual_server "10.0.0.3": expected its address to be a VIP of an ` +
			`instance`}},
}
