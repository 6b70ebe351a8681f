package instance_test

import (
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// TestStepDown deletes a VIP on a real wire: the other director takes over and stays master, though
// it is the lower one; and a VIP that is not tracked changes nothing.
func TestStepDown(t *testing.T) {
	t.Parallel()
	nodeA, nodeB := netiftest.Pair(t)
	b := realBench(t, nodeA, nodeB)
	stepDown := func(noTrack bool) func(*instance.Group) {
		return func(g *instance.Group) {
			g.Members[0].StepDown = true
			g.Members[0].VIPs[0].NoTrack = noTrack
			if noTrack { // which a renewal puts back
				g.Members[0].Lease = 2 * time.Second
			}
		}
	}
	for _, tt := range []struct {
		name    string
		noTrack bool
		mended  bool       // it is there again when anybody looks, as by a renewal
		want    vrrp.State // of the one whose VIP was deleted
	}{
		{"tracked", false, false, vrrp.Backup},
		{"tracked and mended", false, true, vrrp.Backup},
		{"not tracked", true, false, vrrp.Master},
		{"not tracked and mended", true, true, vrrp.Master},
	} {
		t.Run(tt.name, func(t *testing.T) {
			high := b.start(0, stepDown(tt.noTrack))
			b.awaitVIP(0, true)
			low := b.start(1, nil)
			b.awaitState(low, vrrp.Backup)
			if tt.mended {
				nodeA.Replace(vip)
			} else {
				nodeA.Remove(vip)
			}
			if tt.want == vrrp.Backup {
				b.awaitState(low, vrrp.Master)
			}
			b.awaitVIP(0, tt.want == vrrp.Master)
			b.awaitState(high, tt.want)
			if s := high.runner.Snapshot()[0]; s.BecameMaster != 1 {
				t.Errorf("became master %d times, want once", s.BecameMaster)
			}
			b.awaitVIP(1, tt.want == vrrp.Backup)
			low.halt()
			high.halt()
		})
	}
}
