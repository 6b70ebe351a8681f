package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/tandemlb/tandem/topology"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// linkTimeout bounds how long the kernel may take to carry out a change of a link.
const linkTimeout = 3 * time.Second

// port is one cable: a node's interface and the fabric's end of it.
type port struct {
	link   topology.Link
	index  int
	fabric Interface
}

// linkState is what the kernel says about an interface.
type linkState struct {
	// admin: the interface is switched on; carrier: its cable is plugged in at both ends.
	admin, carrier bool
	// oper is the state that programs are told, which follows carrier by a moment.
	oper netlink.LinkOperState
}

// up reports whether the interface can be used.
func (s linkState) up() bool { return s.admin && s.carrier && s.oper == netlink.OperUp }

// SetLink plugs the cable of an interface in or pulls it: the node's interface stays switched on
// and keeps its addresses, but has no carrier. It returns when the node's kernel sees the change
// and, for up, the network forwards its frames.
//
// Equivalent to: pulling the cable; `ip link set lb1.eth0 down` at the switch.
func (n *Node) SetLink(ctx context.Context, iface string, up bool) error {
	p, err := n.port(iface)
	if err != nil {
		return err
	}
	if err := n.lab.fabric.setPort(p.fabric, up); err != nil {
		return fmt.Errorf("set cable of %s:%s %s: %w", n.spec.Name, iface, upDown(up), err)
	}
	return n.awaitLink(ctx, p, "cable", func(s linkState) bool {
		return s.carrier == (up && s.admin) && (s.oper == netlink.OperUp) == s.carrier
	})
}

// SetAdmin switches an interface of the node on or off, as its administrator would. Off, it keeps
// its addresses and loses its routes; on, the topology's default route is set again. It returns
// when the kernel has made the change.
//
// Equivalent to: `ip link set eth0 up|down` on the node.
func (n *Node) SetAdmin(ctx context.Context, iface string, up bool) error {
	p, err := n.port(iface)
	if err != nil {
		return err
	}
	set := n.handle.LinkSetDown
	if up {
		set = n.handle.LinkSetUp
	}
	if err := set(device(p.index)); err != nil {
		return fmt.Errorf("set link %s:%s %s: %w", n.spec.Name, iface, upDown(up), err)
	}
	if up && n.gatewayOn(p) {
		if err := n.setGateway(); err != nil {
			return fmt.Errorf("set link %s:%s up: %w", n.spec.Name, iface, err)
		}
	}
	return n.awaitLink(ctx, p, "link", func(s linkState) bool {
		return s.admin == up && (!s.carrier || s.oper == netlink.OperUp)
	})
}

// PowerOff takes the node off the network in one blow: every process is stopped first, or one would
// see the first cable go dead and say so on the next; then all its cables are pulled, then every
// process is ended by SIGKILL, then goes what only memory held: addresses that are not the
// topology's, virtual MAC interfaces and IPVS tables. Until PowerOn nothing can be started on it. A
// second call does nothing.
func (n *Node) PowerOff(ctx context.Context) error {
	n.mu.Lock()
	state := n.state
	if state == running {
		n.state = poweredOff
	}
	n.mu.Unlock()
	switch state {
	case poweredOff:
		return nil
	case closed:
		return ErrClosed
	case running:
	}
	var errs []error
	for _, p := range n.Processes() {
		if err := p.Freeze(ctx); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
		}
	}
	for _, p := range n.ports {
		errs = append(errs, n.lab.fabric.setPort(p.fabric, false))
	}
	errs = append(errs, n.killAll(), n.Do(ctx, n.forget))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("power off %s: %w", n.spec.Name, err)
	}
	return nil
}

// PowerOn plugs the cables of a node in again and gives its interfaces what the topology says. It
// starts no process. On a node that has power it only repairs links.
func (n *Node) PowerOn(ctx context.Context) error {
	for _, p := range n.ports {
		if err := n.lab.fabric.setPort(p.fabric, true); err != nil {
			return fmt.Errorf("power on %s: plug in %s: %w", n.spec.Name, p.link.Interface, err)
		}
	}
	if err := n.configure(); err != nil {
		return fmt.Errorf("power on %s: %w", n.spec.Name, err)
	}
	for _, p := range n.ports {
		if err := n.awaitLink(ctx, p, "link", linkState.up); err != nil {
			return err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state == poweredOff {
		n.state = running
	}
	return nil
}

// Powered reports whether the node has power.
func (n *Node) Powered() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state == running
}

// Port returns the fabric's end of the cable of an interface: what is done to it, such as shaping,
// happens on the wire and cannot be seen on the node.
func (n *Node) Port(iface string) (Interface, error) {
	p, err := n.port(iface)
	if err != nil {
		return Interface{}, err
	}
	return p.fabric, nil
}

// Carrier reports whether an interface of the node is switched on and has carrier.
func (n *Node) Carrier(iface string) (bool, error) {
	p, err := n.port(iface)
	if err != nil {
		return false, err
	}
	state, err := n.linkState(p)
	return state.admin && state.carrier, err
}

// Addrs returns the addresses, of the lab's family, of an interface of the node with their prefix
// lengths, in the kernel's order. Interfaces that the topology does not name, such as virtual MACs, may be asked
// too.
func (n *Node) Addrs(iface string) ([]netip.Prefix, error) {
	link, err := n.handle.LinkByName(iface)
	if err != nil {
		return nil, fmt.Errorf("find %s:%s: %w", n.spec.Name, iface, err)
	}
	addrs, err := n.handle.AddrList(link, n.lab.family())
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s:%s: %w", n.spec.Name, iface, err)
	}
	prefixes := make([]netip.Prefix, 0, len(addrs))
	for _, a := range addrs {
		prefixes = append(prefixes, prefix(a.IPNet))
	}
	return prefixes, nil
}

// Holds reports whether the node's kernel has the address on any interface.
func (n *Node) Holds(addr netip.Addr) (bool, error) {
	addrs, err := n.handle.AddrList(nil, n.lab.family())
	if err != nil {
		return false, fmt.Errorf("list addresses of %s: %w", n.spec.Name, err)
	}
	for _, a := range addrs {
		if prefix(a.IPNet).Addr() == addr {
			return true, nil
		}
	}
	return false, nil
}

// Route is a route of a node's main table.
type Route struct {
	// To is the destination; 0.0.0.0/0, or ::/0, is the default route.
	To netip.Prefix
	// Via is the next hop; the zero Addr for a network that is directly connected.
	Via netip.Addr
}

// Routes returns the routes, of the lab's family, of the node's main table, in the kernel's order.
func (n *Node) Routes() ([]Route, error) {
	list, err := n.handle.RouteList(nil, n.lab.family())
	if err != nil {
		return nil, fmt.Errorf("list routes of %s: %w", n.spec.Name, err)
	}
	routes := make([]Route, 0, len(list))
	for _, r := range list {
		route := Route{To: n.lab.everywhere()}
		if r.Dst != nil {
			route.To = prefix(r.Dst)
		}
		if via, ok := netip.AddrFromSlice(r.Gw); ok {
			route.Via = via.Unmap()
		}
		routes = append(routes, route)
	}
	return routes, nil
}

// awaitLink waits until an interface of the node and the fabric agree with a wish.
func (n *Node) awaitLink(
	ctx context.Context, p *port, what string, reached func(linkState) bool,
) error {
	err := await(ctx, linkTimeout, func() (bool, error) {
		state, err := n.linkState(p)
		if err != nil || !reached(state) {
			return false, err
		}
		far, err := interfaceState(n.lab.fabric.handle, p.fabric.Index)
		if err != nil || (far.oper == netlink.OperUp) != state.carrier {
			return false, err
		}
		if !state.up() {
			return true, nil
		}
		return n.addressed(p)
	})
	if err != nil {
		return fmt.Errorf("await %s of %s:%s: %w", what, n.spec.Name, p.link.Interface, err)
	}
	return nil
}

// linkState asks the node's kernel about an interface.
func (n *Node) linkState(p *port) (linkState, error) {
	state, err := interfaceState(n.handle, p.index)
	if err != nil {
		return state, fmt.Errorf("read state of %s:%s: %w", n.spec.Name, p.link.Interface, err)
	}
	return state, nil
}

// interfaceState asks the kernel of a netlink handle about an interface.
func interfaceState(handle *netlink.Handle, index int) (linkState, error) {
	link, err := handle.LinkByIndex(index)
	if err != nil {
		return linkState{}, err
	}
	attrs := link.Attrs()
	return linkState{
		admin:   attrs.RawFlags&unix.IFF_UP != 0,
		carrier: attrs.RawFlags&unix.IFF_LOWER_UP != 0,
		oper:    attrs.OperState,
	}, nil
}

// port returns the cable of an interface that the topology names.
func (n *Node) port(iface string) (*port, error) {
	for _, p := range n.ports {
		if p.link.Interface == iface {
			return p, nil
		}
	}
	return nil, fmt.Errorf("find link %s:%s: the topology has none", n.spec.Name, iface)
}

// gatewayOn reports whether the default route leads over a link.
func (n *Node) gatewayOn(p *port) bool {
	return n.spec.Gateway.IsValid() && p.link.Addr.Masked().Contains(n.spec.Gateway)
}

// forget removes from the node's kernel what a reboot would: addresses and interfaces that are not
// the topology's, and IPVS services. It runs on the node's thread. Entries of IPVS's connection
// table stay until they expire; without their service they carry no traffic.
func (n *Node) forget() error {
	addrs, err := n.handle.AddrList(nil, n.lab.family())
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if n.configured(a) {
			continue
		}
		if err := n.handle.AddrDel(device(a.LinkIndex), &a); err != nil {
			return fmt.Errorf("delete address %s: %w", a.IPNet, err)
		}
	}
	links, err := n.handle.LinkList()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	for _, link := range links {
		if _, virtual := link.(*netlink.Macvlan); !virtual {
			continue
		}
		if err := n.handle.LinkDel(link); err != nil {
			return fmt.Errorf("delete link %s: %w", link.Attrs().Name, err)
		}
	}
	return forgetIPVS()
}

// configured reports whether the topology, or the kernel for lo, gave the node an address.
func (n *Node) configured(a netlink.Addr) bool {
	if a.IP.IsLoopback() {
		return true
	}
	for _, p := range n.ports {
		own := p.link.Addr.Addr()
		if p.index == a.LinkIndex && (p.link.Addr == prefix(a.IPNet) ||
			LinkLocal(own).IsValid() && LinkLocal(own) == prefix(a.IPNet).Addr()) {
			return true
		}
	}
	return false
}

// upDown is the word for a wish.
func upDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

// ipNet and prefix translate at the netlink library's door.
func ipNet(p netip.Prefix) *net.IPNet {
	bits := p.Addr().BitLen()
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), bits)}
}

func prefix(n *net.IPNet) netip.Prefix {
	addr, _ := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), ones)
}
