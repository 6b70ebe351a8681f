package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// markTable is the nftables table that marks packets on a node.
const markTable = "tandem-lab"

// MarkTraffic has a node take packets to every address of a network for its own, and give those that
// come in by an interface a firewall mark, as a service by firewall mark wants them. It goes with the
// node. A second call for one interface adds another mark.
//
// Equivalent to: `ip route add local PREFIX dev lo` and `nft add rule … iifname IFACE ip daddr PREFIX
// meta mark set MARK`, or where the kernel has no nftables of the family ip `tc filter add dev IFACE
// ingress u32 match ip dst PREFIX action skbedit mark MARK`.
func (n *Node) MarkTraffic(
	ctx context.Context, iface string, to netip.Prefix, mark uint32,
) error {
	err := n.Do(ctx, func() error {
		lo, err := n.handle.LinkByName("lo")
		if err != nil {
			return err
		}
		err = n.handle.RouteReplace(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: ipNet(to),
			Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST})
		if err != nil {
			return fmt.Errorf("add local route: %w", err)
		}
		err = n.markByNftables(iface, to, mark)
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
			return n.markByFilter(iface, to, mark)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("mark packets to %s on %s: %w", to, n, err)
	}
	return nil
}

// RouteTo adds a route to a network by a next hop.
//
// Equivalent to: `ip route replace PREFIX via HOP`.
func (n *Node) RouteTo(ctx context.Context, to netip.Prefix, hop netip.Addr) error {
	err := n.Do(ctx, func() error {
		return n.handle.RouteReplace(&netlink.Route{Dst: ipNet(to), Gw: hop.AsSlice()})
	})
	if err != nil {
		return fmt.Errorf("route %s by %s on %s: %w", to, hop, n, err)
	}
	return nil
}

func (n *Node) markByNftables(iface string, to netip.Prefix, mark uint32) error {
	c, err := nftables.New() // of the thread's namespace
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	t := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: markTable})
	chain := c.AddChain(&nftables.Chain{Name: "mark", Table: t, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityMangle})
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, iface)
	dst := ipNet(to)
	c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: name},
		// The destination of an IPv4 header.
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: dst.Mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: dst.IP},
		&expr.Immediate{Register: 1, Data: nativeUint32(mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1},
	}})
	return c.Flush()
}

// markByFilter needs no nftables but the action skbedit.
func (n *Node) markByFilter(iface string, to netip.Prefix, mark uint32) error {
	link, err := n.handle.LinkByName(iface)
	if err != nil {
		return err
	}
	qdisc := &netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link.Attrs().Index,
		Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS}}
	if err := n.handle.QdiscReplace(qdisc); err != nil {
		return fmt.Errorf("add ingress qdisc to %s: %w", iface, err)
	}
	dst := ipNet(to)
	action := netlink.NewSkbEditAction()
	action.Mark = &mark
	err = n.handle.FilterAdd(&netlink.U32{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: link.Attrs().Index, Parent: qdisc.Handle,
			Priority: 1, Protocol: unix.ETH_P_IP},
		Sel: &netlink.TcU32Sel{Flags: netlink.TC_U32_TERMINAL, Keys: []netlink.TcU32Key{{
			Mask: number(dst.Mask), Val: number(dst.IP), Off: 16,
		}}},
		Actions: []netlink.Action{action},
	})
	if err != nil {
		return fmt.Errorf("add filter to %s: %w", iface, err)
	}
	return nil
}

// number reads four bytes as the network has them.
func number(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

// nativeUint32 is v as this machine has it.
func nativeUint32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
