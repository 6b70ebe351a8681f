package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// Action is something that the driver has to do, or to tell. The set is closed: the types below.
// The actions of one Step are to be carried out in their order, which is part of the contract:
//
//	to Master    SendAdvert, AddVIPs, Announce, Transition
//	from Master  SendAdvert of priority 0 if it resigns, RemoveVIPs, Transition
type Action interface {
	fmt.Stringer
	action()
}

// SendAdvert sends the Machine's advert with Priority.
type SendAdvert struct{ Priority uint8 }

// AddVIPs adds the VIPs to their interfaces.
type AddVIPs struct{}

// RemoveVIPs removes them. They may be absent: Startup removes what an earlier life has left.
type RemoveVIPs struct{}

// Announce tells the neighbours where the VIPs are, by gratuitous ARP or unsolicited NA.
type Announce struct{}

// Transition tells a change of state that has been decided; the actions before it carry it out.
type Transition struct {
	From, To State
	Reason   Reason
}

// Drop tells that a received advert was not believed.
type Drop struct {
	Reason DropReason
	From   netip.Addr
}

// Mismatch tells that a received advert was believed although it shows that its sender is
// configured differently.
type Mismatch struct {
	Reason DropReason
	From   netip.Addr
}

// Contested tells that another router acts as master of lower standing than this one: the network
// was split or still is.
type Contested struct {
	From     netip.Addr
	Priority uint8
}

// Stalled tells that the Machine was stepped Late after its deadline: this process, or the whole
// host, did not run.
type Stalled struct{ Late time.Duration }

// Drain reads everything that waits in the socket now, gives it in Received, then gives Drained.
type Drain struct{}

func (SendAdvert) action() {}
func (AddVIPs) action()    {}
func (RemoveVIPs) action() {}
func (Announce) action()   {}
func (Transition) action() {}
func (Drop) action()       {}
func (Mismatch) action()   {}
func (Contested) action()  {}
func (Stalled) action()    {}
func (Drain) action()      {}

// String returns, for example, "send advert of priority 100".
func (a SendAdvert) String() string { return fmt.Sprintf("send advert of priority %d", a.Priority) }

// String returns "add VIPs".
func (AddVIPs) String() string { return "add VIPs" }

// String returns "remove VIPs".
func (RemoveVIPs) String() string { return "remove VIPs" }

// String returns "announce VIPs".
func (Announce) String() string { return "announce VIPs" }

// String returns, for example, "Backup -> Master: master silent".
func (a Transition) String() string {
	return fmt.Sprintf("%s -> %s: %s", a.From, a.To, a.Reason)
}

// String returns, for example, "drop advert from 192.168.1.3: bad ttl".
func (a Drop) String() string {
	return fmt.Sprintf("drop advert from %s: %s", a.From, a.Reason.String())
}

// String returns, for example, "accept advert from 192.168.1.3 despite different addresses".
func (a Mismatch) String() string {
	return fmt.Sprintf("accept advert from %s despite %s", a.From, a.Reason.String())
}

// String returns, for example, "contested by 192.168.1.3 with priority 50".
func (a Contested) String() string {
	return fmt.Sprintf("contested by %s with priority %d", a.From, a.Priority)
}

// String returns, for example, "stalled for 2s".
func (a Stalled) String() string { return fmt.Sprintf("stalled for %s", a.Late) }

// String returns "drain socket".
func (Drain) String() string { return "drain socket" }
