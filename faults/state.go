package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// vipDeleted deletes an address that a director keeps. That it took hold is the kernel's word: the
// director may have put it back before anybody can look. The heal puts it back, as it was, if no
// director holds it.
//
// Equivalent to: `ip addr del 192.168.1.1/32 dev eth0`.
func vipDeleted(r request, _ *values) injector {
	return func(_ context.Context, n *lab.Node) (Heal, error) {
		addrs, err := n.Handle().AddrList(nil, family(n))
		if err != nil {
			return nil, fmt.Errorf("list addresses: %w", err)
		}
		var deleted []netlink.Addr
		for _, a := range addrs {
			if addr, ok := netip.AddrFromSlice(a.IP); !ok || addr.Unmap() != r.addr {
				continue
			}
			if err := n.Handle().AddrDel(device(a.LinkIndex), &a); err != nil {
				return nil, fmt.Errorf("delete address: %w", err)
			}
			deleted = append(deleted, a)
		}
		if len(deleted) == 0 {
			return nil, errors.New("the node does not have the address")
		}
		return func(context.Context) error { return restoreVIP(n, r.addr, deleted) }, nil
	}
}

// restoreVIP sees that a director holds an address.
func restoreVIP(n *lab.Node, addr netip.Addr, deleted []netlink.Addr) error {
	held, err := heldByDirector(n.Lab(), addr)
	if err != nil || held {
		return err
	}
	for _, a := range deleted {
		// It may be back since: then all is well.
		err := n.Handle().AddrAdd(device(a.LinkIndex), &a)
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add address: %w", err)
		}
	}
	if held, err = heldByDirector(n.Lab(), addr); err == nil && !held {
		err = ErrNotHealed
	}
	return err
}

func heldByDirector(l *lab.Lab, addr netip.Addr) (bool, error) {
	for _, n := range l.Directors() {
		held, err := n.Holds(addr)
		if err != nil || held {
			return held, err
		}
	}
	return false, nil
}

// family is that of a node's addresses, routes and neighbours.
func family(n *lab.Node) int {
	if t := n.Lab().Topology(); t.IPv6() {
		return netlink.FAMILY_V6
	}
	return netlink.FAMILY_V4
}

// device names a link by its index alone.
func device(index int) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
}

// ipvsFlushed deletes all virtual services. That it took hold is the kernel's word, too. The heal
// adds what there was, if nobody has added anything.
func ipvsFlushed(request, *values) injector {
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		before, err := n.VirtualServices(ctx)
		if err != nil {
			return nil, err
		}
		if len(before) == 0 {
			return nil, errors.New("the node has no virtual service")
		}
		if err := n.FlushVirtualServices(ctx); err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
			now, err := n.VirtualServices(ctx)
			if err != nil || len(now) > 0 {
				return err
			}
			if err := n.AddVirtualServices(ctx, before); err != nil {
				return err
			}
			if now, err = n.VirtualServices(ctx); err == nil && len(now) < len(before) {
				err = fmt.Errorf("%w: %d virtual services, want %d", ErrNotHealed, len(now), len(before))
			}
			return err
		}, nil
	}
}

// routesOver are the routes that lead over an interface and that the kernel does not make itself.
func routesOver(n *lab.Node, iface string) ([]netlink.Route, error) {
	link, err := n.Handle().LinkByName(iface)
	if err != nil {
		return nil, fmt.Errorf("find %s:%s: %w", n, iface, err)
	}
	routes, err := n.Handle().RouteList(link, family(n))
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return slices.DeleteFunc(routes, func(r netlink.Route) bool {
		return r.Protocol == unix.RTPROT_KERNEL
	}), nil
}

// restoreRoutes adds routes; one that is there stays as it is.
func restoreRoutes(n *lab.Node, routes []netlink.Route) error {
	for _, r := range routes {
		r.Flags &^= unix.RTNH_F_LINKDOWN | unix.RTNH_F_DEAD // which only the kernel may set
		if err := n.Handle().RouteAdd(&r); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add route to %v: %w", r.Dst, err)
		}
	}
	return nil
}

// routeDeleted deletes the route by which a node reaches an address. The heal adds it, unless
// somebody has.
//
// Equivalent to: `ip route del default`.
func routeDeleted(r request, _ *values) injector {
	return func(_ context.Context, n *lab.Node) (Heal, error) {
		route, err := routeTo(n, r.addr)
		if err != nil {
			return nil, err
		}
		if route == nil {
			return nil, fmt.Errorf("the node has no route to %s", r.addr)
		}
		if err := n.Handle().RouteDel(route); err != nil {
			return nil, fmt.Errorf("delete route to %v: %w", route.Dst, err)
		}
		return func(context.Context) error {
			if err := restoreRoutes(n, []netlink.Route{*route}); err != nil {
				return err
			}
			if back, err := routeTo(n, r.addr); err != nil || back == nil {
				return errors.Join(err, ErrNotHealed)
			}
			return nil
		}, nil
	}
}

// routeTo returns the route of the main table by which an address is reached; nil: none.
func routeTo(n *lab.Node, addr netip.Addr) (*netlink.Route, error) {
	routes, err := n.Handle().RouteList(nil, family(n))
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var best *netlink.Route
	longest := -1
	for i, r := range routes {
		bits := 0
		if r.Dst != nil {
			bits, _ = r.Dst.Mask.Size()
			if !r.Dst.Contains(addr.AsSlice()) && bits > 0 {
				continue
			}
		}
		if bits > longest {
			best, longest = &routes[i], bits
		}
	}
	return best, nil
}

// nobody is a hardware address that no host has.
var nobody = net.HardwareAddr{0x02, 0xff, 0, 0, 0, 0x01}

// neighbourPoisoned has a node send what is for an address to nobody. The heal has it ask again.
//
// Equivalent to: `ip neigh replace 192.168.1.1 lladdr 02:ff:00:00:00:01 dev eth0 nud permanent`.
func neighbourPoisoned(r request, _ *values) injector {
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		iface, err := linkTo(n, r.addr)
		if err != nil {
			return nil, err
		}
		link, err := n.Handle().LinkByName(iface)
		if err != nil {
			return nil, fmt.Errorf("find %s:%s: %w", n, iface, err)
		}
		wrong := &netlink.Neigh{LinkIndex: link.Attrs().Index, Family: family(n),
			State: netlink.NUD_PERMANENT, IP: r.addr.AsSlice(), HardwareAddr: nobody}
		poisoned := func() (bool, error) { return believes(n, wrong.LinkIndex, r.addr, nobody) }
		if bad, err := poisoned(); err != nil || bad {
			return nil, errors.Join(err, errors.New("the neighbour is poisoned already"))
		}
		if err := n.Handle().NeighSet(wrong); err != nil {
			return nil, fmt.Errorf("set neighbour: %w", err)
		}
		heal := func(context.Context) error {
			if err := forgetNeighbour(n, wrong); err != nil {
				return err
			}
			if bad, err := poisoned(); err != nil || bad {
				return errors.Join(err, ErrNotHealed)
			}
			return nil
		}
		if bad, err := poisoned(); err != nil || !bad {
			return nil, errors.Join(err, ErrNotInjected, heal(ctx))
		}
		return heal, nil
	}
}

// linkTo names the interface whose network has an address.
func linkTo(n *lab.Node, addr netip.Addr) (string, error) {
	for _, link := range n.Spec().Links {
		if link.Addr.Masked().Contains(addr) {
			return link.Interface, nil
		}
	}
	return "", fmt.Errorf("the node has no interface on the network of %s", addr)
}

// believes says whether a node takes an address to be at a hardware address.
func believes(n *lab.Node, index int, addr netip.Addr, mac net.HardwareAddr) (bool, error) {
	list, err := n.Handle().NeighList(index, family(n))
	if err != nil {
		return false, fmt.Errorf("list neighbours: %w", err)
	}
	return slices.ContainsFunc(list, func(e netlink.Neigh) bool {
		return e.IP.Equal(addr.AsSlice()) && slices.Equal(e.HardwareAddr, mac)
	}), nil
}

// forgetNeighbour deletes an entry; one that is not there is no error.
func forgetNeighbour(n *lab.Node, entry *netlink.Neigh) error {
	err := n.Handle().NeighDel(entry)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete neighbour %s: %w", entry.IP, err)
	}
	return nil
}

// conntrackFull fills a node's table of connections.
func conntrackFull(_ request, v *values) injector {
	known := v.duration("known")
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		free, err := n.FillConntrack(ctx, known)
		if err != nil {
			return nil, err
		}
		return free, nil
	}
}
