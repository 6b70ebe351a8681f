package instance

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
)

// Link is an interface as a Runner needs it; netif.Interface is the real one. See there for what
// each method promises. A Link may be an Opener and a Holder too, as the real one is; one that is
// not knows VRRP over IPv4 by multicast, and addresses without options.
type Link interface {
	// Watch reports the state of the interface, at first and after each change, until ctx ends.
	Watch(ctx context.Context, changed func(netif.State)) error
	// Listen opens the socket for adverts of one virtual router.
	Listen(vrid uint8) (Socket, error)
	// AddAddr adds or renews an address; a lease of zero is for ever.
	AddAddr(p netip.Prefix, lease time.Duration) error
	// RemoveAddr removes an address, which may be absent.
	RemoveAddr(p netip.Prefix) error
	// Announce sends repeat gratuitous ARPs for each address.
	Announce(addrs []netip.Addr, repeat int) error
}

// Follower is a Link whose news come without a goroutine of the listener's.
type Follower interface {
	// Follow reports as Watch does, at first before it returns, until stop is called or it calls
	// failed. Neither function may block.
	Follow(changed func(netif.State), failed func(error)) (stop func(), err error)
}

// Opener is a Link that opens sockets of any kind.
type Opener interface {
	Open(e netif.Endpoint) (Socket, error)
}

// Holder is a Link that holds what an address alone is not.
type Holder interface {
	// PutAddr is AddAddr with options.
	PutAddr(p netip.Prefix, o netif.AddrOptions, lease time.Duration) error
	// RestoreAddr adds an address unless it is there, and reports whether it was not.
	RestoreAddr(p netip.Prefix, o netif.AddrOptions, lease time.Duration) (bool, error)
	// DropAddr is RemoveAddr with options.
	DropAddr(p netip.Prefix, o netif.AddrOptions) error
}

// Guide is a Link whose host holds routes and rules.
type Guide interface {
	PutRoute(r netif.Route) error
	// RestoreRoute adds a route unless it is there, and reports whether it was not.
	RestoreRoute(r netif.Route) (bool, error)
	DropRoute(r netif.Route) error
	// RestoreRule is RestoreRoute for a rule.
	RestoreRule(r netif.Rule) (bool, error)
	DropRule(r netif.Rule) error
}

// RoutingFollower is a Guide that tells when a route or a rule goes. See Follower.
type RoutingFollower interface {
	FollowRouting(lost func(netif.Loss), failed func(error)) (stop func(), err error)
}

// Stacker is a Link whose host makes interfaces on top of others.
type Stacker interface {
	PutMacvlan(m netif.Macvlan) error
	DropMacvlan(m netif.Macvlan) error
}

// Shielder is a Link whose host keeps the network away from addresses.
type Shielder interface {
	PutShield(s netif.Shield) error
	DropShield(s netif.Shield) error
}

// Setter is a Link with settings of the kernel's.
type Setter interface {
	// Hold sets s until Release.
	Hold(s netif.Setting) error
	Release(s netif.Setting) error
	// Inherit tells what s was before a process held it that is dead.
	Inherit(s netif.Setting, was string)
	// Before returns what s is, or was before Hold.
	Before(s netif.Setting) (string, error)
	// Restore undoes the Hold of a process that is dead.
	Restore(s netif.Setting, was string) error
}

// Renewer is a Link whose host renews addresses, those of many at once.
type Renewer interface {
	Lease(addrs []netif.LeasedAddr, length time.Duration, failed func(error)) (Lease, error)
}

// Lease is addresses that are renewed as long as somebody touches it; netif.Lease is the real one.
type Lease interface {
	// Touch never waits.
	Touch(now time.Time)
	// Renewed returns when the addresses were last renewed, or put.
	Renewed() time.Time
	End()
}

// Socket sends and receives adverts on one interface; netif.Conn is the real one.
type Socket interface {
	// Send never waits.
	Send(payload []byte, src, dst netip.Addr) error
	// Receive delivers packets until Close, then returns nil.
	Receive(deliver func(netif.Packet)) error
	// Drain delivers what has arrived and returns without waiting.
	Drain(deliver func(netif.Packet)) error
	// Close ends Receive.
	Close() error
}

// PlainSender is a Socket that can send from the interface's own MAC address what Send would from a
// virtual one.
type PlainSender interface {
	SendPlain(payload []byte, src, dst netip.Addr) error
}

// Joiner is a Socket that can send together with others.
type Joiner interface {
	// Join has b send what Send would, and reports whether it will; if not, it is for Send. The
	// payload has to stay as it is until then.
	Join(b *netif.Burst, payload []byte, src, dst netip.Addr) bool
}

// Hearer is a Socket that delivers without a goroutine of the listener's; ended is called if it can
// do so no more before Close.
type Hearer interface {
	Hear(deliver func(netif.Packet), ended func(error))
}

// Links finds the Link of an interface by its name, existing or not.
type Links func(name string) Link

// OnHost returns the Links of a host's network namespace. All Runners of a process should have the
// same: what they share, as the pace of announcements, is the Links'.
func OnHost(h *netif.Host) Links { return OnHostWith(h, &LinkDelays{}) }

// OnHostWith is OnHost with changes of links held back.
func OnHostWith(h *netif.Host, delays *LinkDelays) Links {
	paces, crowd, lookout := &Paces{}, &Crowd{alarm: kernelAlarm}, &Lookout{}
	return func(name string) Link {
		return hostLink{h.Interface(name), h, paces, crowd, lookout, delays}
	}
}

// kernelAlarm is netif.NewAlarm.
func kernelAlarm(ring func()) alarm { return netif.NewAlarm(ring) }

// hostLink is a netif.Interface whose Listen and Open return the interface that is wanted, with the
// routes and rules of its host.
type hostLink struct {
	*netif.Interface
	*netif.Host
	*Paces
	*Crowd
	*Lookout
	delays *LinkDelays
}

var (
	_ Opener          = hostLink{}
	_ Holder          = hostLink{}
	_ Guide           = hostLink{}
	_ Follower        = hostLink{}
	_ Setter          = hostLink{}
	_ RoutingFollower = hostLink{}
	_ Gatherer        = hostLink{}
	_ Pacer           = hostLink{}
	_ Renewer         = hostLink{}
	_ Scout           = hostLink{}
	_ Spotter         = hostLink{}

	_ Stacker  = hostLink{}
	_ Shielder = hostLink{}
)

func (l hostLink) Listen(vrid uint8) (Socket, error) { return socketOf(l.Interface.Listen(vrid)) }

func (l hostLink) Open(e netif.Endpoint) (Socket, error) { return socketOf(l.Interface.Open(e)) }

// Lease is the Host's.
func (l hostLink) Lease(a []netif.LeasedAddr, d time.Duration, failed func(error)) (Lease, error) {
	lease, err := l.Host.Lease(a, d, failed)
	if err != nil {
		return nil, err
	}
	return lease, nil
}

// socketOf keeps a nil Conn from becoming a Socket that is not nil.
func socketOf(c *netif.Conn, err error) (Socket, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// open opens the socket of a virtual router.
func open(l Link, c Config) (Socket, error) {
	e := c.endpoint()
	if o, ok := l.(Opener); ok {
		return o.Open(e)
	}
	if e != (Config{Router: c.Router}).endpoint() || e.IPv6 || !e.Group.IsValid() {
		return nil, fmt.Errorf("open %+v: the link only has the standard group of IPv4", e)
	}
	return l.Listen(e.VRID)
}
