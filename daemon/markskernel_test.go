package daemon

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// tablesOf are the nftables tables of the family inet on a node.
func tablesOf(t *testing.T, node *netiftest.Node) string {
	t.Helper()
	var names []string
	node.Do(func() {
		c, err := nftables.New()
		if err != nil {
			t.Error(err)
			return
		}
		tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
		if err != nil {
			t.Error(err)
		}
		for _, table := range tables {
			names = append(names, table.Name)
		}
	})
	return strings.Join(names, " ")
}

// TestMarkGroupsInTheKernel has one service for two addresses of a group, by a mark: a connection to
// the second is one of it. A reload gives each a service of its own again.
func TestMarkGroupsInTheKernel(t *testing.T) {
	node, peer := netiftest.Pair(t)
	needIPVS(t, node)
	err := node.Host.PutMarks(netif.MarkTable{Name: "probe"})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) {
		t.Skip(err)
	}
	if err = errors.Join(err, node.Host.DropMarks("probe")); err != nil {
		t.Fatal(err)
	}
	for _, vip := range []string{"192.168.1.200/32", "192.168.1.201/32"} {
		eth := node.Host.Interface(netiftest.Device)
		if err := eth.AddAddr(netip.MustParsePrefix(vip), 0); err != nil {
			t.Fatal(err)
		}
	}
	const group = `virtual_server_group web {
    192.168.1.200-201 80
}
virtual_server group web {
    protocol TCP
    lb_algo rr
    real_server 192.168.1.9 8080 { }
}
`
	d := serve(t, node, "global_defs {\n    nftables_ipvs\n}\n"+group)
	has := func(services string) {
		t.Helper()
		until(t, "services "+services, func() bool { return tableOf(t, node, "-S", "-n") == services })
	}
	has("-A -f 1000 -s rr\n-a -f 1000 -r 192.168.1.9:8080 -m -w 1\n")
	until(t, "a connection", func() bool {
		peer.Do(func() {
			conn, err := net.DialTimeout("tcp", "192.168.1.201:80", 100*time.Millisecond)
			if err == nil { // nobody is there to answer
				t.Error(errors.Join(errors.New("connected to nobody"), conn.Close()))
			}
		})
		return strings.Contains(tableOf(t, node, "-L", "-n", "-c"), "192.168.1.201:80")
	})
	if got := tablesOf(t, node); got != "keepalived" {
		t.Errorf("tables: got %q, expected keepalived", got)
	}
	d.change(group)
	has("-A -t 192.168.1.200:80 -s rr\n-a -t 192.168.1.200:80 -r 192.168.1.9:8080 -m -w 1\n" +
		"-A -t 192.168.1.201:80 -s rr\n-a -t 192.168.1.201:80 -r 192.168.1.9:8080 -m -w 1\n")
	until(t, "no table", func() bool { return tablesOf(t, node) == "" })
	d.change("global_defs {\n    nftables_ipvs own\n}\n" + group)
	until(t, "another table", func() bool { return tablesOf(t, node) == "own" })
	d.end()
	if got := tablesOf(t, node) + tableOf(t, node, "-S", "-n"); got != "" {
		t.Errorf("at the end: got %q, expected nothing", got)
	}
}
