package scheduler

// least is a scheduler that remembers nothing: it compares what the servers have to do. The kernel
// keeps the earlier in its order where two are equal, which is the newer one.
type least struct{ name Name }

func (l least) choose(m *Model, _ Flow) *server {
	switch l.name {
	case LeastConnection:
		return first(m.servers, func(s, best *server) bool { return m.overhead(s) < m.overhead(best) })
	case WeightedLeastConnection:
		return m.leastWeighted(m.servers)
	case ShortestExpectedDelay:
		return first(m.servers, sooner)
	case NeverQueue:
		for _, s := range m.servers {
			if s.able() && s.active == 0 {
				return s
			}
		}
		return first(m.servers, sooner)
	case WeightedFailover:
		return first(m.servers, heavier)
	case WeightedOverflow:
		return m.overflow()
	}
	return nil
}

func (least) changed(*Model, change, *server) {}

// String is nothing: it has no state.
func (least) String() string { return "no state" }

// first returns the able server that no other is better than; nil if none is able.
func first(servers []*server, better func(s, best *server) bool) *server {
	var best *server
	for _, s := range servers {
		if s.able() && (best == nil || better(s, best)) {
			best = s
		}
	}
	return best
}

// leastWeighted is wlc: the least overhead for its weight (ip_vs_wlc.c).
func (m *Model) leastWeighted(servers []*server) *server {
	return first(servers, func(s, best *server) bool {
		return m.overhead(best)*s.Weight > m.overhead(s)*best.Weight
	})
}

// sooner is sed: the next connection would be answered sooner (ip_vs_sed.c).
func sooner(s, best *server) bool {
	return (best.active+1)*s.Weight > (s.active+1)*best.Weight
}

// heavier is fo (ip_vs_fo.c).
func heavier(s, best *server) bool { return s.Weight > best.Weight }

// overflow is ovf: the heaviest that has at most as many active connections as its weight
// (ip_vs_ovf.c), so that each takes one more than that.
func (m *Model) overflow() *server {
	var free []*server
	for _, s := range m.servers {
		if s.active <= s.Weight {
			free = append(free, s)
		}
	}
	return first(free, heavier)
}
