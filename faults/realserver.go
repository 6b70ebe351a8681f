package faults

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandemlb/tandem/lab"
)

// ailments are what kinds of faults do to a real server whose program runs on.
var ailments = map[Kind]lab.Ailment{
	ServerRefusing:    lab.Refusing,
	ServerHalfOpen:    lab.HalfOpen,
	ServerSilent:      lab.Silent,
	ServerSlow:        lab.Slow,
	ServerUnavailable: lab.Unavailable,
	ServerWrong:       lab.Wrong,
	ServerBadTLS:      lab.BadTLS,
}

// serverFault makes every service of a real server fall ill while its program runs on.
type serverFault struct {
	kind Kind
	node string
}

func (f serverFault) String() string { return f.kind.String() + " " + f.node }

func (f serverFault) Needs() []lab.Capability { return nil }

func (f serverFault) Inject(ctx context.Context, l *lab.Lab) (Heal, error) {
	n, err := findNode(l, f.node)
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	u, ok := n.Unit(ServerUnit)
	switch {
	case !ok:
		return nil, fmt.Errorf("inject %s: node %s has no %s", f, f.node, ServerUnit)
	case !u.Alive():
		return nil, fmt.Errorf("inject %s: %s does not run", f, u)
	}
	ports := n.ServicePorts()
	if len(ports) == 0 {
		return nil, fmt.Errorf("inject %s: no service has the real server %s", f, f.node)
	}
	if err := ail(ctx, n, ports, ailments[f.kind]); err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, errors.Join(err, ail(ctx, n, ports, lab.Well)))
	}
	return once(func(ctx context.Context) error {
		if !u.Alive() {
			return nil // a program that starts anew is well
		}
		if err := ail(ctx, n, ports, lab.Well); err != nil {
			return fmt.Errorf("heal %s: %w", f, err)
		}
		return nil
	}), nil
}

// ail gives the servers of all ports an ailment, each of which says when it has it.
func ail(ctx context.Context, n *lab.Node, ports []uint16, a lab.Ailment) error {
	for _, port := range ports {
		if err := n.Ail(ctx, port, a); err != nil {
			return err
		}
	}
	return nil
}

// echoFault makes a node's kernel answer no echo request.
type echoFault struct{ node string }

func (f echoFault) String() string { return EchoIgnored.String() + " " + f.node }

func (f echoFault) Needs() []lab.Capability { return nil }

func (f echoFault) Inject(ctx context.Context, l *lab.Lab) (Heal, error) {
	n, err := findNode(l, f.node)
	if err == nil {
		err = n.IgnoreEcho(ctx, true)
	}
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	return once(func(ctx context.Context) error {
		if err := n.IgnoreEcho(ctx, false); err != nil {
			return fmt.Errorf("heal %s: %w", f, err)
		}
		return nil
	}), nil
}

// markFault notes on every director that a real server is not to be used.
type markFault struct{ node string }

func (f markFault) String() string { return ServerMarked.String() + " " + f.node }

func (f markFault) Needs() []lab.Capability { return nil }

func (f markFault) Inject(ctx context.Context, l *lab.Lab) (Heal, error) {
	if _, err := findNode(l, f.node); err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	if err := f.mark(ctx, l, 1); err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, errors.Join(err, f.mark(ctx, l, 0)))
	}
	return once(func(ctx context.Context) error {
		if err := f.mark(ctx, l, 0); err != nil {
			return fmt.Errorf("heal %s: %w", f, err)
		}
		return nil
	}), nil
}

// mark writes the note of every director. Every one is tried.
func (f markFault) mark(ctx context.Context, l *lab.Lab, value int) error {
	var errs []error
	for _, d := range l.Directors() {
		errs = append(errs, d.Mark(ctx, f.node, value))
	}
	return errors.Join(errs...)
}
