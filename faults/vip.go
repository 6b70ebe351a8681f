package faults

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// vipFault deletes an address that a director keeps. That it took hold is the kernel's word: the
// director may have put it back before anybody can look.
type vipFault struct {
	node string
	addr netip.Addr
}

func (f vipFault) String() string { return fmt.Sprintf("%s %s:%s", VIPDeleted, f.node, f.addr) }

func (f vipFault) Needs() []lab.Capability { return nil }

// Inject's Heal puts the address back if no director holds it, as it was.
//
// Equivalent to: `ip addr del 192.168.1.1/32 dev eth0`.
func (f vipFault) Inject(ctx context.Context, l *lab.Lab) (Heal, error) {
	n, err := findNode(l, f.node)
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	addrs, err := n.Handle().AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("inject %s: list addresses: %w", f, err)
	}
	var deleted []netlink.Addr
	for _, a := range addrs {
		if addr, ok := netip.AddrFromSlice(a.IP.To4()); !ok || addr != f.addr {
			continue
		}
		if err := n.Handle().AddrDel(device(a.LinkIndex), &a); err != nil {
			return nil, fmt.Errorf("inject %s: delete address: %w", f, err)
		}
		deleted = append(deleted, a)
	}
	if len(deleted) == 0 {
		return nil, fmt.Errorf("inject %s: the node does not have the address", f)
	}
	return once(func(ctx context.Context) error { return f.heal(l, n, deleted) }), nil
}

// heal sees that a director holds the address.
func (f vipFault) heal(l *lab.Lab, n *lab.Node, deleted []netlink.Addr) error {
	held, err := f.held(l)
	if err != nil || held {
		return err
	}
	for _, a := range deleted {
		// It may be back since: then all is well.
		err := n.Handle().AddrAdd(device(a.LinkIndex), &a)
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("heal %s: add address: %w", f, err)
		}
	}
	if held, err = f.held(l); err == nil && !held {
		err = fmt.Errorf("heal %s: %w", f, ErrNotHealed)
	}
	return err
}

// held reports whether any director has the address.
func (f vipFault) held(l *lab.Lab) (bool, error) {
	for _, n := range l.Directors() {
		held, err := n.Holds(f.addr)
		if err != nil {
			return false, fmt.Errorf("heal %s: %w", f, err)
		}
		if held {
			return true, nil
		}
	}
	return false, nil
}

// device names a link by its index alone.
func device(index int) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
}
