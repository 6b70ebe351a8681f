package daemon

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/netif"
)

// TestNotBefore checks from when the delays of the start count.
func TestNotBefore(t *testing.T) {
	born := time.Now()
	for _, tt := range []struct {
		name             string
		delay, afterBoot time.Duration
		want             time.Duration // after born; 0 is never
	}{
		{"neither", 0, 0, 0},
		{"after the start", 10 * time.Second, 0, 10 * time.Second},
		{"after the machine's start", 0, 90 * time.Second, 30 * time.Second},
		{"both, the machine's later", 10 * time.Second, 90 * time.Second, 30 * time.Second},
		{"both, the director's later", 40 * time.Second, 90 * time.Second, 40 * time.Second},
		{"a machine that has run for long", 10 * time.Second, 5 * time.Second, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &config.Start{Delay: tt.delay, AfterBoot: tt.afterBoot}
			got := notBefore(s, born, time.Minute)
			if tt.want == 0 && !got.IsZero() ||
				tt.want != 0 && got.Sub(born).Round(time.Second) != tt.want {
				t.Errorf("got %s after the start, want %s", got.Sub(born), tt.want)
			}
		})
	}
	if upFor() <= 0 {
		t.Errorf("upFor: got %s, want more", upFor())
	}
}

// TestAddressMacvlans checks which VIPs on other interfaces get a macvlan, and its name.
func TestAddressMacvlans(t *testing.T) {
	cfg := parseConfig(t, `global_defs {
    vmac_addr_prefix vip
}
vrrp_instance A {
    interface eth0
    virtual_router_id 51
    use_vmac
    use_vmac_addr
    virtual_ipaddress {
        192.168.1.1/24
        192.168.2.1/24 dev eth1
        192.168.2.9/24 dev eth1
        192.168.3.1/24 dev eth2
    }
}
vrrp_instance B {
    interface eth3
    virtual_router_id 52
    virtual_ipaddress {
        192.168.4.1/24
        192.168.5.1/24 dev eth4
        192.168.6.1/24 dev eth5 use_vmac
    }
}
`)
	got := map[string][]netif.Macvlan{}
	for _, g := range groups(cfg) {
		for _, m := range g.Members {
			got[m.Name] = m.AddrVMACs
		}
	}
	a, b := netif.VirtualMAC(51, false), netif.VirtualMAC(52, false)
	want := map[string][]netif.Macvlan{
		"A": {{Name: "vip.51", Parent: "eth1", MAC: a}, {Name: "vip.51.2", Parent: "eth2", MAC: a}},
		"B": {{Name: "vip.52", Parent: "eth5", MAC: b}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("macvlans of VIPs (-want +got)\n%s", diff)
	}
}
