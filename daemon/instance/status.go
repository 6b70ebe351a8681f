package instance

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/daemon/vrrp"
)

// Status is what is known of an instance at a moment. Counters count from New.
type Status struct {
	Name, Group, Interface string
	VRID                   uint8
	// State, and since when and why.
	State  vrrp.State
	Since  time.Time
	Reason vrrp.Reason
	// Running is since when it is Backup or Master; zero is that it is neither. MasterReason is why it
	// became Master the last time, LastDrop the last of Drops; both are zero before the first.
	Running      time.Time
	MasterReason vrrp.Reason
	LastDrop     vrrp.DropReason
	// Fault is why the instance cannot take part, or zero.
	Fault vrrp.Reason
	// Priority is what it advertises as master.
	Priority uint8
	// Source is where its adverts come from; invalid when the interface has no address.
	Source netip.Addr
	// Leader is the master that a backup follows, or invalid; LeaderPriority is its.
	Leader         netip.Addr
	LeaderPriority uint8
	// VIPs are what the master has.
	VIPs []VIP
	// Sent and Received count adverts; Received only those that Parse accepted. ZeroSent and
	// ZeroReceived are those of priority 0 among them.
	Sent, Received, ZeroSent, ZeroReceived uint64
	// BecameMaster counts transitions to Master, ReleasedMaster those from it.
	BecameMaster, ReleasedMaster uint64
	// Contested counts adverts of lower masters heard by this one: a split brain.
	Contested uint64
	// Stalls counts late steps, and LongestStall is the worst.
	Stalls       uint64
	LongestStall time.Duration
	// Drops counts adverts that were not believed, Mismatches those that were in spite of what
	// they said. Both are nil when there are none. Foreign virtual routers are counted only
	// with Config.HearAll: on a real link the kernel keeps them away.
	Drops, Mismatches map[vrrp.DropReason]uint64
	// Restored counts VIPs that somebody had deleted and that were put back at once.
	Restored uint64
	// Errors counts failures of the kernel's side, and LastError is the last one, or empty.
	Errors    uint64
	LastError string
	// ErrorsSince and LastErrorAt are when failures began, with never more than a minute between
	// two, and when the last one was.
	ErrorsSince, LastErrorAt time.Time
	// Mute is what keeps adverts from leaving, for longer than an interval by now; nil: nothing.
	Mute *Mute
	// Conditions are what is wrong on the network now, Differences what is wrong with adverts that
	// are believed all the same. Both are nil when there is nothing.
	Conditions, Differences []vrrp.Condition
}

// Mute is the condition that adverts do not leave: a firewall, a full queue, a missing route. To the
// network the master is dead. It ends with the first advert that leaves, to everybody, and with the
// mastership.
type Mute struct {
	// Since is when the first of the adverts was lost that did not leave in a row, Last that of the
	// last one, Count how many they are.
	Since, Last time.Time
	Count       uint64
	// Err is what the kernel said to the last one.
	Err string
}

// errorMemory is how long a failure is taken for one of a row.
const errorMemory = time.Minute

// clone returns s with maps of its own.
func (s Status) clone() Status {
	s.Drops, s.Mismatches = maps.Clone(s.Drops), maps.Clone(s.Mismatches)
	return s
}

// Snapshot returns the status of every member, in their order. It may be called at any time, from
// any goroutine.
func (r *Runner) Snapshot() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	all := make([]Status, len(r.members))
	for i, m := range r.members {
		all[i] = m.status.clone()
		m.addLost(&all[i])
		all[i].Mute = m.muteAt(now)
		all[i].Conditions = activeAt(m.conditions, now)
		all[i].Differences = activeAt(m.differences, now)
	}
	return all
}

// Well reports whether a Snapshot would have no Mute, no Conditions, no Differences and no Errors. It
// takes no memory, and is as Snapshot otherwise.
func (r *Runner) Well() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !slices.ContainsFunc(r.members, func(m *member) bool {
		return m.mute.Count > 0 || m.conditions.Any() || m.differences.Any() || m.status.Errors > 0
	})
}

// activeAt returns the conditions that there are at now.
func activeAt(c *vrrp.Conditions, now time.Time) []vrrp.Condition {
	c.Expire(now)
	return c.Active()
}

// muteAt returns the condition if there is one at now.
func (m *member) muteAt(now time.Time) *Mute {
	if m.mute.Count == 0 || now.Sub(m.mute.Since) <= m.muteAfter {
		return nil
	}
	mute := m.mute
	return &mute
}

// noteSent notes whether an advert has left, and tells of a condition that begins or ends.
func (r *Runner) noteSent(m *member, err error) {
	if err == nil && m.mute.Count == 0 && !m.muteTold { // what only the owner changes
		return
	}
	r.mu.Lock()
	before := m.muteAt(r.now)
	m.muteAfter = m.cfg.Router.Interval
	if err == nil {
		m.mute = Mute{}
	} else {
		if m.mute.Count == 0 {
			m.mute.Since = r.now
		}
		m.mute.Last, m.mute.Err = r.now, err.Error()
		m.mute.Count++
	}
	after := m.muteAt(r.now)
	told := m.muteTold
	m.muteTold = after != nil
	r.mu.Unlock()
	switch {
	case after != nil && !told:
		r.warn(m, "adverts do not leave", "since", after.Since, "err", after.Err)
	case err == nil && told:
		r.warn(m, "adverts leave again", "since", before.Since, "count", before.Count)
	}
}

// unmute ends the condition of a member that sends no more.
func (r *Runner) unmute(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.mute, m.muteTold = Mute{}, false
}

// noteCondition notes what an action shows to be wrong, if it shows anything.
func (r *Runner) noteCondition(m *member, now time.Time, a vrrp.Action) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := m.conditions
	if _, believed := a.(vrrp.Mismatch); believed {
		c = m.differences
	}
	c.Expire(now)
	c.NoteAction(now, a)
}

// update changes the status of m under the lock.
func (r *Runner) update(m *member, change func(*Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&m.status)
}

// count raises the counter of reason and returns it.
func count(counters *map[vrrp.DropReason]uint64, reason vrrp.DropReason) uint64 {
	if *counters == nil {
		*counters = map[vrrp.DropReason]uint64{}
	}
	(*counters)[reason]++
	return (*counters)[reason]
}

// loud reports whether the nth of its kind is worth a line: the 1st, 2nd, 4th, 8th and so on, so
// that a peer misconfigured for days does not fill a disk.
func loud(n uint64) bool { return n&(n-1) == 0 }
