package netif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

// Announce tells everyone on the interface's network that each of addrs, all IPv4, is here:
// repeat rounds of one gratuitous ARP request each. A request, because receivers take a
// gratuitous one at once, even within the second in which they would ignore a reply.
//
// Equivalent to: `arping -U -c REPEAT -I IF ADDR` for each.
func (i *Interface) Announce(addrs []netip.Addr, repeat int) error {
	err := i.host.inside(func() error { return announce(i.name, addrs, repeat) })
	if err != nil {
		return fmt.Errorf("announce on %s: %w", i.name, err)
	}
	return nil
}

func announce(name string, addrs []netip.Addr, repeat int) (err error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	if len(ifi.HardwareAddr) != macLen {
		return errors.New("interface has no Ethernet address")
	}
	const receiveNothing = 0
	conn, err := packet.Listen(ifi, packet.Raw, receiveNothing, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for range repeat {
		for _, addr := range addrs {
			frame := gratuitousARP([macLen]byte(ifi.HardwareAddr), addr.As4())
			if _, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: broadcast()}); err != nil {
				return fmt.Errorf("announce %s: %w", addr, err)
			}
		}
	}
	return nil
}

const macLen = 6

func broadcast() net.HardwareAddr {
	return net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
}

// gratuitousARP returns the Ethernet frame of an ARP request for ip from itself (RFC 826; RFC
// 5227, Section 3, for the name).
func gratuitousARP(mac [macLen]byte, ip [4]byte) []byte {
	const (
		hardwareEthernet = 1
		operationRequest = 1
	)
	b := make([]byte, 0, 42)
	b = append(b, broadcast()...)
	b = append(b, mac[:]...)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_ARP)
	b = binary.BigEndian.AppendUint16(b, hardwareEthernet)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IP)
	b = append(b, macLen, byte(len(ip)))
	b = binary.BigEndian.AppendUint16(b, operationRequest)
	b = append(b, mac[:]...)
	b = append(b, ip[:]...)
	b = append(b, make([]byte, macLen)...)
	return append(b, ip[:]...)
}
