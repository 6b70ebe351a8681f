package faults

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandemlb/tandem/lab"
)

// protocolVRRP is VRRP's IP protocol number. Source: RFC 9568, Section 5.1.1.4.
const protocolVRRP = 112

// pathFault loses what one interface sends to the other directors on its network.
type pathFault struct {
	kind        Kind
	node, iface string
}

func (f pathFault) String() string { return f.kind.String() + " " + f.node + ":" + f.iface }

func (f pathFault) Needs() []lab.Capability { return []lab.Capability{lab.NftablesBridge} }

func (f pathFault) Inject(ctx context.Context, l *lab.Lab) (Heal, error) {
	p, err := f.paths(l)
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	if open, err := p.all(ctx, true); err != nil || !open {
		return nil, fmt.Errorf("inject %s: %w", f, errors.Join(err, errBlocked))
	}
	end, err := l.Fabric().Block(ctx, p.block)
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	if shut, err := p.all(ctx, false); err != nil || !shut {
		return nil, fmt.Errorf("inject %s: %w", f, errors.Join(err, ErrNotInjected, end(ctx)))
	}
	return once(func(ctx context.Context) error {
		if err := end(ctx); err != nil {
			return fmt.Errorf("heal %s: %w", f, err)
		}
		if open, err := p.all(ctx, true); err != nil || !open {
			return fmt.Errorf("heal %s: %w", f, errors.Join(err, ErrNotHealed))
		}
		return nil
	}), nil
}

// errBlocked is why a path cannot be blocked.
var errBlocked = errors.New("the network does not carry such frames already")

// paths are the ways from one interface to those of others on its network.
type paths struct {
	from  *lab.Node
	iface string
	to    []end
	block lab.Block
}

// end is one end of a path.
type end struct {
	node  *lab.Node
	iface string
}

// paths finds the ways that the fault blocks: adverts to everybody on the network, or everything to
// the other directors.
func (f pathFault) paths(l *lab.Lab) (paths, error) {
	n, err := findNode(l, f.node)
	if err != nil {
		return paths{}, err
	}
	p := paths{from: n, iface: f.iface}
	if p.block.From, err = n.Port(f.iface); err != nil {
		return paths{}, err
	}
	if f.kind == AdvertsLost {
		p.block.Protocol = protocolVRRP
	}
	network := networkOf(n, f.iface)
	for _, other := range l.Directors() {
		spec := other.Spec()
		link, ok := spec.LinkOn(network)
		if !ok || other == n {
			continue
		}
		p.to = append(p.to, end{other, link.Interface})
		port, err := other.Port(link.Interface)
		if err != nil {
			return paths{}, err
		}
		if f.kind == OneWay {
			p.block.To = append(p.block.To, port)
		}
	}
	if len(p.to) == 0 {
		return paths{}, fmt.Errorf("find paths from %s:%s: no other director is there", f.node, f.iface)
	}
	return p, nil
}

// networkOf names the network of a node's interface; empty where there is no such interface.
func networkOf(n *lab.Node, iface string) string {
	for _, link := range n.Spec().Links {
		if link.Interface == iface {
			return link.Network
		}
	}
	return ""
}

// all reports whether every path carries what the block is about, or with open unset, whether none
// does.
func (p paths) all(ctx context.Context, open bool) (bool, error) {
	for _, to := range p.to {
		carried, err := p.from.Carries(ctx, p.iface, to.node, to.iface, p.block.Protocol)
		if err != nil || carried != open {
			return false, err
		}
	}
	return true, nil
}
