package scheduler

import (
	"fmt"
	"slices"
)

// roundRobin is rr: one server after the other (ip_vs_rr.c).
type roundRobin struct {
	// last is the one that was chosen last; nil is before the first.
	last *server
}

// choose takes the first able server behind the last one, and last that itself.
func (r *roundRobin) choose(m *Model, _ Flow) *server {
	at := slices.Index(m.servers, r.last)
	for i := range m.servers {
		if s := m.servers[(at+1+i)%len(m.servers)]; s.able() {
			r.last = s
			return s
		}
	}
	return nil
}

// changed: when the last one leaves, the one before it becomes the last (ip_vs_rr_del_dest).
func (r *roundRobin) changed(m *Model, what change, s *server) {
	if what != removed || s != r.last {
		return
	}
	r.last = nil
	if at := slices.Index(m.servers, s); at > 0 {
		r.last = m.servers[at-1]
	}
}

// String names the last one.
func (r *roundRobin) String() string { return "last " + nameOf(r.last) }

// weightedRoundRobin is wrr: round after round over the servers whose weight is at least a bound
// that goes down by the greatest common divisor of the weights (ip_vs_wrr.c).
//
// Whenever a server comes, leaves or changes, it begins again from the first one, but keeps the
// bound where it can. A service is made empty, and its servers come one by one: so the first round
// after its making has bound 1, not the largest weight.
type weightedRoundRobin struct {
	last           *server
	step, max, now int
}

// choose follows the bound down until a server is heavy enough, and gives up when it has been all
// the way round.
func (w *weightedRoundRobin) choose(m *Model, _ Flow) *server {
	if w.max == 0 {
		return nil
	}
	at := slices.Index(m.servers, w.last)
	start, stop := at, -1
	lastPass, restarted := false, false
	for {
		for i := at + 1; i < len(m.servers); i++ {
			s := m.servers[i]
			if !s.overloaded && s.Weight >= w.now {
				w.last = s
				return s
			}
			if i == stop {
				return nil
			}
		}
		w.now -= w.step
		if w.now <= 0 {
			w.now = w.max
			if lastPass || start < 0 {
				return nil
			}
			restarted = true
		}
		lastPass = w.now <= w.step
		if lastPass && restarted && start >= 0 {
			stop = start
		}
		at = -1
	}
}

func (w *weightedRoundRobin) changed(m *Model, what change, s *server) {
	if what != removed {
		w.rebuild(m)
	}
}

// rebuild works out the divisor and the largest bound anew (ip_vs_wrr_dest_changed).
func (w *weightedRoundRobin) rebuild(m *Model) {
	w.last = nil
	divisor, heaviest := 0, 0
	for _, s := range m.servers {
		divisor, heaviest = gcd(divisor, s.Weight), max(heaviest, s.Weight)
	}
	w.step = max(divisor, 1)
	w.max = max(heaviest-(w.step-1), 0)
	switch {
	case w.now > w.max || w.now == 0:
		w.now = w.max
	case w.step > 1:
		w.now = w.now/w.step*w.step + 1
	}
}

// String gives the bound and where it goes.
func (w *weightedRoundRobin) String() string {
	return fmt.Sprintf("bound %d of %d, step %d, last %s", w.now, w.max, w.step, nameOf(w.last))
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func nameOf(s *server) string {
	if s == nil {
		return "none"
	}
	return s.Addr.String()
}
