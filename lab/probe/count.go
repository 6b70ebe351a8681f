package probe

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"

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
	filter, kind, err := advertsFrom(link.Addr.Addr())
	if err != nil {
		return nil, fmt.Errorf("count adverts of %s: %w", node, err)
	}
	err = l.Fabric().Do(ctx, func() error {
		iface := &net.Interface{Index: bridge.Index, Name: bridge.Name}
		c.conn, err = packet.Listen(iface, packet.Raw, kind, &packet.Config{Filter: filter})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count adverts of %s: %w", node, err)
	}
	return c, nil
}

// advertsFrom passes the adverts of the interface with an address, and of each its first byte, out of
// frames of a type.
func advertsFrom(addr netip.Addr) (filter []bpf.RawInstruction, etherType int, err error) {
	etherType, protocol, at := advertPlace(addr.Is6())
	source := addr.AsSlice()
	if addr.Is6() {
		source = lab.LinkLocal(addr).AsSlice()
	}
	fields := []bpf.Instruction{bpf.LoadAbsolute{Off: ethernetHeader + protocol, Size: 1}}
	last := uint8(len(source) / 2) // the instructions of the source's words
	fields = append(fields, bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolVRRP, SkipFalse: last + 1})
	for i := 0; i < len(source); i += 4 {
		last -= 2
		fields = append(fields,
			bpf.LoadAbsolute{Off: ethernetHeader + at + uint32(i), Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(source[i:]), SkipFalse: last + 1})
	}
	filter, err = bpf.Assemble(append(fields, bpf.RetConstant{Val: 1}, bpf.RetConstant{Val: 0}))
	return filter, etherType, err
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
