package instance_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

var (
	vip6  = netip.MustParsePrefix("2001:db8::1/128")
	hosts = [2]netip.Addr{
		netip.MustParseAddr("192.168.1.2"), netip.MustParseAddr("192.168.1.3"),
	}
	locals = [2]netip.Addr{netip.MustParseAddr("fe80::2"), netip.MustParseAddr("fe80::3")}
)

// transport is a way for adverts to travel.
type transport struct {
	name string
	vip  netip.Prefix
	// change makes node i's configuration use it.
	change func(i int, c *instance.Config)
}

func transports() []transport {
	unicast := func(addrs [2]netip.Addr) func(int, *instance.Config) {
		return func(i int, c *instance.Config) {
			c.Router.Unicast = true
			c.Router.Peers = []vrrp.Peer{{Addr: addrs[1-i]}}
			c.Router.CheckUnicastSource = true
		}
	}
	return []transport{
		{"IPv6", vip6, func(int, *instance.Config) {}},
		{"unicast", vip, unicast(hosts)},
		{"unicast with a TTL", vip, func(i int, c *instance.Config) {
			unicast(hosts)(i, c)
			c.UnicastTTL = 64
			c.Router.Peers[0].MinTTL, c.Router.Peers[0].MaxTTL = 64, 64
		}},
		{"unicast with old checksums", vip, func(i int, c *instance.Config) {
			unicast(hosts)(i, c)
			if i == 0 { // the other one finds out
				c.OldChecksum = instance.OldChecksumAlways
			}
		}},
		{"unicast over IPv6", vip6, unicast(locals)},
		{"another group", vip, func(_ int, c *instance.Config) {
			c.Group = netip.MustParseAddr("224.0.1.18")
		}},
		{"another group of IPv6", vip6, func(_ int, c *instance.Config) {
			c.Group = netip.MustParseAddr("ff02::1234")
		}},
		{"configured source", vip, func(i int, c *instance.Config) { c.Router.Source = hosts[i] }},
	}
}

// TestTransports elects and hands over, simulated and on a real wire, by every way.
func TestTransports(t *testing.T) {
	t.Parallel()
	for _, tt := range transports() {
		t.Run(tt.name+"/simulated", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tt.handOver(simulated(t)) })
		})
		t.Run(tt.name+"/real", func(t *testing.T) {
			t.Parallel()
			a, b := netiftest.Pair(t)
			for i, n := range []*netiftest.Node{a, b} {
				eth := n.Host.Interface(netiftest.Device)
				if err := eth.AddAddr(netip.PrefixFrom(locals[i], 64), 0); err != nil {
					t.Fatal(err)
				}
			}
			tt.handOver(realBench(t, a, b))
		})
	}
}

func (tt transport) handOver(b *bench) {
	b.vip = tt.vip
	start := func(i int) *director {
		return b.start(i, func(g *instance.Group) {
			g.Members[0].VIPs[0].Prefix = tt.vip
			tt.change(i, &g.Members[0])
			if tt.vip.Addr().Is6() { // the kernel has made up link-local addresses too
				g.Members[0].Router.Source = locals[i]
			}
		})
	}
	low := start(1)
	b.awaitVIP(1, true)
	high := start(0)
	b.awaitVIP(0, true)
	b.awaitVIP(1, false)
	b.await("leader", func() bool { return low.runner.Snapshot()[0].LeaderPriority == 150 })
	high.stop()
	b.awaitState(low, vrrp.Master)
	b.awaitVIP(1, true)
	high.halt()
	low.halt()
	for i, d := range []*director{high, low} {
		s := d.runner.Snapshot()[0]
		if len(s.Drops) > 0 || s.Errors > 0 || s.Received == 0 || b.has(i) {
			b.t.Errorf("%d: drops %v, errors %d (%s), received %d, VIP %t; want only received",
				i, s.Drops, s.Errors, s.LastError, s.Received, b.has(i))
		}
	}
}

// TestStrangerIsDropped sends a unicast advert of one who is no peer.
func TestStrangerIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		tt := transports()[1]
		low := b.start(1, func(g *instance.Group) { tt.change(1, &g.Members[0]) })
		b.awaitState(low, vrrp.Master)
		stranger := b.links[1]("").(*simLink).wire.join("192.168.1.77/24")
		s, err := stranger.Open(netif.Endpoint{VRID: 51})
		if err != nil {
			t.Fatal(err)
		}
		src := stranger.own.Addr()
		a := vrrp.Advert{
			Version: vrrp.V3, VRID: 51, Priority: 200, Interval: time.Second,
			Addrs: []netip.Addr{vip.Addr()}, Checksum: vrrp.ChecksumPseudo,
		}
		text, err := a.Append(nil, src, hosts[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(text, src, hosts[1]); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := low.runner.Snapshot()[0]; got.State != vrrp.Master ||
			got.Drops[vrrp.DropPeer] != 1 {
			t.Errorf("state %s, drops %v; want a master that dropped one", got.State, got.Drops)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		low.halt()
	})
}

// TestPutBack deletes a VIP on a real wire: it is back before its lease would have been renewed.
func TestPutBack(t *testing.T) {
	b := real(t)
	d := b.start(0, func(g *instance.Group) {
		g.Members[0].Lease = time.Hour // renewed every seven minutes
		g.Members[0].VIPs = append(g.Members[0].VIPs, instance.VIP{Prefix: second})
	})
	b.awaitVIP(0, true)
	b.await("second VIP", func() bool { return slices.Contains(b.addrs(0), second) })
	const enough = 100 * time.Millisecond
	best := time.Hour
	for n := uint64(1); n <= 3; n++ {
		begin := time.Now()
		if err := b.links[0](netiftest.Device).RemoveAddr(vip); err != nil {
			t.Fatal(err)
		}
		b.await("put back", func() bool { return d.runner.Snapshot()[0].Restored == n && b.has(0) })
		best = min(best, time.Since(begin))
	}
	t.Logf("put back after %s", best)
	if best > enough {
		t.Errorf("put back after %s, want %s", best, enough)
	}
	s := d.runner.Snapshot()[0]
	if s.State != vrrp.Master || s.BecameMaster != 1 || s.Restored != 3 {
		t.Errorf("%+v, want a master all the time that has put back 3", s)
	}
	d.halt()
}

// TestMixedIsDropped sends a unicast advert to one who is configured for multicast.
func TestMixedIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		low := b.start(1, nil)
		b.awaitState(low, vrrp.Master)
		unicast := b.start(0, func(g *instance.Group) { transports()[1].change(0, &g.Members[0]) })
		b.awaitState(unicast, vrrp.Master)
		pass(time.Second)
		if got := low.runner.Snapshot()[0]; got.State != vrrp.Master ||
			got.Drops[vrrp.DropDestination] == 0 {
			t.Errorf("state %s, drops %v; want a master that dropped some", got.State, got.Drops)
		}
		unicast.halt()
		low.halt()
	})
}

// TestOldChecksum looks at what is sent to a peer.
func TestOldChecksum(t *testing.T) {
	for _, tt := range []struct {
		form instance.OldChecksum
		old  bool
	}{
		{instance.OldChecksumFoundOut, false},
		{instance.OldChecksumNever, false},
		{instance.OldChecksumAlways, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := simulated(t)
			peer, err := b.links[1]("").(*simLink).Open(netif.Endpoint{VRID: 51})
			if err != nil {
				t.Fatal(err)
			}
			d := b.start(0, func(g *instance.Group) {
				transports()[1].change(0, &g.Members[0])
				g.Members[0].OldChecksum = tt.form
				g.Resume = true
			})
			synctest.Wait()
			heard := 0
			err = peer.Drain(func(p netif.Packet) {
				heard++
				_, now := vrrp.Parse(p.Payload, p.From, p.To)
				_, old := vrrp.Parse(p.Payload, p.From, vrrp.MulticastAddr(p.From))
				if (old == nil) != tt.old || (now == nil) == tt.old {
					t.Errorf("form %d: today's %v, old %v; want old %t", tt.form, now, old, tt.old)
				}
			})
			if err != nil || heard == 0 {
				t.Errorf("form %d: heard %d, %v", tt.form, heard, err)
			}
			if err := peer.Close(); err != nil {
				t.Error(err)
			}
			d.halt()
		})
	}
}

// plainLink is a Link and nothing more.
type plainLink struct{ instance.Link }

// TestPlainLink says that what a Link cannot do is a failure and not left out.
func TestPlainLink(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*instance.Config)
		want   string
	}{
		{"nothing more", func(*instance.Config) {}, ""},
		{"unicast", func(c *instance.Config) { transports()[1].change(0, c) },
			"the link only has the standard group of IPv4"},
		{"another group", func(c *instance.Config) { c.Group = netip.MustParseAddr("224.0.1.18") },
			"the link only has the standard group of IPv4"},
		{"route", func(c *instance.Config) { c.Routes = []netif.Route{{Type: "blackhole"}} },
			"the link has no routes"},
		{"setting", func(c *instance.Config) { c.PromoteSecondaries = true },
			"the link has no settings"},
		{"macvlan", func(c *instance.Config) {
			c.AdvertsOnParent = true
			c.VMAC = &netif.Macvlan{Name: "v", Parent: "eth0", MAC: netif.VirtualMAC(51, false)}
		}, "the link has no macvlans"},
		{"shield", func(c *instance.Config) { c.ShieldTable = "tandem" }, "the link has no firewall"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := simulated(t)
				l := b.links[0]("")
				b.links[0] = func(string) instance.Link { return plainLink{l} }
				d := b.start(0, func(g *instance.Group) {
					tt.change(&g.Members[0])
					g.Resume = true
				})
				synctest.Wait()
				got := d.runner.Snapshot()[0].LastError
				if !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
					t.Errorf("last error %q, want %q in it", got, tt.want)
				}
				d.halt()
			})
		})
	}
}
