package notify

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
)

//go:generate go tool stringer -type=Kind,State -linecomment -output=names.go

// Kind is what an Event is about; its String is the word of the FIFOs. Zero is unset.
type Kind uint8

// The kinds.
const (
	// Instance is one virtual router.
	Instance Kind = iota + 1 // INSTANCE
	// Group is a sync group.
	Group // GROUP
	// VirtualService is a virtual service of IPVS.
	VirtualService // VS
	// RealServer is a real server of a virtual service.
	RealServer // RS
	// Condition is something that is wrong with an instance, or with what the daemon runs.
	Condition // CONDITION
)

// VRRP says whether k is of VRRP, and not of IPVS.
func (k Kind) VRRP() bool { return k == Instance || k == Group }

// State is what the subject of an Event is from now on; its String is the word of scripts and
// FIFOs. Zero is unset.
type State uint8

// The states of instances and groups, and then those of services and servers.
const (
	Master  State = iota + 1 // MASTER
	Backup                   // BACKUP
	Fault                    // FAULT
	Stop                     // STOP
	Deleted                  // DELETED
	// LowerPriority is that a master has heard an advert of a lower priority.
	LowerPriority // MASTER_RX_LOWER_PRI
	// MasterPriority and BackupPriority are a changed priority.
	MasterPriority // MASTER_PRIORITY
	BackupPriority // BACKUP_PRIORITY
	// Up and Down are the health of a server, or the quorum of a service.
	Up   // UP
	Down // DOWN
	// Raised and Cleared are that a condition has begun or is over.
	Raised  // RAISED
	Cleared // CLEARED
)

// Subject is what an Event is about. It is the key of Config.Rules.
type Subject struct {
	Kind Kind
	// Name of the instance or group; ServerName of the service or server; the instance, or
	// whatever else it is, that a condition is about.
	Name string
	// Service is the Name of a real server's virtual service. Of a virtual service it may be what
	// tells it from another of its name, and is shown to nobody. It is empty for all others.
	Service string
}

// String returns the subject in words for a log or a mail: "instance VI_1".
func (s Subject) String() string {
	name := printable(s.Name)
	switch s.Kind {
	case Instance:
		return "instance " + name
	case Group:
		return "sync group " + name
	case VirtualService:
		return "virtual service " + name
	case RealServer:
		return "real server " + name + " of " + printable(s.Service)
	case Condition:
		return "condition of " + name
	}
	return name
}

// ServerName is how a service or server is called in FIFOs: [192.168.1.1]:tcp:80.
func ServerName(at netip.AddrPort, protocol string) string {
	return fmt.Sprintf("[%s]:%s:%d", at.Addr(), strings.ToLower(protocol), at.Port())
}

// Event is one thing that happened.
type Event struct {
	// Seq numbers the events of a daemon's life; Tell sets it.
	Seq uint64
	// Time is when it happened; zero means now.
	Time time.Time
	Subject
	State State
	// Priority is the effective one of an instance; it counts as 0 for all others.
	Priority int
	// Reason is in words, and may be empty.
	Reason string
	// Condition names what is Raised or Cleared, in one word; empty for all others.
	Condition string
	// Again says that this only repeats what holds already, as after a reload: it goes to the
	// FIFOs, and to nobody else.
	Again bool
}

// priority returns the priority that scripts and FIFOs are given.
func (e *Event) priority() int {
	if e.Kind == Instance {
		return e.Priority
	}
	return 0
}

// Line returns what a FIFO gets, in keepalived's format: INSTANCE "VI_1" MASTER 150, or
// RS [192.168.2.11]:tcp:80 [192.168.1.1]:tcp:80 DOWN, each ended by one newline. Conditions, which
// keepalived does not know, are CONDITION "VI_1" RAISED split_brain. Some versions of
// keepalived write a NUL byte behind the newline of the lines of services and servers. Here there
// is none: for everything that reads line by line it would stand at the beginning of the next line.
func (e *Event) Line() string {
	name, service := printable(e.Name), printable(e.Service)
	switch e.Kind {
	case VirtualService:
		return fmt.Sprintf("%s %s %s\n", e.Kind, name, e.State)
	case RealServer:
		return fmt.Sprintf("%s %s %s %s\n", e.Kind, name, service, e.State)
	case Condition:
		return fmt.Sprintf("%s \"%s\" %s %s\n", e.Kind, name, e.State, printable(e.Condition))
	}
	return fmt.Sprintf("%s \"%s\" %s %d\n", e.Kind, name, e.State, e.priority())
}

// args are what keepalived appends to the command of notify; for a condition the last one is its
// name.
func (e *Event) args() []string {
	last := strconv.Itoa(e.priority())
	if e.Kind == Condition {
		last = printable(e.Condition)
	}
	return []string{e.Kind.String(), printable(e.Name), e.State.String(), last}
}

// env is added to the environment of scripts; see Script.
func (e *Event) env() []string {
	return []string{
		fmt.Sprintf("TANDEM_SEQ=%d", e.Seq),
		"TANDEM_TIME=" + e.Time.UTC().Format(time.RFC3339Nano),
		"TANDEM_REASON=" + printable(e.Reason),
	}
}

// printable returns s with a space for each character that could end a line or an argument, so that
// no name can forge a line, a header or a variable.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
}
