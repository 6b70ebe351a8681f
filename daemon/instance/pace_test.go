package instance_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
)

// stage is links whose announcements are noted together, each with its time.
type stage struct {
	instance.Paces
	begin time.Time
	mu    sync.Mutex
	noted []string
}

type staged struct {
	*simLink
	*stage
	device string
}

func (l staged) Announce(addrs []netip.Addr, repeat int) error {
	l.stage.mu.Lock()
	defer l.stage.mu.Unlock()
	l.noted = append(l.noted, fmt.Sprintf("%03dms %s %s x%d",
		time.Since(l.begin).Milliseconds(), l.device, addrs[0], repeat))
	return nil
}

// take returns what was noted since the last call.
func (l staged) take() []string {
	l.stage.mu.Lock()
	defer l.stage.mu.Unlock()
	all := l.noted
	l.noted = nil
	slices.Sort(all) // those of one moment come in any order
	return all
}

// TestCommonPace has three instances, two of them on one device, announce at once.
func TestCommonPace(t *testing.T) {
	const every = 100 * time.Millisecond
	group := instance.PaceGroup{Devices: []string{"eth0", "eth1"}, ARPInterval: every}
	for _, tt := range []struct {
		name   string
		own    time.Duration
		groups []instance.PaceGroup
		want   []string
	}{
		{"none", 0, nil, []string{
			"000ms eth0 10.0.0.1 x2", "000ms eth0 10.0.0.2 x2", "000ms eth1 10.0.0.3 x2",
		}},
		{"of each device", every, nil, []string{
			"000ms eth0 10.0.0.1 x1", "000ms eth1 10.0.0.3 x1", "100ms eth0 10.0.0.1 x1",
			"100ms eth1 10.0.0.3 x1", "200ms eth0 10.0.0.2 x1", "300ms eth0 10.0.0.2 x1",
		}},
		{"of a group", time.Hour, []instance.PaceGroup{group}, []string{
			"000ms eth0 10.0.0.1 x1", "100ms eth0 10.0.0.1 x1", "200ms eth0 10.0.0.2 x1",
			"300ms eth1 10.0.0.3 x1", "400ms eth0 10.0.0.2 x1", "500ms eth1 10.0.0.3 x1",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stage{begin: time.Now()}
				b := &bench{t: t, interval: time.Second, limit: 20 * time.Second}
				links := map[string]instance.Link{}
				for i, device := range []string{"eth0", "eth1"} {
					own := fmt.Sprintf("192.168.%d.2/24", i+1)
					links[device] = staged{(&simWire{}).join(own), s, device}
				}
				b.links[0] = func(name string) instance.Link { return links[name] }
				for i, device := range []string{"eth0", "eth0", "eth1"} {
					b.start(0, func(g *instance.Group) {
						c := &g.Members[0]
						c.Name, c.Interface = fmt.Sprintf("VI_%d", i), device
						c.Router.VRID, c.AnnounceRepeat = uint8(i+1), 2
						c.Router.AnnounceDelay = -1
						c.VIPs[0].Prefix = netip.PrefixFrom(
							netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 32)
						c.ARPInterval, c.PaceGroups = tt.own, tt.groups
						g.Resume = true
					})
					synctest.Wait()
				}
				pass(3 * time.Second)
				wantTyped(t, "announced", links["eth0"].(staged).take(), tt.want...)
			})
		})
	}
}

// TestReserve says when announcements of a pace may be sent.
func TestReserve(t *testing.T) {
	var p instance.Paces
	begin := time.Now()
	for i, tt := range []struct {
		pace  string
		at    time.Duration
		every time.Duration
		want  time.Duration
	}{
		{"a", 0, time.Second, 0},
		{"a", 0, time.Second, time.Second},
		{"b", 0, time.Minute, 0},
		{"a", 5 * time.Second, time.Second, 5 * time.Second},
		{"a", 5500 * time.Millisecond, time.Minute, 6 * time.Second},
		{"a", 7 * time.Second, time.Second, 66 * time.Second},
	} {
		if got := p.Reserve(tt.pace, begin.Add(tt.at), tt.every).Sub(begin); got != tt.want {
			t.Errorf("%d: %s at %s: got %s, want %s", i, tt.pace, tt.at, got, tt.want)
		}
	}
}
