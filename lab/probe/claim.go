package probe

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/mdlayher/ndp"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// claim is a packet whose sender says that it has an address.
type claim struct {
	addr netip.Addr
	mac  net.HardwareAddr
	// answer says that it answers a question of another station.
	answer bool
}

// The sizes and operations of ARP over Ethernet and IPv4. Source: RFC 826.
const (
	arpSize    = 28
	arpRequest = 1
	arpReply   = 2
)

// The header of IPv6 and the types of neighbour discovery.
//
// Source: RFC 8200, Section 3; RFC 4861, Sections 4.3 and 4.4.
const (
	ipv6Header      = 40
	protocolICMPv6  = 58
	ndSolicitation  = 135
	ndAdvertisement = 136
)

// claimsFilter passes what may be a claim and does not go out by the socket's interface: ARP of
// which the sender's address is not zero, and neighbour solicitations and advertisements.
func claimsFilter() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipTrue: 10},
		bpf.LoadAbsolute{Off: 12, Size: 2}, // the frame's type
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_IPV6, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_ARP, SkipFalse: 7},
		bpf.LoadAbsolute{Off: ethernetHeader + 14, Size: 4}, // the sender's address
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 5, SkipFalse: 6},
		bpf.LoadAbsolute{Off: ethernetHeader + 6, Size: 1}, // the next header
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolICMPv6, SkipFalse: 3},
		bpf.LoadAbsolute{Off: ethernetHeader + ipv6Header, Size: 1}, // the message's type
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: ndAdvertisement, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: ndSolicitation, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: 1 << 16},
	}
}

// parseClaim decodes an Ethernet frame; false: it is no claim.
func parseClaim(frame []byte) (claim, bool) {
	if len(frame) < ethernetHeader {
		return claim{}, false
	}
	body := frame[ethernetHeader:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_ARP:
		return parseARP(body)
	case unix.ETH_P_IPV6:
		return parseDiscovery(body)
	}
	return claim{}, false
}

// parseARP decodes a packet of ARP. One that only asks whether somebody has an address says nothing
// of who has it, and comes from 0.0.0.0.
//
// Source: RFC 5227, Sections 2.1.1 and 3.
func parseARP(arp []byte) (claim, bool) {
	if len(arp) < arpSize || !bytes.Equal(arp[:6], []byte{0, 1, 8, 0, 6, 4}) {
		return claim{}, false
	}
	op := int(arp[6])<<8 | int(arp[7])
	c := claim{
		addr: netip.AddrFrom4([4]byte(arp[14:18])),
		mac:  append(net.HardwareAddr{}, arp[8:14]...),
	}
	target := netip.AddrFrom4([4]byte(arp[24:28]))
	c.answer = op == arpReply && target != c.addr
	return c, !c.addr.IsUnspecified() && (op == arpRequest || op == arpReply)
}

// parseDiscovery decodes a packet of IPv6. An advertisement is about its target address; a
// solicitation is about its source, which is unspecified where it only asks whether somebody has an
// address. Both say the MAC address in an option, without which they change no cache. What was
// routed, whose hop limit is less than 255, is not believed.
//
// Source: RFC 4861, Sections 4.3, 4.4, 7.1 and 7.2; RFC 4862, Section 5.4.2.
func parseDiscovery(packet []byte) (claim, bool) {
	const hopLimit = 255
	if len(packet) < ipv6Header || packet[0]>>4 != 6 || packet[6] != protocolICMPv6 ||
		packet[7] != hopLimit {
		return claim{}, false
	}
	length := int(binary.BigEndian.Uint16(packet[4:]))
	if ipv6Header+length > len(packet) {
		return claim{}, false
	}
	// What follows fills a short frame.
	message, err := ndp.ParseMessage(packet[ipv6Header : ipv6Header+length])
	if err != nil {
		return claim{}, false
	}
	var c claim
	switch m := message.(type) {
	case *ndp.NeighborAdvertisement:
		c = claim{m.TargetAddress, macIn(m.Options, ndp.Target), m.Solicited}
	case *ndp.NeighborSolicitation:
		c = claim{netip.AddrFrom16([16]byte(packet[8:24])), macIn(m.Options, ndp.Source), false}
	}
	return c, c.mac != nil && !c.addr.IsUnspecified() && c.addr.Is6() && !c.addr.Is4In6()
}

// macIn is the MAC address that an option says; nil: none does.
func macIn(options []ndp.Option, way ndp.Direction) net.HardwareAddr {
	for _, o := range options {
		if l, ok := o.(*ndp.LinkLayerAddress); ok && l.Direction == way && len(l.Addr) == 6 {
			return l.Addr
		}
	}
	return nil
}
