package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/tandemlb/tandem/topology"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Node is one host of a lab. Its methods may be called from any goroutine.
type Node struct {
	lab     *Lab
	spec    topology.Node
	thread  *thread
	netns   ns.NetNS
	handle  *netlink.Handle
	ports   []*port
	journal *journal

	mu sync.Mutex
	// processes are those that have not been waited for yet.
	processes map[*Process]struct{}
	units     []*Unit
	state     nodeState
}

// nodeState says whether processes may be started on a node.
type nodeState int

// The states of a node; unlike elsewhere the zero one is the usual one.
const (
	running nodeState = iota
	poweredOff
	closed
)

// ErrPoweredOff is returned by what is asked of a node between PowerOff and PowerOn.
var ErrPoweredOff = errors.New("the node is powered off")

// newNode starts the thread of a node and gives its namespaces their settings; its links come
// later.
func newNode(l *Lab, spec topology.Node) (*Node, error) {
	n := &Node{
		lab:       l,
		spec:      spec,
		journal:   newJournal(spec.Name, l.clock, l.options),
		processes: make(map[*Process]struct{}),
	}
	var err error
	n.thread, err = startThread(n.enter)
	if err != nil {
		return nil, fmt.Errorf("start node %s: %w", spec.Name, err)
	}
	return n, nil
}

// enter is the first thing that a node's thread does.
func (n *Node) enter() error {
	if err := unshare(n.spec.Name); err != nil {
		return err
	}
	if err := applySysctls(n.spec.Role, n.lab.topology.IPv6()); err != nil {
		return err
	}
	var err error
	if n.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	if n.netns, err = ns.GetCurrentNS(); err != nil {
		n.handle.Close()
		return fmt.Errorf("open network namespace: %w", err)
	}
	return nil
}

// Name returns the node's name in the topology.
func (n *Node) Name() string { return n.spec.Name }

// Role returns what the node is for.
func (n *Node) Role() topology.Role { return n.spec.Role }

// Spec returns the node's part of the topology. It must not be changed.
func (n *Node) Spec() topology.Node { return n.spec }

// Lab returns the lab that the node is part of.
func (n *Node) Lab() *Lab { return n.lab }

// String returns the node's name.
func (n *Node) String() string { return n.spec.Name }

// Do runs fn on the node's own thread and returns its error. Sockets that fn opens and files in
// /proc/sys/net, /proc/net, /sys and /run that it opens are the node's, and stay so when used
// elsewhere afterwards. Goroutines that fn starts are not on the node. One closure runs at a time:
// fn must be quick, and must not call Do, Start or Exec of the same node. A done context ends the
// wait for the node's turn, never fn. After Close it returns ErrClosed.
func (n *Node) Do(ctx context.Context, fn func() error) error { return n.thread.do(ctx, fn) }

// Namespace returns the node's network namespace. The lab closes it.
func (n *Node) Namespace() ns.NetNS { return n.netns }

// Handle returns a netlink handle of the node's network namespace. The lab closes it.
func (n *Node) Handle() *netlink.Handle { return n.handle }

// Tail returns the last lines of output of the node's processes, oldest first, each with its time
// and process; at most max, all that are kept if max is 0.
func (n *Node) Tail(max int) []string { return n.journal.tail(max, nil) }

// configure raises the node's links and gives them addresses and the default route, and what
// answerAlone says. It may be repeated.
//
// Equivalent to: `ip link set lo up; ip addr replace 192.168.1.2/24 dev eth0; ip link set eth0 up;
// …; ip route replace default via 192.168.2.1`.
func (n *Node) configure() error {
	links, err := n.handle.LinkList()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	indexes := make(map[string]int, len(links))
	for _, link := range links {
		indexes[link.Attrs().Name] = link.Attrs().Index
	}
	if err := n.handle.LinkSetUp(device(indexes["lo"])); err != nil {
		return fmt.Errorf("set link lo up: %w", err)
	}
	for _, p := range n.ports {
		p.index = indexes[p.link.Interface]
		if err := n.configureLink(p); err != nil {
			return err
		}
	}
	if err := n.answerAlone(device(indexes["lo"])); err != nil {
		return err
	}
	return n.setGateway()
}

// configureLink gives one link its address and raises it.
func (n *Node) configureLink(p *port) error {
	addr := &netlink.Addr{IPNet: ipNet(p.link.Addr)}
	if p.link.Addr.Addr().Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	if err := n.handle.AddrReplace(device(p.index), addr); err != nil {
		return fmt.Errorf("add %s to %s: %w", p.link.Addr, p.link.Interface, err)
	}
	if err := n.handle.LinkSetUp(device(p.index)); err != nil {
		return fmt.Errorf("set link %s up: %w", p.link.Interface, err)
	}
	return nil
}

// setGateway sets the default route, if the node has one.
func (n *Node) setGateway() error {
	if !n.spec.Gateway.IsValid() {
		return nil
	}
	route := &netlink.Route{Dst: ipNet(n.lab.everywhere()), Gw: n.spec.Gateway.AsSlice()}
	if err := n.handle.RouteReplace(route); err != nil {
		return fmt.Errorf("set default route via %s: %w", n.spec.Gateway, err)
	}
	return nil
}

// shut refuses new processes for good.
func (n *Node) shut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state = closed
}

// release ends the node's thread and closes its descriptors.
func (n *Node) release() error {
	n.thread.stop()
	n.handle.Close()
	return errors.Join(n.netns.Close(), n.journal.close())
}

// ready returns why nothing can be started on the node; nil if it can.
func (n *Node) ready() error {
	switch n.state {
	case running:
		return nil
	case poweredOff:
		return ErrPoweredOff
	case closed:
		return ErrClosed
	}
	return fmt.Errorf("node state %d", n.state)
}

// selfExe names the running program, for children that play a built-in role. It works for a program
// that has been deleted, and in a mount namespace that hides it.
const selfExe = "/proc/self/exe"

// environ is what a process's environment is when its Command has none.
func environ(env []string) []string {
	if env == nil {
		return os.Environ()
	}
	return env
}
