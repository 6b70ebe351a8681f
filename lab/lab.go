// Package lab realises a topology in network namespaces of the kernel it runs in, starts processes
// on the nodes and pulls cables. It writes nothing that outlives the process: it never names a
// namespace and never touches the host's own interfaces, addresses, routes or rules.
//
// A lab is a handful of operating system threads, each in namespaces of its own:
//
//	 node client1        node lb1                node web1
//	┌────────────┐    ┌────────────┐           ┌────────────┐
//	│    eth0    │    │ eth0  eth1 │           │    eth0    │
//	└─────┬──────┘    └──┬──────┬──┘           └─────┬──────┘
//	      │ veth         │      │                    │
//	┌─────┴──────────────┴──────┴────────────────────┴──────┐
//	│ client1.eth0   lb1.eth0   lb1.eth1         web1.eth0  │
//	│     └── br-client ──┘        └── br-server ──┘        │ fabric
//	└───────────────────────────────────────────────────────┘
//
// The namespaces are anonymous: the threads and a few descriptors alone hold them. When the process
// ends, however it ends, the kernel ends the processes on the nodes and removes every namespace,
// with all links, addresses, routes, rules and IPVS tables in them.
package lab

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tandemlb/tandem/topology"
)

// Options are the choices of a lab. The zero Options are good.
type Options struct {
	// LogDir is the folder for each node's NODE.log, made if missing. Empty: no files.
	LogDir string
	// TailLines is how many of the last lines of output are kept for each node; 0: 400.
	TailLines int
}

// defaultTailLines is the Options.TailLines that 0 means.
const defaultTailLines = 400

// Lab is a topology that is up. Its methods may be called from any goroutine.
type Lab struct {
	topology topology.Topology
	options  Options
	clock    Clock
	fabric   *Fabric
	nodes    []*Node

	close    sync.Once
	closeErr error
}

// Up builds the topology and returns when every link carries frames. On an error nothing is left,
// and the error names the node and the object. A context that ends before the lab is up is an
// error; later it means nothing: only Close ends a lab.
func Up(ctx context.Context, t topology.Topology, o Options) (*Lab, error) {
	if o.TailLines == 0 {
		o.TailLines = defaultTailLines
	}
	l := &Lab{topology: t, options: o, clock: NewClock(Monotonic())}
	if err := l.build(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("build lab %s: %w", t.Name, err), l.Close())
	}
	return l, nil
}

// Topology returns what the lab was built from. It must not be changed.
func (l *Lab) Topology() topology.Topology { return l.topology }

// Clock returns the lab's clock; zero is the beginning of Up.
func (l *Lab) Clock() Clock { return l.clock }

// Now returns the time since the beginning of Up on the monotonic clock.
func (l *Lab) Now() time.Duration { return l.clock.Now() }

// Fabric returns the switches and cables.
func (l *Lab) Fabric() *Fabric { return l.fabric }

// Nodes returns all nodes in the topology's order.
func (l *Lab) Nodes() []*Node { return l.nodes }

// Node returns the node of that name.
func (l *Lab) Node(name string) (*Node, bool) {
	for _, n := range l.nodes {
		if n.spec.Name == name {
			return n, true
		}
	}
	return nil, false
}

// Directors returns the directors in the topology's order; none: nil.
func (l *Lab) Directors() []*Node { return l.NodesOf(topology.Director) }

// NodesOf returns the nodes of a role in the topology's order; none: nil.
func (l *Lab) NodesOf(role topology.Role) []*Node {
	var nodes []*Node
	for _, n := range l.nodes {
		if n.spec.Role == role {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Close ends every process of the lab by SIGKILL, then its threads, and with them its namespaces.
// It returns an error if a process outlived a few seconds, or a log could not be written. A second
// call does nothing and returns the first one's error. The kernel removes the interfaces a few
// milliseconds later, on its own.
func (l *Lab) Close() error {
	l.close.Do(func() {
		for _, n := range l.nodes {
			n.shut()
		}
		var errs []error
		for _, n := range l.nodes {
			errs = append(errs, n.killAll())
		}
		for _, n := range l.nodes {
			errs = append(errs, n.release())
		}
		if l.fabric != nil {
			l.fabric.release()
		}
		l.closeErr = errors.Join(errs...)
	})
	return l.closeErr
}

// build makes threads, bridges, links and addresses, in this order.
func (l *Lab) build(ctx context.Context) error {
	if err := l.startThreads(); err != nil {
		return err
	}
	if err := l.fabric.addBridges(l.topology.Networks); err != nil {
		return err
	}
	for _, n := range l.nodes {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := l.fabric.plugIn(n); err != nil {
			return fmt.Errorf("node %s: %w", n.spec.Name, err)
		}
	}
	for _, n := range l.nodes {
		if err := n.configure(); err != nil {
			return fmt.Errorf("node %s: %w", n.spec.Name, err)
		}
	}
	if err := l.awaitLinks(ctx); err != nil {
		return err
	}
	return l.detectDuplicates(ctx)
}

// startThreads starts the fabric's and all nodes' threads side by side.
func (l *Lab) startThreads() error {
	fabric, errs := make(chan error, 1), make([]error, len(l.topology.Nodes))
	var err error
	go func() {
		l.fabric, err = newFabric()
		fabric <- err
	}()
	nodes := make([]*Node, len(l.topology.Nodes))
	var starting sync.WaitGroup
	for i, spec := range l.topology.Nodes {
		starting.Go(func() {
			nodes[i], errs[i] = newNode(l, spec)
		})
	}
	starting.Wait()
	errs = append(errs, <-fabric)
	for _, n := range nodes {
		if n != nil {
			l.nodes = append(l.nodes, n)
		}
	}
	return errors.Join(errs...)
}

// awaitLinks waits until every cable carries frames: the kernel raises carrier and puts bridge
// ports into forwarding by work of its own.
func (l *Lab) awaitLinks(ctx context.Context) error {
	return await(ctx, linkTimeout, func() (bool, error) {
		up, err := l.fabric.portsUp()
		if err != nil || !up {
			return false, err
		}
		for _, n := range l.nodes {
			for _, p := range n.ports {
				state, err := n.linkState(p)
				if err != nil || !state.up() {
					return false, err
				}
				if ready, err := n.addressed(p); err != nil || !ready {
					return false, err
				}
			}
		}
		return true, nil
	})
}
