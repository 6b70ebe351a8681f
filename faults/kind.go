package faults

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/lab"
)

// Kind names a sort of fault; Doc says what it does. The zero Kind is unset.
type Kind int

// The kinds of faults, by family.
const (
	LinkDown Kind = iota + 1
	InterfaceOff
	LinkDelay
	LinkJitter
	LinkLoss
	LinkDuplicate
	LinkCorrupt
	LinkReorder
	LinkRate
	LinkFlapping
	LinkMTU

	OneWay
	BothWays
	AdvertsLost
	ARPLost
	ChecksLost

	DirectorKilled
	DirectorTerminated
	DirectorFrozen
	WorkerKilled
	WorkerFrozen
	GuardKilled
	Starved
	OutOfDescriptors
	MemoryLimited
	DiskFull
	LogBlocked

	PowerOff
	Rebooted
	Paused

	ServerStopped
	ServerRefusing
	ServerHalfOpen
	ServerSilent
	ServerSlow
	ServerUnavailable
	ServerWrong
	ServerBadTLS
	ServerMarked
	EchoIgnored

	VIPDeleted
	IPVSFlushed
	RouteDeleted
	NeighbourPoisoned
	ConntrackFull

	HostilePackets
	HostileFlood
	RogueRouter
	AdvertsReplayed
	AdvertsMismatching
	DuplicateAddress

	ConfigBroken
)

// Family is what a kind of fault is about. The zero Family is unset.
type Family int

// The families.
const (
	// Link: one cable.
	Link Family = iota + 1
	// Partition: who hears whom on a network.
	Partition
	// Process: a director's programs.
	Process
	// Node: a whole host.
	Node
	// Server: a real server's program.
	Server
	// State: what the kernel keeps.
	State
	// Protocol: what a host that means no good says.
	Protocol
	// Configuration: a director's file.
	Configuration
)

var familyNames = []string{"", "link", "partition", "process", "node", "server", "state", "protocol",
	"configuration"}

// String returns the family's name, for example "partition".
func (f Family) String() string {
	if f > 0 && int(f) < len(familyNames) {
		return familyNames[f]
	}
	return fmt.Sprintf("Family(%d)", int(f))
}

// Families returns every family in the order of declaration, which is that of the kinds.
func Families() []Family {
	var all []Family
	for f := Link; f <= Configuration; f++ {
		all = append(all, f)
	}
	return all
}

// Form is what the target of a kind names.
type Form string

// The forms of targets.
const (
	OfNode      Form = "NODE"
	OfInterface Form = "NODE:INTERFACE"
	OfAddress   Form = "NODE:ADDRESS"
)

// spec is what there is to know of a kind.
type spec struct {
	kind Kind
	name string
	// doc is a sentence or two: what happens, and where it cannot be guessed, what the heal does.
	doc        string
	family     Family
	form       Form
	ipv4       bool // it works by IPv4 alone
	parameters []Parameter
	// needs are the capabilities beside the lab's own.
	needs []lab.Capability
	build func(r request, v *values) injector
}

// spec returns a kind's data; false: there is no such kind.
func (k Kind) spec() (spec, bool) {
	if k < 1 || int(k) > len(catalogue) {
		return spec{}, false
	}
	return catalogue[k-1], true
}

// String returns the kind's name, for example "director-killed".
func (k Kind) String() string {
	if s, ok := k.spec(); ok {
		return s.name
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Doc returns in a sentence or two what faults of the kind do; empty: an unknown kind.
func (k Kind) Doc() string {
	s, _ := k.spec()
	return s.doc
}

// Family returns what the kind is about; zero: an unknown kind.
func (k Kind) Family() Family {
	s, _ := k.spec()
	return s.family
}

// Form returns what targets of the kind look like; empty: an unknown kind.
func (k Kind) Form() Form {
	s, _ := k.spec()
	return s.form
}

// IPv4Only says that faults of the kind work by IPv4, and cannot be injected in a lab of IPv6.
func (k Kind) IPv4Only() bool {
	s, _ := k.spec()
	return s.ipv4
}

// Parameters returns the settings that faults of the kind take, in the order in which they are shown;
// nil: none.
func (k Kind) Parameters() []Parameter {
	s, _ := k.spec()
	return slices.Clone(s.parameters)
}

// Needs returns the capabilities that faults of the kind take; nil: none beside the lab's own.
func (k Kind) Needs() []lab.Capability {
	s, _ := k.spec()
	return slices.Clone(s.needs)
}

// Kinds returns every kind, family by family.
func Kinds() []Kind {
	kinds := make([]Kind, 0, len(catalogue))
	for _, s := range catalogue {
		kinds = append(kinds, s.kind)
	}
	return kinds
}

// ParseKind returns the kind of that name.
func ParseKind(name string) (Kind, error) {
	names := make([]string, 0, len(catalogue))
	for _, s := range catalogue {
		if s.name == name {
			return s.kind, nil
		}
		names = append(names, s.name)
	}
	return 0, fmt.Errorf("parse fault %q: want one of %s", name, strings.Join(names, ", "))
}
