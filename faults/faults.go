// Package faults breaks a lab on purpose: each fault says what it needs, is injected and verified,
// and comes with its heal. It never measures and never judges.
package faults

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/lab"
)

// Fault is one thing to break. Its String names kind and target, for example
// "link-down lb1:eth0".
type Fault interface {
	fmt.Stringer
	// Needs are the capabilities that injecting takes; nil: none beside the lab's own.
	Needs() []lab.Capability
	// Inject breaks it and returns when the fault has taken hold, seen where it shows, with the heal
	// that undoes it. On an error nothing is broken. The lab must be up.
	Inject(ctx context.Context, l *lab.Lab) (Heal, error)
}

// Heal undoes a fault and returns when it is undone, seen where it shows. A second call does
// nothing and returns nil.
type Heal func(ctx context.Context) error

// Kind names a sort of fault. The zero Kind is unset.
type Kind int

// The kinds of faults.
const (
	// DirectorKilled: every process of the director is ended by SIGKILL.
	DirectorKilled Kind = iota + 1
	// DirectorTerminated: the director is asked to stop by SIGTERM, and does.
	DirectorTerminated
	// DirectorFrozen: every process of the director is stopped by SIGSTOP.
	DirectorFrozen
	// WorkerKilled: the processes that the director's first one has started are ended by SIGKILL.
	WorkerKilled
	// WorkerFrozen: they are stopped by SIGSTOP.
	WorkerFrozen
	// GuardKilled: the director's first process alone is ended by SIGKILL.
	GuardKilled
	// PowerOff: all cables of the node go dead, then all its processes; nothing is said.
	PowerOff
	// LinkDown: the cable of one interface is pulled. The target names it: NODE:INTERFACE.
	LinkDown
	// ServerStopped: the real server's program is ended; its node still answers, with a refusal.
	ServerStopped
	// OneWay: what the interface sends does not reach the other directors on its network; what they
	// send reaches it. The target names it: NODE:INTERFACE, as with all kinds down to HostileFlood.
	OneWay
	// AdvertsLost: what the interface sends reaches everybody, but for VRRP's adverts.
	AdvertsLost
	// HostilePackets: a host sends by the interface, many times a second, packets like adverts of the
	// virtual routers there, of the best priority and the least, that no router may believe.
	HostilePackets
	// HostileFlood: likewise, 17,000 of them a second.
	HostileFlood
	// VIPDeleted: an administrator deletes a VIP of a director by hand. The target names it:
	// NODE:ADDRESS.
	VIPDeleted
	// Starved: the director's programs run for 20 ms at a time, with pauses between of up to six
	// intervals of its adverts, as on a machine that has no processor to spare.
	Starved
	// ServerRefusing: the real server's program runs on, but nobody listens on its ports any more. This
	// and the following are lab.Ailments of all its services.
	ServerRefusing
	// ServerHalfOpen: calls of its ports hear nothing, for the queue of its listeners is full.
	ServerHalfOpen
	// ServerSilent: its services take every connection and say nothing.
	ServerSilent
	// ServerSlow: they say a byte a second.
	ServerSlow
	// ServerUnavailable: they say that they cannot serve: HTTP 503, SMTP 421, DNS SERVFAIL.
	ServerUnavailable
	// ServerWrong: they answer something else than they should.
	ServerWrong
	// ServerBadTLS: where TLS should begin they speak HTTP.
	ServerBadTLS
	// ServerMarked: an operator notes on every director, in the file lab.MarkFile, that the real
	// server is not to be used. The server itself is well.
	ServerMarked
	// EchoIgnored: the node's kernel answers no echo request.
	EchoIgnored
)

var kindNames = map[Kind]string{
	DirectorKilled:     "director-killed",
	DirectorTerminated: "director-terminated",
	DirectorFrozen:     "director-frozen",
	WorkerKilled:       "worker-killed",
	WorkerFrozen:       "worker-frozen",
	GuardKilled:        "guard-killed",
	PowerOff:           "power-off",
	LinkDown:           "link-down",
	ServerStopped:      "server-stopped",
	OneWay:             "one-way",
	AdvertsLost:        "adverts-lost",
	HostilePackets:     "hostile-packets",
	HostileFlood:       "hostile-flood",
	VIPDeleted:         "vip-deleted",
	Starved:            "starved",
	ServerRefusing:     "server-refusing",
	ServerHalfOpen:     "server-half-open",
	ServerSilent:       "server-silent",
	ServerSlow:         "server-slow",
	ServerUnavailable:  "server-unavailable",
	ServerWrong:        "server-wrong",
	ServerBadTLS:       "server-bad-tls",
	ServerMarked:       "server-marked",
	EchoIgnored:        "echo-ignored",
}

// String returns the kind's name, for example "director-killed".
func (k Kind) String() string {
	if name, ok := kindNames[k]; ok {
		return name
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Kinds returns every kind in the order of declaration.
func Kinds() []Kind {
	kinds := make([]Kind, 0, len(kindNames))
	for k := DirectorKilled; k <= EchoIgnored; k++ {
		kinds = append(kinds, k)
	}
	return kinds
}

// ParseKind returns the kind of that name.
func ParseKind(name string) (Kind, error) {
	for _, k := range Kinds() {
		if k.String() == name {
			return k, nil
		}
	}
	names := make([]string, 0, len(kindNames))
	for _, k := range Kinds() {
		names = append(names, k.String())
	}
	return 0, fmt.Errorf("parse fault %q: want one of %s", name, strings.Join(names, ", "))
}

// The names of the units that the faults end and start again.
const (
	// DirectorUnit is the unit of a director's daemon.
	DirectorUnit = "director"
	// ServerUnit is the unit of a real server's program.
	ServerUnit = "server"
)

// detail is what a kind's target names beside the node; empty: nothing.
func (k Kind) detail() string {
	switch k {
	case LinkDown, OneWay, AdvertsLost, HostilePackets, HostileFlood:
		return "INTERFACE"
	case VIPDeleted:
		return "ADDRESS"
	case DirectorKilled, DirectorTerminated, DirectorFrozen, WorkerKilled, WorkerFrozen, GuardKilled,
		PowerOff, ServerStopped, Starved, ServerRefusing, ServerHalfOpen, ServerSilent, ServerSlow,
		ServerUnavailable, ServerWrong, ServerBadTLS, ServerMarked, EchoIgnored:
	}
	return ""
}

// Parameter is one setting that faults of a kind take.
type Parameter struct {
	// Name is as in Settings, Doc says in a few words what it is, Default is what holds without it.
	Name, Doc, Default string
}

// Settings are values of a kind's parameters by name, for example "delay": "50ms". What is not named
// has its default; nil: everything.
type Settings map[string]string

// Parameters returns the settings that faults of a kind take, in the order in which they are shown.
func (k Kind) Parameters() []Parameter { return nil }

// New returns the fault of a kind on a target: a node's name, NODE:INTERFACE or NODE:ADDRESS, as
// the kind has it. A setting that the kind does not take is an error.
func New(kind Kind, target string, settings Settings) (Fault, error) {
	for name := range settings {
		if !slices.ContainsFunc(kind.Parameters(), func(p Parameter) bool { return p.Name == name }) {
			return nil, fmt.Errorf("make fault %s on %q: it has no parameter %q", kind, target, name)
		}
	}
	node, detail, hasDetail := strings.Cut(target, ":")
	want := kind.detail()
	if node == "" || hasDetail != (want != "") || hasDetail && detail == "" {
		form := strings.TrimSuffix("NODE:"+want, ":")
		return nil, fmt.Errorf("make fault %s on %q: want %s", kind, target, form)
	}
	switch kind {
	case DirectorKilled, DirectorTerminated, DirectorFrozen,
		WorkerKilled, WorkerFrozen, GuardKilled:
		return processFault{kind: kind, node: node, unit: DirectorUnit}, nil
	case ServerStopped:
		return processFault{kind: kind, node: node, unit: ServerUnit}, nil
	case PowerOff:
		return powerFault{node: node}, nil
	case LinkDown:
		return linkFault{node: node, iface: detail}, nil
	case OneWay, AdvertsLost:
		return pathFault{kind: kind, node: node, iface: detail}, nil
	case HostilePackets, HostileFlood:
		return hostileFault{kind: kind, node: node, iface: detail}, nil
	case VIPDeleted:
		addr, err := netip.ParseAddr(detail)
		if err != nil {
			return nil, fmt.Errorf("make fault %s on %q: %w", kind, target, err)
		}
		return vipFault{node: node, addr: addr}, nil
	case Starved:
		return starvedFault{node: node}, nil
	case ServerRefusing, ServerHalfOpen, ServerSilent, ServerSlow, ServerUnavailable, ServerWrong,
		ServerBadTLS:
		return serverFault{kind: kind, node: node}, nil
	case ServerMarked:
		return markFault{node: node}, nil
	case EchoIgnored:
		return echoFault{node: node}, nil
	}
	return nil, fmt.Errorf("make fault on %q: unknown kind %s", target, kind)
}

// findNode returns the node that a fault names.
func findNode(l *lab.Lab, name string) (*lab.Node, error) {
	if n, ok := l.Node(name); ok {
		return n, nil
	}
	var names []string
	for _, n := range l.Nodes() {
		names = append(names, n.Name())
	}
	return nil, fmt.Errorf("find node %q: the lab has %s", name, strings.Join(names, ", "))
}

// once makes a heal that works one time; a failed one may be tried again.
func once(heal Heal) Heal {
	done := false
	return func(ctx context.Context) error {
		if done {
			return nil
		}
		if err := heal(ctx); err != nil {
			return err
		}
		done = true
		return nil
	}
}

// ErrNotHealed is in the error of a heal that ran and whose effect did not show.
var ErrNotHealed = errors.New("the fault is still there")

// ErrNotInjected is in the error of an Inject whose effect did not show.
var ErrNotInjected = errors.New("the fault did not take hold")

// terminateLimit is how long a director may take to stop when asked to, before it is a finding.
const terminateLimit = 20 * time.Second
