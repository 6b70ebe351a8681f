package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// Machine is one virtual router: state, timers and nothing else. Its zero value is of no use; it
// is not safe for concurrent use.
//
// Some rules go beyond RFC 9568. A backup whose timer has run out first has the socket drained, so
// that an advert that is already there is believed before the silence is. The stall rule: a late
// timer is evidence about this process and not about the peer, see stall. And of two owners of the
// addresses, each of which would be master at once whenever it begins, the lower concedes.
type Machine struct {
	cfg    Config
	state  State
	fault  Reason        // why it cannot take part; zero: it can
	owner  bool          // configured with priority 255
	master time.Duration // the master's interval, adopted from its adverts in V3

	leader         netip.Addr // whom a backup follows; invalid: nobody
	leaderPriority uint8

	// expiry is the Active_Down_Timer in Backup, the Adver_Timer in Master, the end of patience
	// when leaving; zero: not running.
	expiry     time.Time
	announceAt [AnnounceLower + 1]time.Time // when to announce, by cause; zero: not
	// letGoAt is until when an outranked backup keeps its VIPs; zero: it has none.
	letGoAt time.Time
	// notBefore is when silence begins to mean anything.
	notBefore time.Time
	preemptAt time.Time // until when a lower master is let be; zero: none heard
	deferring bool      // has stepped down and lets any master be
	cause     Reason    // what expiry would mean in Backup and when leaving
	doubting  bool      // grace begins anew with Drained
	doubts    int       // how often in this silence
	// leaveTo is what a master that has resigned and waits for its successor will be, Initialize
	// or Faulty; zero: it has not.
	leaveTo  State
	lastFrom netip.Addr // who sent the advert before this one
	// givesWayUntil is until when silence is not believed after the Group has had to yield.
	givesWayUntil time.Time
	// calmUntil is until when a master does not answer adverts.
	calmUntil time.Time

	grouped  bool // expiry in Backup claims; the Group decides
	claiming bool // a backup that would be master

	out []Action
}

// NewMachine returns a Machine in Initialize. The error is Validate's.
func NewMachine(cfg Config) (*Machine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("make virtual router %d: %w", cfg.VRID, err)
	}
	cfg = cfg.withDefaults()
	return &Machine{
		cfg: cfg, state: Initialize, fault: cfg.lasting(),
		owner: cfg.Priority == PriorityOwner, master: cfg.Interval,
	}, nil
}

// State returns what m is. A leaving master is Master until it has let go of its VIPs.
func (m *Machine) State() State { return m.state }

// Priority returns the priority that m advertises as master.
func (m *Machine) Priority() uint8 { return m.cfg.Priority }

// FaultReason returns why m cannot take part, or zero.
func (m *Machine) FaultReason() Reason { return m.fault }

// Leader returns the address and priority of the master that m follows as a backup, or an invalid
// address and 0 when it follows nobody.
func (m *Machine) Leader() (netip.Addr, uint8) { return m.leader, m.leaderPriority }

// Advert returns the advert that SendAdvert with priority stands for.
func (m *Machine) Advert(priority uint8) Advert { return m.cfg.advert(priority) }

// Deadline returns when m wants Timeout, or the zero time when it waits for other events only.
func (m *Machine) Deadline() time.Time {
	first := earlier(m.expiry, m.letGoAt)
	for _, at := range m.announceAt {
		first = earlier(first, at)
	}
	return first
}

// Step tells m that ev happened at now and returns what to do about it, in order. The slice is the
// caller's. now must not go back. An event of a foreign type is a broken invariant and panics.
func (m *Machine) Step(now time.Time, ev Event) []Action {
	m.handle(now, ev)
	out := m.out
	m.out = nil
	return out
}

// handle adds to out what is to be done about ev.
func (m *Machine) handle(now time.Time, ev Event) {
	m.stall(now)
	switch ev := ev.(type) {
	case Startup:
		m.startup(now, ev)
	case Leave:
		m.leave(now)
	case Shutdown:
		m.shutdown()
	case Timeout:
		m.timeout(now)
	case Received:
		m.receive(now, ev)
	case Drained:
		m.drained(now)
	case Fault:
		m.fail(now, ev)
	case Recovered:
		m.recover(now)
	case StepDown:
		m.stepDown(now)
	case SetPriority:
		m.setPriority(ev.Priority)
	case SetSource:
		m.cfg.Source = ev.Source
	default:
		panic(fmt.Sprintf("vrrp: step with foreign event %T", ev))
	}
}

// do adds to what this step returns.
func (m *Machine) do(actions ...Action) { m.out = append(m.out, actions...) }

// stall looks at how late m is stepped, whatever the event. A late backup cannot know whether the
// master was silent or itself deaf: it reads what the socket holds and listens for a grace period.
// A late master says so; if it slept so long that another may be master by now, it steps back and
// has itself elected again before it touches traffic.
func (m *Machine) stall(now time.Time) {
	if m.expiry.IsZero() || m.Leaving() {
		return
	}
	late := now.Sub(m.expiry)
	if late <= m.cfg.tolerance(m.master) {
		return
	}
	m.do(Stalled{late})
	switch {
	case m.state == Backup:
		m.doubt(now)
	case late+m.cfg.Interval >= m.cfg.asleep():
		m.toBackup(now, ReasonStall)
		m.doubt(now)
	}
}

// doubt has the socket drained and gives the master a grace period to be heard in. On a host whose
// timers are always late that would never end, so who has heard no master for several such periods
// believes the silence.
func (m *Machine) doubt(now time.Time) {
	if m.doubts == doubtsMost {
		return
	}
	m.doubts++
	m.claiming = false
	m.doubting = true
	m.expiry = m.after(now, m.cfg.grace(m.master))
	m.do(Drain{})
}

// startup leaves Initialize.
//
// RFC 9568, Section 6.4.1: "If the priority = 255 (…) Send an ADVERTISEMENT (…) Transition to the
// {Active} state. Else (…) Set Active_Down_Timer to Active_Down_Interval. Transition to the
// {Backup} state."
func (m *Machine) startup(now time.Time, ev Startup) {
	if m.state != Initialize {
		return
	}
	m.notBefore, m.deferring = ev.NotBefore, false
	switch {
	case m.fault != 0:
		m.do(RemoveVIPs{})
		m.transition(Faulty, m.fault)
	case ev.Resume:
		m.toMaster(now, ReasonResumed)
	default:
		m.begin(now, ReasonStartup)
	}
}

// begin enters Backup, or Master if m owns the addresses and is alone. An owner that has to wait
// does so as a backup.
func (m *Machine) begin(now time.Time, reason Reason) {
	owner, early := m.cfg.Priority == PriorityOwner, now.Before(m.notBefore)
	if owner && !m.grouped && !early {
		m.toMaster(now, ReasonOwner)
		return
	}
	if m.state == Initialize {
		m.do(RemoveVIPs{})
	}
	m.toBackup(now, reason)
	if owner {
		m.cause = ReasonOwner
		m.expiry = m.after(now, 0)
	}
	if owner && !early {
		m.claim(now)
	}
}

// after returns when a wait of d is over that begins now, but not before silence means anything.
func (m *Machine) after(now time.Time, d time.Duration) time.Time {
	if now.Before(m.notBefore) {
		now = m.notBefore
	}
	return now.Add(d)
}

// timeout does what is due.
func (m *Machine) timeout(now time.Time) {
	m.announce(now)
	if due(m.letGoAt, now) {
		m.letGo()
	}
	switch {
	case !due(m.expiry, now):
	case m.Leaving():
		m.depart(m.cause)
	case m.state == Master:
		m.advertise(now)
	default:
		m.do(Drain{})
	}
}

// announce announces what is due.
func (m *Machine) announce(now time.Time) {
	for cause, at := range m.announceAt {
		if due(at, now) {
			m.announceAt[cause] = time.Time{}
			m.do(Announce{AnnounceCause(cause)})
			if AnnounceCause(cause) == AnnounceRefresh {
				m.announceIn(now, AnnounceRefresh, m.cfg.AnnounceRefresh)
			}
		}
	}
}

// announceIn has the VIPs announced after a while, if that is not coming yet and not never.
func (m *Machine) announceIn(now time.Time, cause AnnounceCause, after time.Duration) {
	if after > 0 && m.announceAt[cause].IsZero() {
		m.announceAt[cause] = now.Add(after)
	}
}

// advertise sends the advert that is due and keeps the cadence of those before it.
func (m *Machine) advertise(now time.Time) {
	m.do(SendAdvert{m.cfg.Priority})
	m.expiry = m.expiry.Add(m.cfg.Interval)
	if !m.expiry.After(now) {
		m.expiry = now.Add(m.cfg.Interval)
	}
}

// drained believes the silence, now that nothing is left unread.
func (m *Machine) drained(now time.Time) {
	switch {
	case m.state != Backup:
	case m.doubting:
		m.doubting = false
		m.expiry = m.after(now, m.cfg.grace(m.master))
	case due(m.expiry, now):
		m.claim(now)
	}
}

// claim makes a lone backup master; a grouped one has its Group asked.
func (m *Machine) claim(now time.Time) {
	if m.grouped {
		m.claiming = true
		m.expiry = time.Time{}
		return
	}
	m.toMaster(now, m.cause)
}

func (m *Machine) setPriority(p uint8) {
	if !m.owner {
		m.changePriority(min(max(p, 1), PriorityOwner-1))
	}
}

// concede gives up the standing of an owner to another one that outranks it, or each would be
// master at once whenever it begins.
func (m *Machine) concede() { m.changePriority(PriorityOwner - 1) }

// conceded reports whether m was an owner and is one no more.
func (m *Machine) conceded() bool { return m.owner && m.cfg.Priority != PriorityOwner }

func (m *Machine) changePriority(p uint8) {
	if p != m.cfg.Priority {
		m.do(PriorityChanged{m.cfg.Priority, p})
		m.cfg.Priority = p
	}
}

// toMaster takes the VIPs.
//
// RFC 9568, Section 6.4.2: "Send an ADVERTISEMENT. (…) broadcast a gratuitous ARP message (…) Set
// the Adver_Timer to Advertisement_Interval. Transition to the {Active} state."
func (m *Machine) toMaster(now time.Time, reason Reason) {
	m.reset()
	m.letGoAt, m.deferring = time.Time{}, false
	m.do(SendAdvert{m.cfg.Priority}, AddVIPs{}, Announce{})
	m.expiry = now.Add(m.cfg.Interval)
	m.announceIn(now, AnnounceAgain, m.cfg.AnnounceDelay)
	m.announceIn(now, AnnounceRefresh, m.cfg.AnnounceRefresh)
	m.transition(Master, reason)
}

// toBackup lets go of the VIPs and listens.
func (m *Machine) toBackup(now time.Time, reason Reason) {
	m.letGo()
	m.listen(now, reason)
}

// yield listens at once and lets go of the VIPs a little later: who outranks us sends its advert
// before it adds them, and until it has, requests are served only here. Nothing is advertised
// meanwhile.
func (m *Machine) yield(now time.Time, reason Reason) {
	m.listen(now, reason)
	m.letGoAt = now.Add(linger)
}

// listen waits for adverts as a backup.
func (m *Machine) listen(now time.Time, reason Reason) {
	m.reset()
	m.cause = ReasonSilence
	m.expiry = m.after(now, m.cfg.down(m.master))
	m.transition(Backup, reason)
}

// reset forgets what only the present state needs.
func (m *Machine) reset() {
	m.master = m.cfg.Interval
	m.expiry, m.preemptAt = time.Time{}, time.Time{}
	m.calmUntil, m.givesWayUntil = time.Time{}, time.Time{}
	clear(m.announceAt[:])
	m.cause, m.leaveTo, m.claiming = 0, 0, false
	m.doubting, m.doubts = false, 0
	m.leader, m.leaderPriority = netip.Addr{}, 0
}

func (m *Machine) transition(to State, reason Reason) {
	m.do(Transition{m.state, to, reason})
	m.state = to
}

// due reports whether the timer t has run out; a zero one is not running.
func due(t, now time.Time) bool { return !t.IsZero() && !t.After(now) }

// earlier returns the timer that runs out first; a zero one is not running.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
