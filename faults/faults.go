// Package faults breaks a lab on purpose: each fault says what it needs, is injected and verified,
// and comes with its heal. It never measures and never judges.
package faults

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/lab"
)

// Fault is one thing to break. Its String names kind and target, for example
// "link-down lb1:eth0".
type Fault interface {
	fmt.Stringer
	// Needs are the capabilities that injecting takes; nil: none beside the lab's own.
	Needs() []lab.Capability
	// Inject breaks it and returns when the fault has taken hold, seen where it shows, with the heal
	// that undoes it. On an error nothing is broken. The lab must be up.
	Inject(ctx context.Context, l *lab.Lab) (Heal, error)
}

// Heal undoes a fault and returns when it is undone, seen where it shows. A second call does
// nothing and returns nil; one after an error tries again.
type Heal func(ctx context.Context) error

// The names of the units that the faults end and start again.
const (
	// DirectorUnit is the unit of a director's daemon.
	DirectorUnit = "director"
	// ServerUnit is the unit of a real server's program.
	ServerUnit = "server"
)

// ErrNotHealed is in the error of a heal that ran and whose effect did not show.
var ErrNotHealed = errors.New("the fault is still there")

// ErrNotInjected is in the error of an Inject whose effect did not show.
var ErrNotInjected = errors.New("the fault did not take hold")

// New returns the fault of a kind on a target, of the form that Kind.Form has. A setting that the
// kind does not take, or whose value it cannot have, is an error.
func New(kind Kind, target string, settings Settings) (Fault, error) {
	fail := func(err error) (Fault, error) {
		return nil, fmt.Errorf("make fault %s on %q: %w", kind, target, err)
	}
	s, ok := kind.spec()
	if !ok {
		return fail(errors.New("unknown kind"))
	}
	v := values{parameters: s.parameters, given: settings}
	for name := range settings {
		if !slices.ContainsFunc(s.parameters, func(p Parameter) bool { return p.Name == name }) {
			return fail(fmt.Errorf("it has no parameter %q%s", name, v.names()))
		}
	}
	r := request{kind: kind}
	var hasDetail bool
	r.node, r.detail, hasDetail = strings.Cut(target, ":")
	if r.node == "" || hasDetail != (s.form != OfNode) || hasDetail && r.detail == "" {
		return fail(fmt.Errorf("want %s", s.form))
	}
	if s.form == OfAddress {
		var err error
		if r.addr, err = netip.ParseAddr(r.detail); err != nil {
			return fail(err)
		}
		r.addr = r.addr.Unmap()
	}
	inject := s.build(r, &v)
	if v.err != nil {
		return fail(v.err)
	}
	return &action{kind: kind, target: target, node: r.node, needs: s.needs, inject: inject}, nil
}

// request is what New was asked for.
type request struct {
	kind Kind
	node string
	// detail is what the target names behind the node, addr the same where it is an address.
	detail string
	addr   netip.Addr
}

// injector breaks something of a node and says how it is undone. Its errors and those of its heal do
// not name the fault.
type injector func(ctx context.Context, n *lab.Node) (Heal, error)

// action is every kind's Fault.
type action struct {
	kind         Kind
	target, node string
	needs        []lab.Capability
	inject       injector
}

func (a *action) String() string { return a.kind.String() + " " + a.target }

func (a *action) Needs() []lab.Capability { return a.needs }

func (a *action) Inject(ctx context.Context, l *lab.Lab) (Heal, error) {
	n, err := findNode(l, a.node)
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", a, err)
	}
	if t := l.Topology(); t.IPv6() && a.kind.IPv4Only() {
		return nil, fmt.Errorf("inject %s: it works by IPv4, and %s is of IPv6: inject it in a lab of "+
			"IPv4, such as preset fig7", a, t.Name)
	}
	heal, err := a.inject(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", a, err)
	}
	done := false
	return func(ctx context.Context) error {
		if done {
			return nil
		}
		if err := heal(ctx); err != nil {
			return fmt.Errorf("heal %s: %w", a, err)
		}
		done = true
		return nil
	}, nil
}

// findNode returns the node that a fault names.
func findNode(l *lab.Lab, name string) (*lab.Node, error) {
	if n, ok := l.Node(name); ok {
		return n, nil
	}
	var names []string
	for _, n := range l.Nodes() {
		names = append(names, n.Name())
	}
	return nil, fmt.Errorf("find node %q: the lab has %s", name, strings.Join(names, ", "))
}

// runs returns a unit of a node whose program runs.
func runs(n *lab.Node, name string) (*lab.Unit, error) {
	u, ok := n.Unit(name)
	switch {
	case !ok:
		return nil, fmt.Errorf("node %s has no %s", n, name)
	case !u.Alive():
		return nil, fmt.Errorf("%s does not run", u)
	}
	return u, nil
}

const (
	// terminateLimit is how long a director may take to stop when asked to, before it is a finding.
	terminateLimit = 20 * time.Second
	// showLimit is how long the effect of a fault, or of its heal, may take to show.
	showLimit = 3 * time.Second
	// lookInterval is how often somebody looks whether it does.
	lookInterval = time.Millisecond
)

// await looks until a condition holds, for showLimit at most; then it returns what, an error.
func await(ctx context.Context, what error, cond func() (bool, error)) error {
	limit := time.NewTimer(showLimit)
	defer limit.Stop()
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		if ok, err := cond(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return what
		case <-ctx.Done():
			return errors.Join(what, context.Cause(ctx))
		}
	}
}
