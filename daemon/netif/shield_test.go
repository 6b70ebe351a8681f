package netif_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestShield says that a shielded address is found, but answers nobody elsewhere.
func TestShield(t *testing.T) {
	a, b := netiftest.Pair(t)
	eth := a.Host.Interface(netiftest.Device)
	other := netip.MustParsePrefix("192.168.1.7/32")
	vip6 := netip.MustParsePrefix("2001:db8::1/128")
	ok(t, eth.AddAddr(netip.MustParsePrefix("2001:db8::a/64"), 0))
	ok(t, b.Host.Interface(netiftest.Device).AddAddr(netip.MustParsePrefix("2001:db8::b/64"), 0))
	for _, p := range []netip.Prefix{vip, vip6, other} {
		ok(t, eth.AddAddr(p, 0))
	}
	a.Do(func() {
		lo, err := netlink.LinkByName("lo")
		ok(t, err)
		ok(t, netlink.LinkSetUp(lo))
		answer(t)
	})
	shield := func(p netip.Prefix) netif.Shield {
		return netif.Shield{Table: "tandem", Priority: -1, Addr: p.Addr()}
	}
	reaches := func(what string, p netip.Prefix, want bool) {
		t.Helper()
		got := connects(t, b, p.Addr())
		// What may pass is given time: a neighbor may have to be found first.
		for deadline := time.Now().Add(20 * time.Second); want && !got && time.Now().Before(deadline); {
			got = connects(t, b, p.Addr())
		}
		if got != want {
			t.Errorf("%s: %s answers %t, want %t", what, p, got, want)
		}
	}
	if err := a.Host.PutShield(shield(vip)); errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip(err)
	}
	ok(t, a.Host.DropShield(shield(vip)))
	ok(t, a.Host.DropShield(shield(vip))) // absent
	reaches("before", vip, true)
	reaches("before", vip6, true)
	for range 2 {
		ok(t, a.Host.PutShield(shield(vip)))
		ok(t, a.Host.PutShield(shield(vip6)))
	}
	reaches("shielded", vip, false)
	reaches("shielded", vip6, false)
	reaches("not shielded", other, true)
	if !connects(t, a, vip.Addr()) {
		t.Error("the host does not reach itself")
	}
	ok(t, a.Host.DropShield(shield(vip)))
	reaches("no more", vip, true)
	reaches("still shielded", vip6, false)
	ok(t, a.Host.DropShield(shield(vip6)))
	ok(t, a.Host.DropShield(shield(vip6)))
	reaches("no more", vip6, true)
	a.Do(func() {
		ns, err := netns.Get()
		ok(t, err)
		defer ns.Close()
		c, err := nftables.New(nftables.WithNetNSFd(int(ns)))
		ok(t, err)
		tables, err := c.ListTables()
		ok(t, err)
		if len(tables) > 0 {
			t.Errorf("left behind: table %s", tables[0].Name)
		}
	})
}

// port is where answer listens.
const port = 8080

// answer accepts connections until the test ends.
func answer(t *testing.T) {
	l, err := net.Listen("tcp", ":8080")
	if err != nil {
		t.Error(err)
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
}

func connects(t *testing.T, n *netiftest.Node, a netip.Addr) bool {
	t.Helper()
	var err error
	n.Do(func() {
		var c net.Conn
		d := net.Dialer{Timeout: 500 * time.Millisecond}
		c, err = d.Dial("tcp", netip.AddrPortFrom(a, port).String())
		if err == nil {
			err = c.Close()
		}
	})
	return err == nil
}

// TestShieldCounts looks whether the table counts what it keeps away, if it is to.
func TestShieldCounts(t *testing.T) {
	for _, counters := range []bool{true, false} {
		node, _ := netiftest.Pair(t)
		s := netif.Shield{Table: "tandem", Priority: -1, Addr: vip.Addr(), Counters: counters}
		if err := node.Host.PutShield(s); errors.Is(err, unix.EOPNOTSUPP) {
			t.Skip(err)
		}
		counted := 0
		node.Do(func() {
			c, err := nftables.New()
			ok(t, err)
			table := &nftables.Table{Name: "tandem", Family: nftables.TableFamilyINet}
			rules, err := c.GetRules(table, &nftables.Chain{Name: "input", Table: table})
			ok(t, err)
			for _, r := range rules {
				for _, e := range r.Exprs {
					if _, is := e.(*expr.Counter); is {
						counted++
					}
				}
			}
		})
		if want := map[bool]int{true: 2}[counters]; counted != want {
			t.Errorf("with counters %t: %d rules count, want %d", counters, counted, want)
		}
		ok(t, node.Host.DropShield(s))
	}
}
