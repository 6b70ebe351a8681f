package faults

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

// protocolVRRP is VRRP's IP protocol number. Source: RFC 9568, Section 5.1.1.4.
const protocolVRRP = 112

// end is one end of a path.
type end struct {
	node  *lab.Node
	iface string
}

// path is the way from one interface to another one of the same network, and what it does not carry
// any more, whatever the block's From and To are.
type path struct {
	from, to end
	block    lab.Block
}

// cut makes an injector of blocks, and of the paths on which they must show, each of which must be
// open before. What has no carrier for another fault's sake shows nothing: the heal waits for no
// frame of it.
func cut(find func(n *lab.Node) ([]path, []lab.Block, error)) injector {
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		paths, blocks, err := find(n)
		if err != nil {
			return nil, err
		}
		if paths, err = plugged(paths); err != nil {
			return nil, err
		}
		if err := demand(ctx, paths, true, errBlocked); err != nil {
			return nil, err
		}
		var ends all
		fabric := n.Lab().Fabric()
		for _, b := range blocks {
			end, err := fabric.Block(ctx, b)
			if err != nil {
				return nil, errors.Join(err, ends.heal(context.WithoutCancel(ctx)))
			}
			ends = append(ends, end)
		}
		if err := demand(ctx, paths, false, ErrNotInjected); err != nil {
			return nil, errors.Join(err, ends.heal(context.WithoutCancel(ctx)))
		}
		return func(ctx context.Context) error {
			if err := ends.heal(ctx); err != nil {
				return err
			}
			left, err := plugged(paths)
			if errors.Is(err, errUnplugged) {
				return nil
			}
			return errors.Join(err, demand(ctx, left, true, ErrNotHealed))
		}, nil
	}
}

// Why paths cannot be blocked.
var (
	errBlocked   = errors.New("the network does not carry such frames already")
	errUnplugged = errors.New("no path that it is about has a carrier at both ends")
)

// plugged are the paths that have a carrier at both ends; errUnplugged: none has.
func plugged(paths []path) ([]path, error) {
	var left []path
	for _, p := range paths {
		from, err := p.from.node.Carrier(p.from.iface)
		to, other := p.to.node.Carrier(p.to.iface)
		if err := errors.Join(err, other); err != nil {
			return nil, err
		}
		if from && to {
			left = append(left, p)
		}
	}
	if len(left) == 0 {
		return nil, errUnplugged
	}
	return left, nil
}

// demand returns an error unless every path carries what its block is about, or with open unset,
// unless none does.
func demand(ctx context.Context, paths []path, open bool, otherwise error) error {
	errs := make([]error, len(paths))
	var asking sync.WaitGroup
	for i, p := range paths {
		asking.Go(func() {
			carried, err := p.from.node.CarriesSuch(ctx, p.from.iface, p.to.node, p.to.iface, p.block)
			if err == nil && carried != open {
				err = fmt.Errorf("from %s to %s: %w", p.from.node, p.to.node, otherwise)
			}
			errs[i] = err
		})
	}
	asking.Wait()
	return errors.Join(errs...)
}

// hears says who hears an interface, and whom it hears: the other nodes on its network, or the
// directors among them.
func hears(n *lab.Node, iface string, directorsOnly bool) (others []end, err error) {
	if _, err := n.Port(iface); err != nil {
		return nil, err
	}
	network := networkOf(n, iface)
	for _, other := range n.Lab().Nodes() {
		spec := other.Spec()
		link, ok := spec.LinkOn(network)
		if ok && other != n && (!directorsOnly || other.Role() == topology.Director) {
			others = append(others, end{other, link.Interface})
		}
	}
	if len(others) == 0 && directorsOnly {
		return nil, fmt.Errorf("find paths from %s:%s: no other director is there", n, iface)
	}
	if len(others) == 0 {
		return nil, fmt.Errorf("find paths from %s:%s: nobody else is there", n, iface)
	}
	return others, nil
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

// between blocks what one interface sends to others, what it hears of them, or both: such frames as
// a block is about, which names neither. Where it is everybody whose frames are lost, those are
// blocked whom it does not know as well.
func between(
	n *lab.Node, iface string, others []end, such lab.Block, ways []lab.Direction, everybody bool,
) (paths []path, blocks []lab.Block, err error) {
	own, err := n.Port(iface)
	if err != nil {
		return nil, nil, err
	}
	self := end{n, iface}
	for _, way := range ways {
		out, in := such, such
		out.From, in.To = own, []lab.Interface{own}
		for _, other := range others {
			port, err := other.node.Port(other.iface)
			if err != nil {
				return nil, nil, err
			}
			if way == lab.Outward {
				paths = append(paths, path{self, other, such})
				if !everybody {
					out.To = append(out.To, port)
				}
				continue
			}
			paths = append(paths, path{other, self, such})
			if !everybody {
				in.From = port
				blocks = append(blocks, in)
			}
		}
		if way == lab.Outward {
			blocks = append(blocks, out)
		} else if everybody {
			blocks = append(blocks, in)
		}
	}
	return paths, blocks, nil
}

// apart makes a builder of faults that part a director from the others.
func apart(ways ...lab.Direction) func(request, *values) injector {
	return func(r request, _ *values) injector {
		return cut(func(n *lab.Node) ([]path, []lab.Block, error) {
			others, err := hears(n, r.detail, true)
			if err != nil {
				return nil, nil, err
			}
			return between(n, r.detail, others, lab.Block{}, ways, false)
		})
	}
}

// advertsLost loses what an interface sends of VRRP. That other directors hear none is what shows.
func advertsLost(r request, _ *values) injector {
	return cut(func(n *lab.Node) ([]path, []lab.Block, error) {
		others, err := hears(n, r.detail, true)
		if err != nil {
			return nil, nil, err
		}
		return between(n, r.detail, others, n.Lab().BlockOf(protocolVRRP),
			[]lab.Direction{lab.Outward}, true)
	})
}

// arpLost loses ARP.
func arpLost(r request, v *values) injector {
	ways := directions[v.word("direction")]
	return cut(func(n *lab.Node) ([]path, []lab.Block, error) {
		others, err := hears(n, r.detail, false)
		if err != nil {
			return nil, nil, err
		}
		return between(n, r.detail, others, lab.Block{EtherType: unix.ETH_P_ARP}, ways, true)
	})
}

// linkMTU loses what is long.
func linkMTU(r request, v *values) injector {
	mtu, ways := v.number("mtu", 68, 1499), directions[v.word("direction")] // RFC 791: 68 at least
	return cut(func(n *lab.Node) ([]path, []lab.Block, error) {
		others, err := hears(n, r.detail, false)
		if err != nil {
			return nil, nil, err
		}
		return between(n, r.detail, others, lab.Block{Longer: uint32(mtu)}, ways, true)
	})
}

// protocols are the numbers of what carries services.
var protocols = map[string]uint8{"TCP": 6, "UDP": 17, "SCTP": 132}

// checksLost loses what a director sends, as itself, to the ports of the real servers. What it hands
// on for clients has their addresses.
func checksLost(_ request, _ *values) injector {
	return cut(func(n *lab.Node) (paths []path, blocks []lab.Block, err error) {
		for _, s := range n.Lab().Topology().Services {
			for _, d := range s.RealServers {
				server, ok := n.Lab().Node(d.Node)
				if !ok {
					continue
				}
				found, block, err := checkPath(n, server, s.Protocol, d.Port)
				if err != nil {
					return nil, nil, err
				}
				paths = append(paths, path{found[0], found[1], block})
				blocks = append(blocks, block)
			}
		}
		if len(paths) == 0 {
			return nil, nil, errors.New("no service has a real server")
		}
		return paths, blocks, nil
	})
}

// checkPath is how checks of a port go from a director to a real server.
func checkPath(
	n, server *lab.Node, speaks topology.Protocol, port uint16,
) ([2]end, lab.Block, error) {
	spec, there := n.Spec(), server.Spec()
	for _, link := range spec.Links {
		to, ok := there.LinkOn(link.Network)
		if !ok {
			continue
		}
		from, err := n.Port(link.Interface)
		if err != nil {
			return [2]end{}, lab.Block{}, err
		}
		b := lab.Block{From: from, Protocol: protocols[speaks.Transport()], Port: port,
			Source: v4(link.Addr), Destination: v4(to.Addr)}
		return [2]end{{n, link.Interface}, {server, to.Interface}}, b, nil
	}
	return [2]end{}, lab.Block{}, fmt.Errorf("no network has both %s and %s", n, server)
}

func v4(p netip.Prefix) netip.Addr { return p.Addr().Unmap() }
