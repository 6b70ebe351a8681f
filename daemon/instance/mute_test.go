package instance_test

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// gagged is a link whose sockets do not send while there is a gag.
type gagged struct {
	*simLink
	gag *atomic.Pointer[error]
}

type gaggedSocket struct {
	instance.Socket
	gag *atomic.Pointer[error]
}

func (l gagged) Open(e netif.Endpoint) (instance.Socket, error) {
	s, err := l.simLink.Open(e)
	return gaggedSocket{s, l.gag}, err
}

func (s gaggedSocket) Send(payload []byte, src, dst netip.Addr) error {
	if err := s.gag.Load(); err != nil {
		return *err
	}
	return s.Socket.Send(payload, src, dst)
}

// TestMute says when adverts that do not leave are a condition: after an interval, until one leaves
// or the master is none any more.
func TestMute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gag atomic.Pointer[error]
		denied := errors.New("operation not permitted")
		link := gagged{(&simWire{}).join("192.168.1.2/24"), &gag}
		b := &bench{t: t, interval: time.Second, limit: 20 * time.Second,
			links: [2]instance.Links{only(link)}}
		d := b.start(0, nil)
		b.awaitState(d, vrrp.Master)
		pass(5*time.Second + 300*time.Millisecond)
		mute := func() *instance.Mute { return d.runner.Snapshot()[0].Mute }
		gag.Store(&denied)
		pass(time.Second)
		if m := mute(); m != nil {
			t.Errorf("after one advert: %+v, want nothing yet", m)
		}
		pass(2 * time.Second)
		m := mute()
		if m == nil || m.Count != 3 || m.Err != denied.Error() ||
			m.Last.Sub(m.Since) != 2*time.Second {
			t.Fatalf("after three adverts: %+v, want 3 in 2s, %s", m, denied)
		}
		gag.Store(nil)
		pass(time.Second)
		if m := mute(); m != nil {
			t.Errorf("after an advert that left: %+v, want nothing", m)
		}
		gag.Store(&denied)
		pass(5 * time.Second)
		if mute() == nil {
			t.Error("after five adverts: nothing")
		}
		link.setUp(false)
		b.awaitState(d, vrrp.Faulty)
		if m := mute(); m != nil {
			t.Errorf("without a link: %+v, want nothing", m)
		}
	})
}
