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

// AddrOptions are the finer points of an address. The zero value is an address of global scope
// without any.
type AddrOptions struct {
	// Label is the IPv4 label, eth0:1; empty is the interface's name.
	Label string `json:",omitzero"`
	// Scope is the kernel's number: 0 global, 200 site, 253 link, 254 host, 255 nowhere. IPv6
	// addresses have the scope that they are of.
	Scope uint8 `json:",omitzero"`
	// Broadcast is the IPv4 broadcast address; invalid is none.
	Broadcast netip.Addr `json:",omitzero"`
	// Peer is the far end of a point-to-point address; invalid is none.
	Peer netip.Addr `json:",omitzero"`
	// DAD has an IPv6 address checked for duplicates before it can be used; without it, it can be
	// used at once.
	DAD bool `json:",omitzero"`
	// Home to AutoJoin are the kernel's flags of these names.
	Home, ManageTemporary, NoPrefixRoute, AutoJoin bool `json:",omitzero"`
	// Deprecated has the address not be chosen as a source, PreferredFor after that time. Zero of
	// both is that it may be chosen as long as it is there.
	Deprecated   bool          `json:",omitzero"`
	PreferredFor time.Duration `json:",omitzero"`
}

// AddAddr adds the address with its prefix length, or renews it: a second call is no error. With a
// lease the kernel removes the address by itself when the lease, rounded up to seconds, has run
// out and nobody has renewed it; the kernel may take up to two seconds more. A lease of zero is
// for ever. IPv6 addresses are usable at once, for nobody is asked whether they are in use.
//
// Equivalent to: `ip addr replace PREFIX dev IF valid_lft LEASE preferred_lft LEASE`.
func (i *Interface) AddAddr(p netip.Prefix, lease time.Duration) error {
	return i.PutAddr(p, AddrOptions{}, lease)
}

// PutAddr is AddAddr with options.
func (i *Interface) PutAddr(p netip.Prefix, o AddrOptions, lease time.Duration) error {
	err := i.withLink(func(s State) error {
		return i.host.nl.AddrReplace(s.device(), o.address(p, lease))
	})
	if err != nil {
		return fmt.Errorf("add %s to %s: %w", p, i.name, err)
	}
	return nil
}

// RestoreAddr is PutAddr of an address that is perhaps there, which it then leaves alone. It
// reports whether it was not.
func (i *Interface) RestoreAddr(p netip.Prefix, o AddrOptions, lease time.Duration) (bool, error) {
	err := i.withLink(func(s State) error {
		return i.host.nl.AddrAdd(s.device(), o.address(p, lease))
	})
	if errors.Is(err, unix.EEXIST) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("restore %s on %s: %w", p, i.name, err)
	}
	return true, nil
}

// RemoveAddr removes the address. An address, or an interface, that is not there is no error.
//
// Equivalent to: `ip addr del PREFIX dev IF`.
func (i *Interface) RemoveAddr(p netip.Prefix) error { return i.DropAddr(p, AddrOptions{}) }

// DropAddr is RemoveAddr of an address with a peer, if the options have one.
func (i *Interface) DropAddr(p netip.Prefix, o AddrOptions) error {
	err := i.withLink(func(s State) error {
		undo := i.host.links.drops(s.Index, o.Listed(p))
		err := i.host.nl.AddrDel(s.device(), AddrOptions{Peer: o.Peer}.address(p, 0))
		if err != nil {
			undo()
		}
		return err
	})
	if err == nil || errors.Is(err, unix.EADDRNOTAVAIL) || isGone(err) {
		return nil
	}
	return fmt.Errorf("remove %s from %s: %w", p, i.name, err)
}

// Listed returns how State lists the address: one that has a peer is alone in its network.
func (o AddrOptions) Listed(p netip.Prefix) netip.Prefix {
	if o.Peer.IsValid() {
		return netip.PrefixFrom(p.Addr(), p.Addr().BitLen())
	}
	return p
}

// device returns the interface in the library's own terms.
func (s State) device() netlink.Link {
	return &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: s.Index}}
}

// address returns p with the options in the library's own terms.
func (o AddrOptions) address(p netip.Prefix, lease time.Duration) *netlink.Addr {
	mask := net.CIDRMask(p.Bits(), p.Addr().BitLen())
	a := &netlink.Addr{
		IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: mask},
		Label: o.Label, Scope: int(o.Scope), Flags: o.flags(p.Addr().Is6()),
		Broadcast: net.IPv4zero, // none, not the one that the library would make up
	}
	if o.Broadcast.IsValid() {
		a.Broadcast = o.Broadcast.AsSlice()
	}
	if o.Peer.IsValid() {
		a.Peer = &net.IPNet{IP: o.Peer.AsSlice(), Mask: mask}
	}
	a.ValidLft, a.PreferedLft = o.lifetimes(lease)
	return a
}

// forever is the kernel's lifetime without end.
const forever = 1<<32 - 1

// lifetimes returns the valid and the preferred lifetime in seconds; zero of both is the kernel's
// default, for ever.
func (o AddrOptions) lifetimes(lease time.Duration) (valid, preferred int) {
	if lease > 0 {
		valid = seconds(lease)
		preferred = valid
	}
	if o.Deprecated {
		if valid == 0 {
			valid = forever
		}
		preferred = min(valid, seconds(o.PreferredFor))
	}
	return valid, preferred
}

// seconds rounds up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

func (o AddrOptions) flags(is6 bool) int {
	flags := 0
	for _, f := range []struct {
		on   bool
		flag int
	}{
		{is6 && !o.DAD, unix.IFA_F_NODAD},
		{o.Home, unix.IFA_F_HOMEADDRESS},
		{o.ManageTemporary, unix.IFA_F_MANAGETEMPADDR},
		{o.NoPrefixRoute, unix.IFA_F_NOPREFIXROUTE},
		{o.AutoJoin, unix.IFA_F_MCAUTOJOIN},
	} {
		if f.on {
			flags |= f.flag
		}
	}
	return flags
}
