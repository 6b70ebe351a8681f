package bfd

import (
	"fmt"
	"strings"
	"time"
)

// Action is something that the driver has to do, or to tell. The set is closed: the types below.
// Those of one Step are carried out in order: a Transition comes before the packet that tells it.
type Action interface {
	fmt.Stringer
	action()
}

// Send sends the packet to the neighbour, without waiting.
type Send struct{ Packet Packet }

// Transition tells a change of state.
type Transition struct {
	From, To State
	Reason   Reason
}

// Drop tells that a packet was not believed.
type Drop struct{ Reason DropReason }

// Stalled tells that the Session was stepped Late after the neighbour's time was over: this
// process, or the whole host, did not run, and the neighbour is listened for once more.
type Stalled struct{ Late time.Duration }

// Drain reads everything that waits in the socket now, gives it in Received, then gives Drained.
type Drain struct{}

func (Send) action()       {}
func (Transition) action() {}
func (Drop) action()       {}
func (Stalled) action()    {}
func (Drain) action()      {}

// String returns, for example, "send Up 1->2 tx 10ms rx 10ms x3 poll".
func (a Send) String() string { return "send " + a.Packet.String() }

// String returns, for example, "Up -> Down: neighbour silent".
func (a Transition) String() string {
	return fmt.Sprintf("%s -> %s: %s", a.From, a.To, a.Reason)
}

// String returns, for example, "drop packet: administratively down".
func (a Drop) String() string { return "drop packet: " + a.Reason.String() }

// String returns, for example, "stalled for 2s".
func (a Stalled) String() string { return fmt.Sprintf("stalled for %s", a.Late) }

// String returns "drain socket".
func (Drain) String() string { return "drain socket" }

// String returns, for example, "Down 1->2 tx 1s rx 10ms x3 final, control detection time expired":
// state, discriminators, least intervals, multiplier, flags, diagnostic.
func (p Packet) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d->%d tx %s rx %s x%d",
		p.State, p.Mine, p.Yours, p.MinTx, p.MinRx, p.Multiplier)
	for _, f := range []struct {
		set  bool
		name string
	}{{p.Poll, "poll"}, {p.Final, "final"}, {p.Demand, "demand"}} {
		if f.set {
			b.WriteString(" " + f.name)
		}
	}
	if p.Diag != DiagNone {
		b.WriteString(", " + p.Diag.String())
	}
	return b.String()
}
