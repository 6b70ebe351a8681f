package netiftest

import (
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Neighbour returns another node on the switch of n's Device, with that address there. It may be
// called several times.
func (n *Node) Neighbour(own netip.Prefix) *Node {
	n.t.Helper()
	hub := n.upstream
	port, err := hub.nl.LinkByName(n.port)
	n.must("find port", err)
	bridge, err := hub.nl.LinkByIndex(port.Attrs().MasterIndex)
	n.must("find switch", err)
	other := newNode(n.t)
	last := own.Addr().AsSlice()
	name := "n" + own.Addr().String()
	if own.Addr().Is4() { // names of interfaces are short
		name = netip.AddrFrom4([4]byte(last)).String()
	}
	other.plugIn(hub, &netlink.Bridge{LinkAttrs: *bridge.Attrs()}, cable{Device, name}, own)
	return other
}
