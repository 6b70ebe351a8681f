package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/topology"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// firstPort is the interface index of the fabric's first port. The kernel reports a lost carrier at
// once only on links whose two ends have different indexes (linkwatch_urgent_event), else up to a
// second late; a node never has a thousand interfaces.
const firstPort = 1001

// interfaceNameMax is the longest name of an interface, IFNAMSIZ less the terminating zero.
const interfaceNameMax = 15

// Fabric is the part of a lab between the nodes: one bridge for each network and, on it, one port
// for each cable to a node. It has a network namespace of its own.
type Fabric struct {
	thread  *thread
	handle  *netlink.Handle
	bridges map[string]Interface
	ports   []Interface
	// blocks counts the blocks that there ever were.
	blocks atomic.Int64
	// impaired is what the cables do to frames.
	impaired impairments
}

// Interface is an interface of the fabric.
type Interface struct {
	Name  string
	Index int
}

// newFabric starts the fabric's thread.
func newFabric() (*Fabric, error) {
	f := &Fabric{bridges: make(map[string]Interface)}
	var err error
	f.thread, err = startThread(func() error {
		if err := unshare("fabric"); err != nil {
			return err
		}
		err := writeSysctl("net/ipv6/conf/default/disable_ipv6", "1")
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
		f.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("start fabric: %w", err)
	}
	return f, nil
}

// Do runs fn on the fabric's thread: sockets that it opens see every frame of every network. The
// same rules as for Node.Do hold.
func (f *Fabric) Do(ctx context.Context, fn func() error) error { return f.thread.do(ctx, fn) }

// Handle returns a netlink handle of the fabric's namespace, for example to shape a port. The lab
// closes it.
func (f *Fabric) Handle() *netlink.Handle { return f.handle }

// Bridge returns the bridge of a network.
func (f *Fabric) Bridge(network string) (Interface, bool) {
	b, ok := f.bridges[network]
	return b, ok
}

// addBridges makes a bridge for each network.
//
// Equivalent to: `ip link add br-client up type bridge stp_state 0 mcast_snooping 0`.
//
// Multicast snooping would drop adverts. The spanning tree protocol is off by default, and a port
// of a bridge without it forwards at once, whatever the forward delay.
func (f *Fabric) addBridges(networks []topology.Network) error {
	snooping := false
	for i, network := range networks {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = fitName("br-"+network.Name, "br", i)
		attrs.Index = firstPort - len(networks) + i
		attrs.HardwareAddr = hardwareAddr(bridgeEnd, network.Prefix.Addr())
		attrs.Flags = net.FlagUp
		bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
		if err := f.handle.LinkAdd(bridge); err != nil {
			return fmt.Errorf("add bridge for network %s: %w", network.Name, err)
		}
		f.bridges[network.Name] = Interface{Name: attrs.Name, Index: attrs.Index}
	}
	return nil
}

// plugIn connects all links of a node, each by a cable from a port of the network's bridge to an
// interface that is made inside the node's namespace.
//
// Equivalent to: `ip link add lb1.eth0 up master br-client type veth peer eth0 netns lb1`.
func (f *Fabric) plugIn(n *Node) error {
	for _, link := range n.spec.Links {
		bridge, ok := f.bridges[link.Network]
		if !ok {
			return fmt.Errorf("plug in %s: no network %q", link.Interface, link.Network)
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Index = firstPort + len(f.ports)
		attrs.Name = fitName(n.spec.Name+"."+link.Interface, "port", len(f.ports))
		attrs.HardwareAddr = hardwareAddr(fabricEnd, link.Addr.Addr())
		attrs.MasterIndex = bridge.Index
		attrs.Flags = net.FlagUp
		veth := netlink.NewVeth(attrs)
		veth.PeerName = link.Interface
		veth.PeerHardwareAddr = HardwareAddr(link.Addr.Addr())
		veth.PeerNamespace = netlink.NsFd(n.netns.Fd())
		if err := f.handle.LinkAdd(veth); err != nil {
			return fmt.Errorf("plug %s into %s: %w", link.Interface, link.Network, err)
		}
		end := Interface{Name: attrs.Name, Index: attrs.Index}
		f.ports = append(f.ports, end)
		n.ports = append(n.ports, &port{link: link, fabric: end})
	}
	return nil
}

// setPort plugs a cable in or pulls it, at the fabric's end.
//
// Equivalent to: `ip link set lb1.eth0 up|down` in the fabric.
func (f *Fabric) setPort(port Interface, up bool) error {
	link := device(port.Index)
	if up {
		return f.handle.LinkSetUp(link)
	}
	return f.handle.LinkSetDown(link)
}

// portsUp reports whether every port has carrier and its bridge forwards its frames.
func (f *Fabric) portsUp() (bool, error) {
	links, err := f.handle.LinkList()
	if err != nil {
		return false, fmt.Errorf("list ports: %w", err)
	}
	for _, link := range links {
		attrs := link.Attrs()
		if attrs.MasterIndex != 0 && attrs.OperState != netlink.OperUp {
			return false, nil
		}
	}
	return true, nil
}

// release ends the fabric's thread and closes its descriptors.
func (f *Fabric) release() {
	if f.handle != nil {
		f.handle.Close()
	}
	f.thread.stop()
}

// The ends of a cable, and the bridge, as the second byte of their MAC addresses.
const (
	nodeEnd byte = iota
	fabricEnd
	bridgeEnd
)

// HardwareAddr returns the MAC address of a node's interface, so that captures read without a table:
// 02:00 and the four bytes of its IPv4 address, or of an IPv6 one those that tell networks apart, the
// sixth and the eighth, and the last two: 02:00:01:00:00:02 for 2001:db8:1::2. Anything else gives
// 02:00 and zeros.
func HardwareAddr(addr netip.Addr) net.HardwareAddr { return hardwareAddr(nodeEnd, addr) }

// hardwareAddr returns the locally administered MAC address of an end of the cable to an address.
func hardwareAddr(end byte, addr netip.Addr) net.HardwareAddr {
	var own [4]byte
	switch addr = addr.Unmap(); {
	case addr.Is4():
		own = addr.As4()
	case addr.Is6():
		b := addr.As16()
		own = [4]byte{b[5], b[7], b[14], b[15]}
	}
	return append(net.HardwareAddr{0x02, end}, own[:]...)
}

// fitName returns name if an interface can have it, else prefix and a number.
func fitName(name, prefix string, number int) string {
	if len(name) <= interfaceNameMax {
		return name
	}
	return fmt.Sprintf("%s%d", prefix, number)
}

// device names a link by its index alone, which spares the library a lookup.
func device(index int) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
}

// pollInterval is how often await looks. What it waits for takes the kernel well under a
// millisecond.
const pollInterval = 500 * time.Microsecond

// errTimeout is why await gave up.
var errTimeout = errors.New("not reached in time")

// await calls cond until it returns true or an error, the time is over or the context ends.
func await(ctx context.Context, limit time.Duration, cond func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if ok, err := cond(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
