package lab

import "fmt"

// Capability is something that a lab, a fault or a scenario needs from the kernel it runs in, and
// that not every kernel or user has. Probing for one belongs to lab/kernel; this is the vocabulary.
// The zero Capability is unset.
type Capability int

// The capabilities. A kernel that lacks one makes a scenario that needs it a skip with a reason,
// never a failure.
const (
	// Root: user 0 of the initial user namespace with its capabilities; IPVS's netlink needs it.
	Root Capability = iota + 1
	// NetNS: network, mount and UTS namespaces can be unshared.
	NetNS
	// PIDNS: PID namespaces; killing a process's first ancestor ends all of its descendants.
	PIDNS
	// Veth: pairs of virtual Ethernet interfaces.
	Veth
	// Bridge: the kernel's Ethernet bridge.
	Bridge
	// Macvlan: interfaces with a MAC address of their own, VRRP's virtual MAC.
	Macvlan
	// IPVS: the kernel's load balancer with scheduler rr.
	IPVS
	// Netem: the queueing discipline that delays, drops, corrupts and reorders.
	Netem
	// Nftables: packet filter tables of the inet family.
	Nftables
	// NftablesBridge: packet filter tables of the bridge family.
	NftablesBridge
	// Tunnels: interfaces that unpack IP in IP, GRE and GUE.
	Tunnels
	// SCTP: sockets of SCTP, by which clients ask services of it and real servers answer.
	SCTP
	// IPv6: networks of IPv6.
	IPv6
	// RealTime: the kernel's clock is the wall's; what needs CPU time to pass (starvation, stalls)
	// means nothing on a virtual clock.
	RealTime
	// VirtualTime: the kernel's clock moves on as soon as nothing is left to do, whatever the machine
	// does; hours of it pass in minutes.
	VirtualTime
)

// capabilityNames are the words that reports, `tandem doctor` and skip reasons use.
var capabilityNames = map[Capability]string{
	Root:           "root",
	NetNS:          "netns",
	PIDNS:          "pidns",
	Veth:           "veth",
	Bridge:         "bridge",
	Macvlan:        "macvlan",
	IPVS:           "ipvs",
	Netem:          "netem",
	Nftables:       "nftables",
	NftablesBridge: "nftables-bridge",
	Tunnels:        "tunnels",
	SCTP:           "sctp",
	IPv6:           "ipv6",
	RealTime:       "real-time",
	VirtualTime:    "virtual-time",
}

// String returns the capability's name, for example "ipvs"; an unknown one prints its number.
func (c Capability) String() string {
	if name, ok := capabilityNames[c]; ok {
		return name
	}
	return fmt.Sprintf("Capability(%d)", int(c))
}

// Capabilities returns every capability in the order of declaration.
func Capabilities() []Capability {
	all := make([]Capability, 0, len(capabilityNames))
	for c := Root; c <= VirtualTime; c++ {
		all = append(all, c)
	}
	return all
}

// ParseCapability returns the capability of that name.
func ParseCapability(name string) (Capability, error) {
	for c, n := range capabilityNames {
		if n == name {
			return c, nil
		}
	}
	return 0, fmt.Errorf("parse capability %q: unknown name", name)
}
