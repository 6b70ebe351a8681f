package vrrp

import (
	"net/netip"
	"slices"
	"time"
)

// receive acts on an advert in Backup and Master; elsewhere there is nothing to decide.
func (m *Machine) receive(now time.Time, ev Received) {
	if m.state != Backup && m.state != Master {
		return
	}
	if reason := m.refuse(ev); reason != 0 {
		m.do(Drop{reason, ev.From})
		return
	}
	if ev.Advert.Interval != m.cfg.Interval {
		m.do(Mismatch{DropInterval, ev.From})
	}
	if !sameAddrs(ev.Advert.Addrs, m.cfg.Addrs) {
		m.do(Mismatch{DropAddresses, ev.From})
	}
	switch {
	case m.leaving:
		m.receiveLeaving(now, ev)
	case m.state == Master:
		m.receiveMaster(now, ev)
	default:
		m.receiveBackup(now, ev)
	}
}

// refuse returns why ev is not believed, or zero.
//
// RFC 9568, Section 7.1, and RFC 3768, Section 7.1, which for VRRPv2 "MUST verify that the Adver
// Interval in the packet is the same as the locally configured for this virtual router".
func (m *Machine) refuse(ev Received) DropReason {
	a := ev.Advert
	switch {
	case !m.cfg.Unicast && ev.TTL != TTL:
		return DropTTL
	case a.VRID != m.cfg.VRID:
		return DropVRID
	case a.Version != m.cfg.Version:
		return DropVersion
	case a.Version == V2 && a.Auth != m.cfg.Auth:
		return DropAuthType
	case a.Version == V2 && a.Password != m.cfg.Password:
		return DropPassword
	case a.Version == V2 && a.Interval != m.cfg.Interval:
		return DropInterval
	case ev.From == m.cfg.Source:
		return DropLooped
	}
	return 0
}

// receiveBackup decides whether there is a master to follow.
//
// RFC 9568, Section 6.4.2: "If the Priority in the ADVERTISEMENT is zero: Set the
// Active_Down_Timer to Skew_Time. Else: If Preempt_Mode is False, or if the Priority in the
// ADVERTISEMENT is greater than or equal to the local Priority: Set Active_Adver_Interval to Adver
// Interval contained in the ADVERTISEMENT. (…) Reset the Active_Down_Timer to
// Active_Down_Interval. Else: Discard the ADVERTISEMENT."
func (m *Machine) receiveBackup(now time.Time, ev Received) {
	switch {
	case ev.Advert.Priority == PriorityResign:
		if !m.claiming {
			m.doubting = false
			m.cause = ReasonResigned
			m.expiry = now.Add(m.cfg.skew(m.master))
		}
	case m.preempts(now, ev.Advert.Priority):
		m.cause = ReasonPreempt
	default:
		m.follow(now, ev)
	}
}

// preempts reports whether a master of this priority is to be replaced, and keeps the time for
// which a lower one is let be.
func (m *Machine) preempts(now time.Time, priority uint8) bool {
	owner := m.cfg.Priority == PriorityOwner
	if priority >= m.cfg.Priority || (m.cfg.NoPreempt && !owner) {
		m.preemptAt = time.Time{}
		return false
	}
	if m.preemptAt.IsZero() {
		m.preemptAt = now.Add(m.cfg.PreemptDelay)
	}
	return due(m.preemptAt, now)
}

// follow believes in the master that ev comes from.
func (m *Machine) follow(now time.Time, ev Received) {
	m.leader, m.leaderPriority = ev.From, ev.Advert.Priority
	m.master = ev.Advert.Interval
	m.cause = ReasonSilence
	m.claiming, m.doubting = false, false
	m.expiry = now.Add(m.cfg.down(m.master))
}

// hasten shortens the wait for the master to a grace period: another member of the group has heard
// it resign.
func (m *Machine) hasten(now time.Time) {
	soon := now.Add(m.cfg.grace(m.master))
	if m.state == Backup && !m.claiming && soon.Before(m.expiry) {
		m.expiry = soon
	}
}

// receiveMaster settles who is master.
//
// RFC 9568, Section 6.4.3: "If the Priority in the ADVERTISEMENT is zero: Send an ADVERTISEMENT.
// (…) Else: If the Priority in the ADVERTISEMENT is greater than the local Priority, or if [it] is
// equal to the local Priority and the primary IPvX address of the sender is greater than the local
// primary IPvX address (…): Transition to the {Backup} state. Else: Discard the ADVERTISEMENT and
// immediately send an ADVERTISEMENT to assert the Active state to the sending VRRP Router".
func (m *Machine) receiveMaster(now time.Time, ev Received) {
	theirs, ours := ev.Advert.Priority, m.cfg.Priority
	switch {
	case theirs == PriorityResign:
		m.assert(now)
	case theirs > ours, theirs == ours && m.cfg.Source.Less(ev.From):
		m.yield(now, ReasonOutranked)
		m.follow(now, ev)
	default:
		m.do(Contested{ev.From, theirs})
		m.assert(now)
		m.do(Announce{})
	}
}

// assert sends an advert out of turn.
func (m *Machine) assert(now time.Time) {
	m.do(SendAdvert{m.cfg.Priority})
	m.expiry = now.Add(m.cfg.Interval)
}

// receiveLeaving ends the wait of a leaving master soon after somebody else is master: the advert
// is sent before the VIPs are added.
func (m *Machine) receiveLeaving(now time.Time, ev Received) {
	if ev.Advert.Priority == PriorityResign || m.cause == ReasonSuccessor {
		return
	}
	m.cause = ReasonSuccessor
	if soon := now.Add(linger); soon.Before(m.expiry) {
		m.expiry = soon
	}
}

// sameAddrs compares as sets: the order of a list means nothing to its reader.
func sameAddrs(a, b []netip.Addr) bool {
	if slices.Equal(a, b) {
		return true
	}
	return slices.Equal(slices.SortedFunc(slices.Values(a), netip.Addr.Compare),
		slices.SortedFunc(slices.Values(b), netip.Addr.Compare))
}
