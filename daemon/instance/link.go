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

// Links finds the Link of an interface by its name, existing or not.
type Links func(name string) Link

// OnHost returns the Links of a host's network namespace.
func OnHost(h *netif.Host) Links {
	return func(name string) Link { return hostLink{h.Interface(name), h} }
}

// hostLink is a netif.Interface whose Listen and Open return the interface that is wanted, with the
// routes and rules of its host.
type hostLink struct {
	*netif.Interface
	*netif.Host
}

var (
	_ Opener = hostLink{}
	_ Holder = hostLink{}
	_ Guide  = hostLink{}
	_ Setter = hostLink{}

	_ Stacker  = hostLink{}
	_ Shielder = hostLink{}
)

func (l hostLink) Listen(vrid uint8) (Socket, error) { return socketOf(l.Interface.Listen(vrid)) }

func (l hostLink) Open(e netif.Endpoint) (Socket, error) { return socketOf(l.Interface.Open(e)) }

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
