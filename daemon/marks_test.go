package daemon

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/pool"
)

// markedGroups has a group of addresses, one of marks, and one that waits for an address.
const markedGroups = `global_defs {
    nftables_ipvs
    nftables_ipvs_start_fwmark 7
    nftables_ipvs_priority -5
}
virtual_server_group web {
    192.168.1.1-3 80
    192.168.1.9 443
    2001:db8::1 80
}
virtual_server_group marks {
    fwmark 8
    fwmark 9
}
virtual_server_group waiting {
    192.168.1.4 80
}
virtual_server group web {
    protocol TCP
    lb_algo rr
    real_server 192.168.2.11 80 { }
}
virtual_server group web {
    protocol UDP
    lb_algo rr
    real_server 192.168.2.11 80 { }
}
virtual_server group marks {
    lb_algo rr
    real_server 192.168.2.12 80 { }
}
virtual_server group waiting {
    protocol TCP
    lb_algo rr
    ha_suspend
    real_server 192.168.2.12 80 { }
}
virtual_server fwmark 10 {
    lb_algo rr
    real_server 192.168.2.13 80 { }
}
`

// TestMarkGroups says which services groups have, and which packets get their marks.
func TestMarkGroups(t *testing.T) {
	keys := func(text string) []string {
		t.Helper()
		cfg, _, err := load(Options{File: write(t, text)})
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for i := range cfg.VirtualServers {
			var some []string
			for _, k := range pool.Keys(&cfg.VirtualServers[i]) {
				some = append(some, k.String())
			}
			all = append(all, strings.Join(some, ", "))
		}
		return all
	}
	text := strings.Replace(markedGroups, "    2001:db8::1 80\n", "", 1)
	want := []string{"mark 7 IPv4", "mark 11 IPv4", "mark 8 IPv4, mark 9 IPv4",
		"TCP 192.168.1.4:80", "mark 10 IPv4"}
	if diff := cmp.Diff(want, keys(text)); diff != "" {
		t.Errorf("services (-want +got)\n%s", diff)
	}
}

func TestMarksOf(t *testing.T) {
	cfg, _ := config.Parse("f", []byte(markedGroups))
	addr := netip.MustParseAddr
	mark := func(first, last string, protocol uint8, port uint16, mark uint32) netif.Mark {
		return netif.Mark{First: addr(first), Last: addr(last), Protocol: protocol, Port: port, Mark: mark}
	}
	const tcp, udp = unix.IPPROTO_TCP, unix.IPPROTO_UDP
	want := netif.MarkTable{Name: "keepalived", Priority: -5, Marks: []netif.Mark{
		mark("192.168.1.1", "192.168.1.3", tcp, 80, 7), mark("192.168.1.9", "192.168.1.9", tcp, 443, 7),
		mark("2001:db8::1", "2001:db8::1", tcp, 80, 11),
		mark("192.168.1.1", "192.168.1.3", udp, 80, 12), mark("192.168.1.9", "192.168.1.9", udp, 443, 12),
		mark("2001:db8::1", "2001:db8::1", udp, 80, 13),
	}}
	compare := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, marksOf(cfg), compare); diff != "" {
		t.Errorf("marks (-want +got)\n%s", diff)
	}
	cfg.Global.Firewall.Table = "keepalived" // for no_accept
	if got := marksOf(cfg).Name; got != "keepalived_ipvs" {
		t.Errorf("table beside one of its name: got %s, expected keepalived_ipvs", got)
	}
	cfg.Global.Firewall.MarkTable = ""
	if got := marksOf(cfg); got.Name != "" || fmt.Sprint(got.Marks) != "[]" {
		t.Errorf("without nftables_ipvs: got %v, expected nothing", got)
	}
}
