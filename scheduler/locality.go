package scheduler

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// crowded says whether a server has more active connections than its weight while another has less
// than half of its own (is_overloaded in ip_vs_lblc.c).
func (m *Model) crowded(s *server) bool {
	return s.active > s.Weight && slices.ContainsFunc(m.servers, func(o *server) bool {
		return o.active*2 < o.Weight
	})
}

// locality is lblc: the server of each destination's address stays the same until it is gone, has
// weight 0 or is crowded (ip_vs_lblc.c). Thresholds do not move an address that has a server.
type locality map[netip.Addr]*server

func (l locality) choose(m *Model, f Flow) *server {
	if s := l[f.To]; s != nil && s.available && s.Weight > 0 && !m.crowded(s) {
		return s
	}
	s := m.leastWeighted(m.servers)
	if s != nil {
		l[f.To] = s
	}
	return s
}

func (locality) changed(*Model, change, *server) {}

// String says how many addresses have a server.
func (l locality) String() string { return fmt.Sprintf("%d addresses", len(l)) }

// replicated is lblcr: each destination's address has a set of servers, of which the least loaded
// is taken; a crowded one brings another into the set, and the most loaded leaves it once the set
// has been as it is for Options.ReplicaExpiry (ip_vs_lblcr.c).
type replicated map[netip.Addr]*replicas

// replicas are the servers of one address, the newest member first.
type replicas struct {
	servers []*server
	changed time.Time
}

func (r replicated) choose(m *Model, f Flow) *server {
	set := r[f.To]
	if set == nil {
		s := m.leastWeighted(m.servers)
		if s != nil {
			r[f.To] = &replicas{servers: []*server{s}, changed: m.now}
		}
		return s
	}
	s := m.leastWeighted(set.here())
	if len(set.servers) > 1 && m.now.After(set.changed.Add(m.options.ReplicaExpiry)) {
		set.leave(m, set.busiest(m))
	}
	if s != nil && !m.crowded(s) {
		return s
	}
	if s = m.leastWeighted(m.servers); s != nil && !slices.Contains(set.servers, s) {
		set.servers = slices.Insert(set.servers, 0, s)
		set.changed = m.now
	}
	return s
}

// here are those that are in the table.
func (r *replicas) here() []*server {
	var all []*server
	for _, s := range r.servers {
		if s.available {
			all = append(all, s)
		}
	}
	return all
}

// busiest is the one with the largest overhead for its weight; nil if all have weight 0
// (ip_vs_dest_set_max).
func (r *replicas) busiest(m *Model) *server {
	var most *server
	for _, s := range r.servers {
		if s.Weight > 0 && (most == nil || m.overhead(most)*s.Weight < m.overhead(s)*most.Weight) {
			most = s
		}
	}
	return most
}

func (r *replicas) leave(m *Model, s *server) {
	if s == nil {
		return
	}
	r.servers = slices.DeleteFunc(r.servers, func(o *server) bool { return o == s })
	r.changed = m.now
}

func (replicated) changed(*Model, change, *server) {}

// String says how many addresses have servers.
func (r replicated) String() string { return fmt.Sprintf("%d addresses", len(r)) }
