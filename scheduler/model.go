// Package scheduler models the schedulers of the kernel's IPVS: from the real servers, their weights
// and their connections it predicts which one the next connection goes to. It asks no kernel and
// has no clock, so that a lab can compare choice by choice what a kernel did with what it should do.
//
// Where a sentence here says "the kernel", it is net/netfilter/ipvs of Linux 6.1.
package scheduler

import (
	"container/heap"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Name is the kernel's name of a scheduler.
type Name string

// The schedulers that have a model. Twos of newer kernels draws its servers by lot, and has none.
const (
	RoundRobin              Name = "rr"
	WeightedRoundRobin      Name = "wrr"
	LeastConnection         Name = "lc"
	WeightedLeastConnection Name = "wlc"
	LocalityLeastConnection Name = "lblc"
	LocalityReplicated      Name = "lblcr"
	DestinationHash         Name = "dh"
	SourceHash              Name = "sh"
	MaglevHash              Name = "mh"
	ShortestExpectedDelay   Name = "sed"
	NeverQueue              Name = "nq"
	WeightedFailover        Name = "fo"
	WeightedOverflow        Name = "ovf"
)

// Names returns all that have a model, in the order of their constants.
func Names() []Name {
	return []Name{
		RoundRobin, WeightedRoundRobin, LeastConnection, WeightedLeastConnection,
		LocalityLeastConnection, LocalityReplicated, DestinationHash, SourceHash, MaglevHash,
		ShortestExpectedDelay, NeverQueue, WeightedFailover, WeightedOverflow,
	}
}

// Options are what a Model can be told. The zero value is a service as ipvsadm makes it, in the
// kernel of Debian 12.
type Options struct {
	// Fallback has sh and mh look further if the server of the hash has weight 0 or is overloaded:
	// their flag sh-fallback or mh-fallback.
	Fallback bool
	// HashPort has sh and mh hash the client's port as well: sh-port, mh-port.
	HashPort bool
	// OldOverhead counts an active connection as 256 inactive ones, as kernels before 6.1.187 do;
	// later ones count it as 257 (ip_vs_dest_conn_overhead).
	OldOverhead bool
	// ReplicaExpiry is the sysctl lblcr_expiration; 0 is the kernel's default of a day.
	ReplicaExpiry time.Duration
	// Timeouts are those of closed connections; zero ones are the kernel's.
	Timeouts Timeouts
}

// Timeouts are how long the kernel remembers a connection after its last packet
// (tcp_timeouts in ip_vs_proto_tcp.c).
type Timeouts struct {
	// TimeWait is that of one that both sides have closed, 120 s by default; Close of one that was
	// reset, 10 s.
	TimeWait, Close time.Duration
}

// Server is a real server.
type Server struct {
	Addr   netip.AddrPort
	Weight int
	// Upper is the number of connections from which on it gets no new ones, Lower the one below
	// which it gets some again. Upper 0 is no limit; Lower 0 is three quarters of Upper.
	Upper, Lower int
}

// Flow is a new connection: where it comes from and, for a service by firewall mark, where it goes.
type Flow struct {
	From netip.AddrPort
	To   netip.Addr
}

// Connection is one that a Model has given to a server.
type Connection struct {
	Server netip.AddrPort
	server *server
	state  state
	// expires is when the kernel forgets it, once it is closed; index is its place in the heap.
	expires time.Time
	index   int
}

type state uint8

const (
	active state = iota
	inactive
	forgotten
)

// Model is one virtual service of TCP. Time is told to it and must not go back. It is not safe for
// concurrent use.
type Model struct {
	name    Name
	options Options
	// servers are in the kernel's order: the newest first (ip_vs_add_dest).
	servers []*server
	// trash are servers that were removed: one that comes back is the same as before, counters and
	// all (ip_vs_trash_get_dest). The kernel forgets them when they have had no connection for two
	// minutes; there is nothing of them left then that a scheduler could tell.
	trash  map[netip.AddrPort]*server
	chosen chooser
	closed expiry
	now    time.Time
}

// server is a Server and what it has to do.
type server struct {
	Server
	// lastWeight is the last weight that was not 0.
	lastWeight int
	// active and total count connections; available is that it is in the table.
	active, total         int
	overloaded, available bool
}

// able says whether a scheduler may choose it at all.
func (s *server) able() bool { return !s.overloaded && s.Weight > 0 }

// chooser is a scheduler.
type chooser interface {
	// choose returns the server of a connection; nil is none.
	choose(m *Model, f Flow) *server
	// changed is told that a server came, left, or has other settings.
	changed(m *Model, what change, s *server)
	// String is its state in one line, for a person.
	String() string
}

type change uint8

const (
	added change = iota
	edited
	removed
)

// New returns the model of a service without servers.
func New(name Name, o Options) (*Model, error) {
	if o.ReplicaExpiry == 0 {
		o.ReplicaExpiry = 24 * time.Hour
	}
	if o.Timeouts.TimeWait == 0 {
		o.Timeouts.TimeWait = 2 * time.Minute
	}
	if o.Timeouts.Close == 0 {
		o.Timeouts.Close = 10 * time.Second
	}
	m := &Model{name: name, options: o, trash: map[netip.AddrPort]*server{}}
	switch name {
	case RoundRobin:
		m.chosen = &roundRobin{}
	case WeightedRoundRobin:
		m.chosen = &weightedRoundRobin{}
	case LeastConnection, WeightedLeastConnection, ShortestExpectedDelay, NeverQueue,
		WeightedFailover, WeightedOverflow:
		m.chosen = least{name}
	case DestinationHash, SourceHash:
		m.chosen = &buckets{bySource: name == SourceHash}
	case MaglevHash:
		m.chosen = &maglev{}
	case LocalityLeastConnection:
		m.chosen = locality{}
	case LocalityReplicated:
		m.chosen = replicated{}
	default:
		return nil, fmt.Errorf("model scheduler %q: expected one of %v", name, Names())
	}
	return m, nil
}

// Add adds a server. It fails if there is one of that address.
func (m *Model) Add(s Server) error {
	if m.find(s.Addr) != nil {
		return fmt.Errorf("add server %s: it is there", s.Addr)
	}
	d := m.trash[s.Addr]
	if d == nil {
		d = &server{}
	}
	delete(m.trash, s.Addr)
	d.set(s)
	d.available = true
	m.servers = slices.Insert(m.servers, 0, d)
	m.chosen.changed(m, added, d)
	return nil
}

// Edit gives a server another weight or thresholds. Its place does not change.
func (m *Model) Edit(s Server) error {
	d := m.find(s.Addr)
	if d == nil {
		return fmt.Errorf("edit server %s: it is not there", s.Addr)
	}
	d.set(s)
	m.chosen.changed(m, edited, d)
	return nil
}

// Remove takes a server out. Its connections stay until they are over.
func (m *Model) Remove(a netip.AddrPort) error {
	d := m.find(a)
	if d == nil {
		return fmt.Errorf("remove server %s: it is not there", a)
	}
	d.available = false
	// A scheduler that remembers the place of the server is told while it still has one.
	m.chosen.changed(m, removed, d)
	m.servers = slices.DeleteFunc(m.servers, func(o *server) bool { return o == d })
	if again, ok := m.chosen.(rebuilt); ok {
		again.rebuild(m)
	}
	m.trash[a] = d
	return nil
}

// rebuilt is a chooser that works out a table from all servers.
type rebuilt interface{ rebuild(m *Model) }

// Connect gives a new connection to a server; false if none takes it, which the kernel tells the
// client by an ICMP message.
func (m *Model) Connect(f Flow, now time.Time) (*Connection, bool) {
	m.Advance(now)
	s := m.chosen.choose(m, f)
	if s == nil {
		return nil, false
	}
	s.active++
	s.count(+1)
	return &Connection{Server: s.Addr, server: s}, true
}

// Close is the end of a connection, by RST if reset, else by a FIN of each side. The kernel
// remembers it as inactive for a time; see Timeouts. A second call does nothing.
func (m *Model) Close(c *Connection, reset bool, now time.Time) {
	m.Advance(now)
	if c.state != active {
		return
	}
	c.server.active--
	c.state = inactive
	wait := m.options.Timeouts.TimeWait
	if reset {
		wait = m.options.Timeouts.Close
	}
	c.expires = now.Add(wait)
	heap.Push(&m.closed, c)
}

// Forget is that the kernel remembers a connection no longer, open or closed. A second call does
// nothing.
func (m *Model) Forget(c *Connection) {
	switch c.state {
	case forgotten:
		return
	case active:
		c.server.active--
	case inactive:
		heap.Remove(&m.closed, c.index)
	}
	c.state = forgotten
	c.server.count(-1)
}

// Advance forgets the connections whose time is over at now. Each call with a time does so first.
func (m *Model) Advance(now time.Time) {
	m.now = now
	for len(m.closed) > 0 && !m.closed[0].expires.After(now) {
		m.Forget(m.closed[0])
	}
}

// Counts returns the connections of a server that are active, and those that the kernel remembers
// beside them; 0, 0 for one that is not there.
func (m *Model) Counts(a netip.AddrPort) (active, inactive int) {
	if d := m.find(a); d != nil {
		return d.active, d.total - d.active
	}
	return 0, 0
}

// String is the state that the next choice comes from, in one line for each server, in the
// kernel's order.
func (m *Model) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", m.name, m.chosen)
	for _, s := range m.servers {
		fmt.Fprintf(&b, "  %s weight %d, %d active, %d inactive", s.Addr, s.Weight, s.active,
			s.total-s.active)
		if s.overloaded {
			b.WriteString(", overloaded")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (m *Model) find(a netip.AddrPort) *server {
	for _, s := range m.servers {
		if s.Addr == a {
			return s
		}
	}
	return nil
}

// overhead is what the schedulers by least connections compare (ip_vs_dest_conn_overhead).
func (m *Model) overhead(s *server) int {
	if m.options.OldOverhead {
		return s.active<<8 + s.total - s.active
	}
	return s.active<<8 + s.total
}

// set is Edit, and the first settings (__ip_vs_update_dest).
func (s *server) set(to Server) {
	if to.Upper == 0 || to.Upper > s.Upper {
		s.overloaded = false
	}
	s.Server = to
	if to.Weight != 0 {
		s.lastWeight = to.Weight
	}
}

// count adds n to the connections, and says whether they are too many
// (__ip_vs_dest_update_overload).
func (s *server) count(n int) {
	s.total += n
	switch lower := s.Lower; {
	case s.Upper == 0:
		s.overloaded = false
	case s.total >= s.Upper:
		s.overloaded = true
	case lower == 0 && s.total < s.Upper-s.Upper>>2, lower > 0 && s.total < lower:
		s.overloaded = false
	}
}

// expiry is a heap of closed connections, the one that is forgotten next first.
type expiry []*Connection

func (e expiry) Len() int           { return len(e) }
func (e expiry) Less(i, j int) bool { return e[i].expires.Before(e[j].expires) }
func (e expiry) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].index, e[j].index = i, j
}

// Push and Pop are container/heap's.
func (e *expiry) Push(x any) {
	c := x.(*Connection)
	c.index = len(*e)
	*e = append(*e, c)
}

func (e *expiry) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
