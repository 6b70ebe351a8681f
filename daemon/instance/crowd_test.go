package instance_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// crowded is a link whose Runners know of each other.
type crowded struct {
	*simLink
	*instance.Crowd
}

// TestCrowd has few and many masters begin at different times, and says when they send.
func TestCrowd(t *testing.T) {
	for _, tt := range []struct {
		masters int
		grid    time.Duration
	}{{31, 0}, {32, time.Second / 16}, {100, time.Second / 16}} {
		t.Run(fmt.Sprint(tt.masters), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testCrowd(t, tt.masters, tt.grid) })
		})
	}
}

func testCrowd(t *testing.T, masters int, grid time.Duration) {
	wire, crowd := &simWire{}, &instance.Crowd{}
	link := crowded{wire.join("192.168.1.2/24"), crowd}
	b := &bench{t: t, interval: time.Second, limit: 20 * time.Second}
	b.links[0] = only(link)
	heard := map[uint8][]time.Time{}
	s, err := wire.join("192.168.1.250/24").Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	var ds []*director
	for i := range masters {
		ds = append(ds, b.start(0, func(g *instance.Group) {
			c := &g.Members[0]
			c.Name, c.Router.VRID = fmt.Sprintf("VI_%d", i), uint8(i+1)
			g.Resume = true
		}))
		pass(7 * time.Millisecond)
	}
	drain := func() {
		_ = s.Drain(func(p netif.Packet) { // it has no error
			a, err := vrrp.Parse(p.Payload, p.From, p.To)
			if err == nil {
				heard[a.VRID] = append(heard[a.VRID], time.Now())
			}
		})
	}
	pass(3 * time.Second)
	drain()
	clear(heard)
	tick := time.NewTicker(time.Second / 64 / 8)
	defer tick.Stop()
	for range 3 * 64 * 8 {
		<-tick.C
		synctest.Wait()
		drain()
	}
	moments := map[time.Time]bool{}
	for vrid, times := range heard {
		if len(times) != 3 {
			t.Errorf("router %d: %d adverts in 3 s, want 3", vrid, len(times))
		}
		for _, at := range times {
			moments[at] = true
		}
	}
	if len(heard) != masters {
		t.Errorf("heard %d masters, want %d", len(heard), masters)
	}
	most := 3 * masters
	if grid > 0 {
		most = int(3 * time.Second / grid)
	}
	if n := len(moments); n > most || (grid == 0 && n < most/2) {
		t.Errorf("adverts at %d moments, want at most %d", n, most)
	}
	for _, d := range slices.Backward(ds) {
		d.stop()
	}
	_ = s.Close() // it has no error
}

// slowLink is a link whose sockets take long to open.
type slowLink struct {
	crowded
	opens chan struct{} // closed when they are
}

func (l slowLink) Open(e netif.Endpoint) (instance.Socket, error) {
	<-l.opens
	return l.crowded.Open(e)
}

// TestSlowTurn has one Runner of a Crowd wait for the kernel: the other one has its turns all the
// same.
func TestSlowTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crowd := &instance.Crowd{}
		slow := slowLink{
			crowded{(&simWire{}).join("192.168.1.2/24"), crowd}, make(chan struct{}),
		}
		quick := crowded{(&simWire{}).join("192.168.1.2/24"), crowd}
		b := &bench{
			t: t, links: [2]instance.Links{only(slow), only(quick)}, interval: time.Second,
			limit: 20 * time.Second,
		}
		waits := b.start(0, nil)
		pass(time.Second)
		other := b.start(1, nil)
		b.awaitState(other, vrrp.Master)
		if s := waits.state(); s != vrrp.Initialize {
			t.Errorf("%s without a socket, want %s", s, vrrp.Initialize)
		}
		close(slow.opens)
		b.awaitState(waits, vrrp.Master)
		other.halt()
		waits.halt()
	})
}
