package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
	"golang.org/x/net/bpf"
)

// The subjects of reports.State events.
const (
	stateMaster  = "master"
	stateLeaving = "leaving"
	stateSilent  = "silent"
)

// Adverts records who advertises, as the wire of each network shows it. It hears multicast adverts,
// but none of a node that is no director: those are forged.
//
// A node is reported as "master" with its first advert and again when its priority changes, as
// "leaving" with its first advert of priority 0, and as "silent" once three and a half of its own
// intervals have passed without another. An advert of a master that comes later than one and a half
// of its intervals after the last one, and 100 ms later than it should, is reported by itself.
//
// It also measures the gaps between adverts.
type Adverts struct {
	lab    *lab.Lab
	sink   func(reports.Event)
	ready  chan struct{}
	rhythm rhythm
}

// NewAdverts returns a probe of all networks of a lab that hands reports.State and AdvertGap events
// to sink, which must be safe for use by several goroutines.
func NewAdverts(l *lab.Lab, sink func(reports.Event)) *Adverts {
	return &Adverts{lab: l, sink: sink, ready: make(chan struct{})}
}

// String returns what the probe does.
func (a *Adverts) String() string { return "listen to adverts in " + a.lab.Topology().Name }

// Ready returns a channel that is closed when every network is listened to.
func (a *Adverts) Ready() <-chan struct{} { return a.ready }

// RestartGaps begins the measurement of gaps anew; before its first call it lasts since Run.
func (a *Adverts) RestartGaps() { a.rhythm.restart() }

// Gaps returns the longest gap between the adverts of each virtual router that was ever heard, since
// the measurement began and until now, in order of network and number. That of a silent one lasts
// until now. A gap may seem longer by as much as the machine was late to read an advert.
func (a *Adverts) Gaps() []AdvertGap { return a.rhythm.gaps(a.lab.Now()) }

// Run listens until the context ends and returns nil; an error means that a network could not be
// listened to. It may be called once.
func (a *Adverts) Run(ctx context.Context) error {
	networks := a.lab.Topology().Networks
	conns := make([]*packet.Conn, 0, len(networks))
	defer func() {
		for _, conn := range conns {
			conn.Close()
		}
	}()
	for _, network := range networks {
		conn, err := a.listen(ctx, network.Name)
		if err != nil {
			return fmt.Errorf("listen to adverts on %s: %w", network.Name, err)
		}
		conns = append(conns, conn)
	}
	close(a.ready)
	errs := make([]error, len(networks))
	var listening sync.WaitGroup
	for i, network := range networks {
		listening.Go(func() { errs[i] = a.follow(ctx, network.Name, conns[i]) })
	}
	listening.Wait()
	return errors.Join(errs...)
}

// listen opens a socket on a network's bridge that gets VRRP packets only.
func (a *Adverts) listen(ctx context.Context, network string) (*packet.Conn, error) {
	bridge, ok := a.lab.Fabric().Bridge(network)
	if !ok {
		return nil, errors.New("no such network")
	}
	t := a.lab.Topology()
	kind, protocol, _ := advertPlace(t.IPv6())
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: ethernetHeader + protocol, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolVRRP, SkipFalse: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return nil, fmt.Errorf("assemble filter: %w", err)
	}
	var conn *packet.Conn
	err = a.lab.Fabric().Do(ctx, func() error {
		iface := &net.Interface{Index: bridge.Index, Name: bridge.Name}
		conn, err = packet.Listen(iface, packet.Raw, kind, &packet.Config{Filter: filter})
		return err
	})
	return conn, err
}

// follow reads a network's adverts until the context ends. The deadline of its reads is a time at
// which a sender may count as silent; it is moved only when it has come, since most adverts come long
// before and moving it costs more than reading them.
func (a *Adverts) follow(ctx context.Context, network string, conn *packet.Conn) error {
	end := context.AfterFunc(ctx, func() { conn.Close() })
	defer end()
	speakers := newSpeakers(a.lab.Topology(), network)
	frame := make([]byte, 1<<16)
	armed := unarmed
	for {
		if at, ok := speakers.deadline(); ok && at < armed {
			armed = at
			err := conn.SetReadDeadline(time.Now().Add(at - a.lab.Now()))
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("set deadline on %s: %w", network, err)
			}
		}
		n, _, err := conn.ReadFrom(frame)
		now := a.lab.Now()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			armed = unarmed
			if err := conn.SetReadDeadline(time.Time{}); err != nil && ctx.Err() == nil {
				return fmt.Errorf("clear deadline on %s: %w", network, err)
			}
		case err != nil:
			return fmt.Errorf("read adverts on %s: %w", network, err)
		default:
			if heard, err := parseAdvert(frame[:n]); err == nil && !speakers.forged(heard) {
				a.rhythm.hear(now, network, heard)
				a.report(speakers.late(now, heard), speakers.hear(now, heard))
			}
		}
		a.report(speakers.silence(now)...)
	}
}

// unarmed is the time of a deadline that is not set.
const unarmed = time.Duration(math.MaxInt64)

// report hands on the events that there are; the zero Event is none.
func (a *Adverts) report(events ...reports.Event) {
	for _, e := range events {
		if e.Kind != "" {
			a.sink(e)
		}
	}
}

// speakers follows who advertises on one network. It is pure: time comes in as an argument.
type speakers struct {
	network string
	// names are the nodes by the address of their interface on the network, that of which their
	// adverts come as well.
	names map[netip.Addr]string
	heard map[speaker]*spoken
	// hosts are the MAC addresses of the nodes that are no directors.
	hosts []net.HardwareAddr
}

// speaker is one sender of one virtual router's adverts.
type speaker struct {
	source netip.Addr
	router uint8
}

// spoken is the last that was heard of a speaker.
type spoken struct {
	name  string
	last  advert
	at    time.Duration
	state string
}

// newSpeakers returns the speakers of a network, none of which has been heard.
func newSpeakers(t topology.Topology, network string) *speakers {
	s := &speakers{
		network: network,
		names:   make(map[netip.Addr]string),
		heard:   make(map[speaker]*spoken),
	}
	for _, n := range t.Nodes {
		if link, ok := n.LinkOn(network); ok {
			s.names[link.Addr.Addr()] = n.Name
			if local := lab.LinkLocal(link.Addr.Addr()); local.IsValid() {
				s.names[local] = n.Name
			}
			if n.Role != topology.Director {
				s.hosts = append(s.hosts, lab.HardwareAddr(link.Addr.Addr()))
			}
		}
	}
	return s
}

// forged reports whether a node that is no director sent an advert, whatever its source address.
func (s *speakers) forged(a advert) bool {
	return slices.ContainsFunc(s.hosts, func(mac net.HardwareAddr) bool {
		return slices.Equal(mac, a.mac)
	})
}

// hear takes an advert in and returns the event that it means, or the zero Event.
func (s *speakers) hear(now time.Duration, a advert) reports.Event {
	key := speaker{a.source, a.router}
	before, known := s.heard[key]
	state := stateMaster
	if a.priority == 0 {
		state = stateLeaving
	}
	s.heard[key] = &spoken{name: s.name(a), last: a, at: now, state: state}
	if known && before.state == state && before.last.priority == a.priority {
		return reports.Event{}
	}
	return s.event(now, s.heard[key], "")
}

// lateAdvert is how late the advert of a short interval must be, at least, to be reported.
const lateAdvert = 100 * time.Millisecond

// late returns an event for an advert that comes late, though its sender is not silent yet, or the
// zero Event. It must be asked before the advert is heard.
func (s *speakers) late(now time.Duration, a advert) reports.Event {
	h, known := s.heard[speaker{a.source, a.router}]
	if !known || h.state != stateMaster || a.priority == 0 {
		return reports.Event{}
	}
	interval := cmp.Or(h.last.interval, time.Second)
	gap := now - h.at
	if gap <= interval+max(interval/2, lateAdvert) {
		return reports.Event{}
	}
	return reports.Event{At: now, Kind: reports.AdvertGap, Node: h.name,
		Subject: fmt.Sprintf("%s: virtual router %d", s.network, a.router), Detail: gap.String()}
}

// silence returns an event for each speaker whose time is over.
func (s *speakers) silence(now time.Duration) []reports.Event {
	var events []reports.Event
	for _, h := range s.heard {
		if h.state != stateMaster || now < h.deadline() {
			continue
		}
		h.state = stateSilent
		events = append(events, s.event(now, h, fmt.Sprintf(", last advert at %v", h.at)))
	}
	slices.SortFunc(events, func(a, b reports.Event) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Detail, b.Detail))
	})
	return events
}

// deadline returns when the next speaker becomes silent; false if none can.
func (s *speakers) deadline() (time.Duration, bool) {
	var next time.Duration
	found := false
	for _, h := range s.heard {
		if h.state == stateMaster && (!found || h.deadline() < next) {
			next, found = h.deadline(), true
		}
	}
	return next, found
}

// deadline returns when a speaker that says nothing more becomes silent. One that claims to have no
// interval is taken to have a second's.
func (h *spoken) deadline() time.Duration {
	interval := cmp.Or(h.last.interval, time.Second)
	return h.at + interval*7/2
}

// name returns the node that sent an advert, by its source address, else by its MAC address, which
// a virtual MAC hides; else the source address.
func (s *speakers) name(a advert) string {
	if name, ok := s.names[a.source]; ok {
		return name
	}
	for addr, name := range s.names {
		if slices.Equal(lab.HardwareAddr(addr), a.mac) {
			return name
		}
	}
	return a.source.String()
}

// event describes what a speaker does now.
func (s *speakers) event(now time.Duration, h *spoken, more string) reports.Event {
	return reports.Event{
		At:      now,
		Kind:    reports.State,
		Node:    h.name,
		Subject: h.state,
		Detail: fmt.Sprintf("%s: virtual router %d, priority %d%s",
			s.network, h.last.router, h.last.priority, more),
	}
}
