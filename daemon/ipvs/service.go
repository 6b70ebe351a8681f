// Package ipvs holds the kernel's table of virtual services: what it is, what it should be, and the
// steps from one to the other. It decides nothing about health or mastership, and never touches a
// service that it was not asked to have.
package ipvs

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Protocol is the transport protocol of a virtual service: its IP protocol number. Zero is unset.
type Protocol uint8

// The protocols that IPVS balances.
const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

// String returns the usual name of p.
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "TCP"
	case UDP:
		return "UDP"
	case SCTP:
		return "SCTP"
	}
	return fmt.Sprintf("Protocol(%d)", uint8(p))
}

// Family is the address family of a service that has no address of its own. Zero is unset.
type Family uint8

// The families of IPVS.
const (
	IPv4 Family = iota + 1
	IPv6
)

// String returns the family's name.
func (f Family) String() string {
	switch f {
	case IPv4:
		return "IPv4"
	case IPv6:
		return "IPv6"
	}
	return fmt.Sprintf("Family(%d)", uint8(f))
}

// Key identifies a virtual service in the kernel: either Protocol and Addr, or Mark and Family, the
// other two being zero. Keys are comparable.
type Key struct {
	Protocol Protocol
	// Addr is the virtual address; port 0 means every port and needs persistence.
	Addr netip.AddrPort
	// Mark is the firewall mark that brings packets to the service; not zero in a mark service.
	Mark uint32
	// Family is that of the marked packets.
	Family Family
}

// String names the service in a log: "TCP 192.168.1.1:80" or "mark 7 IPv4".
func (k Key) String() string {
	if k.Mark != 0 {
		return fmt.Sprintf("mark %d %s", k.Mark, k.Family)
	}
	return fmt.Sprintf("%s %s", k.Protocol, k.Addr)
}

// IsIPv6 says whether the clients of the service come by IPv6.
func (k Key) IsIPv6() bool {
	if k.Mark != 0 {
		return k.Family == IPv6
	}
	return k.Addr.Addr().Is6()
}

// Validate returns an error if k identifies no service, or if it would not come back from the
// kernel as it is (an IPv4 address mapped into IPv6, an address with a zone).
func (k Key) Validate() error {
	switch {
	case k.Mark != 0 && (k.Protocol != 0 || k.Addr.IsValid()):
		return fmt.Errorf("service %s: has a mark and an address", k)
	case k.Mark != 0 && k.Family != IPv4 && k.Family != IPv6:
		return fmt.Errorf("service %s: unknown family", k)
	case k.Mark != 0:
		return nil
	case k.Protocol != TCP && k.Protocol != UDP && k.Protocol != SCTP:
		return fmt.Errorf("service %s: unknown protocol", k)
	case k.Family != 0:
		return fmt.Errorf("service %s: a family is only for marks", k)
	}
	return validateAddr("service", k.Addr)
}

func validateAddr(what string, a netip.AddrPort) error {
	switch {
	case !a.IsValid():
		return fmt.Errorf("%s %s: no address", what, a)
	case a.Addr().Is4In6():
		return fmt.Errorf("%s %s: an IPv4 address in IPv6 form", what, a)
	case a.Addr().Zone() != "":
		return fmt.Errorf("%s %s: an address with a zone", what, a)
	}
	return nil
}

func (k Key) compare(o Key) int {
	return cmp.Or(
		cmp.Compare(k.Mark, o.Mark),
		cmp.Compare(k.Family, o.Family),
		cmp.Compare(k.Protocol, o.Protocol),
		k.Addr.Compare(o.Addr),
	)
}

// Scheduler is the kernel's name of a scheduler. Any name is passed on; one that the kernel does
// not have, built in or as module ip_vs_NAME, is refused by it with ENOENT.
type Scheduler string

// The schedulers of Linux.
const (
	RoundRobin              Scheduler = "rr"
	WeightedRoundRobin      Scheduler = "wrr"
	LeastConnection         Scheduler = "lc"
	WeightedLeastConnection Scheduler = "wlc"
	LocalityLeastConnection Scheduler = "lblc"
	LocalityReplicated      Scheduler = "lblcr"
	DestinationHash         Scheduler = "dh"
	SourceHash              Scheduler = "sh"
	MaglevHash              Scheduler = "mh"
	ShortestExpectedDelay   Scheduler = "sed"
	NeverQueue              Scheduler = "nq"
	WeightedFailover        Scheduler = "fo"
	WeightedOverflow        Scheduler = "ovf"
	PowerOfTwo              Scheduler = "twos"
)

// Schedulers returns all of Linux's schedulers. Debian 12 builds all but twos.
func Schedulers() []Scheduler {
	return []Scheduler{
		RoundRobin, WeightedRoundRobin, LeastConnection, WeightedLeastConnection,
		LocalityLeastConnection, LocalityReplicated, DestinationHash, SourceHash, MaglevHash,
		ShortestExpectedDelay, NeverQueue, WeightedFailover, WeightedOverflow, PowerOfTwo,
	}
}

// Engine is the kernel's name of a persistence engine. Any name is passed on; one that the kernel
// does not have, built in or as module ip_vs_pe_NAME, is refused by it with ENOENT.
type Engine string

// SIP sends one call to one server, by the Call-ID of its messages; for UDP.
const SIP Engine = "sip"

// maxName is the longest name of a scheduler or an engine (IP_VS_SCHEDNAME_MAXLEN with its end).
const maxName = 15

// Settings are what can be changed of a virtual service.
type Settings struct {
	Scheduler Scheduler
	Flags     Flags
	// Persistence keeps a client on its destination for that long after its last connection;
	// whole seconds, 0 is off.
	Persistence time.Duration
	// PersistenceBits is the length of the prefix by which clients are taken as one: 1 to 32 or
	// 128. 0 is the whole address. -1 is what List returns for a netmask that is no prefix.
	PersistenceBits int
	// Engine tells clients of a persistent service apart by more than their address. Empty is none.
	Engine Engine
}

// Validate returns an error if a service of that key cannot have the settings, or if they would not
// come back from the kernel as they are.
func (s Settings) Validate(k Key) error {
	bits := addrBits(k)
	switch {
	case s.Scheduler == "":
		return fmt.Errorf("service %s: no scheduler", k)
	case len(s.Scheduler) > maxName || len(s.Engine) > maxName:
		return fmt.Errorf("service %s: a name of more than %d bytes", k, maxName)
	case s.Engine != "" && s.Persistence == 0:
		return fmt.Errorf("service %s: engine %s without persistence", k, s.Engine)
	case s.Flags&^allFlags != 0:
		return fmt.Errorf("service %s: unknown flags %#x", k, uint32(s.Flags))
	case s.Persistence < 0 || s.Persistence%time.Second != 0:
		return fmt.Errorf("service %s: persistence %s is not whole seconds", k, s.Persistence)
	case s.PersistenceBits < 0 || s.PersistenceBits > bits:
		return fmt.Errorf("service %s: persistence prefix %d is not 0 to %d",
			k, s.PersistenceBits, bits)
	}
	return nil
}

// canonical returns the one form that all settings of equal meaning have.
func (s Settings) canonical(k Key) Settings {
	if s.PersistenceBits == addrBits(k) {
		s.PersistenceBits = 0
	}
	return s
}

func addrBits(k Key) int {
	if k.IsIPv6() {
		return 128
	}
	return 32
}

// Service is one virtual service with its destinations.
type Service struct {
	Key
	Settings
	// Destinations are in the order in which they were or are to be added. The kernel's schedulers
	// see the newest first. Addresses are unique.
	Destinations []Destination
}

// canonical returns a deep copy with sorted destinations and canonical settings.
func (s Service) canonical() Service {
	s.Settings = s.Settings.canonical(s.Key)
	s.Destinations = slices.SortedFunc(slices.Values(s.Destinations),
		func(a, b Destination) int { return a.Addr.Compare(b.Addr) })
	return s
}

// equal says whether both are the same, with the same destinations in the same order.
func (s *Service) equal(o *Service) bool {
	return s.Key == o.Key && s.Settings == o.Settings &&
		slices.Equal(s.Destinations, o.Destinations)
}

// Services is a table of virtual services. Keys are unique; the order of services has no meaning,
// that of their destinations is the order of adding. Nil is an empty table.
type Services []Service

// Get returns the service of that key, and whether there is one.
func (ss Services) Get(k Key) (Service, bool) {
	for _, s := range ss {
		if s.Key == k {
			return s, true
		}
	}
	return Service{}, false
}

// Canonical returns a deep copy in the one form that all equal tables have: services sorted by key,
// destinations by address, and nothing said in two ways.
func (ss Services) Canonical() Services {
	out := make(Services, 0, len(ss))
	for _, s := range ss {
		out = append(out, s.canonical())
	}
	slices.SortFunc(out, func(a, b Service) int { return a.Key.compare(b.Key) })
	return out
}

// Equal says whether both tables hold the same services with the same destinations, in any order.
func (ss Services) Equal(o Services) bool {
	return slices.EqualFunc(ss.Canonical(), o.Canonical(), func(a, b Service) bool {
		return a.Key == b.Key && a.Settings == b.Settings &&
			slices.Equal(a.Destinations, b.Destinations)
	})
}

// String returns the table as ipvsadm -S -n prints it: arguments of ipvsadm, one command a line,
// that would make it again. Services are sorted by key, destinations are in the order of adding,
// and their thresholds, which ipvsadm leaves out, are there.
func (ss Services) String() string {
	sorted := slices.SortedFunc(slices.Values(ss),
		func(a, b Service) int { return a.Key.compare(b.Key) })
	var b strings.Builder
	for _, op := range Diff(nil, sorted) {
		fmt.Fprintln(&b, op.arguments())
	}
	return b.String()
}
