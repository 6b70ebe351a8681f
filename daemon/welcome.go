package daemon

import (
	"context"
	"time"
)

// welcomePause is the least time between two announcements for real servers that are back.
const welcomePause = time.Second

// welcome has the VIPs announced when a real server is up again, until ctx ends. One that heard
// nothing for a while, because it was frozen or cut off, has not heard either that the VIP which is
// its gateway has moved: it would answer by way of the director that was master before for as long
// as it believes that, and the answers would be lost.
func (s *services) welcome(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.back:
		}
		s.announce()
		select {
		case <-ctx.Done():
			return
		case <-time.After(welcomePause): // others that are back have been told, too, or will be
		}
	}
}

// isBack tells welcome of a real server. It never waits.
func (s *services) isBack() {
	select {
	case s.back <- struct{}{}:
	default:
	}
}

// refresher is a router that announces all its VIPs once more; see instance.Runner.
type refresher interface{ Refresh() }

// refresh has every instance announce its VIPs that is master.
func (d *director) refresh() {
	r := d.public.runs.Load()
	if r == nil {
		return
	}
	for _, w := range r.routers {
		if a, can := w.(refresher); can {
			a.Refresh()
		}
	}
}
