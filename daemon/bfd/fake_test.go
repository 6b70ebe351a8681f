package bfd

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
)

// air is a network of hosts in this process. A packet arrives at once, or is lost.
type air struct {
	mu    sync.Mutex
	hosts map[netip.Addr]*host
	// lost says what does not arrive; nil: all does.
	lost func(from, to netip.Addr) bool
}

// host is a network for one Speaker with one address.
type host struct {
	air   *air
	addr  netip.Addr
	ears  map[door]*fakeEar
	fails error // listen and dial do
	full  error // send does
	dials int
}

func newAir() *air { return &air{hosts: map[netip.Addr]*host{}} }

// host returns the host of an address.
func (a *air) host(addr string) *host {
	h := &host{air: a, addr: netip.MustParseAddr(addr), ears: map[door]*fakeEar{}}
	a.hosts[h.addr] = h
	return h
}

// lose sets what does not arrive from now on.
func (a *air) lose(lost func(from, to netip.Addr) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lost = lost
}

// fail has the host's sockets fail to open, and to send, from now on.
func (h *host) fail(open, send error) {
	h.air.mu.Lock()
	defer h.air.mu.Unlock()
	h.fails, h.full = open, send
}

func (h *host) listen(d door) (ear, error) {
	h.air.mu.Lock()
	defer h.air.mu.Unlock()
	if h.fails != nil {
		return nil, h.fails
	}
	if h.ears[d] != nil {
		return nil, errors.New("door in use")
	}
	e := &fakeEar{host: h, door: d, news: make(chan struct{}, 1), over: make(chan struct{})}
	h.ears[d] = e
	return e, nil
}

// opened returns which doors have an ear.
func (h *host) opened() []door {
	h.air.mu.Lock()
	defer h.air.mu.Unlock()
	return slices.Collect(maps.Keys(h.ears))
}

func (h *host) dial(c Config) (mouth, error) {
	h.air.mu.Lock()
	defer h.air.mu.Unlock()
	if h.fails != nil {
		return nil, h.fails
	}
	h.dials++
	return &fakeMouth{h, c}, nil
}

// put delivers a datagram to a host. It is of air.mu.
func (a *air) put(at door, d datagram) {
	h := a.hosts[d.to]
	if h == nil || h.ears[at] == nil || a.lost != nil && a.lost(d.from, d.to) {
		return
	}
	e := h.ears[at]
	d.payload = slices.Clone(d.payload)
	e.queue = append(e.queue, d)
	if e.late {
		return
	}
	select {
	case e.news <- struct{}{}:
	default:
	}
}

type fakeEar struct {
	host  *host
	late  bool // what comes waits for who drains
	door  door
	queue []datagram
	news  chan struct{}
	over  chan struct{}
	why   error // set before over is closed by fail
}

func (e *fakeEar) hear(ready func()) error {
	for {
		select {
		case <-e.news:
			ready()
		case <-e.over:
			return e.why
		}
	}
}

// drain delivers one datagram, so that callers have to ask for more.
func (e *fakeEar) drain(deliver func(datagram)) (bool, error) {
	e.host.air.mu.Lock()
	var first []datagram
	if len(e.queue) > 0 {
		first, e.queue = e.queue[:1], e.queue[1:]
	}
	more := len(e.queue) > 0
	e.host.air.mu.Unlock()
	for _, d := range first {
		deliver(d)
	}
	return more, nil
}

func (e *fakeEar) Close() error {
	e.host.air.mu.Lock()
	defer e.host.air.mu.Unlock()
	if e.host.ears[e.door] == e {
		delete(e.host.ears, e.door)
		close(e.over)
	}
	return nil
}

// fail has hear fail.
func (e *fakeEar) fail(why error) {
	e.why = why
	_ = e.Close()
}

// ear returns that of a door.
func (h *host) ear(d door) *fakeEar {
	h.air.mu.Lock()
	defer h.air.mu.Unlock()
	return h.ears[d]
}

type fakeMouth struct {
	host   *host
	config Config
}

func (m *fakeMouth) send(payload []byte) error {
	a := m.host.air
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.host.full != nil {
		return m.host.full
	}
	a.put(door{m.config.Neighbor.Is6(), m.config.Multihop}, datagram{
		payload: payload, from: m.host.addr, to: m.config.Neighbor, ttl: m.config.ttl(),
	})
	return nil
}

func (m *fakeMouth) index() int { return 0 }

func (m *fakeMouth) Close() error { return nil }
