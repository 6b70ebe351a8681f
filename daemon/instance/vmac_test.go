package instance_test

import (
	"encoding/json"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// TestVMAC elects and hands over with a virtual MAC address in each family, which is where the VIP
// is found, and leaves nothing.
func TestVMAC(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		vip  netip.Prefix
		// onParent sends adverts from the parent's MAC address.
		onParent bool
	}{
		{"IPv4", vip, false},
		{"IPv6", vip6, false},
		{"adverts on the parent", vip, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, node := netiftest.Pair(t)
			nodes := []*netiftest.Node{a, node}
			b := realBench(t, a, node)
			b.vip = tt.vip
			mac := netif.VirtualMAC(51, tt.vip.Addr().Is6())
			for i, n := range nodes {
				prepareVMAC(t, n, locals[i])
			}
			b.addrs = func(i int) []netip.Prefix { return addrsOf(t, b.links[i]("vrrp.51")) }
			before := everything(t, a)
			var book ledger
			start := func(i int) *director {
				return b.start(i, func(g *instance.Group) {
					c := &g.Members[0]
					c.VIPs[0].Prefix = tt.vip
					c.Lease = time.Hour // so that no renewal repairs anything
					c.VMAC = &netif.Macvlan{Name: "vrrp.51", Parent: "eth0", MAC: mac}
					c.AdvertsOnParent = tt.onParent
					if tt.vip.Addr().Is6() {
						c.Router.Source = locals[i]
					}
					if i == 0 {
						g.Claims = book.note
					}
				})
			}
			low := start(1)
			b.awaitVIP(1, true)
			high := start(0)
			b.awaitVIP(0, true)
			b.awaitVIP(1, false)
			b.await("leader", func() bool { return low.runner.Snapshot()[0].LeaderPriority == 150 })
			b.await("neighbor", func() bool { return neighbor(t, node, tt.vip.Addr()) == mac.String() })
			wantClaimOfVMAC(t, b, book.take(), mac, tt.onParent)
			if err := a.Host.DropMacvlan(netif.Macvlan{Name: "vrrp.51", MAC: mac}); err != nil {
				t.Fatal(err)
			}
			b.await("macvlan made anew", func() bool { return b.has(0) })
			high.stop()
			b.awaitState(low, vrrp.Master)
			b.awaitVIP(1, true)
			high.halt()
			low.halt()
			for _, d := range []*director{high, low} {
				s := d.runner.Snapshot()[0]
				if len(s.Drops) > 0 || s.Errors > 0 || s.Received == 0 {
					t.Errorf("drops %v, errors %d (%s), received %d; want only received",
						s.Drops, s.Errors, s.LastError, s.Received)
				}
			}
			if diff := cmp.Diff(before, everything(t, a)); diff != "" {
				t.Errorf("left behind (-want +got):\n%s", diff)
			}
		})
	}
}

// TestVMACMoves has a station report its multicast groups from the virtual MAC address of a master, as
// the kernel of an earlier one does: the master announces its VIP once more.
func TestVMACMoves(t *testing.T) {
	t.Parallel()
	a, node := netiftest.Pair(t)
	b := realBench(t, a, node)
	b.vip = vip6
	mac := netif.VirtualMAC(51, true)
	prepareVMAC(t, a, locals[0])
	prepareVMAC(t, node, locals[1])
	announced := make(chan netif.Rival, 100)
	stop, err := node.Host.Interface(netiftest.Device).FollowRivals(true,
		func(r netif.Rival) { announced <- r }, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	d := b.start(0, func(g *instance.Group) {
		c := &g.Members[0]
		c.VIPs[0].Prefix, c.Router.Source = vip6, locals[0]
		c.VMAC = &netif.Macvlan{Name: "vrrp.51", Parent: netiftest.Device, MAC: mac}
		c.AnnounceRepeat, c.Router.AnnounceDelay = 1, -1
	})
	b.awaitState(d, vrrp.Master)
	want := netif.Rival{Addr: vip6.Addr(), MAC: mac}
	if r := <-announced; r != want {
		t.Errorf("announced %v, want %v", r, want)
	}
	copycat := netif.Macvlan{Name: "copycat", Parent: netiftest.Device, MAC: mac}
	err = node.Host.PutMacvlan(copycat)
	if err == nil {
		err = node.Host.Interface(copycat.Name).AddAddr(netip.MustParsePrefix("2001:db8::9/64"), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.await("another announcement", func() bool { return len(announced) > 0 })
	if r := <-announced; r != want {
		t.Errorf("announced again %v, want %v", r, want)
	}
	d.halt()
}

// prepareVMAC gives the node a link-local address and a route to the IPv6 VIP.
func prepareVMAC(t *testing.T, n *netiftest.Node, local netip.Addr) {
	t.Helper()
	eth := n.Host.Interface(netiftest.Device)
	if err := eth.AddAddr(netip.PrefixFrom(local, 64), 0); err != nil {
		t.Fatal(err)
	}
	err := n.Host.PutRoute(netif.Route{
		Dest: netip.MustParsePrefix("2001:db8::/64"), Hops: []netif.Hop{{Device: netiftest.Device}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// neighbor returns the MAC address at which the node finds another host, once it does.
func neighbor(t *testing.T, n *netiftest.Node, a netip.Addr) string {
	t.Helper()
	var mac string
	n.Do(func() {
		conn, err := net.Dial("udp", netip.AddrPortFrom(a, 9).String())
		if err == nil {
			_, _ = conn.Write([]byte("hello")) // refused or not, it is looked for
			err = conn.Close()
		}
		if err != nil {
			t.Error(err)
		}
		all, err := netlink.NeighList(0, netlink.FAMILY_ALL)
		if err != nil {
			t.Error(err)
		}
		i := slices.IndexFunc(all, func(n netlink.Neigh) bool { return n.IP.Equal(a.AsSlice()) })
		if i >= 0 {
			mac = all[i].HardwareAddr.String()
		}
	})
	return mac
}

// wantClaimOfVMAC says that another process learns of the macvlan, and of what the parent was like.
func wantClaimOfVMAC(t *testing.T, b *bench, claims []instance.Claim, mac netif.MAC,
	onParent bool) {
	t.Helper()
	text, err := json.Marshal(claims[len(claims)-1])
	if err != nil {
		t.Fatal(err)
	}
	var c instance.Claim
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	var settings []string
	for _, s := range c.Settings {
		settings = append(settings, s.Device+" "+s.String()+", was "+s.Was)
	}
	want := "eth0 ipv4 arp_ignore = 1, was 0; eth0 ipv4 arp_filter = 1, was 0"
	if got := strings.Join(settings, "; "); got != want {
		t.Errorf("settings claimed: %s, want %s", got, want)
	}
	if len(c.Macvlans) != 1 || c.Macvlans[0].MAC != mac || (c.MAC == mac) == onParent {
		t.Errorf("claimed macvlans %v and MAC address %s, want %s", c.Macvlans, c.MAC, mac)
	}
	if err := c.Advertise(b.links[0]); err != nil {
		t.Error(err)
	}
}
