package netif

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// wire4 is VRRP over IPv4. The socket reads whole packets.
type wire4 struct{}

func (wire4) socket() (int, error) {
	return unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocolVRRP)
}

func (wire4) vrid() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadMemShift{Off: 0}, // X = length of the IP header
		bpf.LoadIndirect{Off: 1, Size: 1},
	}
}

func (wire4) prepare(fd, index int) error {
	err := setOptions(fd, []option{
		{"IP_MULTICAST_ALL", unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0},
		{"IP_MULTICAST_LOOP", unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0},
		{"IP_MULTICAST_TTL", unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, vrrpTTL},
		{"IP_TTL", unix.IPPROTO_IP, unix.IP_TTL, vrrpTTL},
		{"IP_TOS", unix.IPPROTO_IP, unix.IP_TOS, vrrpTOS},
		{"SO_PRIORITY", unix.SOL_SOCKET, unix.SO_PRIORITY, priorityControl},
	})
	if err != nil {
		return err
	}
	via := &unix.IPMreqn{Ifindex: int32(index)}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, via); err != nil {
		return fmt.Errorf("set IP_MULTICAST_IF: %w", err)
	}
	return nil
}

func (wire4) join(fd, index int, group netip.Addr) error {
	return wire4{}.member(fd, unix.IP_ADD_MEMBERSHIP, index, group)
}

func (wire4) leave(fd, index int, group netip.Addr) error {
	return wire4{}.member(fd, unix.IP_DROP_MEMBERSHIP, index, group)
}

func (wire4) member(fd, option, index int, group netip.Addr) error {
	m := &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)}
	return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, option, m)
}

func (wire4) address(m *message, index int, src, dst netip.Addr, ttl int) {
	info := unix.Inet4Pktinfo{Ifindex: int32(index), Spec_dst: src.As4()}
	m.used = 0
	m.option(unix.IPPROTO_IP, unix.IP_PKTINFO, unsafe.Pointer(&info), unix.SizeofInet4Pktinfo)
	if ttl != 0 {
		value := int32(ttl)
		m.option(unix.IPPROTO_IP, unix.IP_TTL, unsafe.Pointer(&value), intSize)
	}
	m.to4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: dst.As4()}
	m.addressed(unsafe.Pointer(&m.to4), unix.SizeofSockaddrInet4)
}

func (wire4) receive(fd int, buf []byte) (Packet, bool, error) {
	// It does not block, see sendFlags, and the header says who sent.
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return Packet{}, false, errno
	}
	p, ok := parsePacket(buf[:n])
	return p, ok, nil
}

// parsePacket cuts the IPv4 header off b (RFC 791, Section 3.1). The payload is part of b.
func parsePacket(b []byte) (Packet, bool) {
	const minHeader = 20
	if len(b) < minHeader || b[0]>>4 != 4 {
		return Packet{}, false
	}
	header := int(b[0]&0xf) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if header < minHeader || total < header || total > len(b) {
		return Packet{}, false
	}
	return Packet{
		Payload: b[header:total],
		From:    netip.AddrFrom4([4]byte(b[12:16])),
		To:      netip.AddrFrom4([4]byte(b[16:20])),
		TTL:     int(b[8]),
	}, true
}
