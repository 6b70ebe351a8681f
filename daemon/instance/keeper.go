package instance

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// keeper changes what a group's members hold in the order in which it is told, and keeps it as it
// should be: it renews leases and repairs what others have done. It does so only when it gets a
// beat, so that it keeps nothing for an owner that is stuck.
type keeper struct {
	orders  mailbox[order]
	helper  *helper
	beating atomic.Bool // a beat waits
	every   time.Duration
	beaten  time.Time  // the last beat; the owner's
	kept    []*holding // by member
	// leases are those of kept, nil where there is none, and needed whether there is more to do
	// than they do: all that the owner has to know.
	leases []atomic.Pointer[Lease]
	needed atomic.Bool
	failed func(member int, err error)
	done   func(settled) // is told what has been carried out; must not block
	// restored is told what somebody had taken away and is there again; must not block.
	restored func(member int, vips []VIP)
	// rival is told of other stations that have a VIP too; must not block.
	rival func(member int, r netif.Rival)
	// moved is told when frames for a virtual MAC address may go elsewhere; must not block.
	moved func(member int)
}

// order is what the keeper is told.
type order struct {
	verb   verb
	member int
	turn   uint64    // of a change of what is held: how many there were for the member
	at     time.Time // of a beat: when the owner turned
	next   *holding  // of a replacement
	// deleted is, of a restoration, what somebody has deleted that may be there again.
	deleted []place
	lease   Lease              // of a lapse
	err     error              // likewise: why
	cause   vrrp.AnnounceCause // of an announcement
}

type verb uint8

const (
	orderAdd verb = iota + 1
	orderRemove
	orderAnnounce
	orderReplace
	orderRestore
	orderBeat
	orderLapse
)

// renewals is how often a lease that no Renewer renews is renewed while it lasts, given beats: with
// adverts of a second or more at every advert, so that it outlasts the peer's patience, which counts
// from the last one.
const renewals = 8

// repairEvery is how often things without a lease are looked after.
const repairEvery = time.Second

// newKeeper returns a keeper that tells nobody of failures and of what it has done.
func newKeeper(configs []*Config, links Links) *keeper {
	k := &keeper{
		every:  beatEvery(configs),
		failed: func(int, error) {}, done: func(settled) {}, restored: func(int, []VIP) {},
		rival: func(int, netif.Rival) {}, moved: func(int) {},
	}
	k.helper = newHelper(k.work)
	k.leases = make([]atomic.Pointer[Lease], len(configs))
	for i, c := range configs {
		k.kept = append(k.kept, newHolding(c, links))
		k.kept[i].keeper, k.kept[i].member = k, i
	}
	return k
}

// lapsed is told that a lease of the member is not renewed any more.
func (k *keeper) lapsed(member int, l Lease, err error) {
	k.tell(order{verb: orderLapse, member: member, lease: l, err: err, at: time.Now()})
}

// beatEvery returns how often renewing and repairing for these members takes a beat.
func beatEvery(configs []*Config) time.Duration {
	every := repairEvery / 2
	for _, c := range configs {
		if c.Lease > 0 {
			every = min(every, c.Lease/renewals/2)
		}
	}
	return every
}

// tell has orders carried out after all others, and those together. It does not wait; of none it
// takes no notice.
func (k *keeper) tell(orders ...order) {
	if len(orders) > 0 {
		k.orders.put(orders...)
		k.helper.call()
	}
}

// work carries out what there is to do and returns when there will be more without an order; zero:
// never. Announcements come after orders: what those give a group's members is announced when all
// of them have it, so that the way out to the clients and the way back do not lead through different
// routers meanwhile.
func (k *keeper) work() time.Time {
	for _, o := range k.orders.take() {
		k.obey(o)
	}
	k.publish()
	k.speakTogether()
	var next time.Time
	for member, h := range k.kept {
		at, err := h.speak(time.Now())
		k.report(member, err)
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// publish says what is to be told of the owner's turns.
func (k *keeper) publish() {
	needed := false
	for i, h := range k.kept {
		needed = needed || h.needsBeats()
		var lease *Lease
		if h.renewal != nil {
			if was := k.leases[i].Load(); was != nil && *was == h.renewal {
				continue
			}
			own := h.renewal
			lease = &own
		}
		k.leases[i].Store(lease)
	}
	k.needed.Store(needed)
}

// beat tells that the owner has turned. It is cheap: one beat waits at a time, and there are no more
// of them than renewing takes, however fast the adverts are; none where there are only leases.
func (k *keeper) beat(now time.Time) {
	for i := range k.leases {
		if l := k.leases[i].Load(); l != nil {
			(*l).Touch(now)
		}
	}
	if !k.needed.Load() || now.Sub(k.beaten) < k.every {
		return
	}
	k.beaten = now
	if k.beating.CompareAndSwap(false, true) {
		k.tell(order{verb: orderBeat, at: now})
	}
}

func (k *keeper) obey(o order) {
	h := k.kept[o.member]
	switch o.verb {
	case orderAdd, orderRemove:
		h.turn = o.turn
		k.report(o.member, h.want(o.verb == orderAdd))
	case orderAnnounce:
		h.announce(o.cause)
	case orderReplace:
		k.kept[o.member] = o.next
		o.next.turn, o.next.keeper, o.next.member = o.turn, k, o.member
		k.report(o.member, o.next.succeed(h))
	case orderRestore:
		vips, err := h.restore(o.deleted)
		k.report(o.member, err)
		if len(vips) > 0 {
			k.restored(o.member, vips)
		}
	case orderLapse:
		if h.renewal != o.lease {
			return
		}
		h.unlease()
		h.settled = false
		k.report(o.member, errors.Join(o.err, h.keep(o.at)))
	case orderBeat:
		k.beating.Store(false)
		for member, h := range k.kept {
			k.report(member, h.keep(o.at))
		}
	}
}

// report tells what has failed, or, once, that what the member holds is as it was ordered.
func (k *keeper) report(member int, err error) {
	h := k.kept[member]
	if err != nil {
		k.failed(member, err)
	}
	if h.settled && h.told != h.turn {
		h.told = h.turn
		k.done(settled{member, h.turn})
	}
}
