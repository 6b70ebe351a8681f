package netif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// movePause is how long after one move the next is told of, so that a flood of them costs little.
const movePause = 10 * time.Millisecond

// FollowMoves calls heard, from another goroutine, when a switch has learnt that mac, a virtual MAC
// address on top of the interface, is somewhere else: when another station reports its multicast
// groups from there (MLD, RFC 3810). A kernel does so by itself, also for a router that is master no
// more. Adverts and advertisements are not among it: there is another master then. It tells of a
// hundred moves a second at most, until stop is called, which waits for the last call, or, once,
// failed. Neither may call stop. An interface without an Ethernet address is ErrNoMAC.
func (i *Interface) FollowMoves(
	mac MAC, heard func(Rival), failed func(error),
) (stop func(), err error) {
	s, err := i.link()
	if err == nil && len(s.mac) != macLen {
		err = ErrNoMAC
	}
	m := &moves{}
	if err == nil {
		m.Conn, err = i.listenMoves(s, mac)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for moves of %s on %s: %w", mac, i.name, err)
	}
	return follow(m, func(r Rival) {
		heard(r)
		time.Sleep(movePause)
	}, failed), nil
}

// The offsets in an IPv6 packet with a hop-by-hop option, and the length of its own header.
const (
	ipv6NextHeader, ipv6Source, ipv6Len = 6, 8, 40
	hopByHop                            = 0
)

// listenMoves opens a socket that gets ICMPv6 after a hop-by-hop option from mac, which is nothing
// but MLD. What this host sends itself does not come to a socket of one protocol.
func (i *Interface) listenMoves(s State, mac MAC) (conn *packet.Conn, err error) {
	reports := MAC{0x33, 0x33, 0, 0, 0, 0x16} // of ff02::16 (RFC 3810, Section 5.2.14)
	conn, err = i.listenFrames(s, unix.ETH_P_IPV6, []bpf.Instruction{
		bpf.LoadAbsolute{Off: macLen, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(binary.BigEndian.Uint16(mac[:])), SkipTrue: 7},
		bpf.LoadAbsolute{Off: macLen + 2, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(mac[2:]), SkipTrue: 5},
		bpf.LoadAbsolute{Off: ethernetLen + ipv6NextHeader, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: hopByHop, SkipTrue: 3},
		bpf.LoadAbsolute{Off: ethernetLen + ipv6Len, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_ICMPV6, SkipTrue: 1},
		bpf.RetConstant{Val: ethernetLen + ipv6Len},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return nil, err
	}
	if err := hear(conn, s.Index, reports); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// hear has the interface take what is for group, which its hardware passes by otherwise.
func hear(conn *packet.Conn, index int, group MAC) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	m := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_MULTICAST, Alen: macLen}
	copy(m.Address[:], group[:])
	ctrlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptPacketMreq(int(fd), unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m)
	})
	return errors.Join(ctrlErr, err)
}

// moves hears of them.
type moves struct {
	*packet.Conn
	buf [ethernetLen + ipv6Len]byte
}

func (m *moves) next() (Rival, error) {
	n, _, err := m.ReadFrom(m.buf[:])
	if err != nil || n < len(m.buf) {
		return Rival{}, err
	}
	from := netip.AddrFrom16([16]byte(m.buf[ethernetLen+ipv6Source:]))
	return Rival{from, MAC(m.buf[macLen:])}, nil
}
