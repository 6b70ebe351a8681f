package bfd

import (
	"io"
	"net/netip"
)

// network is what a Speaker needs of the operating system. Its methods are called by one goroutine,
// that of Run, so that it may be in a namespace of its own.
type network interface {
	// listen opens an ear at a door.
	listen(door) (ear, error)
	// dial opens a mouth that speaks to the neighbour of c.
	dial(c Config) (mouth, error)
}

// ear hears what comes to one door.
type ear interface {
	// hear calls ready whenever a datagram may wait, until the ear is closed or fails. ready has to
	// drain all that there is.
	hear(ready func()) error
	// drain calls deliver with some of the datagrams that wait, without waiting for more, and says
	// whether there may be more. The payload is not to be kept. It may be called while hear runs.
	drain(deliver func(datagram)) (more bool, err error)
	io.Closer
}

// mouth speaks to one neighbour.
type mouth interface {
	// send sends without waiting: a full queue is an error.
	send(payload []byte) error
	// index is that of the interface of a link-local neighbour; 0 for any other.
	index() int
	io.Closer
}

// door is where neighbours send to: a port of an address family.
type door struct{ ipv6, multihop bool }

// The ports of RFC 5881, Section 4, and RFC 5883, Section 5.
const (
	portDirect   = 3784
	portMultihop = 4784
)

// port returns its number.
func (d door) port() int {
	if d.multihop {
		return portMultihop
	}
	return portDirect
}

// door returns where the neighbour of c sends to.
func (c Config) door() door { return door{c.Neighbor.Is6(), c.Multihop} }

// datagram is one that came. The addresses have no zones.
type datagram struct {
	payload  []byte
	from, to netip.Addr
	// index is that of the interface that a link-local sender is on; 0 for any other.
	index int
	// ttl is the hop limit of IPv6.
	ttl int
}
