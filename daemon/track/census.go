package track

import "time"

// census counts processes for trackers. It is pure.
type census struct {
	rules []*rule
}

// rule is one tracker of processes.
type rule struct {
	Process
	status *Status
	quorum Quorum
	pids   map[int]struct{} // nil before all processes were looked at
}

// configure makes the rules those of the trackers, whose statuses are given in their order, and
// says whether all processes have to be looked at again. A tracker keeps what it knows if its
// status is the same.
func (c *census) configure(processes []Process, statuses []*Status) (again bool) {
	old := make(map[*Status]*rule, len(c.rules))
	for _, r := range c.rules {
		old[r.status] = r
	}
	c.rules = nil
	for i, p := range processes {
		r := old[statuses[i]]
		if r == nil || !r.sameSource(&p) {
			again = true
		}
		if r == nil {
			r = &rule{status: statuses[i]}
		}
		r.Process, r.quorum.Process = p, p
		c.rules = append(c.rules, r)
	}
	return again
}

// full says whether any rule needs command lines.
func (c *census) full() bool {
	for _, r := range c.rules {
		if r.Full() {
			return true
		}
	}
	return false
}

// all takes all processes that there are.
func (c *census) all(running []Running) {
	for _, r := range c.rules {
		r.pids = make(map[int]struct{})
		for _, p := range running {
			if r.Matches(p) {
				r.pids[p.PID] = struct{}{}
			}
		}
	}
}

// began takes a process that is new or has become another program.
func (c *census) began(p Running) {
	for _, r := range c.rules {
		switch {
		case !r.Matches(p):
			delete(r.pids, p.PID)
		case r.pids != nil:
			r.pids[p.PID] = struct{}{}
		}
	}
}

// forked takes a child that is as its parent.
func (c *census) forked(parent, child int) {
	for _, r := range c.rules {
		if _, ok := r.pids[parent]; ok {
			r.pids[child] = struct{}{}
		}
	}
}

// ended takes the end of a process.
func (c *census) ended(pid int) {
	for _, r := range c.rules {
		delete(r.pids, pid)
	}
}

// step returns the rules whose state has changed.
func (c *census) step(now time.Time) []*rule {
	var changed []*rule
	for _, r := range c.rules {
		if r.quorum.Step(now, len(r.pids)) {
			changed = append(changed, r)
		}
	}
	return changed
}

// deadline returns when to step again although nothing happens; zero if that is not needed.
func (c *census) deadline() time.Time {
	var first time.Time
	for _, r := range c.rules {
		if due := r.quorum.Deadline(); !due.IsZero() && (first.IsZero() || due.Before(first)) {
			first = due
		}
	}
	return first
}
