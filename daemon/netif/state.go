package netif

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// State is what is known of an interface at a moment. The zero value is an interface that does not
// exist. Its slices are shared: they are only to be read.
type State struct {
	// Index is the kernel's number for it. It changes when the interface is made anew.
	Index int
	// Up is whether it is administratively up and has its carrier.
	Up bool
	// Addrs are its addresses that can be used, in the kernel's order: IPv4 before IPv6, primary
	// ones before secondary ones.
	Addrs []netip.Prefix
	// Unready are its IPv6 addresses that cannot be used: they are being checked for duplicates,
	// or have one.
	Unready []netip.Prefix
	// Deleted are, in what a watch reports, the addresses that somebody else than this Host has
	// deleted since the report before. One of them may be there again: a renewal adds what it does
	// not find.
	Deleted []netip.Prefix

	mac net.HardwareAddr
}

// Has reports whether the interface has the address with that prefix length.
func (s State) Has(p netip.Prefix) bool {
	return slices.Contains(s.Addrs, p) || slices.Contains(s.Unready, p)
}

// equal reports whether there is nothing to report of s, after t.
func (s State) equal(t State) bool {
	return len(s.Deleted) == 0 && s.Index == t.Index && s.Up == t.Up && slices.Equal(s.mac, t.mac) &&
		slices.Equal(s.Addrs, t.Addrs) && slices.Equal(s.Unready, t.Unready)
}

// add notes an address.
func (s *State) add(a netlink.Addr) {
	ip, ok := netip.AddrFromSlice(a.IP)
	if !ok {
		return
	}
	bits, _ := a.Mask.Size()
	p := netip.PrefixFrom(ip.Unmap(), bits)
	if a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 {
		s.Unready = append(s.Unready, p)
		return
	}
	s.Addrs = append(s.Addrs, p)
}

// State asks the kernel. An interface that does not exist is the zero State and no error.
//
// Equivalent to: `ip addr show dev IF`.
func (i *Interface) State() (State, error) {
	all, err := i.host.links.look([]string{i.name})
	if err != nil {
		return State{}, err
	}
	return all[i.name], nil
}

// look asks the kernel for the states of the interfaces of those names.
func (h *Host) look(names []string) (map[string]State, error) {
	all := make(map[string]State, len(names))
	byIndex := make(map[int]string, len(names))
	for _, name := range names {
		link, err := h.eyes.LinkByName(name)
		if isGone(err) {
			all[name] = State{}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", name, err)
		}
		const up = unix.IFF_UP | unix.IFF_RUNNING
		a := link.Attrs()
		all[name] = State{Index: a.Index, Up: a.RawFlags&up == up, mac: a.HardwareAddr}
		byIndex[a.Index] = name
	}
	if len(byIndex) == 0 {
		return all, nil
	}
	addrs, err := h.eyes.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if name, ok := byIndex[a.LinkIndex]; ok {
			s := all[name]
			s.add(a)
			all[name] = s
		}
	}
	return all, nil
}

// isGone reports whether err says that there is no such interface.
func isGone(err error) bool {
	var gone netlink.LinkNotFoundError
	return errors.As(err, &gone) || errors.Is(err, unix.ENODEV)
}

// link returns the index and the MAC address of the interface. While it is watched that costs
// nothing.
func (i *Interface) link() (State, error) {
	if s := i.host.links.known(i.name); s.Index != 0 {
		return s, nil
	}
	return i.ask()
}

// ask asks the kernel for the same.
func (i *Interface) ask() (s State, err error) {
	apart(func() {
		var link netlink.Link
		if link, err = i.host.nl.LinkByName(i.name); err == nil {
			s = State{Index: link.Attrs().Index, mac: link.Attrs().HardwareAddr}
		}
	})
	return s, err
}

// apart calls do in a goroutine and waits: requests take a large stack, and who asks may live long.
func apart(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	<-done
}

// withLink calls do with the interface, and once more with what the kernel says of it if what was
// known is out of date.
func (i *Interface) withLink(do func(State) error) error {
	s, err := i.link()
	if err != nil {
		return err
	}
	err = do(s)
	if !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.ENXIO) {
		return err
	}
	now, askErr := i.ask()
	if askErr != nil {
		return askErr
	}
	if now.Index == s.Index {
		return err
	}
	return do(now)
}
