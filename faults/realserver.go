package faults

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandemlb/tandem/lab"
)

// ails makes a builder of faults that make every service of a real server fall ill while its program
// runs on.
func ails(a lab.Ailment) func(request, *values) injector {
	return func(request, *values) injector {
		return func(ctx context.Context, n *lab.Node) (Heal, error) {
			u, err := runs(n, ServerUnit)
			if err != nil {
				return nil, err
			}
			ports := n.ServicePorts()
			if len(ports) == 0 {
				return nil, fmt.Errorf("no service has the real server %s", n)
			}
			if err := ail(ctx, n, ports, a); err != nil {
				return nil, errors.Join(err, ail(context.WithoutCancel(ctx), n, ports, lab.Well))
			}
			return func(ctx context.Context) error {
				if !u.Alive() {
					return nil // a program that starts anew is well
				}
				return ail(ctx, n, ports, lab.Well)
			}, nil
		}
	}
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

// echoIgnored makes a node's kernel answer no echo request.
func echoIgnored(request, *values) injector {
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		if err := n.IgnoreEcho(ctx, true); err != nil {
			return nil, err
		}
		return func(ctx context.Context) error { return n.IgnoreEcho(ctx, false) }, nil
	}
}

// serverMarked notes on every director that a real server is not to be used.
func serverMarked(request, *values) injector {
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		if err := mark(ctx, n, 1); err != nil {
			return nil, errors.Join(err, mark(context.WithoutCancel(ctx), n, 0))
		}
		return func(ctx context.Context) error { return mark(ctx, n, 0) }, nil
	}
}

// mark writes the note of every director. Every one is tried.
func mark(ctx context.Context, server *lab.Node, value int) error {
	var errs []error
	for _, d := range server.Lab().Directors() {
		errs = append(errs, d.Mark(ctx, server.Name(), value))
	}
	return errors.Join(errs...)
}
