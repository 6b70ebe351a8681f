package guard

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// How patient the guard is.
const (
	// resumeLimit is how long the guard stands in for claims that no worker has taken up. It is
	// shorter than any lease.
	resumeLimit = 2 * time.Second
	// lifetime is how long a worker has to live for its death to be the first one again.
	lifetime = time.Minute
	// firstRest is how long a worker that died twice is let be, lastRest how long after more.
	firstRest, lastRest = time.Second, time.Minute
	// stopLimit is how long a worker may take to stop, beside its patience for successors.
	stopLimit = 30 * time.Second
)

// phase is what the guard is about. Its zero value is before Begin.
type phase uint8

const (
	idle phase = iota
	// working has a worker that is meant to work.
	working
	// stopping has one that was told to stop.
	stopping
	// leaving has none, and hands over its claims.
	leaving
	// resting has none, and waits until it starts one.
	resting
	over
)

// Machine is the guard's decisions and nothing else. Its zero value is a guard before Begin; it is
// not safe for concurrent use.
type Machine struct {
	phase  phase
	claims map[string]*claim

	ready   bool // the worker has said so
	resumed bool // the worker was given the ledger
	killed  bool // the worker has been killed and has not ended yet
	started time.Time
	alive   time.Time // the worker's last sign of life
	beating bool      // it has beaten, so another beat has to follow
	spared  bool      // it has been silent, but nobody has stopped it
	// limit is when a resumed worker must have taken up its claims, or a stopping one have ended;
	// zero is never.
	limit time.Time

	died  time.Time // when the last worker that was not told to end did
	rest  time.Duration
	wake  time.Time // the end of a rest
	exits bool      // nothing is to be started any more
	exit  int       // the status

	// surveyed says that least is what down returns and next the first of the claims', which beats
	// do not change: there may be a thousand claims, and a beat is all that comes for days.
	surveyed bool
	least    time.Duration
	next     time.Time

	out []Action
}

// claim is a claim in the ledger.
type claim struct {
	Claim
	// orphan is that the worker which claimed it is dead and no other has claimed it since.
	orphan bool
	// next is when to advertise it again, or when to withdraw it when leaving; zero: never.
	next time.Time
	// heard is that its successor has been.
	heard bool
}

// Step tells m that ev happened at now and returns what to do about it, in order.
func (m *Machine) Step(now time.Time, ev Event) []Action {
	if _, beat := ev.(Beat); !beat {
		m.surveyed = false
	}
	switch ev := ev.(type) {
	case Begin:
		if m.phase == idle {
			m.start(now, false)
		}
	case Claimed:
		m.alive = now
		m.claim(ev.Claim)
	case Released:
		delete(m.claims, ev.Name)
	case Beat:
		m.alive, m.beating, m.spared = now, true, false
	case Ready:
		m.alive = now
		m.settle()
	case Ended:
		m.ended(now, ev)
	case Inspected:
		m.inspected(now, ev.Stopped)
	case Heard:
		m.heard(now, ev.Name)
	case Stop:
		m.stop(now)
	case Timeout:
		m.timeout(now)
	default:
		panic(fmt.Sprintf("guard: step with foreign event %T", ev))
	}
	out := m.out
	m.out = nil
	return out
}

// Claims returns the claims of the ledger, by name.
func (m *Machine) Claims() []Claim {
	all := make([]Claim, 0, len(m.claims))
	for _, name := range m.names() {
		all = append(all, m.claims[name].Claim)
	}
	return all
}

// Deadline returns when m wants Timeout, or the zero time.
func (m *Machine) Deadline() time.Time {
	var first time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	m.survey()
	switch m.phase {
	case working, stopping:
		sooner(m.limit)
		sooner(m.silentWith(m.least))
	case resting:
		sooner(m.wake)
	case idle, leaving, over:
	}
	sooner(m.next)
	return first
}

// survey looks at all claims, unless they are as they were.
func (m *Machine) survey() {
	if m.surveyed {
		return
	}
	m.surveyed, m.least, m.next = true, m.down(), time.Time{}
	for _, c := range m.claims {
		if !c.next.IsZero() && (m.next.IsZero() || c.next.Before(m.next)) {
			m.next = c.next
		}
	}
}

// silent returns when the worker has been silent for too long; zero is never.
func (m *Machine) silent() time.Time { return m.silentWith(m.down()) }

// silentWith is silent if down is as given.
func (m *Machine) silentWith(down time.Duration) time.Time {
	if !m.beating || m.killed {
		return time.Time{}
	}
	return m.alive.Add(m.silenceWith(down))
}

// silence is how long the worker may be silent.
func (m *Machine) silence() time.Duration { return m.silenceWith(m.down()) }

// silenceWith is silence if down is as given.
func (m *Machine) silenceWith(down time.Duration) time.Duration {
	if m.spared {
		return maxSilence
	}
	return SilenceFor(down)
}

// down is the shortest silence after which a peer takes over any claim; zero without claims.
func (m *Machine) down() time.Duration {
	var least time.Duration
	for _, c := range m.claims {
		if least == 0 || c.Down < least {
			least = c.Down
		}
	}
	return least
}

func (m *Machine) do(actions ...Action) { m.out = append(m.out, actions...) }

func (m *Machine) names() []string { return slices.Sorted(maps.Keys(m.claims)) }

// start has a worker started.
func (m *Machine) start(now time.Time, resume bool) {
	m.phase, m.ready, m.resumed, m.killed = working, false, resume, false
	m.started, m.alive, m.beating, m.spared = now, now, false, false
	m.limit = time.Time{}
	m.do(Start{resume})
}

func (m *Machine) claim(c Claim) {
	if m.claims == nil {
		m.claims = map[string]*claim{}
	}
	m.claims[c.Name] = &claim{Claim: c}
	m.limitOrphans()
}

// limitOrphans ends the standing in if nothing is left to stand in for.
func (m *Machine) limitOrphans() {
	for _, c := range m.claims {
		if c.orphan {
			return
		}
	}
	if m.phase == working {
		m.limit = time.Time{}
	}
}

// settle withdraws what a resumed worker has not taken up: it had its reasons.
func (m *Machine) settle() {
	m.ready = true
	for _, name := range m.names() {
		if c := m.claims[name]; c.orphan {
			m.do(Tell{Text: "not taken up: " + name}, Resign{c.Claim}, Withdraw{c.Claim})
			delete(m.claims, name)
		}
	}
	m.limitOrphans()
}

// ended decides what the end of the worker means.
func (m *Machine) ended(now time.Time, ev Ended) {
	if m.phase != working && m.phase != stopping {
		return
	}
	again := !m.died.IsZero() && now.Sub(m.died) < lifetime
	stopped, killed := m.phase == stopping, m.killed
	m.died, m.killed = now, false
	if now.Sub(m.started) >= lifetime {
		m.rest = 0
	}
	switch {
	case stopped:
		m.exits = true
		if !killed && !ev.Signaled {
			m.exit = ev.Status
		}
		m.leave(now, 0)
	case !m.ready && !m.resumed && m.rest == 0 && !ev.Signaled && len(m.claims) == 0:
		m.exits, m.exit = true, ev.Status // it could not start: its status says why
		m.leave(now, 0)
	case ev.Status == 0:
		// Somebody has stopped the worker alone. Who stops all of them will tell the guard in a
		// moment.
		m.do(Tell{Text: "worker stopped without being told to"})
		m.leave(now, firstRest)
	case again:
		m.rest = min(max(2*m.rest, firstRest), lastRest)
		m.do(Tell{"worker ended again; handing over", ev.Status, m.rest})
		m.leave(now, m.rest)
	case len(m.claims) > 0 && now.Sub(m.alive) >= m.down():
		m.do(Tell{"worker ended after a silence; handing over", ev.Status, now.Sub(m.alive)})
		m.leave(now, 0)
	default:
		m.do(Tell{Text: "worker ended; another one goes on", Status: ev.Status})
		m.standIn(now)
		m.start(now, true)
		if len(m.claims) > 0 {
			m.limit = now.Add(resumeLimit)
		}
	}
}

// standIn advertises what the ended worker claimed, from now on.
func (m *Machine) standIn(now time.Time) {
	for _, name := range m.names() {
		c := m.claims[name]
		c.orphan, c.next = true, now.Add(c.Interval)
		m.do(Advertise{c.Claim})
	}
}

// leave hands over all claims; then the guard exits, or starts another worker after a rest.
func (m *Machine) leave(now time.Time, rest time.Duration) {
	m.phase = leaving
	m.wake = now.Add(rest)
	for _, name := range m.names() {
		c := m.claims[name]
		c.orphan, c.heard, c.next = true, false, now.Add(c.Patience)
		m.do(Listen{c.Claim}, Resign{c.Claim})
	}
	m.left(now)
}

// left goes on when nothing is left to hand over.
func (m *Machine) left(now time.Time) {
	switch {
	case m.phase != leaving || len(m.claims) > 0:
	case m.exits:
		m.phase = over
		m.do(Exit{m.exit})
	case m.wake.After(now):
		m.phase = resting
	default:
		m.start(now, false)
	}
}

// heard shortens the wait for a successor.
func (m *Machine) heard(now time.Time, name string) {
	c := m.claims[name]
	if m.phase != leaving || c == nil || c.heard {
		return
	}
	c.heard = true
	if soon := now.Add(linger); soon.Before(c.next) {
		c.next = soon
	}
}

// stop ends everything.
func (m *Machine) stop(now time.Time) {
	m.exits = true
	switch m.phase {
	case working:
		m.phase = stopping
		var patience time.Duration
		for _, c := range m.claims {
			patience = max(patience, c.Patience)
		}
		m.limit = now.Add(stopLimit + patience)
		if !m.killed {
			m.do(Terminate{})
		}
	case idle, resting:
		m.phase = leaving
		m.left(now)
	case stopping, leaving, over:
	}
}

// timeout does what is due.
func (m *Machine) timeout(now time.Time) {
	switch m.phase {
	case working, stopping:
		m.watch(now)
		m.advertise(now)
	case leaving:
		for _, name := range m.names() {
			if c := m.claims[name]; due(c.next, now) {
				m.do(Withdraw{c.Claim})
				delete(m.claims, name)
			}
		}
		m.left(now)
	case resting:
		if due(m.wake, now) {
			m.start(now, false)
		}
	case idle, over:
	}
}

// watch kills a worker that stands still or takes too long. A late timer is evidence about the
// guard: then nobody has run, and the worker is heard first.
func (m *Machine) watch(now time.Time) {
	if due(m.limit, now) && !m.killed {
		m.do(Tell{Text: "worker takes too long; killing it"})
		m.kill()
	}
	silent := m.silent()
	if !due(silent, now) {
		return
	}
	if late := now.Sub(silent); late > SilenceFor(m.down())/2 {
		m.do(Tell{Text: "guard stalled", After: late})
		m.alive = now
		return
	}
	m.do(Inspect{})
}

// inspected kills a silent worker that was stopped. Any other is silent for want of time, as others
// would be, until it has been for so long that it must hang.
func (m *Machine) inspected(now time.Time, stopped bool) {
	if m.killed || !due(m.silent(), now) {
		return
	}
	if !stopped && m.silence() < maxSilence {
		m.spared = true
		return
	}
	m.do(Tell{Text: "worker stands still; killing it", After: now.Sub(m.alive)})
	m.kill()
}

func (m *Machine) kill() {
	m.killed, m.limit = true, time.Time{}
	m.do(Kill{})
}

// advertise sends what is due for a worker that is not there yet.
func (m *Machine) advertise(now time.Time) {
	for _, name := range m.names() {
		c := m.claims[name]
		if !c.orphan || !due(c.next, now) {
			continue
		}
		m.do(Advertise{c.Claim})
		if c.next = c.next.Add(c.Interval); !c.next.After(now) {
			c.next = now.Add(c.Interval)
		}
	}
}

// due reports whether the timer t has run out; a zero one is not running.
func due(t, now time.Time) bool { return !t.IsZero() && !t.After(now) }
