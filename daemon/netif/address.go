package netif

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// AddAddr adds the address with its prefix length, or renews it: a second call is no error. With a
// lease the kernel removes the address by itself when the lease, rounded up to seconds, has run
// out and nobody has renewed it; the kernel may take up to two seconds more. A lease of zero is
// for ever. IPv6 addresses are usable at once, for nobody is asked whether they are in use.
//
// Equivalent to: `ip addr replace PREFIX dev IF valid_lft LEASE preferred_lft LEASE`.
func (i *Interface) AddAddr(p netip.Prefix, lease time.Duration) error {
	err := i.change(p, func(link netlink.Link, addr *netlink.Addr) error {
		if lease > 0 {
			addr.ValidLft = int((lease + time.Second - 1) / time.Second)
			addr.PreferedLft = addr.ValidLft
		}
		if p.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		return i.host.nl.AddrReplace(link, addr)
	})
	if err != nil {
		return fmt.Errorf("add %s to %s: %w", p, i.name, err)
	}
	return nil
}

// RemoveAddr removes the address. An address, or an interface, that is not there is no error.
//
// Equivalent to: `ip addr del PREFIX dev IF`.
func (i *Interface) RemoveAddr(p netip.Prefix) error {
	err := i.change(p, i.host.nl.AddrDel)
	var gone netlink.LinkNotFoundError
	if err == nil || errors.Is(err, unix.EADDRNOTAVAIL) || errors.As(err, &gone) {
		return nil
	}
	return fmt.Errorf("remove %s from %s: %w", p, i.name, err)
}

// change applies do to the interface and the address in the library's own terms.
func (i *Interface) change(p netip.Prefix, do func(netlink.Link, *netlink.Addr) error) error {
	link, err := i.host.nl.LinkByName(i.name)
	if err != nil {
		return err
	}
	return do(link, &netlink.Addr{IPNet: &net.IPNet{
		IP:   p.Addr().AsSlice(),
		Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
	}})
}

// State is what is known of an interface at a moment. The zero value is an interface that does not
// exist.
type State struct {
	// Index is the kernel's number for it. It changes when the interface is made anew.
	Index int
	// Up is whether it is administratively up and has its carrier.
	Up bool
	// Addrs are its IPv4 addresses, in the kernel's order: primary ones before secondary ones.
	Addrs []netip.Prefix
}

// State asks the kernel. An interface that does not exist is the zero State and no error.
//
// Equivalent to: `ip -4 addr show dev IF`.
func (i *Interface) State() (State, error) {
	link, err := i.host.nl.LinkByName(i.name)
	var gone netlink.LinkNotFoundError
	if errors.As(err, &gone) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("look at %s: %w", i.name, err)
	}
	addrs, err := i.host.nl.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return State{}, fmt.Errorf("list addresses of %s: %w", i.name, err)
	}
	const up = unix.IFF_UP | unix.IFF_RUNNING
	s := State{Index: link.Attrs().Index, Up: link.Attrs().RawFlags&up == up}
	for _, a := range addrs {
		ip, _ := netip.AddrFromSlice(a.IP)
		bits, _ := a.Mask.Size()
		s.Addrs = append(s.Addrs, netip.PrefixFrom(ip.Unmap(), bits))
	}
	return s, nil
}
