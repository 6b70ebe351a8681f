package netif

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// MAC is an Ethernet address.
type MAC [macLen]byte

// String returns, for example, "00:00:5e:00:01:33".
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// VirtualMAC is the address of a virtual router (RFC 9568, Section 7.3).
func VirtualMAC(vrid uint8, ipv6 bool) MAC {
	family := byte(1)
	if ipv6 {
		family = 2
	}
	return MAC{0, 0, 0x5e, 0, family, vrid}
}

// header is what IP headers of both families say.
type header struct{ tos, protocol, ttl uint8 }

// sendFrom sends a multicast packet of VRRP that seems to come from mac.
func (h *Host) sendFrom(mac MAC, index int, payload []byte, src, dst netip.Addr) error {
	raw, err := h.frameSocket()
	if err != nil {
		return err
	}
	head := header{tos: vrrpTOS, protocol: protocolVRRP, ttl: vrrpTTL}
	return sendFrame(raw, index, multicastFrame(mac, src, dst, head, payload))
}

// multicastFrame returns the Ethernet frame of an IP packet. Both addresses are of one family.
func multicastFrame(mac MAC, src, dst netip.Addr, h header, payload []byte) []byte {
	const room = 14 + 40
	b := make([]byte, 0, room+len(payload))
	if dst.Is6() {
		to := dst.As16()
		b = append(b, 0x33, 0x33, to[12], to[13], to[14], to[15]) // RFC 2464, Section 7
		b = append(b, mac[:]...)
		b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IPV6)
		b = append(b, 6<<4|h.tos>>4, h.tos<<4, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
		b = append(b, h.protocol, h.ttl)
		b = append(b, src.AsSlice()...)
		return append(append(b, to[:]...), payload...)
	}
	const length, dontFragment = 20, 0x40
	to := dst.As4()
	b = append(b, 0x01, 0, 0x5e, to[1]&0x7f, to[2], to[3]) // RFC 1112, Section 6.4
	b = append(b, mac[:]...)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IP)
	start := len(b)
	b = append(b, 4<<4|length/4, h.tos)
	b = binary.BigEndian.AppendUint16(b, uint16(length+len(payload)))
	b = append(b, 0, 0, dontFragment, 0, h.ttl, h.protocol, 0, 0)
	b = append(b, src.AsSlice()...)
	b = append(b, to[:]...)
	binary.BigEndian.PutUint16(b[start+10:], headerChecksum(b[start:]))
	return append(b, payload...)
}

// headerChecksum is that of an IPv4 header whose checksum is zero yet (RFC 1071).
func headerChecksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
