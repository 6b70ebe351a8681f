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

// Announce tells the neighbours where the VIPs are, by gratuitous ARP or unsolicited NA. How often
// it repeats itself is the driver's business and may depend on Cause.
type Announce struct{ Cause AnnounceCause }

// AnnounceCause says why VIPs are announced.
type AnnounceCause uint8

// The causes. AnnounceMaster is the zero value, for it is what Announce has always meant.
const (
	// AnnounceMaster is a new master, or one that has resumed.
	AnnounceMaster AnnounceCause = iota // new master
	// AnnounceAgain is Config.AnnounceDelay after that.
	AnnounceAgain // again
	// AnnounceRefresh is every Config.AnnounceRefresh.
	AnnounceRefresh // refresh
	// AnnounceLower is a master of lower standing that was heard, at once and
	// Config.LowerPrioAnnounceDelay later.
	AnnounceLower // lower master
)

// Transition tells a change of state that has been decided; the actions before it carry it out.
type Transition struct {
	From, To State
	Reason   Reason
}

// Drop tells that a received advert was not believed. Without an advert, when Parse has refused the
// packet, it is only Reason and From.
type Drop struct {
	Reason DropReason
	From   netip.Addr
	// Priority and Interval are the advert's.
	Priority uint8
	Interval time.Duration
	// Got and Want are what the advert said and what it should have, in words for the operator;
	// empty when Reason says it all, or when it is a password.
	Got, Want string
}

// Mismatch tells that a received advert was believed although it shows that its sender is
// configured differently. The fields are Drop's.
type Mismatch Drop

// Contested tells that another router acts as master of lower standing than this one: the network
// was split or still is.
type Contested struct {
	From     netip.Addr
	Priority uint8
}

// PriorityChanged tells that the Machine's priority is another from now on: by SetPriority, or
// because it has met another owner of the addresses.
type PriorityChanged struct{ From, To uint8 }

// Stalled tells that the Machine was stepped Late after its deadline: this process, or the whole
// host, did not run.
type Stalled struct{ Late time.Duration }

// Drain reads everything that waits in the socket now, gives it in Received, then gives Drained.
type Drain struct{}

func (SendAdvert) action()      {}
func (AddVIPs) action()         {}
func (RemoveVIPs) action()      {}
func (Announce) action()        {}
func (Transition) action()      {}
func (Drop) action()            {}
func (Mismatch) action()        {}
func (Contested) action()       {}
func (Stalled) action()         {}
func (PriorityChanged) action() {}
func (Drain) action()           {}

// String returns, for example, "send advert of priority 100".
func (a SendAdvert) String() string { return fmt.Sprintf("send advert of priority %d", a.Priority) }

// String returns "add VIPs".
func (AddVIPs) String() string { return "add VIPs" }

// String returns "remove VIPs".
func (RemoveVIPs) String() string { return "remove VIPs" }

// String returns "announce VIPs" and, but for a new master, why: "announce VIPs: refresh".
func (a Announce) String() string {
	if a.Cause == AnnounceMaster {
		return "announce VIPs"
	}
	return "announce VIPs: " + a.Cause.String()
}

// String returns, for example, "Backup -> Master: master silent".
func (a Transition) String() string {
	return fmt.Sprintf("%s -> %s: %s", a.From, a.To, a.Reason)
}

// String returns, for example, "drop advert from 192.168.1.3: bad ttl: got 254, want 255".
func (a Drop) String() string {
	return fmt.Sprintf("drop advert from %s: %s%s", a.From, a.Reason.String(), a.evidence())
}

// String returns, for example, "accept advert from 192.168.1.3 despite wrong interval: got 2s,
// want 1s".
func (a Mismatch) String() string {
	return fmt.Sprintf("accept advert from %s despite %s%s",
		a.From, a.Reason.String(), Drop(a).evidence())
}

// evidence returns ": got …, want …", or nothing.
func (a Drop) evidence() string {
	if a.Got == "" && a.Want == "" {
		return ""
	}
	return fmt.Sprintf(": got %s, want %s", a.Got, a.Want)
}

// String returns, for example, "contested by 192.168.1.3 with priority 50".
func (a Contested) String() string {
	return fmt.Sprintf("contested by %s with priority %d", a.From, a.Priority)
}

// String returns, for example, "priority 150 -> 100".
func (a PriorityChanged) String() string { return fmt.Sprintf("priority %d -> %d", a.From, a.To) }

// String returns, for example, "stalled for 2s".
func (a Stalled) String() string { return fmt.Sprintf("stalled for %s", a.Late) }

// String returns "drain socket".
func (Drain) String() string { return "drain socket" }
