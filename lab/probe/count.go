package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// AdvertCount counts the adverts that a node sends into a network. The kernel counts: a socket
// whose packets nobody reads, so that a million of them cost nothing.
type AdvertCount struct {
	node string
	conn *packet.Conn

	mu   sync.Mutex
	sent uint64
}

// CountAdverts begins to count what a node sends into a network, by the address of its interface
// there. The caller closes it.
func CountAdverts(ctx context.Context, l *lab.Lab, node *lab.Node, network string) (
	*AdvertCount, error,
) {
	c := &AdvertCount{node: node.Name()}
	spec := node.Spec()
	link, ok := spec.LinkOn(network)
	bridge, found := l.Fabric().Bridge(network)
	if !ok || !found {
		return nil, fmt.Errorf("count adverts of %s: it is not on network %q", node, network)
	}
	filter, err := advertsFrom(link.Addr.Addr())
	if err != nil {
		return nil, fmt.Errorf("count adverts of %s: %w", node, err)
	}
	err = l.Fabric().Do(ctx, func() error {
		iface := &net.Interface{Index: bridge.Index, Name: bridge.Name}
		c.conn, err = packet.Listen(iface, packet.Raw, unix.ETH_P_IP, &packet.Config{Filter: filter})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count adverts of %s: %w", node, err)
	}
	return c, nil
}

// advertsFrom passes the adverts of one IPv4 source, and of each its first byte.
func advertsFrom(source netip.Addr) ([]bpf.RawInstruction, error) {
	if !source.Is4() {
		return nil, errors.New("want an IPv4 address")
	}
	b := source.As4()
	from := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	return bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: ethernetHeader + 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolVRRP, SkipFalse: 3},
		bpf.LoadAbsolute{Off: ethernetHeader + 12, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: from, SkipFalse: 1},
		bpf.RetConstant{Val: 1},
		bpf.RetConstant{Val: 0},
	})
}

// Sent returns how many adverts the node has sent since the count began. The kernel's own number
// has 32 bits, so it must be asked at least once in 4 billion adverts.
func (c *AdvertCount) Sent() (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stats, err := c.conn.Stats() // counts from the last time it was asked
	if err != nil {
		return 0, fmt.Errorf("count adverts of %s: %w", c.node, err)
	}
	// What found no room to be kept has been counted as well.
	//
	// Source: net/packet/af_packet.c, packet_getsockopt.
	c.sent += uint64(stats.Packets)
	return c.sent, nil
}

// Close ends the count.
func (c *AdvertCount) Close() error { return c.conn.Close() }
