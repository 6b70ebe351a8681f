package instance

import (
	"container/heap"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// Scout is a Link that knows of other stations with its addresses; netif.Interface is the real one.
type Scout interface {
	FollowRivals(ipv6 bool, heard func(netif.Rival), failed func(error)) (stop func(), err error)
	AskRivals(addrs []netip.Addr) error
	// HasMAC is the host's.
	HasMAC(mac netif.MAC) (bool, error)
}

// Spotter is a Link whose VIPs are looked after by a Lookout.
type Spotter interface{ Spot() *Lookout }

const (
	// askEvery is how often a station is asked for that may have an address too: at points of
	// askGrid, so that the process need not wake up for each, and for at most askMost at each point.
	// Where many addresses are watched it takes longer.
	askEvery, askGrid, askMost = 10 * time.Second, time.Second, 10
	// doubtEvery is how often, once one was heard, until none was for doubtFor.
	doubtEvery, doubtFor = 2 * time.Second, 7 * time.Second
	// handover is how long two stations may have an address while it moves from one to the other.
	handover = time.Second
)

// Lookout looks, for the masters of a process, whether other stations have their VIPs too: where the
// network loses adverts and nothing else, no master hears of the other one otherwise. It listens to
// what stations say of addresses, and asks. The zero value is ready; it works while there is
// something to watch. Two stations that have the same MAC cannot be told apart.
type Lookout struct {
	life  sync.Mutex // held while a post is made or given up
	posts map[postKey]*post

	helper *helper

	mu      sync.Mutex
	watches map[spot][]*watched
	queue   watchQueue
	booked  map[int64]int // how many are asked for at a point of the grid, unless they are in doubt
}

// spot is an address on a device.
type spot struct {
	key  postKey
	addr netip.Addr
}

// postKey is a device and a family.
type postKey struct {
	device string
	ipv6   bool
}

// post is a socket that listens.
type post struct {
	link  Scout
	stop  func() // nil: it hears nothing
	users int
}

// watched is an address.
type watched struct {
	spot
	link  Scout
	told  func(netif.Rival)
	askAt time.Time
	point int64 // of the grid, that is booked for it; zero: none is
	index int   // in the queue
	// first is when a station was heard that has the address too, last when that was last so.
	first, last time.Time
}

// Spot returns l.
func (l *Lookout) Spot() *Lookout { return l }

// guard watches addresses of a device until end is called. It calls told with each station that is
// heard to have one of them too, for longer than while it moves. It must not block, nor call end.
func (l *Lookout) guard(
	device string, link Scout, addrs []netip.Addr, told func(netif.Rival),
) (end func(), err error) {
	l.life.Lock()
	defer l.life.Unlock()
	if l.posts == nil {
		l.posts, l.watches = map[postKey]*post{}, map[spot][]*watched{}
		l.booked = map[int64]int{}
		l.helper = newHelper(l.ask)
	}
	var own []*watched
	var errs []error
	for _, addr := range addrs {
		key := postKey{device, addr.Is6()}
		if err := l.man(key, link); err != nil {
			errs = append(errs, err)
			continue
		}
		own = append(own, &watched{spot: spot{key, addr}, link: link, told: told})
	}
	now := time.Now()
	l.mu.Lock()
	for _, w := range own {
		l.watches[w.spot] = append(l.watches[w.spot], w)
		l.book(w, now, handover)
		heap.Push(&l.queue, w)
	}
	l.mu.Unlock()
	l.helper.call()
	return func() { l.unguard(own) }, errors.Join(errs...)
}

// man makes the post, or counts one user more. Where nobody can have the same address there is none.
func (l *Lookout) man(key postKey, link Scout) error {
	p := l.posts[key]
	if p == nil {
		p = &post{link: link}
		failed := func(error) {} // it goes with its interface
		var err error
		p.stop, err = link.FollowRivals(key.ipv6, func(r netif.Rival) { l.heard(key, r) }, failed)
		if err != nil && !errors.Is(err, netif.ErrNoMAC) {
			return err
		}
		l.posts[key] = p
	}
	p.users++
	return nil
}

// unguard ends the watch of addresses.
func (l *Lookout) unguard(own []*watched) {
	l.life.Lock()
	defer l.life.Unlock()
	l.mu.Lock()
	for _, w := range own {
		heap.Remove(&l.queue, w.index)
		l.unbook(w)
		rest := slices.DeleteFunc(l.watches[w.spot], func(o *watched) bool { return o == w })
		if l.watches[w.spot] = rest; len(rest) == 0 {
			delete(l.watches, w.spot)
		}
	}
	l.mu.Unlock()
	for _, w := range own {
		p := l.posts[w.key]
		if p.users--; p.users > 0 {
			continue
		}
		delete(l.posts, w.key)
		if p.stop != nil {
			p.stop()
		}
	}
	l.helper.call() // with nothing to do it ends
}

// heard notes what a station has said.
func (l *Lookout) heard(key postKey, r netif.Rival) {
	now := time.Now()
	l.mu.Lock()
	told := slices.Clone(l.watches[spot{key, r.Addr}])
	l.mu.Unlock()
	if len(told) == 0 {
		return
	}
	// One of the host's other interfaces may answer for it.
	if own, err := told[0].link.HasMAC(r.MAC); err != nil || own {
		return
	}
	l.mu.Lock()
	for _, w := range told {
		if now.Sub(w.last) > doubtFor {
			w.first = now
		}
		w.last = now
		soon := doubtEvery
		if now.Sub(w.first) >= handover {
			w.told(r)
		} else {
			soon = handover
		}
		if at := now.Add(soon); at.Before(w.askAt) && w.index >= 0 {
			w.askAt = at
			heap.Fix(&l.queue, w.index)
		}
	}
	l.mu.Unlock()
	l.helper.call()
}

// ask asks for what is due and returns when there is more to ask, or zero.
func (l *Lookout) ask() time.Time {
	now := time.Now()
	var due []*watched
	var next time.Time
	l.mu.Lock()
	for len(l.queue) > 0 {
		w := l.queue[0]
		if w.askAt.After(now) {
			next = w.askAt
			break
		}
		due = append(due, w)
		if now.Sub(w.last) <= doubtFor {
			l.unbook(w)
			w.askAt = now.Add(doubtEvery)
		} else {
			l.book(w, now, askEvery)
		}
		heap.Fix(&l.queue, 0)
	}
	l.mu.Unlock()
	for _, w := range due {
		_ = w.link.AskRivals([]netip.Addr{w.addr}) // what it cannot send nobody can answer
	}
	return next
}

// book has w asked for at the first point of the grid after that long that has room. l.mu is held.
func (l *Lookout) book(w *watched, now time.Time, wait time.Duration) {
	l.unbook(w)
	for wait = onGrid(now, wait, askGrid); ; wait += askGrid {
		at := now.Add(wait)
		point := at.UnixNano() / int64(askGrid)
		if l.booked[point] < askMost {
			l.booked[point]++
			w.point, w.askAt = point, at
			return
		}
	}
}

// unbook makes room for another one. l.mu is held.
func (l *Lookout) unbook(w *watched) {
	if w.point == 0 {
		return
	}
	if l.booked[w.point]--; l.booked[w.point] == 0 {
		delete(l.booked, w.point)
	}
	w.point = 0
}

// watchQueue is a heap of addresses by when they are to be asked for.
type watchQueue []*watched

func (q watchQueue) Len() int { return len(q) }

func (q watchQueue) Less(i, j int) bool { return q[i].askAt.Before(q[j].askAt) }

func (q watchQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push is heap.Interface's.
func (q *watchQueue) Push(x any) {
	w, ok := x.(*watched)
	if !ok {
		panic("instance: what is watched is no address")
	}
	w.index = len(*q)
	*q = append(*q, w)
}

// Pop is heap.Interface's. What is taken out has an index below zero.
func (q *watchQueue) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	w.index = -1
	return w
}

// guard has the VIPs watched for other stations that have them too, and their virtual MAC addresses
// for moves, unless they are.
func (h *holding) guard() error {
	if h.unguard != nil {
		return nil
	}
	asked, links := map[string][]netip.Addr{}, map[string]Link{}
	for _, v := range h.cfg.located() {
		from, link := h.askedFrom(v.Device)
		asked[from], links[from] = append(asked[from], v.Prefix.Addr()), link
	}
	var ends []func()
	var errs []error
	for device, addrs := range asked {
		scout, ok := links[device].(Scout)
		spotter, spots := links[device].(Spotter)
		if !ok || !spots {
			continue
		}
		told := func(n netif.Rival) { h.keeper.rival(h.member, n) }
		end, err := spotter.Spot().guard(device, scout, addrs, told)
		ends, errs = append(ends, end), append(errs, err)
	}
	for _, m := range h.macvlans() {
		end, err := h.guardMAC(m)
		if end != nil {
			ends = append(ends, end)
		}
		errs = append(errs, err)
	}
	h.unguard = func() {
		for _, end := range ends {
			end()
		}
	}
	return errors.Join(errs...)
}

// askedFrom returns the device, and its link, on which other stations are asked for what a device
// has. For a virtual router's that is the parent: a question from the virtual MAC address would have
// switches lead requests here, and who asks may be a master no more that does not know it yet.
func (h *holding) askedFrom(device string) (string, Link) {
	for _, m := range h.macvlans() {
		if m.vmac.Name == device {
			return m.vmac.Parent, m.link
		}
	}
	return device, h.link(device)
}

// macvlans returns the interfaces of virtual routers.
func (h *holding) macvlans() []macvlanOn {
	var all []macvlanOn
	for _, t := range h.things {
		if m, is := t.(macvlanOn); is {
			all = append(all, m)
		}
	}
	return all
}

// Mover is a Link that hears when a virtual MAC address on top of it is used elsewhere;
// netif.Interface is the real one.
type Mover interface {
	FollowMoves(
		mac netif.MAC, heard func(netif.Rival), failed func(error),
	) (stop func(), err error)
}

// guardMAC has a virtual MAC address watched, if VIPs of IPv6 are there, until end is called, which is
// nil where nothing is watched.
func (h *holding) guardMAC(m macvlanOn) (end func(), err error) {
	mover, ok := m.link.(Mover)
	if !ok || m.vmac.IPVLAN != "" || !slices.ContainsFunc(h.cfg.located(), func(v VIP) bool {
		return v.Device == m.vmac.Name && v.Prefix.Addr().Is6()
	}) {
		return nil, nil
	}
	failed := func(error) {} // it goes with its interface
	told := func(netif.Rival) { h.keeper.moved(h.member) }
	return mover.FollowMoves(m.vmac.MAC, told, failed)
}

// relax ends the watch, if there is one.
func (h *holding) relax() {
	if h.unguard != nil {
		h.unguard()
		h.unguard = nil
	}
}

// rival notes that another station has a VIP of m too. A master that has just become a backup may
// hear of it late.
func (r *Runner) rival(m *member, n netif.Rival) {
	if r.group.Member(m.index).State() != vrrp.Master {
		return
	}
	now := time.Now()
	e := vrrp.Evidence{From: n.Addr, Got: "it is at " + n.MAC.String() + " too", Interval: doubtEvery}
	r.mu.Lock()
	m.conditions.Expire(now)
	begins := m.conditions.Note(now, vrrp.ConditionClaimed, e)
	r.mu.Unlock()
	if begins {
		r.warn(m, "another station has the VIP too", "vip", n.Addr, "mac", n.MAC.String())
	}
}
