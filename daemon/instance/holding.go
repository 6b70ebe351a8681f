package instance

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// holding is what one member holds as a master.
type holding struct {
	keeper   *keeper // is told of what happens to it
	member   int
	cfg      *Config
	links    []deviceLink  // of the VIPs
	things   []thing       // in the order in which they are added
	stale    []thing       // what it had and is not to have any more, until that is removed
	lease    time.Duration // zero: for ever
	wanted   bool
	settled  bool      // the kernel has accepted the last change
	turn     uint64    // of the last change
	told     uint64    // the turn that the keeper has last told of
	keptTime time.Time // of the last change that the kernel has accepted
	bursts   []burst   // announcements that are not over
	paces    Paces     // of links without a common one
	// renewal renews the addresses; nil: that is done with the rest.
	renewal Lease
	unguard func()    // ends the watch of the VIPs; nil: it has not begun
	extraAt time.Time // when the VIPs are next announced as Config.ExtraEvery says
}

// newHolding returns what a member holds; none of it is wanted yet, and no keeper has it.
func newHolding(c *Config, links Links) *holding {
	h := &holding{
		cfg: c, things: c.things(links), lease: max(c.Lease, 0), settled: true,
	}
	for _, v := range c.located() {
		if h.link(v.Device) == nil {
			h.links = append(h.links, deviceLink{v.Device, links(v.Device)})
		}
	}
	return h
}

// deviceLink is the Link of a device.
type deviceLink struct {
	device string
	Link
}

// link returns the one of a device that has VIPs; nil if it has none.
func (h *holding) link(device string) Link {
	for _, l := range h.links {
		if l.device == device {
			return l.Link
		}
	}
	return nil
}

// want adds everything, or removes it. What a master that was about to let go heard of other stations
// does not count for the next one.
func (h *holding) want(wanted bool) error {
	h.wanted, h.extraAt = wanted, time.Time{}
	if wanted {
		h.relax()
	} else {
		h.bursts = nil
	}
	return h.settle()
}

// succeed takes the place of what the member held before. What both have stays as it is, what is
// new is added and announced before what is stale is removed.
func (h *holding) succeed(before *holding) error {
	before.unlease()
	before.relax()
	h.wanted, h.keptTime = before.wanted, before.keptTime
	for i, t := range h.things { // what stays knows what it has done
		if j := index(before.things, t); j >= 0 {
			h.things[i] = before.things[j]
		}
	}
	h.stale = slices.DeleteFunc(slices.Concat(before.stale, before.things), func(t thing) bool {
		return contains(h.things, t)
	})
	grown := slices.ContainsFunc(h.things, func(t thing) bool { return !contains(before.things, t) })
	err := h.settle()
	if grown || len(before.bursts) > 0 {
		h.announce(vrrp.AnnounceMaster)
	}
	return err
}

func contains(things []thing, t thing) bool { return index(things, t) >= 0 }

func index(things []thing, t thing) int {
	s := t.String()
	return slices.IndexFunc(things, func(o thing) bool { return o.String() == s })
}

// settle makes everything as it is wanted.
func (h *holding) settle() error {
	h.unlease()
	now := time.Now()
	err := h.apply()
	if len(h.stale) > 0 {
		err = errors.Join(err, h.clear())
	}
	if h.settled = err == nil; h.settled {
		h.keptTime = now
		if h.wanted {
			h.takeLease()
			err = h.guard()
		}
	}
	if !h.wanted {
		h.relax()
	}
	return err
}

// takeLease has the addresses renewed together with those of others, if the links can.
func (h *holding) takeLease() {
	r, ok := h.renewer()
	if !ok {
		return
	}
	var addrs []netif.LeasedAddr
	for _, v := range h.cfg.located() {
		addrs = append(addrs, netif.LeasedAddr{
			Device: v.Device, Prefix: v.Prefix, Options: v.Options,
		})
	}
	var lease Lease
	lease, err := r.Lease(addrs, h.lease, func(err error) { h.keeper.lapsed(h.member, lease, err) })
	if err == nil { // else they are renewed with the rest, which may say why not
		h.renewal = lease // nobody touches it before, so that nothing can have failed
	}
}

// renewer returns what renews the addresses, if there are any.
func (h *holding) renewer() (Renewer, bool) {
	if len(h.links) == 0 {
		return nil, false
	}
	r, ok := h.links[0].Link.(Renewer)
	return r, ok
}

// unlease ends what renews the addresses.
func (h *holding) unlease() {
	if h.renewal == nil {
		return
	}
	h.renewal.End()
	h.keptTime = h.renewal.Renewed()
	h.renewal = nil
}

// apply adds everything, or removes it, the last first.
func (h *holding) apply() error {
	var errs []error
	if h.wanted {
		for _, t := range h.things {
			errs = append(errs, t.put(h.lease))
		}
	} else {
		for _, t := range slices.Backward(h.things) {
			errs = append(errs, t.drop())
		}
	}
	return errors.Join(errs...)
}

// clear removes what is stale. With the first address of a network the kernel removes the others
// too, unless it is told to promote them, so those that are wanted are added once more.
func (h *holding) clear() error {
	var errs []error
	slices.Reverse(h.stale)
	h.stale = slices.DeleteFunc(h.stale, func(t thing) bool {
		err := t.drop()
		errs = append(errs, err)
		return err == nil
	})
	slices.Reverse(h.stale)
	if h.wanted {
		errs = append(errs, h.apply())
	}
	return errors.Join(errs...)
}

// needsBeats reports whether there is anything for keep to do.
func (h *holding) needsBeats() bool {
	return !h.settled || h.wanted && (h.renewal == nil || slices.ContainsFunc(h.things, isNoAddress))
}

func isNoAddress(t thing) bool {
	_, is := t.(addressOn)
	return !is
}

// keep renews what is wanted and repeats what has failed, if a beat of that time calls for it. A
// beat that waited for longer than a lease comes from an owner that may be stuck since.
func (h *holding) keep(beat time.Time) error {
	now := time.Now()
	every := repairEvery
	if h.lease > 0 && h.renewal == nil {
		every = h.lease / renewals
	}
	if h.settled && (!h.wanted || now.Sub(h.keptTime) < every) {
		return nil
	}
	if h.lease > 0 && now.Sub(beat) >= h.lease {
		return nil
	}
	if h.settled && h.renewal != nil {
		h.keptTime = now
		return h.tend()
	}
	lost := h.wanted && h.lease > 0 && now.Sub(h.keptTime) >= h.lease
	if err := h.settle(); err != nil || !lost {
		return err
	}
	h.announce(vrrp.AnnounceMaster)
	return nil
}

// tend repairs what is no address. What fails is repeated with everything else.
func (h *holding) tend() error {
	var errs []error
	for _, t := range h.things {
		if isNoAddress(t) {
			errs = append(errs, t.put(h.lease))
		}
	}
	err := errors.Join(errs...)
	h.settled = err == nil
	return err
}

// place is an address, as State lists it, on its device.
type place struct {
	device string
	prefix netip.Prefix
}

// at returns where the VIP is.
func (v VIP) at() place { return place{v.Device, v.Options.Listed(v.Prefix)} }

// restore puts back what somebody has taken away, announces it, and returns the VIPs among it, those
// that were deleted and are back by a renewal included.
func (h *holding) restore(deleted []place) ([]VIP, error) {
	if !h.wanted {
		return nil, nil
	}
	var vips []VIP
	var errs []error
	for _, t := range h.things {
		missed, err := t.restore(h.lease)
		errs = append(errs, err)
		a, ok := t.(addressOn)
		if ok && err == nil && (missed || slices.Contains(deleted, a.vip.at())) {
			vips = append(vips, a.vip)
		}
	}
	for _, b := range h.burstsOf(vips, 1) {
		errs = append(errs, b.link.Announce(b.addrs, 1))
	}
	return vips, errors.Join(errs...)
}

// burst is what is left of an announcement of addresses of one family on one device.
type burst struct {
	link   Link
	addrs  []netip.Addr
	frames int // how many are left
	pacer  Pacer
	pace   string
	every  time.Duration // between two of a pace; zero: all at once
	at     time.Time     // when the next one is due; zero: nobody knows yet
}

// announce has speak tell the neighbours of each device about its addresses.
func (h *holding) announce(cause vrrp.AnnounceCause) {
	if h.wanted {
		h.bursts = h.burstsOf(h.cfg.located(), h.repeat(cause))
	}
}

// repeat returns how often each address is announced.
func (h *holding) repeat(cause vrrp.AnnounceCause) int {
	switch cause {
	case vrrp.AnnounceRefresh:
		return h.cfg.RefreshRepeat
	case vrrp.AnnounceLower:
		return h.cfg.LowerRepeat
	case vrrp.AnnounceMaster, vrrp.AnnounceAgain:
	}
	return h.cfg.AnnounceRepeat
}

// burstsOf returns what announces these VIPs, each address once on a device.
func (h *holding) burstsOf(vips []VIP, repeat int) []burst {
	var bursts []burst
	for _, v := range vips {
		addr := v.Prefix.Addr()
		i := slices.IndexFunc(bursts, func(b burst) bool {
			return b.link == h.link(v.Device) && b.addrs[0].Is6() == addr.Is6()
		})
		if i < 0 {
			i = len(bursts)
			bursts = append(bursts, h.newBurst(v.Device, addr.Is6()))
		}
		if b := &bursts[i]; !slices.Contains(b.addrs, addr) {
			b.addrs = append(b.addrs, addr)
			b.frames += repeat
		}
	}
	return bursts
}

// newBurst returns one without addresses yet.
func (h *holding) newBurst(device string, ipv6 bool) burst {
	b := burst{link: h.link(device), pacer: &h.paces}
	if p, ok := b.link.(Pacer); ok {
		b.pacer = p
	}
	b.pace, b.every = h.cfg.pace(device, ipv6)
	return b
}

// speak announces what is due and returns when there will be more; zero: there is no more.
func (h *holding) speak(now time.Time) (time.Time, error) {
	next := h.repeatExtra(now)
	var errs []error
	for i := range h.bursts {
		b := &h.bursts[i]
		errs = append(errs, b.speak(now))
		if b.frames > 0 && (next.IsZero() || b.at.Before(next)) {
			next = b.at
		}
	}
	h.bursts = slices.DeleteFunc(h.bursts, func(b burst) bool { return b.frames == 0 })
	if err := errors.Join(errs...); err != nil {
		return next, fmt.Errorf("announce VIPs: %w", err)
	}
	return next, nil
}

// speak sends the frames that are due: the addresses in turn, again and again.
func (b *burst) speak(now time.Time) error {
	if b.frames == 0 { // speakTogether has said all
		return nil
	}
	if b.every == 0 {
		repeat := b.frames / len(b.addrs)
		b.frames = 0
		return b.link.Announce(b.addrs, repeat)
	}
	if b.at.IsZero() {
		b.at = b.pacer.Reserve(b.pace, now, b.every)
	}
	if b.at.After(now) {
		return nil
	}
	i := -b.frames % len(b.addrs) // frames started as a multiple of it
	if i < 0 {
		i += len(b.addrs)
	}
	if b.frames--; b.frames > 0 {
		b.at = b.pacer.Reserve(b.pace, now, b.every)
	}
	return b.link.Announce(b.addrs[i:i+1], 1)
}
