package instance_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// TestExtraAnnouncements says which VIPs a master announces again and again, and that it stops when
// it is none any more.
func TestExtraAnnouncements(t *testing.T) {
	for _, tt := range []struct {
		name string
		all  bool
		want []string
	}{
		{"all of them", true, []string{"arping -U -c 1 [192.168.1.1]"}},
		{"none is on a macvlan", false, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := simulated(t)
			l := b.links[0]("").(*simLink)
			d := b.start(0, func(g *instance.Group) {
				c := &g.Members[0]
				c.ExtraEvery, c.ExtraAll, c.Lease = 20*time.Second, tt.all, time.Hour
				c.Router.AnnounceDelay = -1
				g.Resume = true
			})
			b.awaitState(d, vrrp.Master)
			synctest.Wait()
			typing(l)
			pass(19 * time.Second)
			wantTyped(t, tt.name+", before 20 s", typing(l, "ip"))
			pass(time.Second)
			wantTyped(t, tt.name+", at 20 s", typing(l, "ip"), tt.want...)
			pass(20 * time.Second)
			wantTyped(t, tt.name+", at 40 s", typing(l, "ip"), tt.want...)
			b.setUp(0, false)
			pass(time.Minute)
			wantTyped(t, tt.name+", in fault", typing(l, "ip"))
			d.halt()
		})
	}
}
