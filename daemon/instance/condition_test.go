package instance_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// TestConditions has a backup hear a master with other VIPs, until that leaves.
func TestConditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		master := b.start(0, nil)
		backup := b.start(1, func(g *instance.Group) {
			more := instance.VIP{Prefix: netip.MustParsePrefix("192.168.1.9/24")}
			g.Members[0].VIPs = append(g.Members[0].VIPs, more)
		})
		status := func() instance.Status { return backup.runner.Snapshot()[0] }

		<-time.After(10 * time.Second)
		s := status()
		if len(s.Differences) != 1 || s.Differences[0].Kind != vrrp.ConditionAddresses ||
			s.Differences[0].Evidence.From != netip.MustParseAddr("192.168.1.2") ||
			s.Differences[0].Count < 5 {
			t.Errorf("differences: got %+v, want the addresses of 192.168.1.2", s.Differences)
		}
		if len(s.Conditions) > 0 {
			t.Errorf("conditions: got %+v, want none", s.Conditions)
		}

		master.stop()
		<-master.ended
		<-time.After(10 * time.Second)
		s = status()
		if len(s.Differences) > 0 {
			t.Errorf("after the master: got differences %+v, want none", s.Differences)
		}
		if s.ZeroReceived != 1 || s.ZeroSent != 0 || s.BecameMaster != 1 || s.ReleasedMaster != 0 {
			t.Errorf("after the master: got %d adverts of 0 heard, %d sent, master %d times, "+
				"left %d times; want 1, 0, 1, 0",
				s.ZeroReceived, s.ZeroSent, s.BecameMaster, s.ReleasedMaster)
		}

		backup.stop()
		<-backup.ended
		if s = status(); s.ZeroSent != 1 || s.ReleasedMaster != 1 {
			t.Errorf("at the end: got %d adverts of 0 sent, left %d times; want 1, 1",
				s.ZeroSent, s.ReleasedMaster)
		}
	})
}
