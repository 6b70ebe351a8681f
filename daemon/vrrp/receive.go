package vrrp

import (
	"net/netip"
	"time"
)

// receive acts on an advert in Backup and Master; elsewhere there is nothing to decide.
func (m *Machine) receive(now time.Time, ev Received) {
	if m.state != Backup && m.state != Master {
		return
	}
	if d := m.refuse(ev); d.Reason != 0 {
		m.do(d)
		return
	}
	m.compare(ev)
	m.lastFrom = ev.From
	switch {
	case m.Leaving():
		m.receiveLeaving(now, ev)
	case m.state == Master:
		m.receiveMaster(now, ev)
	default:
		m.receiveBackup(now, ev)
	}
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
			m.expiry = m.after(now, m.turn(ev.From))
		}
	case m.preempts(now, ev.Advert.Priority):
		m.cause = ReasonPreempt
	default:
		m.follow(now, ev)
	}
}

// turn is how long after a resignation to take over. One who is not the master may resign too, and
// then the master has until our turn to say that it is there.
func (m *Machine) turn(from netip.Addr) time.Duration {
	if from != m.leader {
		return m.cfg.skew(m.master)
	}
	return m.cfg.succession(m.master)
}

// preempts reports whether a master of this priority is to be replaced, and keeps the time for
// which a lower one is let be.
func (m *Machine) preempts(now time.Time, priority uint8) bool {
	modest := m.deferring || (m.cfg.NoPreempt && m.cfg.Priority != PriorityOwner)
	if priority >= m.cfg.Priority || modest {
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
	m.claiming, m.doubting, m.doubts = false, false, 0
	m.expiry = m.after(now, m.cfg.down(m.master))
	if m.expiry.Before(m.givesWayUntil) {
		m.expiry = m.givesWayUntil
	}
}

// hasten shortens the wait for the master: another member of the group has heard a router resign,
// as a group does on all its links. If it was the master there, it is master here no more, and
// this member takes its turn as that one does. Otherwise the news may be of somebody else, and the
// master has a grace period to be heard in.
func (m *Machine) hasten(now time.Time, followed bool) {
	soon := m.after(now, m.cfg.grace(m.master))
	if followed {
		soon = m.after(now, m.cfg.succession(m.master))
	}
	if m.state == Backup && !m.claiming && soon.Before(m.expiry) {
		m.cause = ReasonResigned
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
		if m.answers(now) {
			m.assert(now)
		}
	case theirs > ours, theirs == ours && m.cfg.Source.Less(ev.From):
		if m.cfg.HigherPrioSendAdvert {
			m.do(SendAdvert{ours})
		}
		if ours == PriorityOwner {
			m.concede()
		}
		m.yield(now, ReasonOutranked)
		m.follow(now, ev)
	default:
		m.do(Contested{ev.From, theirs})
		m.receiveLower(now)
	}
}

// receiveLower tells a lower master, and the neighbours, who is master.
func (m *Machine) receiveLower(now time.Time) {
	if !m.answers(now) {
		m.announceIn(now, AnnounceLower, m.calmUntil.Sub(now))
		return
	}
	if !m.cfg.LowerPrioNoAdvert {
		m.assert(now)
	}
	m.do(Announce{AnnounceLower})
	m.announceIn(now, AnnounceLower, m.cfg.LowerPrioAnnounceDelay)
}

// answers reports whether to do something about an advert before the next one is due, and if so
// takes care that the next ones are not, for a while: a flood of adverts is not to be answered
// by as many, and by announcements. Who misses an answer hears the next advert.
func (m *Machine) answers(now time.Time) bool {
	if now.Before(m.calmUntil) {
		return false
	}
	m.calmUntil = now.Add(calm)
	return true
}

// assert sends an advert out of turn.
func (m *Machine) assert(now time.Time) {
	m.do(SendAdvert{m.cfg.Priority})
	m.expiry = now.Add(m.cfg.Interval)
}
