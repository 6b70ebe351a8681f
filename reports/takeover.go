package reports

import (
	"slices"
	"time"
)

// VRRP are the protocol's settings of a topology. The zero VRRP: there is none, or it is not known.
type VRRP struct {
	// Version is 2 or 3.
	Version int `json:"version"`
	// Advert is the time between two adverts of a master.
	Advert time.Duration `json:"advert_ns"`
}

// Skew is how long a backup of a priority waits after an advert of priority 0 before it becomes
// master, so that of several the best one comes first.
//
// Source: RFC 3768, Section 6.1; RFC 5798, Section 6.1.
func (v VRRP) Skew(priority int) time.Duration {
	unit := time.Second
	if v.Version == 3 {
		unit = v.Advert
	}
	return time.Duration(256-priority) * unit / 256
}

// MasterDown is how long a backup of a priority waits for the next advert before it becomes master:
// 3 × advert + skew.
func (v VRRP) MasterDown(priority int) time.Duration { return 3*v.Advert + v.Skew(priority) }

// Cause is why VIPs changed hands, as the wire shows it.
type Cause string

// The causes of a Takeover, and what its first phase begins with.
const (
	// Died: the old master's adverts ended without a word. Begins with the last one.
	Died Cause = "died"
	// Left: it sent priority 0. Begins with that.
	Left Cause = "left"
	// Preempted: it was still advertising. Begins with the fault or heal before.
	Preempted Cause = "preempted"
)

// PhaseName names a part of a takeover.
type PhaseName string

// The phases of a takeover, in their order.
const (
	// Detect: until the first outward sign that the new master has made up its mind.
	Detect PhaseName = "detect"
	// Transition: until it advertises for all its virtual routers.
	Transition PhaseName = "transition"
	// Program: until its kernel holds all the VIPs.
	Program PhaseName = "program"
	// Announce: until it has claimed all of them by ARP; only where that was recorded.
	Announce PhaseName = "announce"
	// Serve: until the client that was worst off has an answer; only where a request was lost.
	Serve PhaseName = "first success"
)

// Phase is one part of a takeover. What came out of its turn ends no earlier than the phase before,
// which then took all the time.
type Phase struct {
	Name     PhaseName
	From, To time.Duration
}

// Length is the time from From to To.
func (p Phase) Length() time.Duration { return p.To - p.From }

// Takeover is one change of hands of VIPs that somebody held before.
type Takeover struct {
	// From is who held them, To who took them, VIPs their names in order of the taking.
	From, To string
	VIPs     []string
	Cause    Cause
	// Priority is the new master's, by its adverts; 0: not heard.
	Priority int
	// Trigger is the last fault or heal before, At when that was; empty and zero: there was none.
	Trigger string
	At      time.Duration
	// Phases follow each other without holes; there are at least Detect, Transition and Program.
	Phases []Phase
	// Bound is what the protocol grants Detect: of Died and Preempted the master-down time, of Left
	// the skew. Zero: not known, for lack of the settings or of the priority.
	Bound time.Duration
}

// Length is the time of all phases together.
func (t Takeover) Length() time.Duration {
	return t.Phases[len(t.Phases)-1].To - t.Phases[0].From
}

// Phase returns a phase by its name; false: it was not recorded.
func (t Takeover) Phase(name PhaseName) (Phase, bool) {
	i := slices.IndexFunc(t.Phases, func(p Phase) bool { return p.Name == name })
	if i < 0 {
		return Phase{}, false
	}
	return t.Phases[i], true
}

// Takeovers returns every takeover of a recording, in order of the taking of the first VIP. It
// looks at nothing but what was recorded: adverts on the wire, VIPs in the kernels, claims by ARP,
// answers to the clients. What one node takes between two faults or heals is one takeover, unless
// it takes the same VIP twice.
func Takeovers(rec *Recording) []Takeover {
	h := newHandover(rec)
	var all []Takeover
	for _, taking := range h.takings() {
		all = append(all, h.takeover(taking))
	}
	return all
}

// takeover parts a taking into its phases.
func (h *handover) takeover(k taking) Takeover {
	t := Takeover{From: k.from, To: k.to, Trigger: k.trigger.Name, At: k.trigger.From}
	for _, ev := range k.vips {
		t.VIPs = append(t.VIPs, h.vipName(ev.Subject))
	}
	decided, advertised := k.vips[0].At, k.vips[0].At
	for _, a := range h.becameMaster(k) {
		decided, advertised = min(decided, a.at), max(advertised, a.at)
		t.Priority = a.priority
	}
	cause, begin := h.begin(k, decided)
	t.Cause = cause
	if v := h.rec.VRRP; t.Priority > 0 && v.Advert > 0 {
		if t.Bound = v.MasterDown(t.Priority); cause == Left {
			t.Bound = v.Skew(t.Priority)
		}
	}
	t.Phases = []Phase{{Detect, begin, decided}}
	t.until(Transition, advertised)
	t.until(Program, k.last())
	if at, ok := h.claimed(k); ok {
		t.until(Announce, at)
	}
	if at, ok := h.served(k, begin); ok {
		t.until(Serve, at)
	}
	return t
}

// until appends a phase that ends at a time, but not before the last one does.
func (t *Takeover) until(name PhaseName, end time.Duration) {
	begin := t.Phases[len(t.Phases)-1].To
	t.Phases = append(t.Phases, Phase{name, begin, max(begin, end)})
}
