package daemon

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
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
				Router: vrrp.Config{
					Version: vrrp.V2, VRID: 51, Priority: 150, Interval: 2 * time.Second,
					Auth: vrrp.AuthSimple, Password: vrrp.MakePassword("1111"), NoPreempt: true,
					AnnounceDelay: 3 * time.Second, Source: netip.MustParseAddr("192.168.1.9"),
				},
			},
			{
				Name: "VI_IN", Interface: "eth1", VIPs: vip("192.168.2.1/24", "eth1"),
				AnnounceRepeat: 5,
				Router: vrrp.Config{
					Version: vrrp.V2, VRID: 52, Priority: 100, Interval: time.Second,
					AnnounceDelay: 5 * time.Second,
				},
			},
		}},
		{Members: []instance.Config{{
			Name: "VI_ALONE", Interface: "eth2", VIPs: vip("192.168.3.1/32", "eth2"),
			AnnounceRepeat: 5,
			Router: vrrp.Config{
				Version: vrrp.V3, VRID: 53, Priority: 255, Interval: 100 * time.Millisecond,
				PreemptDelay: 90 * time.Second, AnnounceDelay: -1,
			},
		}}},
	}
	if diff := cmp.Diff(want, groups(cfg), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}),
		cmpopts.IgnoreFields(instance.Group{}, "OnTransition", "Log")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
