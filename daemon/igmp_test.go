package daemon

import (
	"strings"
	"testing"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestLocalReports turns IGMP reports off and on by reloads, and has them be at the end as they were
// at the start, whatever that was.
func TestLocalReports(t *testing.T) {
	without := "global_defs {\n    disable_local_igmp\n}\n" + oneInstance
	for _, tt := range []struct{ name, before, with string }{
		{"usual", "1", "0"}, {"off before", "0", "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			node, _ := netiftest.Pair(t)
			now := func() string {
				t.Helper()
				s, err := node.Host.System(netif.LocalReports)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			if err := node.Host.SetSystem(netif.LocalReports, tt.before); err != nil {
				t.Fatal(err)
			}
			d := serve(t, node, without)
			until(t, "master", func() bool { return holds(t, node) })
			for _, step := range []struct{ name, text, want string }{
				{"at first", "", tt.with}, {"turned on", oneInstance, tt.before},
				{"turned off", without, tt.with},
			} {
				if step.text != "" {
					d.change(step.text)
				}
				until(t, step.name+": "+step.want, func() bool { return now() == step.want })
			}
			d.change(strings.Replace(without, "150", "140", 1))
			until(t, "reload", func() bool { return d.log.has("priority 150 -> 140") })
			if got := now(); got != tt.with {
				t.Errorf("after a reload of something else: got %s, expected %s", got, tt.with)
			}
			d.end()
			if got := now(); got != tt.before {
				t.Errorf("at the end: got %s, expected %s", got, tt.before)
			}
		})
	}
}

// TestLocalReportsCleanup has a cleanup after a director that was killed.
func TestLocalReportsCleanup(t *testing.T) {
	node, _ := netiftest.Pair(t)
	if err := node.Host.SetSystem(netif.LocalReports, reportsOff); err != nil {
		t.Fatal(err)
	}
	file := write(t, "global_defs {\n    disable_local_igmp\n}\n"+oneInstance)
	node.Do(func() {
		if err := Cleanup(t.Context(), Options{File: file}, ""); err != nil {
			t.Error(err)
		}
	})
	if got, err := node.Host.System(netif.LocalReports); err != nil || got != reportsUsual {
		t.Errorf("after a cleanup: got %s, %v, expected %s", got, err, reportsUsual)
	}
}
