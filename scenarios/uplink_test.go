package scenarios

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/reports"
)

// TestUplinkConfig: the director has the session, and every instance depends on it.
func TestUplinkConfig(t *testing.T) {
	s := fig7UplinkLost()
	u := s.Uplinks[0]
	from, to, err := u.ends(s.Topology)
	if err != nil {
		t.Fatal(err)
	}
	lb1, _ := s.Topology.Node("lb1")
	text := u.depend(Config(s.Topology, *lb1), from, to)
	session := `bfd_instance client2 {
    neighbor_ip 192.168.1.101
    source_ip 192.168.1.2
    min_rx 50
    min_tx 50
    idle_tx 1000
    multiplier 3
}
`
	if diff := cmp.Diff(session, text[:len(session)]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	const tracked = " {\n    track_bfd {\n        client2\n    }\n"
	for _, instance := range []string{"outer", "inner"} {
		if !strings.Contains(text, "vrrp_instance "+instance+tracked) {
			t.Errorf("%s does not depend on the session:\n%s", instance, text)
		}
	}
}

func TestUplinkEnds(t *testing.T) {
	for _, tt := range []struct {
		uplink Uplink
		want   string
	}{
		{Uplink{"lb1", "nobody"}, "there is no such node"},
		{Uplink{"client1", "web1"}, "no network has both"},
		{Uplink{"lb1", "web1"}, ""},
	} {
		_, _, err := tt.uplink.ends(preset("fig7"))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want %q", tt.uplink, err, tt.want)
		}
	}
}

// TestUplinkExcuses: that a router is lost excuses that VIPs move once, if a director depends on it.
func TestUplinkExcuses(t *testing.T) {
	const lost = `
45 fault-inject client2 power-off
45.1 state lb1 leaving client: virtual router 51, priority 0
45.75 vip-add lb2 outer
45.75 vip-add lb2 inner
45.85 vip-remove lb1 outer
45.85 vip-remove lb1 inner
45.75 claim lb2 outer 02:02 announced
45.75 claim lb2 inner 02:12 announced
50 fault-heal client2 power-off
53 vip-add lb1 outer
53 vip-add lb1 inner
53.1 vip-remove lb2 outer
53.1 vip-remove lb2 inner
53 claim lb1 outer 02:01 announced
53 claim lb1 inner 02:11 announced`
	for _, tt := range []struct {
		name    string
		uplinks []Uplink
		more    string
		fails   []string
	}{
		{"it does", []Uplink{{"lb1", "client2"}}, lost, nil},
		{"it forgets a VIP", []Uplink{{"lb1", "client2"}},
			strings.Replace(lost, "45.75 vip-add lb2 inner", "49.9 vip-add lb2 inner", 1),
			[]string{OneOwner, Together}},
		{"none does", nil, strings.Replace(lost, "45.85 vip-remove", "46.5 vip-remove", 2),
			[]string{OneOwner, Converges}},
	} {
		s := Scenario{Topology: preset("fig7"), Uplinks: tt.uplinks, Steps: []Step{Steady{}, Observe{}}}
		var fails []string
		for _, f := range Judge(s, recordingOfAnnals(t, nil, strings.TrimSpace(tt.more))) {
			if f.Verdict != reports.Pass {
				fails = append(fails, f.Bound)
			}
		}
		if diff := cmp.Diff(tt.fails, fails); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
