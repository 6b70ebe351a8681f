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
	b := real(t)
	stepDown := func(noTrack bool) func(*instance.Group) {
		return func(g *instance.Group) {
			g.Members[0].StepDown = true
			g.Members[0].VIPs[0].NoTrack = noTrack
			// A renewal may put it back before the news of its loss is there: none comes, or one soon.
			g.Members[0].Lease = time.Hour
			if noTrack {
				g.Members[0].Lease = 2 * time.Second
			}
		}
	}
	for _, tt := range []struct {
		name    string
		noTrack bool
		want    vrrp.State // of the one whose VIP was deleted
	}{
		{"tracked", false, vrrp.Backup},
		{"not tracked", true, vrrp.Master},
	} {
		t.Run(tt.name, func(t *testing.T) {
			high := b.start(0, stepDown(tt.noTrack))
			b.awaitVIP(0, true)
			low := b.start(1, nil)
			b.awaitState(low, vrrp.Backup)
			if err := b.links[0](netiftest.Device).RemoveAddr(vip); err != nil {
				t.Fatal(err)
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
