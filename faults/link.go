package faults

import (
	"context"
	"fmt"

	"github.com/tandemlb/tandem/lab"
)

// linkFault pulls a cable.
type linkFault struct{ node, iface string }

func (f linkFault) String() string { return LinkDown.String() + " " + f.node + ":" + f.iface }

func (f linkFault) Needs() []lab.Capability { return nil }

func (f linkFault) Inject(ctx context.Context, l *lab.Lab) (Heal, error) {
	n, err := findNode(l, f.node)
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	carrier, err := n.Carrier(f.iface)
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	if !carrier {
		return nil, fmt.Errorf("inject %s: the link is down already", f)
	}
	if err := n.SetLink(ctx, f.iface, false); err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	return once(func(ctx context.Context) error {
		if err := n.SetLink(ctx, f.iface, true); err != nil {
			return fmt.Errorf("heal %s: %w", f, err)
		}
		if up, err := n.Carrier(f.iface); err != nil || !up {
			return fmt.Errorf("heal %s: %w: no carrier", f, ErrNotHealed)
		}
		return nil
	}), nil
}
