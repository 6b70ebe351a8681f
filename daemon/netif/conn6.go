package netif

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// wire6 is VRRP over IPv6. The socket reads what follows the header; control messages say what the
// header said. The kernel leaves the checksum alone, and gives a raw socket that is bound to no
// address every multicast packet that the host takes, whatever group the socket has joined.
type wire6 struct{}

func (wire6) socket() (int, error) {
	return unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocolVRRP)
}

func (wire6) vrid() []bpf.Instruction {
	return []bpf.Instruction{bpf.LoadAbsolute{Off: 1, Size: 1}}
}

func (wire6) prepare(fd, index int) error {
	return setOptions(fd, []option{
		{"IPV6_MULTICAST_ALL", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0},
		{"IPV6_MULTICAST_LOOP", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0},
		{"IPV6_MULTICAST_HOPS", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, vrrpTTL},
		{"IPV6_MULTICAST_IF", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index},
		{"IPV6_UNICAST_HOPS", unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, vrrpTTL},
		{"IPV6_TCLASS", unix.IPPROTO_IPV6, unix.IPV6_TCLASS, vrrpTOS},
		{"IPV6_RECVPKTINFO", unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
		{"IPV6_RECVHOPLIMIT", unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1},
		{"SO_PRIORITY", unix.SOL_SOCKET, unix.SO_PRIORITY, priorityControl},
	})
}

func (wire6) join(fd, index int, group netip.Addr) error {
	return wire6{}.member(fd, unix.IPV6_JOIN_GROUP, index, group)
}

func (wire6) leave(fd, index int, group netip.Addr) error {
	return wire6{}.member(fd, unix.IPV6_LEAVE_GROUP, index, group)
}

func (wire6) member(fd, option, index int, group netip.Addr) error {
	m := &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)}
	return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, option, m)
}

func (wire6) address(m *message, index int, src, dst netip.Addr, ttl int) {
	info := unix.Inet6Pktinfo{Ifindex: uint32(index), Addr: src.As16()}
	m.used = 0
	m.option(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unsafe.Pointer(&info), unix.SizeofInet6Pktinfo)
	if ttl != 0 {
		value := int32(ttl)
		m.option(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, unsafe.Pointer(&value), intSize)
	}
	m.to6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: dst.As16()}
	if dst.IsLinkLocalUnicast() || dst.IsLinkLocalMulticast() {
		m.to6.Scope_id = uint32(index)
	}
	m.addressed(unsafe.Pointer(&m.to6), unix.SizeofSockaddrInet6)
}

// controlSize holds the two control messages that prepare asks for.
const controlSize = 128

func (wire6) receive(fd int, buf []byte) (Packet, bool, error) {
	var control [controlSize]byte
	n, used, _, from, err := unix.Recvmsg(fd, buf, control[:], unix.MSG_DONTWAIT)
	if err != nil {
		return Packet{}, false, err
	}
	sender, ok := from.(*unix.SockaddrInet6)
	if !ok {
		return Packet{}, false, nil
	}
	p := Packet{From: netip.AddrFrom16(sender.Addr)}
	if !p.readControl(control[:used]) {
		return Packet{}, false, nil
	}
	p.Payload = buf[:n]
	return p, true, nil
}

// readControl reads destination and hop limit, and reports whether both are there.
func (p *Packet) readControl(b []byte) bool {
	const addrLen, intLen = 16, 4
	messages, err := unix.ParseSocketControlMessage(b)
	if err != nil {
		return false
	}
	limited := false
	for _, m := range messages {
		switch {
		case m.Header.Level != unix.IPPROTO_IPV6:
		case m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= addrLen:
			p.To = netip.AddrFrom16([addrLen]byte(m.Data[:addrLen]))
		case m.Header.Type == unix.IPV6_HOPLIMIT && len(m.Data) >= intLen:
			p.TTL, limited = int(int32(binary.NativeEndian.Uint32(m.Data))), true
		}
	}
	return limited && p.To.IsValid()
}
