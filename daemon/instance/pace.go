package instance

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// PaceGroup is devices whose announcements share a pace.
type PaceGroup struct {
	Devices []string
	// ARPInterval and NAInterval are between two of them on any of the devices; zero leaves each
	// device the pace that it has without the group.
	ARPInterval, NAInterval time.Duration
}

// Pacer is a Link whose announcements keep the pace of those of other instances.
type Pacer interface {
	// Reserve returns when the next announcement of that pace may be sent, now or later. What is
	// reserved after it is at least that long after it.
	Reserve(pace string, now time.Time, every time.Duration) time.Time
}

// Paces is the Pacer of all links of a process. The zero value is ready.
type Paces struct {
	mu   sync.Mutex
	next map[string]time.Time
}

// Reserve is Pacer's. It may be called by any goroutine.
func (p *Paces) Reserve(pace string, now time.Time, every time.Duration) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = map[string]time.Time{}
	}
	at := now
	if next := p.next[pace]; next.After(now) {
		at = next
	}
	p.next[pace] = at.Add(every)
	return at
}

// pace returns the name of the pace of announcements on the device, and the time between two of
// them; zero: there is none. A macvlan has that of the interface under it.
func (c Config) pace(device string, ipv6 bool) (name string, every time.Duration) {
	if v, ok := c.macvlan(device); ok {
		device = v.Parent
	}
	name, every = device, c.ARPInterval
	if ipv6 {
		every = c.NAInterval
	}
	for _, g := range c.PaceGroups {
		shared := g.ARPInterval
		if ipv6 {
			shared = g.NAInterval
		}
		if shared > 0 && slices.Contains(g.Devices, device) {
			name, every = strings.Join(g.Devices, " "), shared
		}
	}
	if ipv6 {
		name += " IPv6"
	}
	return name, every
}
