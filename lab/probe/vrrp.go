package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// protocolVRRP is VRRP's IP protocol number. Source: RFC 9568, Section 5.1.1.4.
const protocolVRRP = 112

// Sizes in bytes of what stands before a VRRP message in a frame, at least, and of its fixed part.
const (
	ethernetHeader = 14
	ipv4Header     = 20
	vrrpHeader     = 8
)

// advert is what the wire shows of one VRRP advertisement over IPv4, version 2 or 3. The probe
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
var errNoAdvert = errors.New("no VRRP over IPv4")

// parseAdvert decodes an Ethernet frame. Sources: RFC 3768, Section 5.1 and RFC 9568, Section 5.1.
func parseAdvert(frame []byte) (advert, error) {
	if len(frame) < ethernetHeader+ipv4Header ||
		binary.BigEndian.Uint16(frame[12:]) != 0x0800 || frame[ethernetHeader]>>4 != 4 {
		return advert{}, errNoAdvert
	}
	packet := frame[ethernetHeader:]
	if packet[9] != protocolVRRP {
		return advert{}, errNoAdvert
	}
	header := int(packet[0]&0x0f) * 4
	if header < ipv4Header || len(packet) < header+vrrpHeader {
		return advert{}, fmt.Errorf("parse advert: %d bytes are too short", len(frame))
	}
	message := packet[header:]
	a := advert{
		mac:      net.HardwareAddr(append([]byte(nil), frame[6:12]...)),
		source:   netip.AddrFrom4([4]byte(packet[12:16])),
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
