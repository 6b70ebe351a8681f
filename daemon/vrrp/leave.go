package vrrp

import "time"

// Leaving reports whether m is a master that has resigned and keeps its VIPs for its successor.
func (m *Machine) Leaving() bool { return m.leaveTo != 0 }

// leave begins the handing over of a master, and ends the life of any other Machine.
func (m *Machine) leave(now time.Time) {
	switch {
	case m.state != Master:
		m.shutdown()
	case m.Leaving():
		m.leaveTo = Initialize
	default:
		m.resign(now, Initialize)
	}
}

// resign tells the backups that m gives up and begins the wait for one of them.
func (m *Machine) resign(now time.Time, to State) {
	m.do(SendAdvert{PriorityResign})
	m.leaveTo, m.cause = to, ReasonNoSuccessor
	clear(m.announceAt[:])
	m.expiry = now.Add(m.cfg.patience())
}

// stepDown has a master be a backup that lets any master be.
func (m *Machine) stepDown(now time.Time) {
	if m.state != Master || m.Leaving() {
		return
	}
	m.do(SendAdvert{PriorityResign})
	m.toBackup(now, ReasonSteppedDown)
	m.deferring = true
}

// shutdown ends the life of m at once.
func (m *Machine) shutdown() {
	if m.state == Master && !m.Leaving() {
		m.do(SendAdvert{PriorityResign})
	}
	m.leaveTo = Initialize
	m.depart(ReasonShutdown)
}

// depart lets go of everything and goes where m was leaving to.
func (m *Machine) depart(reason Reason) {
	to := m.leaveTo
	m.leaveTo = 0
	if m.state == Initialize {
		return
	}
	if to == Faulty {
		reason = m.fault
	}
	m.letGo()
	m.reset()
	m.transition(to, reason)
}

// letGo removes the VIPs of one who still has them.
func (m *Machine) letGo() {
	if m.state == Master || !m.letGoAt.IsZero() {
		m.do(RemoveVIPs{})
	}
	m.letGoAt = time.Time{}
}

// fail enters Fault, at once or as leave does. The resignation is sent in any case: the reason may
// lie elsewhere than in the interface, and then the peer need not wait for silence.
func (m *Machine) fail(now time.Time, f Fault) {
	m.fault = f.Reason
	switch {
	case m.Leaving() && f.Graceful, m.state == Initialize, m.state == Faulty:
		return
	case m.Leaving():
		m.depart(f.Reason)
		return
	case m.state == Master && f.Graceful:
		m.resign(now, Faulty)
		return
	case m.state == Master:
		m.do(SendAdvert{PriorityResign})
	}
	m.leaveTo = Faulty
	m.depart(f.Reason)
}

// stays reports whether m, in Fault and not gone so far, can go on being master once it recovers:
// nobody has taken over and its patience is not at an end.
func (m *Machine) stays(now time.Time) bool {
	return m.leaveTo == Faulty && m.cause != ReasonSuccessor && !due(m.expiry, now)
}

// recover leaves Fault as startup leaves Initialize. Whoever has not come so far stays master if
// nobody has taken over, or else lets go as one who is outranked.
func (m *Machine) recover(now time.Time) {
	stays := m.stays(now)
	if m.leaveTo == Faulty && due(m.expiry, now) {
		m.depart(m.fault)
	}
	m.fault = m.cfg.lasting()
	switch {
	case m.fault != 0:
	case m.state == Faulty:
		m.deferring = false
		m.begin(now, ReasonRecovered)
	case stays:
		m.leaveTo, m.cause = 0, 0
		m.assert(now)
		m.announceIn(now, AnnounceRefresh, m.cfg.AnnounceRefresh)
	case m.leaveTo == Faulty:
		until := m.expiry // not for longer than without Recovered
		m.yield(now, ReasonOutranked)
		m.letGoAt = until
	}
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
