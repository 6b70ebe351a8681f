package lab

import (
	"context"
	"fmt"
	"sync"
)

// Unit is a program that a node is meant to run: what an init system would start again when the
// node has come back. A fault that ended it knows by the unit how to heal.
type Unit struct {
	node  *Node
	name  string
	start func(context.Context) (*Process, error)

	mu      sync.Mutex
	process *Process
}

// AddUnit names a program of the node and how to start it. It starts nothing. A second unit of the
// same name replaces the first.
func (n *Node) AddUnit(name string, start func(context.Context) (*Process, error)) *Unit {
	u := &Unit{node: n, name: name, start: start}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, old := range n.units {
		if old.name == name {
			n.units[i] = u
			return u
		}
	}
	n.units = append(n.units, u)
	return u
}

// Unit returns the node's unit of that name.
func (n *Node) Unit(name string) (*Unit, bool) {
	for _, u := range n.Units() {
		if u.name == name {
			return u, true
		}
	}
	return nil, false
}

// Units returns the node's units in the order of AddUnit.
func (n *Node) Units() []*Unit {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*Unit(nil), n.units...)
}

// Start starts the unit's program, unless it runs.
func (u *Unit) Start(ctx context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.process != nil && u.process.Alive() {
		return nil
	}
	p, err := u.start(ctx)
	if err != nil {
		return fmt.Errorf("start %s: %w", u, err)
	}
	u.process = p
	return nil
}

// Process returns the process that Start started last; nil before the first.
func (u *Unit) Process() *Process {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.process
}

// Alive reports whether the unit's program runs.
func (u *Unit) Alive() bool {
	p := u.Process()
	return p != nil && p.Alive()
}

// String returns the node's and the unit's name, for example "lb1:director".
func (u *Unit) String() string { return u.node.Name() + ":" + u.name }
