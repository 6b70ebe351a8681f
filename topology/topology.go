// Package topology describes a lab network as a value: its networks, nodes, virtual IPs and virtual
// services. It reads, validates and draws such values; it never touches a kernel.
package topology

import (
	"net/netip"
	"slices"
	"time"
)

// Topology is one network of clients, directors and real servers. It is plain data: copy it with
// Clone before changing a preset. The order of Networks, Nodes and Services is kept everywhere: in
// the lab, in diagrams and in generated configuration.
type Topology struct {
	// Name is what reports call the network, for example "fig7".
	Name string
	// Doc says in one sentence what the network is for.
	Doc string
	// Networks are the Ethernet segments, each of one prefix: all of IPv4, or all of IPv6.
	Networks []Network
	// Nodes are the hosts. A name stands once.
	Nodes []Node
	// VIPs are the virtual addresses that the directors keep. All of them move together. None: the
	// directors do not speak VRRP.
	VIPs []VIP
	// VRRP holds what all directors share. It means nothing without VIPs.
	VRRP VRRP
	// Services are the virtual services that the directors balance.
	Services []Service
}

// Network is one Ethernet segment.
type Network struct {
	// Name is short and unique, for example "client".
	Name string
	// Prefix is the segment's prefix in canonical (masked) form: IPv4 of 8 to 30 bits, or IPv6 of 64 to
	// 112 bits, of which addresses are the first 65535.
	Prefix netip.Prefix
}

// Role says what a node is for. The zero Role is unset and invalid.
type Role int

// The roles of DESIGN.md, section 1.
const (
	Client Role = iota + 1
	Director
	RealServer
)

// String returns "client", "director" or "real-server"; "unset" for the zero Role.
func (r Role) String() string {
	switch r {
	case Client:
		return "client"
	case Director:
		return "director"
	case RealServer:
		return "real-server"
	}
	return "unset"
}

// Node is one host: a network namespace in the lab.
type Node struct {
	// Name is the host's name: lower-case letters, digits and dashes, unique in the topology.
	Name string
	Role Role
	// Links are the node's interfaces, eth0 first.
	Links []Link
	// Gateway is the default route's next hop; the zero Addr is none.
	Gateway netip.Addr
	// Priority is the VRRP priority, 1 to 255, of a director; 0 on every other node, and on a director
	// where the topology has no VIPs.
	Priority uint8
}

// Link is one interface of a node.
type Link struct {
	// Interface is the name inside the node; eth0, eth1, … in the order of Links.
	Interface string
	// Network names the segment that the interface is plugged into.
	Network string
	// Addr is the interface's own address with the network's prefix length.
	Addr netip.Prefix
}

// VIP is one virtual address.
type VIP struct {
	// Name is short and unique: "outer" for clients, "inner" for the real servers' gateway.
	Name string
	// Network names the segment on which the address is claimed.
	Network string
	// Addr is one of the network's; over IPv6 the virtual router has LinkLocal as well.
	Addr netip.Addr
	// RouterID is the VRRP virtual router identifier, 1 to 255.
	RouterID uint8
}

// VRRP holds what all directors of a topology share.
type VRRP struct {
	// Version is 2 or 3, over IPv6 3.
	Version int
	// Advert is the advertisement interval: whole seconds for version 2, 10 ms steps for version 3.
	Advert time.Duration
	// Password is that of version 2's authentication type 1, 1 to 8 letters, digits and dashes; empty:
	// none. Anybody on the network can read it.
	Password string
	// UseVMAC has each VIP on an interface of its own with the virtual router's MAC address, which
	// moves with it (RFC 9568, Section 7.3), instead of the director's.
	UseVMAC bool
}

// Service is one virtual service.
type Service struct {
	// Addr is the virtual service's address and port: a VIP's, or a director's own address where the
	// topology has no VIPs.
	Addr netip.AddrPort
	// Marked makes it a service by firewall mark: clients call any address of this IPv4 network, which
	// is nobody's, by way of Addr, and the directors mark what comes for it. The zero Prefix is none.
	Marked netip.Prefix
	// Protocol is what the real servers speak.
	Protocol Protocol
	// Scheduler is the IPVS scheduler's name, for example "rr".
	Scheduler string
	// HashPort has the schedulers sh and mh hash the client's port as well, Fallback has them look for
	// another real server where the one of the hash gets nothing. No other scheduler has them.
	HashPort, Fallback bool
	RealServers        []Destination
	// Check is the health check of every real server.
	Check Check
}

// Destination is one real server of a Service.
type Destination struct {
	// Node names the real server.
	Node   string
	Port   uint16
	Weight int
	// Forward is how directors hand it connections.
	Forward Forward
	// Upper is the number of connections from which on it gets no new ones; 0: any. Lower is the one
	// below which it gets some again, at most Upper; 0: three quarters of Upper.
	Upper, Lower int
}

// IPv6 says whether the network is of IPv6: its addresses and services, and VRRP. What is not valid
// is as its first network is.
func (t *Topology) IPv6() bool {
	return len(t.Networks) > 0 && t.Networks[0].Prefix.Addr().Is6()
}

// LinkLocal returns the address with which the adverts of an IPv6 VIP must begin, "the IPv6
// link-local address associated with the Virtual Router": fe80:: and the number of the router. The
// zero Addr for a VIP of IPv4.
//
// Source: RFC 9568, Section 5.2.9.
func (v VIP) LinkLocal() netip.Addr {
	if !v.Addr.Is6() {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: v.RouterID})
}

// Clone returns a copy that shares no memory with t.
func (t *Topology) Clone() Topology {
	c := *t
	c.Networks = slices.Clone(t.Networks)
	c.Nodes = slices.Clone(t.Nodes)
	for i := range c.Nodes {
		c.Nodes[i].Links = slices.Clone(t.Nodes[i].Links)
	}
	c.VIPs = slices.Clone(t.VIPs)
	c.Services = slices.Clone(t.Services)
	for i := range c.Services {
		c.Services[i].RealServers = slices.Clone(t.Services[i].RealServers)
	}
	return c
}

// Node returns the node of that name.
func (t *Topology) Node(name string) (*Node, bool) {
	for i := range t.Nodes {
		if t.Nodes[i].Name == name {
			return &t.Nodes[i], true
		}
	}
	return nil, false
}

// NodesOf returns the nodes of a role in the topology's order; none: nil.
func (t *Topology) NodesOf(role Role) []*Node {
	var nodes []*Node
	for i := range t.Nodes {
		if t.Nodes[i].Role == role {
			nodes = append(nodes, &t.Nodes[i])
		}
	}
	return nodes
}

// Network returns the network of that name.
func (t *Topology) Network(name string) (Network, bool) {
	for _, n := range t.Networks {
		if n.Name == name {
			return n, true
		}
	}
	return Network{}, false
}

// LinkOn returns the node's link to a network.
func (n *Node) LinkOn(network string) (Link, bool) {
	for _, l := range n.Links {
		if l.Network == network {
			return l, true
		}
	}
	return Link{}, false
}
