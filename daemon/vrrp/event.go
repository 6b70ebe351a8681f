package vrrp

import (
	"net/netip"
	"time"
)

// Event is something that happened to a Machine. The set is closed: the types below.
type Event interface{ event() }

// Startup begins the life of a Machine in Initialize. In any other state it does nothing.
type Startup struct {
	// Resume says that a process has ended moments ago that was master in this one's place and
	// has not resigned: the Machine is master at once, its VIPs being where they were. Whoever
	// outranks it is yielded to as by any master. In Fault, Resume is a Startup like any other.
	Resume bool
	// NotBefore, unless zero, is when the network can be trusted: silence before it proves nothing,
	// so nobody becomes master on account of that, not even the owner of the addresses. It is for
	// links that pass traffic one way only for a while after they came up. Resume does not wait.
	NotBefore time.Time
}

// Leave ends it without losing traffic: a master resigns at once but keeps its VIPs until it hears
// its successor, or has waited for one longer than any backup needs. A second Leave does nothing.
type Leave struct{}

// Shutdown ends it at once: a master resigns and removes its VIPs.
type Shutdown struct{}

// Timeout tells that Deadline has come. Before it, it does nothing.
type Timeout struct{}

// Received is an advert that Parse accepted.
type Received struct {
	Advert Advert
	// From is the sender's address.
	From netip.Addr
	// TTL is the packet's, which multicast adverts must have kept at 255.
	TTL int
	// To is where the packet was sent: a multicast group, or the receiver when unicast. When it
	// is invalid nothing is asked of it.
	To netip.Addr
}

// Drained answers Drain: every packet that the socket held has been given in Received.
type Drained struct{}

// Fault tells that the Machine cannot take part, and why. A later Fault replaces the reason.
type Fault struct {
	Reason Reason
	// Graceful says that the Machine still can send, receive and forward, it only is not to: a
	// master resigns at once but keeps its VIPs as with Leave. Its socket has to stay open until
	// the Transition to Faulty.
	Graceful bool
}

// Recovered ends a Fault. Without one it does nothing. A master that has resigned by a graceful
// Fault and has heard no successor yet stays master.
type Recovered struct{}

// StepDown has a master resign at once, remove its VIPs and be a backup that lets any master be,
// as with Config.NoPreempt, until it has been master again or has recovered from a Fault. It is for
// one whose VIPs somebody takes away again and again. Where nobody takes over, it does so itself
// after the silence that makes a master dead. Other states ignore it. In a Group it concerns every
// member.
type StepDown struct{}

// SetPriority changes the priority that the Machine advertises from now on, 1 to 254. One that was
// configured as the owner of the addresses keeps its own.
type SetPriority struct{ Priority uint8 }

// SetSource changes the address that the Machine's adverts come from, which decides between equal
// priorities and tells its own adverts from others'.
type SetSource struct{ Source netip.Addr }

func (Startup) event()     {}
func (Leave) event()       {}
func (Shutdown) event()    {}
func (Timeout) event()     {}
func (Received) event()    {}
func (Drained) event()     {}
func (Fault) event()       {}
func (Recovered) event()   {}
func (StepDown) event()    {}
func (SetPriority) event() {}
func (SetSource) event()   {}
