package daemon

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
)

// TestHearUnknown says which instances hear the adverts of virtual routers that nobody has: one for
// each way that adverts come to an interface.
func TestHearUnknown(t *testing.T) {
	type hearer struct {
		Name     string
		Siblings []uint8
	}
	text := ""
	for i, of := range []struct{ name, device, vip, more string }{
		{"A", "eth0", "10.0.0.1", ""},
		{"B", "eth0", "10.0.0.2", ""},
		{"C", "eth1", "10.0.0.3", ""},
		{"D", "eth0", "10.0.0.4", "unicast_peer {\n10.0.0.9\n}\n"},
		{"E", "eth0", "fe80::5", ""},
		{"F", "eth0", "10.0.0.6", ""},
	} {
		text += fmt.Sprintf("vrrp_instance %s {\ninterface %s\nvirtual_router_id %d\n%s"+
			"virtual_ipaddress {\n%s\n}\n}\n", of.name, of.device, i+1, of.more, of.vip)
	}
	text += "vrrp_sync_group G {\ngroup {\nB\nF\n}\n}\n"
	for _, tt := range []struct {
		name, global string
		want         []hearer
	}{
		{"off", "", nil},
		{"on", "global_defs {\nlog_unknown_vrids\n}\n", []hearer{
			{"B", []uint8{6, 1}}, {"C", nil}, {"D", nil}, {"E", nil}}},
	} {
		cfg, ds := config.Parse("f", []byte(tt.global+text))
		if err := ds.Err(); err != nil {
			t.Fatal(err)
		}
		var got []hearer
		for _, g := range groups(cfg) {
			for _, m := range g.Members {
				if m.HearAll {
					got = append(got, hearer{m.Name, m.Siblings})
				}
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestLinkDelays reads how long changes are held back.
func TestLinkDelays(t *testing.T) {
	cfg, ds := config.Parse("f",
		[]byte("interface_up_down_delays {\neth0 1.5 3\neth1 2\n}"))
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	want := map[string]instance.LinkDelay{
		"eth0": {Down: 1500 * time.Millisecond, Up: 3 * time.Second}, "eth1": {Down: 2 * time.Second},
	}
	if diff := cmp.Diff(want, linkDelays(cfg)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
