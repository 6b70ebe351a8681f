package instance

import (
	"context"
	"sync"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
)

// LinkDelay is how long an interface has to be down, or up, before it counts as that. One that comes
// back in time was never away.
type LinkDelay struct{ Down, Up time.Duration }

// LinkDelays are those of a host's interfaces, by name. The zero value has none.
type LinkDelays struct {
	mu     sync.Mutex
	byName map[string]LinkDelay
}

// Set takes the place of all of them. What is held back already keeps its time.
func (d *LinkDelays) Set(byName map[string]LinkDelay) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byName = byName
}

// until returns how long an interface has to be up, or down.
func (d *LinkDelays) until(name string, up bool) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if up {
		return d.byName[name].Up
	}
	return d.byName[name].Down
}

// damper holds back that an interface goes up or down, and nothing else of its news.
type damper struct {
	name    string
	delays  *LinkDelays
	changed func(netif.State)

	mu    sync.Mutex
	known bool
	last  netif.State // as it is
	up    bool        // as it was told
	timer *time.Timer // nil: nothing is held back
	ended bool
}

// see takes the news. An interface that is made anew, or goes, is another one.
func (d *damper) see(s netif.State) {
	d.mu.Lock()
	defer d.mu.Unlock()
	same := d.known && s.Index == d.last.Index && s.Index != 0
	d.known, d.last = true, s
	switch wait := d.delays.until(d.name, s.Up); {
	case !same || s.Up == d.up || wait == 0 && d.timer == nil:
		d.release()
		d.up = s.Up
	case d.timer == nil:
		d.timer = time.AfterFunc(wait, d.over)
	}
	s.Up = d.up
	d.changed(s)
}

// release holds nothing back any more. d.mu is held.
func (d *damper) release() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// over tells what was held back.
func (d *damper) over() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer == nil || d.ended {
		return
	}
	d.timer, d.up = nil, d.last.Up
	s := d.last
	s.Deleted = nil // that was told at once
	d.changed(s)
}

// end has nothing told any more.
func (d *damper) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	d.release()
}

func (l hostLink) damper(changed func(netif.State)) *damper {
	return &damper{name: l.Name(), delays: l.delays, changed: changed}
}

// Watch is the Interface's, with changes held back as LinkDelays say.
func (l hostLink) Watch(ctx context.Context, changed func(netif.State)) error {
	d := l.damper(changed)
	defer d.end()
	return l.Interface.Watch(ctx, d.see)
}

// Follow is likewise.
func (l hostLink) Follow(
	changed func(netif.State), failed func(error),
) (stop func(), err error) {
	d := l.damper(changed)
	unfollow, err := l.Interface.Follow(d.see, failed)
	if err != nil {
		d.end()
		return nil, err
	}
	return func() {
		unfollow()
		d.end()
	}, nil
}
