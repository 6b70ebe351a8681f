package instance_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// typing returns what was typed since the last call, without what begins with any of these.
func typing(l *simLink, without ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, line := range l.typed {
		skip := false
		for _, w := range without {
			skip = skip || strings.HasPrefix(line, w)
		}
		if !skip {
			all = append(all, line)
		}
	}
	l.typed = nil
	return all
}

func wantTyped(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: typed (-want +got):\n%s", what, diff)
	}
}

// TestPacedAnnouncements spaces them by 100 ms; what the keeper is told meanwhile is done at once.
func TestPacedAnnouncements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		l := b.links[0]("").(*simLink)
		d := b.start(0, func(g *instance.Group) {
			c := &g.Members[0]
			c.VIPs = append(c.VIPs, instance.VIP{Prefix: second}, instance.VIP{Prefix: vip6})
			c.Router.Addrs = append(c.Router.Addrs, vip.Addr(), second.Addr())
			c.ARPInterval, c.AnnounceRepeat = 100*time.Millisecond, 2
			c.Lease = time.Hour
			g.Resume = true
		})
		synctest.Wait()
		wantTyped(t, "at once", typing(l, "ip"),
			"arping -U -c 1 [192.168.1.1]", "arping -U -c 2 [2001:db8::1]")
		pass(99 * time.Millisecond)
		wantTyped(t, "before 100 ms", typing(l, "ip"))
		pass(time.Millisecond)
		wantTyped(t, "100 ms", typing(l), "arping -U -c 1 [192.168.1.200]")
		pass(50 * time.Millisecond)
		l.setUp(false)
		synctest.Wait()
		wantTyped(t, "fault", typing(l),
			"ip addr del 2001:db8::1/128", "ip addr del 192.168.1.200/32", "ip addr del 192.168.1.1/32")
		pass(time.Second)
		wantTyped(t, "after that", typing(l))
		d.halt()
	})
}

// TestAnnounceCauses announces as often as the cause calls for.
func TestAnnounceCauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := simulated(t)
		l := b.links[0]("").(*simLink)
		d := b.start(0, func(g *instance.Group) {
			c := &g.Members[0]
			c.AnnounceRepeat, c.RefreshRepeat, c.LowerRepeat = 4, 2, 3
			c.Router.AnnounceDelay = 3 * time.Second
			c.Router.AnnounceRefresh = 10 * time.Second
			g.Resume = true
		})
		synctest.Wait()
		wantTyped(t, "master", typing(l, "ip"), "arping -U -c 4 [192.168.1.1]")
		pass(3 * time.Second)
		wantTyped(t, "again", typing(l, "ip"), "arping -U -c 4 [192.168.1.1]")
		pass(7 * time.Second)
		wantTyped(t, "refresh", typing(l, "ip"), "arping -U -c 2 [192.168.1.1]")
		other := b.start(1, func(g *instance.Group) { g.Resume = true })
		b.awaitState(other, vrrp.Backup)
		wantTyped(t, "lower master", typing(l, "ip"), "arping -U -c 3 [192.168.1.1]")
		if err := d.runner.Announce("VI_1"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		wantTyped(t, "on demand", typing(l, "ip"), "arping -U -c 2 [192.168.1.1]")
		d.runner.Refresh()
		synctest.Wait()
		wantTyped(t, "all on demand", typing(l, "ip"), "arping -U -c 2 [192.168.1.1]")
		backup := b.links[1]("").(*simLink)
		typing(backup)
		if err := other.runner.Announce("VI_1"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		wantTyped(t, "on demand, of a backup", typing(backup))
		if err := d.runner.Announce("VI_9"); err == nil {
			t.Error("announce another's: expected an error")
		}
		d.stop()
		synctest.Wait()
		d.runner.Refresh()
		synctest.Wait()
		wantTyped(t, "on demand, of one that has resigned", typing(l))
		other.halt()
		d.halt()
	})
}
