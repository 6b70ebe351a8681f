package probe

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// AdvertGap is the longest time that passed between two adverts of one virtual router. From and To
// are when they were heard, on the lab's clock.
type AdvertGap struct {
	Network string
	Router  uint8
	// Adverts is how many were heard.
	Adverts int
	// From may be before the begin of the measurement: the advert before it counts.
	From, To time.Duration
}

// Length is the time from From to To.
func (g AdvertGap) Length() time.Duration { return g.To - g.From }

// rhythm follows the gaps between the adverts of virtual routers, whoever sends them. An advert of
// priority 0 is none: its sender gives up. Time comes in as an argument; the methods may be called
// from any goroutine. The zero rhythm has heard nothing and is ready for use.
type rhythm struct {
	mu      sync.Mutex
	routers map[virtualRouter]*beat
}

// virtualRouter is a virtual router of a network.
type virtualRouter struct {
	network string
	id      uint8
}

// beat is what was heard of one virtual router.
type beat struct {
	last    time.Duration
	adverts int
	// from and to are the longest gap that is over.
	from, to time.Duration
}

// hear takes an advert in.
func (r *rhythm) hear(now time.Duration, network string, a advert) {
	if a.priority == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := virtualRouter{network, a.router}
	b, known := r.routers[key]
	if !known {
		if r.routers == nil {
			r.routers = make(map[virtualRouter]*beat)
		}
		b = &beat{last: now}
		r.routers[key] = b
	}
	b.from, b.to = b.longest(now)
	b.last = now
	b.adverts++
}

// longest returns the longest gap, the one that lasts until now included; of equal ones the first.
func (b *beat) longest(now time.Duration) (from, to time.Duration) {
	if now-b.last > b.to-b.from {
		return b.last, now
	}
	return b.from, b.to
}

// restart forgets the gaps so far, but not when the last adverts were heard.
func (r *rhythm) restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.routers {
		b.adverts, b.from, b.to = 0, 0, 0
	}
}

// gaps returns the longest gap of each virtual router until now, in order of network and number.
func (r *rhythm) gaps(now time.Duration) []AdvertGap {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []AdvertGap
	for key, b := range r.routers {
		g := AdvertGap{Network: key.network, Router: key.id, Adverts: b.adverts}
		g.From, g.To = b.longest(now)
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b AdvertGap) int {
		return cmp.Or(cmp.Compare(a.Network, b.Network), cmp.Compare(a.Router, b.Router))
	})
	return all
}
