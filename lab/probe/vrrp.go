package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// protocolVRRP is VRRP's IP protocol number. Source: RFC 9568, Section 5.1.1.4.
const protocolVRRP = 112

// Sizes in bytes of what stands before a VRRP message in a frame, at least, and of its fixed part.
const (
	ethernetHeader = 14
	ipv4Header     = 20
	vrrpHeader     = 8
)

// advert is what the wire shows of one VRRP advertisement over IPv4, version 2 or 3, or over IPv6. The probe
// decodes it by itself, and no more than it needs: it must also see what a director would refuse.
type advert struct {
	mac      net.HardwareAddr
	source   netip.Addr
	version  int
	router   uint8
	priority uint8
	// interval is the sender's advertisement interval; 0 if it says so.
	interval time.Duration
}

// errNoAdvert is returned for frames that are something else.
var errNoAdvert = errors.New("no VRRP")

// parseAdvert decodes an Ethernet frame. Sources: RFC 3768, Section 5.1 and RFC 9568, Section 5.1.
func parseAdvert(frame []byte) (advert, error) {
	source, message, err := openAdvert(frame)
	if err != nil {
		return advert{}, err
	}
	a := advert{
		mac:      net.HardwareAddr(append([]byte(nil), frame[6:12]...)),
		source:   source,
		version:  int(message[0] >> 4),
		router:   message[1],
		priority: message[2],
	}
	switch a.version {
	case 2:
		a.interval = time.Duration(message[5]) * time.Second
	case 3:
		centiseconds := binary.BigEndian.Uint16(message[4:]) & 0x0fff
		a.interval = time.Duration(centiseconds) * 10 * time.Millisecond
	default:
		return advert{}, fmt.Errorf("parse advert: version %d: want 2 or 3", a.version)
	}
	if kind := message[0] & 0x0f; kind != 1 {
		return advert{}, fmt.Errorf("parse advert: type %d: want 1", kind)
	}
	return a, nil
}

// openAdvert returns the source of a packet of VRRP, and what it carries. Packets with extension headers
// of IPv6 are none.
func openAdvert(frame []byte) (source netip.Addr, message []byte, err error) {
	if len(frame) < ethernetHeader+ipv4Header {
		return netip.Addr{}, nil, errNoAdvert
	}
	packet, header, least := frame[ethernetHeader:], 0, 0
	switch kind := binary.BigEndian.Uint16(frame[12:]); {
	case kind == unix.ETH_P_IP && packet[0]>>4 == 4 && packet[9] == protocolVRRP:
		source = netip.AddrFrom4([4]byte(packet[12:16]))
		header, least = int(packet[0]&0x0f)*4, ipv4Header
	case kind == unix.ETH_P_IPV6 && packet[0]>>4 == 6 && packet[6] == protocolVRRP &&
		len(packet) >= ipv6Header:
		source = netip.AddrFrom16([16]byte(packet[8:24]))
		header = ipv6Header
	default:
		return netip.Addr{}, nil, errNoAdvert
	}
	if header < least || len(packet) < header+vrrpHeader {
		return netip.Addr{}, nil, fmt.Errorf("parse advert: %d bytes are too short", len(frame))
	}
	return source, packet[header:], nil
}

// advertPlace is where the adverts of a network stand in frames: the type of these, and the offsets
// of the protocol's number and of the source in the packet.
func advertPlace(six bool) (etherType int, protocol, source uint32) {
	if six {
		return unix.ETH_P_IPV6, 6, 8
	}
	return unix.ETH_P_IP, 9, 12
}
