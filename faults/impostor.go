package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// impostor is a host that has another one's address.
type impostor struct {
	node  *lab.Node
	iface string
	addr  netip.Addr
	mac   net.HardwareAddr
	// others are on its network.
	others []end
}

// address is what it adds to its interface.
func (i impostor) address() (netlink.Link, *netlink.Addr, error) {
	link, err := i.node.Handle().LinkByName(i.iface)
	if err != nil {
		return nil, nil, fmt.Errorf("find %s:%s: %w", i.node, i.iface, err)
	}
	bits := i.addr.BitLen()
	return link, &netlink.Addr{IPNet: &net.IPNet{IP: i.addr.AsSlice(),
		Mask: net.CIDRMask(bits, bits)}}, nil
}

func (i impostor) take() error {
	link, addr, err := i.address()
	if err == nil {
		err = i.node.Handle().AddrAdd(link, addr)
	}
	if err != nil {
		return fmt.Errorf("add %s to %s:%s: %w", i.addr, i.node, i.iface, err)
	}
	return nil
}

// leave gives the address up and has everybody who believed it ask again.
func (i impostor) leave(ctx context.Context) error {
	link, addr, err := i.address()
	if err != nil {
		return err
	}
	err = i.node.Handle().AddrDel(link, addr)
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("delete %s from %s:%s: %w", i.addr, i.node, i.iface, err)
	}
	for _, o := range i.others {
		if err := i.undeceive(o); err != nil {
			return err
		}
	}
	return nil
}

// undeceive has a host forget that the address is at the impostor.
func (i impostor) undeceive(o end) error {
	link, err := o.node.Handle().LinkByName(o.iface)
	if err != nil {
		return fmt.Errorf("find %s:%s: %w", o.node, o.iface, err)
	}
	index := link.Attrs().Index
	wrong, err := believes(o.node, index, i.addr, i.mac)
	if err != nil || !wrong {
		return err
	}
	err = forgetNeighbour(o.node, &netlink.Neigh{LinkIndex: index, Family: netlink.FAMILY_V4,
		IP: i.addr.AsSlice()})
	if err != nil {
		return err
	}
	if wrong, err = believes(o.node, index, i.addr, i.mac); err == nil && wrong {
		err = fmt.Errorf("%w: %s believes it", ErrNotHealed, o.node)
	}
	return err
}

// demandAnswers asks for the address as another host, until the impostor answers.
//
// Source: RFC 5227, Section 2.1.1: a probe is a request of the sender address zero, which no cache
// keeps.
func (i impostor) demandAnswers(ctx context.Context) error {
	asker := i.others[0]
	conn, err := asker.node.Listen(ctx, asker.iface, unix.ETH_P_ARP)
	if err != nil {
		return err
	}
	defer conn.Close()
	mac := hardwareAddr(asker.node, asker.iface)
	probe := arpFrame(mac, netip.IPv4Unspecified(), i.addr)
	reply := make([]byte, 1500)
	return await(ctx, fmt.Errorf("%w: nobody answers for %s there", ErrNotInjected, i.addr),
		func() (bool, error) {
			if _, err := conn.WriteTo(probe, &packet.Addr{HardwareAddr: probe[:6]}); err != nil {
				return false, fmt.Errorf("send probe: %w", err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(showLimit / 10)); err != nil {
				return false, fmt.Errorf("set deadline: %w", err)
			}
			for {
				length, _, err := conn.ReadFrom(reply)
				switch {
				case errors.Is(err, os.ErrDeadlineExceeded):
					return false, nil
				case err != nil:
					return false, fmt.Errorf("await answer: %w", err)
				case i.answered(reply[:length]):
					return true, nil
				}
			}
		})
}

// answered says whether a frame is the impostor's answer.
func (i impostor) answered(frame []byte) bool {
	return len(frame) >= arpLength && frame[21] == arpReply &&
		slices.Equal(frame[22:28], i.mac) && slices.Equal(frame[28:32], i.addr.AsSlice())
}

// announce tells everybody that the address is at the impostor.
func (i impostor) announce(ctx context.Context) error {
	conn, err := i.node.Listen(ctx, i.iface, unix.ETH_P_ARP)
	if err != nil {
		return err
	}
	defer conn.Close()
	frame := arpFrame(i.mac, i.addr, i.addr)
	if _, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: frame[:6]}); err != nil {
		return fmt.Errorf("announce %s: %w", i.addr, err)
	}
	return nil
}

// Source: RFC 826.
const (
	arpReply  = 2
	arpLength = 14 + 28
)

// arpFrame asks everybody, as a host, who has an address.
func arpFrame(mac net.HardwareAddr, own, wanted netip.Addr) []byte {
	frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac...)
	frame = append(frame, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1)
	frame = append(append(frame, mac...), own.AsSlice()...)
	return append(append(frame, make([]byte, 6)...), wanted.AsSlice()...)
}
