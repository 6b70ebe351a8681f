package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Switch records to which node the fabric's bridges send frames for the MAC addresses of directors
// and of virtual routers, as the kernel tells it: it never polls.
type Switch struct {
	lab   *lab.Lab
	sink  func(reports.Event)
	ready chan struct{}
	// ends are the ports by their index.
	ends map[int]end
	// macs are those of the directors.
	macs []net.HardwareAddr
	// sent is the port to which frames for an address on a network go.
	sent map[destination]int
}

// end is the node and the network of a port.
type end struct{ node, network string }

// destination is a MAC address on a network.
type destination struct{ network, mac string }

// NewSwitch returns a watcher of a lab's bridges that hands reports.Bridge events to sink.
func NewSwitch(l *lab.Lab, sink func(reports.Event)) *Switch {
	return &Switch{lab: l, sink: sink, ready: make(chan struct{}), ends: make(map[int]end),
		sent: make(map[destination]int)}
}

// String returns what the watcher does.
func (s *Switch) String() string { return "watch the bridges of " + s.lab.Topology().Name }

// Ready returns a channel that is closed when the bridges are watched and what they knew before has
// been reported.
func (s *Switch) Ready() <-chan struct{} { return s.ready }

// Run watches until the context ends and returns nil; an error means that the bridges could not be
// watched. It may be called once.
func (s *Switch) Run(ctx context.Context) error {
	if err := s.name(); err != nil {
		return fmt.Errorf("watch bridges: %w", err)
	}
	begun := false
	for {
		err := s.follow(ctx, func() {
			if !begun {
				close(s.ready)
			}
			begun = true
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case !errors.Is(err, errOverflow):
			return fmt.Errorf("watch bridges: %w", err)
		}
	}
}

// name learns the ports of the nodes and the addresses of the directors.
func (s *Switch) name() error {
	for _, n := range s.lab.Nodes() {
		for _, link := range n.Spec().Links {
			port, err := n.Port(link.Interface)
			if err != nil {
				return err
			}
			s.ends[port.Index] = end{n.Name(), link.Network}
			if n.Role() == topology.Director {
				s.macs = append(s.macs, lab.HardwareAddr(link.Addr.Addr()))
			}
		}
	}
	return nil
}

// follow subscribes to the bridges' tables, takes stock and reports changes. It returns when the
// context ends, or with errOverflow.
func (s *Switch) follow(ctx context.Context, begun func()) error {
	done := make(chan struct{})
	updates := make(chan netlink.NeighUpdate)
	err := s.lab.Fabric().Do(ctx, func() error {
		return netlink.NeighSubscribeWithOptions(updates, done, netlink.NeighSubscribeOptions{
			ReceiveBufferSize:      eventBuffer,
			ReceiveBufferForceSize: true,
		})
	})
	if err != nil {
		close(done)
		return fmt.Errorf("subscribe to neighbours: %w", err)
	}
	defer func() {
		close(done)
		for range updates {
		}
	}()
	known, err := s.lab.Fabric().Handle().NeighList(0, unix.AF_BRIDGE)
	if err != nil {
		return fmt.Errorf("list neighbours: %w", err)
	}
	for _, n := range known {
		s.see(n)
	}
	begun()
	for {
		select {
		case u, ok := <-updates:
			if !ok {
				return errOverflow
			}
			if u.Type == unix.RTM_NEWNEIGH {
				s.see(u.Neigh)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// virtualRouterMAC4 and virtualRouterMAC6 are what the MAC addresses of virtual routers begin with.
//
// Source: RFC 9568, Section 7.3.
var (
	virtualRouterMAC4 = []byte{0x00, 0x00, 0x5e, 0x00, 0x01}
	virtualRouterMAC6 = []byte{0x00, 0x00, 0x5e, 0x00, 0x02}
)

// see takes an entry of a bridge's table in.
func (s *Switch) see(n netlink.Neigh) {
	to, ok := s.ends[n.LinkIndex]
	if !ok || n.Family != unix.AF_BRIDGE || !s.watched(n.HardwareAddr) {
		return
	}
	key := destination{to.network, n.HardwareAddr.String()}
	if s.sent[key] == n.LinkIndex {
		return
	}
	s.sent[key] = n.LinkIndex
	s.sink(reports.Event{At: s.lab.Now(), Kind: reports.Bridge, Node: to.node, Subject: key.mac,
		Detail: to.network})
}

// watched says whether a MAC address is a director's or a virtual router's.
func (s *Switch) watched(mac net.HardwareAddr) bool {
	if bytes.HasPrefix(mac, virtualRouterMAC4) || bytes.HasPrefix(mac, virtualRouterMAC6) {
		return true
	}
	for _, own := range s.macs {
		if bytes.Equal(mac, own) {
			return true
		}
	}
	return false
}
