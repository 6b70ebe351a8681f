package daemon

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// TestGroups reads the configuration of figure 7 and looks at what is made of it.
func TestGroups(t *testing.T) {
	cfg, ds := config.Load("testdata/groups.conf", config.Options{})
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	vip := func(prefix, device string) []instance.VIP {
		return []instance.VIP{{Prefix: netip.MustParsePrefix(prefix), Device: device}}
	}
	want := []instance.Group{
		{Name: "VG", Members: []instance.Config{
			{
				Name: "VI_OUT", Interface: "eth0", VIPs: vip("192.168.1.1/24", "eth0"),
				Excluded: vip("192.168.7.1/32", "eth9"), AnnounceRepeat: 2,
				RefreshRepeat: 1, LowerRepeat: 2,
				Router: vrrp.Config{
					Version: vrrp.V2, VRID: 51, Priority: 150, Interval: 2 * time.Second,
					Auth: vrrp.AuthSimple, Password: vrrp.MakePassword("1111"), NoPreempt: true,
					AnnounceDelay: 3 * time.Second, LowerPrioAnnounceDelay: 3 * time.Second, DownAdverts: 3,
					Source: netip.MustParseAddr("192.168.1.9"),
				},
			},
			{
				Name: "VI_IN", Interface: "eth1", VIPs: vip("192.168.2.1/24", "eth1"),
				AnnounceRepeat: 5, RefreshRepeat: 1, LowerRepeat: 5,
				Router: vrrp.Config{
					Version: vrrp.V2, VRID: 52, Priority: 100, Interval: time.Second,
					AnnounceDelay: 5 * time.Second, LowerPrioAnnounceDelay: 5 * time.Second,
					DownAdverts: 3,
				},
			},
		}},
		{Members: []instance.Config{{
			Name: "VI_ALONE", Interface: "eth2", VIPs: vip("192.168.3.1/32", "eth2"),
			AnnounceRepeat: 5, RefreshRepeat: 1, LowerRepeat: 5,
			Router: vrrp.Config{
				Version: vrrp.V3, VRID: 53, Priority: 255, Interval: 100 * time.Millisecond,
				PreemptDelay: 90 * time.Second, AnnounceDelay: -1, DownAdverts: 3,
			},
		}}},
	}
	compareGroups(t, want, groups(cfg))
}

func compareGroups(t *testing.T, want, got []instance.Group) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}),
		cmpopts.IgnoreFields(instance.Group{}, "OnTransition", "Claims", "Log")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestGroupsOfTransports reads how adverts travel and what addresses are like.
func TestGroupsOfTransports(t *testing.T) {
	cfg, ds := config.Load("testdata/transport.conf", config.Options{})
	if cfg == nil {
		t.Fatal(ds.Err())
	}
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	want := []instance.Group{
		{Members: []instance.Config{{
			Name: "VI_UNICAST", Interface: "eth0", UnicastTTL: 64,
			OldChecksum:    instance.OldChecksumNever,
			AnnounceRepeat: 5, RefreshRepeat: 3, LowerRepeat: 4,
			VIPs: []instance.VIP{
				{Prefix: prefix("192.168.1.1/24"), Device: "eth0", NoTrack: true,
					Options: netif.AddrOptions{
						Label: "eth0:1", Scope: 200, NoPrefixRoute: true,
						Broadcast: addr("192.168.1.255"),
					}},
				{Prefix: prefix("192.168.1.5/32"), Device: "eth1",
					Options: netif.AddrOptions{Peer: addr("192.168.1.6")}},
			},
			Router: vrrp.Config{
				Version: vrrp.V3, VRID: 51, Priority: 100, Interval: time.Second,
				Source: addr("192.168.1.2"), Checksum: vrrp.ChecksumPlain, DownAdverts: 5,
				AnnounceDelay: 5 * time.Second, AnnounceRefresh: time.Minute,
				LowerPrioAnnounceDelay: 7 * time.Second,
				LowerPrioNoAdvert:      true, HigherPrioSendAdvert: true, SkipCheckAddrs: true,
				Unicast: true, CheckUnicastSource: true,
				Peers: []vrrp.Peer{{Addr: addr("192.168.1.3"), MinTTL: 60, MaxTTL: 64}},
			},
		}}},
		{Members: []instance.Config{{
			Name: "VI_SIX", Interface: "eth0",
			AnnounceRepeat: 5, RefreshRepeat: 1, LowerRepeat: 5,
			VIPs: []instance.VIP{
				{Prefix: prefix("fe80::1/64"), Device: "eth0"},
				{Prefix: prefix("2001:db8::1/128"), Device: "eth0", Options: netif.AddrOptions{
					DAD: true, Home: true, ManageTemporary: true, Deprecated: true,
				}},
				{Prefix: prefix("2001:db8::2/128"), Device: "eth0", Options: netif.AddrOptions{
					Deprecated: true, PreferredFor: time.Minute,
				}},
				{Prefix: prefix("2001:db8::3/128"), Device: "eth0",
					Options: netif.AddrOptions{AutoJoin: true}},
			},
			Router: vrrp.Config{
				Version: vrrp.V3, VRID: 51, Priority: 100, Interval: time.Second, DownAdverts: 3,
				AnnounceDelay: 5 * time.Second, LowerPrioAnnounceDelay: 5 * time.Second,
			},
		}}},
		{Members: []instance.Config{{
			Name: "VI_GROUP", Interface: "eth0", Group: addr("224.0.1.18"),
			AnnounceRepeat: 5, RefreshRepeat: 1, LowerRepeat: 5,
			VIPs: []instance.VIP{{Prefix: prefix("192.168.1.7/32"), Device: "eth0"}},
			Router: vrrp.Config{
				Version: vrrp.V2, VRID: 52, Priority: 100, Interval: time.Second, DownAdverts: 3,
				AnnounceDelay: 5 * time.Second, LowerPrioAnnounceDelay: 5 * time.Second,
			},
		}}},
	}
	compareGroups(t, want, groups(cfg))
}

// TestGroupsOfMacvlans names macvlans and their addresses.
func TestGroupsOfMacvlans(t *testing.T) {
	cfg, ds := config.Load("testdata/vmac.conf", config.Options{})
	if cfg == nil {
		t.Fatal(ds.Err())
	}
	var got []string
	for _, g := range groups(cfg) {
		c := g.Members[0]
		got = append(got, fmt.Sprintf("%s: %s, adverts on parent %t", c.Name, c.VMAC, c.AdvertsOnParent))
	}
	want := []string{
		"VI_1: vrrp.51 on eth0 with 00:00:5e:00:01:33, adverts on parent true",
		"VI_2: vrrp.51.2 on eth1 with 00:00:5e:00:01:33, adverts on parent false",
		"VI_3: vrrp6.51 on eth0 with 00:00:5e:00:02:33, adverts on parent false",
		"VI_4: mine on eth9 with 02:00:00:00:0a:34, adverts on parent false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
