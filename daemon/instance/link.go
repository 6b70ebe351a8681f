package instance

import (
	"context"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
)

// Link is an interface as a Runner needs it; netif.Interface is the real one. See there for what
// each method promises.
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
	return func(name string) Link { return hostLink{h.Interface(name)} }
}

// hostLink is a netif.Interface whose Listen returns the interface that Link wants.
type hostLink struct{ *netif.Interface }

func (l hostLink) Listen(vrid uint8) (Socket, error) {
	c, err := l.Interface.Listen(vrid)
	if err != nil {
		return nil, err
	}
	return c, nil
}
