package instance

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// keeper changes the VIPs of a group's members in the order in which it is told, and keeps them as
// they should be: it renews leases and repairs what others have done to the addresses. It does so
// only when it gets a beat, so that it keeps nothing for an owner that is stuck.
type keeper struct {
	orders  *mailbox[order]
	beating atomic.Bool // a beat waits
	every   time.Duration
	beaten  time.Time  // the last beat; the owner's
	kept    []*holding // by member
	failed  func(member int, err error)
}

// holding is the VIPs of one member.
type holding struct {
	links    []Link // of vips
	vips     []VIP
	stale    []place       // what it had and is not to have any more, until that is removed
	lease    time.Duration // zero: for ever
	repeat   int
	wanted   bool
	settled  bool      // the kernel has accepted the last change
	keptTime time.Time // of the last change that the kernel has accepted
}

// place is an address on a link.
type place struct {
	vip  VIP
	link Link
}

// order is what the keeper is told.
type order struct {
	verb   verb
	member int
	at     time.Time // of a beat: when the owner turned
	next   *holding  // of a replacement
}

type verb uint8

const (
	orderAdd verb = iota + 1
	orderRemove
	orderAnnounce
	orderReplace
	orderBeat
)

// renewals is how often a lease is renewed while it lasts, given beats: with adverts of a second or
// more at every advert, so that it outlasts the peer's patience, which counts from the last one.
const renewals = 8

// repairEvery is how often addresses without a lease are looked after.
const repairEvery = time.Second

// newKeeper returns a keeper that tells failures to failed, which must not block.
func newKeeper(configs []Config, links Links, failed func(int, error)) *keeper {
	k := &keeper{orders: newMailbox[order](), every: beatEvery(configs), failed: failed}
	for _, c := range configs {
		k.kept = append(k.kept, newHolding(c, links))
	}
	return k
}

// beatEvery returns how often renewing and repairing for these members takes a beat.
func beatEvery(configs []Config) time.Duration {
	every := repairEvery / 2
	for _, c := range configs {
		if c.Lease > 0 {
			every = min(every, c.Lease/renewals/2)
		}
	}
	return every
}

// newHolding returns the addresses of a member, none of which is wanted yet.
func newHolding(c Config, links Links) *holding {
	h := &holding{
		vips: c.addresses(), lease: max(c.Lease, 0), repeat: c.AnnounceRepeat, settled: true,
	}
	for i := range h.vips {
		if h.vips[i].Device == "" {
			h.vips[i].Device = c.Interface
		}
		h.links = append(h.links, links(h.vips[i].Device))
	}
	return h
}

// run obeys until done is closed and every order has been carried out.
func (k *keeper) run(done <-chan struct{}) { k.orders.serve(done, k.obey) }

// beat tells that the owner has turned. It is cheap: one beat waits at a time, and there are no more of
// them than renewing takes, however fast the adverts are.
func (k *keeper) beat(now time.Time) {
	if now.Sub(k.beaten) < k.every {
		return
	}
	k.beaten = now
	if k.beating.CompareAndSwap(false, true) {
		k.orders.put(order{verb: orderBeat, at: now})
	}
}

func (k *keeper) obey(o order) {
	switch o.verb {
	case orderAdd, orderRemove:
		h := k.kept[o.member]
		h.wanted = o.verb == orderAdd
		k.report(o.member, h.settle())
	case orderAnnounce:
		if h := k.kept[o.member]; h.wanted {
			k.report(o.member, h.announce())
		}
	case orderReplace:
		before := k.kept[o.member]
		k.kept[o.member] = o.next
		k.report(o.member, o.next.succeed(before))
	case orderBeat:
		k.beating.Store(false)
		for member, h := range k.kept {
			k.report(member, h.keep(o.at))
		}
	}
}

func (k *keeper) report(member int, err error) {
	if err != nil {
		k.failed(member, err)
	}
}

// succeed takes the place of the member's addresses of before. What both have stays as it is, what
// is new is added and announced before what is stale is removed.
func (h *holding) succeed(before *holding) error {
	h.wanted, h.keptTime, h.stale = before.wanted, before.keptTime, before.stale
	for i, v := range before.vips {
		h.stale = append(h.stale, place{v, before.links[i]})
	}
	h.stale = slices.DeleteFunc(h.stale, func(p place) bool { return slices.Contains(h.vips, p.vip) })
	err := h.settle()
	grown := slices.ContainsFunc(h.vips, func(v VIP) bool { return !slices.Contains(before.vips, v) })
	if h.wanted && grown {
		err = errors.Join(err, h.announce())
	}
	return err
}

// settle makes the addresses as they are wanted.
func (h *holding) settle() error {
	now := time.Now()
	err := h.apply()
	if len(h.stale) > 0 {
		err = errors.Join(err, h.clear())
	}
	if h.settled = err == nil; h.settled {
		h.keptTime = now
	}
	return err
}

// apply adds all addresses, or removes them.
func (h *holding) apply() error {
	var errs []error
	for i, v := range h.vips {
		if h.wanted {
			errs = append(errs, h.links[i].AddAddr(v.Prefix, h.lease))
		} else {
			errs = append(errs, h.links[i].RemoveAddr(v.Prefix))
		}
	}
	return errors.Join(errs...)
}

// clear removes what is stale. With the first address of a network the kernel removes the others
// too, unless it is told to promote them, so those that are wanted are added once more.
func (h *holding) clear() error {
	var errs []error
	h.stale = slices.DeleteFunc(h.stale, func(p place) bool {
		err := p.link.RemoveAddr(p.vip.Prefix)
		errs = append(errs, err)
		return err == nil
	})
	if h.wanted {
		errs = append(errs, h.apply())
	}
	return errors.Join(errs...)
}

// keep renews what is wanted and repeats what has failed, if a beat of that time calls for it. A
// beat that waited for longer than a lease comes from an owner that may be stuck since.
func (h *holding) keep(beat time.Time) error {
	now := time.Now()
	every := repairEvery
	if h.lease > 0 {
		every = h.lease / renewals
	}
	if h.settled && (!h.wanted || now.Sub(h.keptTime) < every) {
		return nil
	}
	if h.lease > 0 && now.Sub(beat) >= h.lease {
		return nil
	}
	lost := h.wanted && h.lease > 0 && now.Sub(h.keptTime) >= h.lease
	if err := h.settle(); err != nil || !lost {
		return err
	}
	return h.announce()
}

// announce tells the neighbours of each device about its addresses.
func (h *holding) announce() error {
	var errs []error
	told := map[string]bool{}
	for i, v := range h.vips {
		if told[v.Device] {
			continue
		}
		told[v.Device] = true
		if addrs := h.announced(v.Device); len(addrs) > 0 {
			errs = append(errs, h.links[i].Announce(addrs, h.repeat))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("announce VIPs: %w", err)
	}
	return nil
}

// announced returns the IPv4 addresses on a device.
func (h *holding) announced(device string) []netip.Addr {
	var addrs []netip.Addr
	for _, v := range h.vips {
		if v.Device == device && v.Prefix.Addr().Is4() && !slices.Contains(addrs, v.Prefix.Addr()) {
			addrs = append(addrs, v.Prefix.Addr())
		}
	}
	return addrs
}
