package instance

import (
	"math/bits"
	"slices"
	"time"

	"github.com/tandemlb/tandem/daemon/vrrp"
)

// observe copies what the machine says of itself into the status.
func (r *Runner) observe(m *member, machine *vrrp.Machine) {
	r.update(m, func(s *Status) {
		s.Fault, s.Priority, s.Source = machine.FaultReason(), machine.Priority(), m.source
		s.Leader, s.LeaderPriority = machine.Leader()
	})
}

// transition notes a change of state and has it told.
func (r *Runner) transition(now time.Time, m *member, a vrrp.Transition) {
	var t Transition
	if a.From == vrrp.Master {
		r.unmute(m)
	}
	r.update(m, func(s *Status) {
		s.State, s.Since, s.Reason = a.To, now, a.Reason
		if a.To == vrrp.Master {
			s.BecameMaster++
			s.MasterReason = a.Reason
		}
		if a.To != vrrp.Backup && a.To != vrrp.Master {
			s.Running = time.Time{}
		} else if s.Running.IsZero() {
			s.Running = now
		}
		if a.From == vrrp.Master {
			s.ReleasedMaster++
		}
		t = Transition{
			Instance: s.Name, Group: s.Group, From: a.From, To: a.To, Reason: a.Reason,
			Priority: r.group.Member(m.index).Priority(), Time: now,
		}
	})
	r.report(func() {
		r.log.Info("transition", "instance", t.Instance,
			"from", t.From.String(), "to", t.To.String(), "reason", t.Reason.String())
		if r.notify != nil {
			r.notify(t)
		}
	})
}

// refusedEvery is the least time between two calls of OnRefused for a member.
const refusedEvery = time.Second

func (r *Runner) dropped(m *member, a vrrp.Drop) {
	var n uint64
	r.update(m, func(s *Status) {
		n = count(&s.Drops, a.Reason)
		s.LastDrop = a.Reason
	})
	// Foreign virtual routers share the network by right.
	if a.Reason != vrrp.DropVRID && loud(n) {
		r.warn(m, "advert dropped", "reason", a.Reason.String(), "source", a.From, "count", n)
	}
	if r.refused != nil && a.Reason != vrrp.DropVRID && r.now.Sub(m.toldAt) >= refusedEvery {
		m.toldAt = r.now
		name := m.ties.name
		r.report(func() { r.refused(name, a.From, a.Reason) })
	}
}

func (r *Runner) mismatched(m *member, a vrrp.Mismatch) {
	var n uint64
	r.update(m, func(s *Status) { n = count(&s.Mismatches, a.Reason) })
	if loud(n) {
		r.warn(m, "peer configured differently",
			"reason", a.Reason.String(), "source", a.From, "count", n)
	}
}

func (r *Runner) contested(m *member, a vrrp.Contested) {
	var n uint64
	r.update(m, func(s *Status) {
		s.Contested++
		n = s.Contested
	})
	if loud(n) {
		r.warn(m, "another master", "source", a.From, "priority", a.Priority, "count", n)
	}
	if r.lower != nil && r.now.Sub(m.rivalAt) >= m.cfg.Router.Interval {
		m.rivalAt = r.now
		name, priority := m.ties.name, r.group.Member(m.index).Priority()
		r.report(func() { r.lower(name, priority) })
	}
}

func (r *Runner) stalled(m *member, a vrrp.Stalled) {
	r.update(m, func(s *Status) {
		s.Stalls++
		s.LongestStall = max(s.LongestStall, a.Late)
	})
	r.warn(m, "stalled", "late", a.Late)
}

// kernelFailed notes a failure of the kernel's side. It may be called by any goroutine.
func (r *Runner) kernelFailed(member int, err error) {
	m := r.members[member]
	var n uint64
	r.update(m, func(s *Status) {
		s.Errors++
		n = s.Errors
		s.LastError = err.Error()
		now := time.Now()
		if now.Sub(s.LastErrorAt) > errorMemory {
			s.ErrorsSince = now
		}
		s.LastErrorAt = now
	})
	if loud(n) {
		r.warn(m, "kernel refused", "err", err, "count", n)
	}
}

// restored notes VIPs that were put back. It may be called by any goroutine.
func (r *Runner) restored(member int, vips []VIP) {
	m := r.members[member]
	var n uint64
	r.update(m, func(s *Status) {
		s.Restored += uint64(len(vips))
		n = s.Restored
	})
	if was := n - uint64(len(vips)); n == 1 || bits.Len64(was) != bits.Len64(n) {
		r.warn(m, "VIP deleted by somebody else; put back", "vip", vips[0].Prefix.String(),
			"device", vips[0].Device, "count", n)
	}
	if slices.ContainsFunc(vips, func(v VIP) bool { return !v.NoTrack }) {
		r.put(deprived{member})
	}
}

// report has the reporter call f after all others. Any goroutine may call it; it does not wait.
func (r *Runner) report(f func()) {
	r.reports.put(f)
	r.reporter.call()
}

// reportAll calls what there is to be called.
func (r *Runner) reportAll() time.Time {
	for _, f := range r.reports.take() {
		f()
	}
	return time.Time{}
}

// warn has a line logged by the reporter.
func (r *Runner) warn(m *member, text string, args ...any) {
	r.report(func() { r.log.Warn(text, append([]any{"instance", m.ties.name}, args...)...) })
}
