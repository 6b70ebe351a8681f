package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

const (
	// etherTypeTest is for experiments of whoever runs the network: no program listens to it.
	//
	// Source: IEEE 802, Section 9.2.3.
	etherTypeTest = 0x88b5
	// frameTravel is several times what a frame takes through the fabric.
	frameTravel = 50 * time.Millisecond
	// noNextHeader is the number behind which IPv6 has nothing: 0 would be options, which every router
	// reads. Source: RFC 8200, Section 4.7.
	noNextHeader = 59
	// frameRounds is how many frames are sent before the fabric counts as not carrying them.
	frameRounds = 2
)

// Carries reports whether a frame that an interface of a node sends reaches an interface of another
// one on the same network, by sending some: packets of a protocol of IP, or with protocol 0
// frames of a type that nobody uses. The receiver's kernel drops them, whatever the protocol: they
// come from nowhere.
func (n *Node) Carries(
	ctx context.Context, iface string, to *Node, toIface string, protocol uint8,
) (bool, error) {
	return n.CarriesSuch(ctx, iface, to, toIface, n.lab.BlockOf(protocol))
}

// BlockOf is a block of a protocol of the lab's IP; 0: of every frame.
func (l *Lab) BlockOf(protocol uint8) Block {
	b := Block{Protocol: protocol}
	if protocol != 0 && l.topology.IPv6() {
		b.EtherType = unix.ETH_P_IPV6
	}
	return b
}

// CarriesSuch is Carries for frames that a block is about, whatever its From and To are.
func (n *Node) CarriesSuch(
	ctx context.Context, iface string, to *Node, toIface string, b Block,
) (bool, error) {
	from, err := n.port(iface)
	if err != nil {
		return false, err
	}
	there, err := to.port(toIface)
	if err != nil {
		return false, err
	}
	mac := HardwareAddr(there.link.Addr.Addr())
	frame := b.frame(mac, HardwareAddr(from.link.Addr.Addr()))
	kind := int(binary.BigEndian.Uint16(frame[12:]))
	send, err := n.Listen(ctx, iface, kind)
	if err != nil {
		return false, err
	}
	defer send.Close()
	receive, err := to.Listen(ctx, toIface, kind)
	if err != nil {
		return false, err
	}
	defer receive.Close()
	for range frameRounds {
		if _, err := send.WriteTo(frame, &packet.Addr{HardwareAddr: mac}); err != nil {
			return false, fmt.Errorf("send test frame from %s:%s: %w", n, iface, err)
		}
		heard, err := hears(receive, frame)
		if heard || err != nil {
			return heard, err
		}
	}
	return false, nil
}

// Listen opens a packet socket on an interface of the node that gets whole frames of an Ethernet
// type, also those that the node does not take for itself, and sends such. The caller closes it.
func (n *Node) Listen(ctx context.Context, iface string, etherType int) (*packet.Conn, error) {
	p, err := n.port(iface)
	if err != nil {
		return nil, err
	}
	var conn *packet.Conn
	err = n.Do(ctx, func() error {
		device := &net.Interface{Index: p.index, Name: iface}
		conn, err = packet.Listen(device, packet.Raw, etherType, nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %s:%s: %w", n, iface, err)
	}
	return conn, nil
}

// hears waits for a frame, or until it must have come.
func hears(conn *packet.Conn, frame []byte) (bool, error) {
	if err := conn.SetReadDeadline(time.Now().Add(frameTravel)); err != nil {
		return false, fmt.Errorf("set deadline: %w", err)
	}
	buffer := make([]byte, 1<<16)
	for {
		size, _, err := conn.ReadFrom(buffer)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("await test frame: %w", err)
		case bytes.HasPrefix(buffer[:size], frame):
			return true, nil
		}
	}
}

// frame is a frame that a block is about and that does nothing where it arrives: of a type that
// nobody uses; of ARP one that asks for an address for documentation on behalf of nobody; or a packet
// from 0.0.0.0 or ::, which the kernel refuses to route, to such an address. Where the block demands
// addresses or a port, what the packet carries has a wrong checksum.
//
// Source: RFC 5737, Section 3; RFC 3849; RFC 5227, Section 2.1.1; net/ipv4/route.c,
// ip_route_input_slow; net/ipv6/ip6_output.c, ip6_forward.
func (b Block) frame(to, from net.HardwareAddr) []byte {
	frame := append(append([]byte{}, to...), from...)
	const text = "tandem-lab\x00\x00"
	switch b.etherType() {
	case unix.ETH_P_ARP:
		frame = append(frame, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1) // a request
		frame = append(append(frame, from...), 0, 0, 0, 0)
		frame = append(frame, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1)
	case unix.ETH_P_IP, unix.ETH_P_IPV6:
		frame = append(binary.BigEndian.AppendUint16(frame, b.etherType()), b.packet(text)...)
	default:
		frame = append(binary.BigEndian.AppendUint16(frame, etherTypeTest), text...)
	}
	if short := int(b.Longer) + 1 + 14 - len(frame); b.Longer != 0 && short > 0 {
		frame = append(frame, make([]byte, short)...)
	}
	return frame
}

// packet is the IP packet of a frame.
func (b Block) packet(text string) []byte {
	six, at := b.etherType() == unix.ETH_P_IPV6, b.offsets()
	header := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1}
	if six {
		header = []byte{0x60, 7: 1, 39: 0}
		copy(header[at.destination:], []byte{0x20, 0x01, 0x0d, 0xb8, 15: 1})
	}
	if header[at.protocol] = b.Protocol; six && b.Protocol == 0 {
		header[at.protocol] = noNextHeader
	}
	if b.Source.IsValid() {
		copy(header[at.source:], b.Source.AsSlice())
	}
	if b.Destination.IsValid() {
		copy(header[at.destination:], b.Destination.AsSlice())
	}
	payload := []byte(text)
	if b.Port != 0 {
		// A segment or datagram of a wrong checksum from port 9.
		payload = append(binary.BigEndian.AppendUint16([]byte{0, 9}, b.Port), make([]byte, 16)...)
		payload[6], payload[12] = 0xff, 0x50
	}
	if six {
		binary.BigEndian.PutUint16(header[4:], uint16(len(payload)))
		return append(header, payload...)
	}
	binary.BigEndian.PutUint16(header[2:], uint16(len(header)+len(payload)))
	binary.BigEndian.PutUint16(header[10:], Checksum(header))
	return append(header, payload...)
}

// Checksum is the Internet checksum of some bytes, in which its own field is zero.
//
// Source: RFC 1071.
func Checksum(b []byte) uint16 {
	var sum uint32
	for i, octet := range b {
		sum += uint32(octet) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
