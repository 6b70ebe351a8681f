package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Claims records which nodes say that they have a VIP, by ARP or by IPv6's neighbour discovery, as it
// comes out of their interfaces: unlike a source address, the cable that a frame comes by cannot be
// forged. Of the same node and MAC address only the first claim since another one's is told.
type Claims struct {
	lab   *lab.Lab
	vips  []topology.VIP
	sink  func(reports.Event)
	ready chan struct{}
}

// NewClaims returns a probe of every interface of a lab that is on a VIP's network. It hands
// reports.Claim events to sink, which must be safe for use by several goroutines.
func NewClaims(l *lab.Lab, sink func(reports.Event)) *Claims {
	return NewClaimsOf(l, l.Topology().VIPs, sink)
}

// NewClaimsOf is NewClaims for VIPs that the lab's topology need not have, of IPv6 for example.
func NewClaimsOf(l *lab.Lab, vips []topology.VIP, sink func(reports.Event)) *Claims {
	return &Claims{lab: l, vips: vips, sink: sink, ready: make(chan struct{})}
}

// String returns what the probe does.
func (c *Claims) String() string { return "listen to claims in " + c.lab.Topology().Name }

// Ready returns a channel that is closed when every interface is listened to.
func (c *Claims) Ready() <-chan struct{} { return c.ready }

// cable is one interface that is listened to.
type cable struct {
	node string
	conn *packet.Conn
	said *sayings
}

// Run listens until the context ends and returns nil; an error means that an interface could not be
// listened to. It may be called once.
func (c *Claims) Run(ctx context.Context) error {
	var cables []cable
	defer func() {
		for _, one := range cables {
			one.conn.Close()
		}
	}()
	t := c.lab.Topology()
	for _, network := range t.Networks {
		said := newSayings(c.vips, network.Name)
		if len(said.last) == 0 {
			continue
		}
		for _, n := range c.lab.Nodes() {
			spec := n.Spec()
			link, ok := spec.LinkOn(network.Name)
			if !ok {
				continue
			}
			conn, err := c.listen(ctx, n, link.Interface)
			if err != nil {
				return fmt.Errorf("listen to claims of %s: %w", n, err)
			}
			cables = append(cables, cable{n.Name(), conn, said})
		}
	}
	close(c.ready)
	errs := make([]error, len(cables))
	var listening sync.WaitGroup
	for i, one := range cables {
		listening.Go(func() { errs[i] = c.follow(ctx, one) })
	}
	listening.Wait()
	return errors.Join(errs...)
}

// listen opens a socket on the fabric's end of a cable that gets the claims which come out of the
// node. The bridge takes frames before sockets of one protocol are asked, so that this one is for
// all, and its filter keeps what is on its way to the node, and everything else, away.
//
// Source: net/core/dev.c, __netif_receive_skb_core.
func (c *Claims) listen(ctx context.Context, n *lab.Node, iface string) (*packet.Conn, error) {
	port, err := n.Port(iface)
	if err != nil {
		return nil, err
	}
	filter, err := bpf.Assemble(claimsFilter())
	if err != nil {
		return nil, fmt.Errorf("assemble filter: %w", err)
	}
	var conn *packet.Conn
	err = c.lab.Fabric().Do(ctx, func() error {
		device := &net.Interface{Index: port.Index, Name: port.Name}
		conn, err = packet.Listen(device, packet.Raw, unix.ETH_P_ALL, &packet.Config{Filter: filter})
		return err
	})
	return conn, err
}

// follow reads what comes by a cable until the context ends.
func (c *Claims) follow(ctx context.Context, one cable) error {
	end := context.AfterFunc(ctx, func() { one.conn.Close() })
	defer end()
	frame := make([]byte, 1<<11)
	for {
		n, _, err := one.conn.ReadFrom(frame)
		now := c.lab.Now()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENETDOWN): // the cable was pulled; the socket lives on
		case err != nil:
			return fmt.Errorf("read claims of %s: %w", one.node, err)
		default:
			if heard, ok := parseClaim(frame[:n]); ok {
				if ev, told := one.said.hear(now, one.node, heard); told {
					c.sink(ev)
				}
			}
		}
	}
}

// sayings follow who claimed each VIP of a network last.
type sayings struct {
	mu   sync.Mutex
	last map[netip.Addr]saying
}

// saying is who claimed a VIP; the zero saying: nobody yet.
type saying struct{ node, mac string }

// newSayings returns those of a network, on none of whose VIPs anything was said.
func newSayings(vips []topology.VIP, network string) *sayings {
	s := &sayings{last: make(map[netip.Addr]saying)}
	for _, v := range vips {
		if v.Network == network {
			s.last[v.Addr] = saying{}
		}
	}
	return s
}

// hear takes a claim in and returns the event that it means; false: none.
func (s *sayings) hear(now time.Duration, node string, c claim) (reports.Event, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, known := s.last[c.addr]
	said := saying{node, c.mac.String()}
	if !known || last == said {
		return reports.Event{}, false
	}
	s.last[c.addr] = said
	way := reports.ClaimAnnounced
	if c.answer {
		way = reports.ClaimAnswered
	}
	return reports.Event{At: now, Kind: reports.Claim, Node: node, Subject: c.addr.String(),
		Detail: said.mac + " " + way}, true
}
