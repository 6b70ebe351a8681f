// Package netiftest gives tests network namespaces of their own. It needs root, nothing else, and
// leaves nothing: the namespaces have no name and end with the test.
package netiftest

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif"
)

// Device is the name of the interface of each node of Pair.
const Device = "eth0"

// carrierLimit is ten times what the kernel may take to notice a carrier.
const carrierLimit = 10 * time.Second

// Node is a network namespace with an interface on a switch that is in a namespace of its own, or
// with several, each on a switch of its own.
type Node struct {
	// Host is the namespace as the daemon sees it.
	Host *netif.Host

	t        testing.TB
	ns       netns.NsHandle
	nl       *netlink.Handle
	upstream *Node  // the switches
	port     string // the port of the node's Device there
}

// Pair returns two nodes on one switch, up, with 192.168.1.2/24 and 192.168.1.3/24. Without root
// it skips the test.
func Pair(t testing.TB) (*Node, *Node) {
	t.Helper()
	return PairOn(t, 1)
}

// PairOn returns two nodes with that many interfaces each, 1 to 200: DeviceOf(i) of both are on one
// switch, with 192.168.I.2/24 and 192.168.I.3/24, where I is i+1. Otherwise as Pair.
func PairOn(t testing.TB, devices int) (*Node, *Node) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	hub := newNode(t)
	a, b := newNode(t), newNode(t)
	for i := range devices {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("br%d", i)}}
		hub.must("add bridge", hub.nl.LinkAdd(bridge))
		hub.must("set bridge up", hub.nl.LinkSetUp(bridge))
		for last, n := range map[byte]*Node{2: a, 3: b} {
			own := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, byte(i + 1), last}), 24)
			n.plugIn(hub, bridge, cable{DeviceOf(i), fmt.Sprintf("p%d.%d", i, last)}, own)
		}
	}
	return a, b
}

// DeviceOf returns the name of interface i of the nodes of PairOn; the first is Device.
func DeviceOf(i int) string { return fmt.Sprintf("eth%d", i) }

// cable is between a node's device and a port of a switch.
type cable struct{ device, port string }

func newNode(t testing.TB) *Node {
	n := &Node{t: t}
	made := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		var err error
		if n.ns, err = netns.New(); err == nil {
			n.Host, err = netif.Open()
		}
		made <- err
	}()
	n.must("make network namespace", <-made)
	var err error
	n.nl, err = netlink.NewHandleAt(n.ns, unix.NETLINK_ROUTE)
	n.must("open netlink", err)
	t.Cleanup(func() {
		n.nl.Close()
		n.must("close host", n.Host.Close())
		n.must("close network namespace", n.ns.Close())
	})
	return n
}

// plugIn makes the node's device, up, with an address and a cable to a port of the switch.
func (n *Node) plugIn(hub *Node, bridge *netlink.Bridge, c cable, p netip.Prefix) {
	n.t.Helper()
	if c.device == Device {
		n.upstream, n.port = hub, c.port
	}
	n.must("add cable", hub.nl.LinkAdd(&netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: c.port, MasterIndex: bridge.Attrs().Index},
		PeerName:      c.device,
		PeerNamespace: netlink.NsFd(n.ns),
	}))
	n.must("add address", n.nl.AddrAdd(n.link(c.device), nlAddr(p)))
	n.setUp(c.device, true)
	hub.setUp(c.port, true)
	n.awaitCarrier(c.device)
	hub.awaitCarrier(c.port)
}

// nlAddr returns the address in the library's own terms.
func nlAddr(p netip.Prefix) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{
		IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
	}}
}

// awaitCarrier waits until the device passes frames. The kernel notices a carrier up to a second
// after it came (net/core/link_watch.c); a switch drops what reaches a port before that.
func (n *Node) awaitCarrier(device string) {
	n.t.Helper()
	updates, done := make(chan netlink.LinkUpdate), make(chan struct{})
	err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{
		Namespace: &n.ns, ListExisting: true,
	})
	n.must("watch links", err)
	defer func() {
		close(done)
		for range updates { // until the watch has ended
		}
	}()
	limit := time.After(carrierLimit)
	for {
		select {
		case u := <-updates:
			if u.Attrs().Name == device && u.Attrs().OperState == netlink.OperUp {
				return
			}
		case <-limit:
			n.t.Fatalf("%s has no carrier after %s", device, carrierLimit)
		}
	}
}

// Do runs f in a goroutine whose thread is in the node's namespace and waits for it. Processes
// started by f are in it too.
func (n *Node) Do(f func()) {
	n.t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		err := netns.Set(n.ns)
		if err == nil {
			f()
		}
		done <- err
	}()
	n.must("enter network namespace", <-done)
}

// SetUp sets the Device up or down.
//
// Equivalent to: `ip link set eth0 up` or `down`.
func (n *Node) SetUp(up bool) {
	n.t.Helper()
	n.setUp(Device, up)
}

// Plug puts the cable into the switch or pulls it out: the Device has its carrier or not. The other
// node notices nothing.
func (n *Node) Plug(in bool) {
	n.t.Helper()
	n.upstream.setUp(n.port, in)
}

// Delete removes the Device and its cable.
//
// Equivalent to: `ip link del eth0`.
func (n *Node) Delete() {
	n.t.Helper()
	n.must("delete device", n.nl.LinkDel(n.link(Device)))
}

func (n *Node) setUp(device string, up bool) {
	n.t.Helper()
	if up {
		n.must("set up", n.nl.LinkSetUp(n.link(device)))
	} else {
		n.must("set down", n.nl.LinkSetDown(n.link(device)))
	}
}

func (n *Node) link(device string) netlink.Link {
	n.t.Helper()
	link, err := n.nl.LinkByName(device)
	n.must("find "+device, err)
	return link
}

func (n *Node) must(what string, err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatalf("%s: %v", what, err)
	}
}
