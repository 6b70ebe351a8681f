package instance_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

const promotes = "/proc/sys/net/ipv4/conf/eth0/promote_secondaries"

// everything returns the node's addresses, routes, rules and the setting that masters change.
func everything(t *testing.T, n *netiftest.Node) []string {
	t.Helper()
	path, err := exec.LookPath("ip")
	if err != nil {
		t.Skip("iproute2 is not installed")
	}
	var all []string
	for _, args := range [][]string{
		{"-4", "-o", "addr"}, {"-4", "route", "show", "table", "all"}, {"-4", "rule"},
	} {
		var out []byte
		n.Do(func() { out, err = exec.Command(path, args...).CombinedOutput() })
		if err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
		for line := range strings.Lines(string(out)) {
			all = append(all, strings.Join(strings.Fields(line), " "))
		}
	}
	n.Do(func() {
		b, err := os.ReadFile(promotes)
		if err != nil {
			t.Error(err)
		}
		all = append(all, "promote_secondaries "+strings.TrimSpace(string(b)))
	})
	return all
}

// laden gives the only member a route through its VIP, a rule, and a setting.
func laden(g *instance.Group) {
	c := &g.Members[0]
	c.Lease = -1 // the kernel undoes nothing
	c.PromoteSecondaries = true
	c.ShieldTable = "tandem"
	c.Routes = []netif.Route{{
		Dest: netip.MustParsePrefix("10.1.0.0/16"), Source: vip.Addr(), Table: 1000,
		Hops: []netif.Hop{{Via: netip.MustParseAddr("192.168.1.254")}},
	}}
	c.Rules = []netif.Rule{{
		From: netip.MustParsePrefix("10.2.0.0/16"), Table: 1000, Preference: 100,
	}}
}

const (
	ladenRoute = "10.1.0.0/16 via 192.168.1.254 dev eth0 table 1000 proto keepalived src 192.168.1.1"
	ladenRule  = "100: from 10.2.0.0/16 lookup 1000 proto keepalived"
)

// TestHolds has a master with all that it can hold, which it gives back, or, dead, leaves to be
// withdrawn by another process, or to its successor.
func TestHolds(t *testing.T) {
	t.Parallel()
	t.Run("withdrawn", func(t *testing.T) { testHolds(t, false) })
	t.Run("inherited", func(t *testing.T) { testHolds(t, true) })
}

func testHolds(t *testing.T, inherited bool) {
	t.Parallel()
	a, node := netiftest.Pair(t)
	b := realBench(t, a, node)
	shielded := func() []string {
		var names []string
		a.Do(func() {
			c, err := nftables.New()
			if err == nil {
				var tables []*nftables.Table
				tables, err = c.ListTables()
				for _, t := range tables {
					names = append(names, t.Name)
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
		return names
	}
	a.Do(func() { // whatever the host's default is
		if err := os.WriteFile(promotes, []byte("0"), 0); err != nil {
			t.Error(err)
		}
	})
	before := everything(t, a)
	var book ledger
	holds := func() bool {
		all := everything(t, a)
		return slices.Contains(all, ladenRoute) && slices.Contains(all, ladenRule) &&
			slices.Contains(all, "promote_secondaries 1") && b.has(0) &&
			slices.Equal(shielded(), []string{"tandem"})
	}
	d := b.start(0, func(g *instance.Group) {
		laden(g)
		g.Claims = book.note
	})
	b.awaitState(d, vrrp.Master)
	b.await("everything", holds)

	// Somebody takes the route away.
	route := ladenRouteOnly()
	if err := a.Host.DropRoute(route); err != nil {
		t.Fatal(err)
	}
	b.await("route put back", holds)

	// Another process undoes what the claim says.
	claims := book.take()
	text, err := json.Marshal(claims[len(claims)-1])
	if err != nil {
		t.Fatal(err)
	}
	d.halt()
	if diff := cmp.Diff(before, everything(t, a)); diff != "" || len(shielded()) > 0 {
		t.Errorf("left behind %v (-want +got):\n%s", shielded(), diff)
	}
	var dead *netif.Host // what it held outlives its process
	a.Do(func() { dead, err = netif.Open() })
	if err != nil {
		t.Fatal(err)
	}
	eth := dead.Interface(netiftest.Device)
	promote := netif.Setting{Family: "ipv4", Name: "promote_secondaries", Value: "1"}
	if err := errors.Join(eth.Hold(promote),
		dead.PutShield(netif.Shield{Table: "tandem", Addr: vip.Addr()}),
		eth.AddAddr(vip, 0), dead.PutRoute(route),
		dead.PutRule(netif.Rule{
			From: netip.MustParsePrefix("10.2.0.0/16"), Table: 1000, Preference: 100,
		}), dead.Close()); err != nil {
		t.Fatal(err)
	}
	if !holds() {
		t.Errorf("not everything is there: %v", everything(t, a))
	}
	var c instance.Claim
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	if !inherited {
		if err := c.Withdraw(b.links[0]); err != nil {
			t.Fatal(err)
		}
	} else {
		successor := b.start(0, func(g *instance.Group) {
			laden(g)
			g.Members[0].Routes, g.Members[0].Rules = nil, nil
			g.Resume, g.Inherited = true, []instance.Claim{c}
		})
		b.await("less", func() bool {
			all := everything(t, a)
			return b.has(0) && !slices.Contains(all, ladenRoute) && !slices.Contains(all, ladenRule)
		})
		successor.halt()
	}
	if diff := cmp.Diff(before, everything(t, a)); diff != "" || len(shielded()) > 0 {
		t.Errorf("not withdrawn %v (-want +got):\n%s", shielded(), diff)
	}
}

func ladenRouteOnly() netif.Route {
	g := instance.Group{Members: make([]instance.Config, 1)}
	laden(&g)
	return g.Members[0].Routes[0]
}

// TestChangeOfHeld takes a route and a rule from a master and leaves the rest.
func TestChangeOfHeld(t *testing.T) {
	a, node := netiftest.Pair(t)
	b := realBench(t, a, node)
	before := everything(t, a)
	d := b.start(0, laden)
	b.awaitVIP(0, true)
	g := instance.Group{Members: []instance.Config{b.config(0)}}
	laden(&g)
	g.Members[0].Rules = nil
	g.Members[0].Routes[0].Source = netip.Addr{}
	if err := d.runner.Change(g); err != nil {
		t.Fatal(err)
	}
	b.await("other route", func() bool {
		all := everything(t, a)
		return slices.Contains(all, strings.TrimSuffix(ladenRoute, " src 192.168.1.1")) &&
			!slices.Contains(all, ladenRule) && !slices.Contains(all, ladenRoute) && b.has(0)
	})
	d.halt()
	if diff := cmp.Diff(before, everything(t, a)); diff != "" {
		t.Errorf("left behind (-want +got):\n%s", diff)
	}
}
