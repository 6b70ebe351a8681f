package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// peers are two instances in a group, and a service: one director's file, whose priorities the
// other's lower.
const peers = `vrrp_instance A {
interface eth0
virtual_router_id 1
priority 150
virtual_ipaddress { 10.0.0.1/24 }
}
vrrp_instance B {
interface eth1
virtual_router_id 2
priority 150
virtual_ipaddress { 10.1.0.1/24 }
}
vrrp_sync_group G { group {
A
B } }
virtual_server 10.0.0.1 80 {
protocol TCP
real_server 10.1.0.9 80 { }
}
`

// TestCompare has one case for each thing that two directors can disagree about: what is other in
// the peer's file, and what is said.
func TestCompare(t *testing.T) {
	a := "virtual_router_id 1\npriority 100\n"
	for _, tt := range []struct {
		name, old, new string
		want           []string
	}{
		{"nothing", "", "", nil},
		{"priority", "priority 100", "priority 150", []string{
			`a:1:1: warning: priority "150" of A: expected another than the peer's; ` +
				`the higher address becomes master`}},
		{"owner in one", "priority 100", "priority 255", []string{
			`a:13:1: error: vrrp_sync_group "G": expected one director to have the higher ` +
				`priority in all instances; it is this one in B, the peer in A`}},
		{"group that splits", "1\npriority 100", "1\npriority 200", []string{
			`a:13:1: error: vrrp_sync_group "G": expected one director to have the higher ` +
				`priority in all instances; it is this one in B, the peer in A`}},
		{"no group", "vrrp_sync_group G { group {\nA\nB } }", "", []string{
			`a:13:1: warning: vrrp_sync_group "G": expected the peer to have A in a group too`,
			`a:13:1: warning: vrrp_sync_group "G": expected the peer to have B in a group too`}},
		{"interval", a, a + "advert_int 2\n", []string{
			`a:1:1: error: advert_int "1" of A: expected "2", as the peer has it: ` +
				`both would be master`}},
		{"version", a, a + "version 3\n", []string{
			`a:1:1: error: version "2" of A: expected "3", as the peer has it: ` +
				`both would be master`}},
		{"authentication", a, a + "authentication { auth_type PASS\nauth_pass x\n}\n", []string{
			`a:1:1: error: auth_type "unset" of A: expected "PASS", as the peer has it: ` +
				`both would be master`}},
		{"destination", a, a + "mcast_dst_ip 224.0.0.99\n", []string{
			`a:1:1: error: destination of adverts "multicast" of A: expected "224.0.0.99", ` +
				`as the peer has it: both would be master`}},
		{"VRID", "virtual_router_id 2", "virtual_router_id 3", []string{
			`a:7:1: warning: vrrp_instance "B": expected the peer to have virtual_router_id 2 too`,
			`b:7:1: warning: vrrp_instance "B": expected the peer to have virtual_router_id 3 too`}},
		{"VIP", "10.0.0.1/24", "10.0.0.1/25", []string{
			`a:5:21: warning: virtual_ipaddress "10.0.0.1/24" of A: ` +
				`expected the peer to have it too`,
			`b:5:21: warning: virtual_ipaddress "10.0.0.1/25" of A: ` +
				`expected the peer to have it too`}},
		{"service", "10.0.0.1 80", "10.0.0.1 81", []string{
			`a:16:1: warning: virtual_server "10.0.0.1:80": expected the peer to have it too`,
			`b:16:1: warning: virtual_server "10.0.0.1:81": expected the peer to have it too`}},
		{"real server", "10.1.0.9", "10.1.0.8", []string{
			`a:18:1: warning: real_server "10.1.0.9:80": expected the peer to have it too ` +
				`for 10.0.0.1:80`,
			`b:18:1: warning: real_server "10.1.0.8:80": expected the peer to have it too ` +
				`for 10.0.0.1:80`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			here, ds := Parse("a", []byte(peers))
			text := strings.Replace(strings.ReplaceAll(peers, "150", "100"), tt.old, tt.new, 1)
			there, more := Parse("b", []byte(text))
			if err := append(ds, more...).Err(); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range here.Compare(there) {
				got = append(got, d.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestCompareUnicast: adverts from an address that is no peer are not taken.
func TestCompareUnicast(t *testing.T) {
	const text = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\npriority %\n" +
		"unicast_src_ip HERE\nunicast_peer { THERE }\nvirtual_ipaddress { 10.0.0.1/24 }\n}\n"
	file := func(priority, here, there string) *Config {
		c, ds := Parse("f", []byte(strings.NewReplacer("%", priority, "HERE", here,
			"THERE", there).Replace(text)))
		if ds.Err() != nil {
			t.Fatal(ds.Err())
		}
		return c
	}
	a := file("150", "10.0.0.2", "10.0.0.3")
	for _, tt := range []struct {
		name string
		peer *Config
		want string
	}{
		{"well", file("100", "10.0.0.3", "10.0.0.2"), ""},
		{"another address", file("100", "10.0.0.4", "10.0.0.2"), "f:1:1: error: unicast_peer of " +
			"A: expected 10.0.0.4 in it, from where the peer sends: both would be master\n" +
			"f:1:1: note: the other one is here\n"},
		{"the same address", file("100", "10.0.0.2", "10.0.0.3"), "f:1:1: error: source " +
			"\"10.0.0.2\" of A: expected another than the peer's\n" +
			"f:1:1: note: the other one is here\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, a.Compare(tt.peer).String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
