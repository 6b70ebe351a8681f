package lab

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Block is what the fabric does not carry: frames that one interface sends and that would reach
// another. What goes the other way is carried as ever.
type Block struct {
	// From is the fabric's end of the sender's cable, To those of the receivers'; nil: everybody's.
	From Interface
	To   []Interface
	// Protocol is the only protocol of IPv4 that is blocked; 0: every frame is.
	Protocol uint8
}

// Block makes the fabric drop frames and returns what ends that, which a second time does nothing.
// Several blocks may hold at once. It needs NftablesBridge. The probes of the fabric still see
// what is blocked. Whether frames arrive is for Carries to find out.
//
// Equivalent to: `nft add table bridge block1; nft add chain bridge block1 forward { type filter
// hook forward priority 0 \; }; nft add rule bridge block1 forward iif lb1.eth0 oif lb2.eth0 ether
// type ip ip protocol 112 drop`.
func (f *Fabric) Block(ctx context.Context, b Block) (end func(context.Context) error, err error) {
	table := &nftables.Table{Family: nftables.TableFamilyBridge,
		Name: fmt.Sprintf("block%d", f.blocks.Add(1))}
	err = f.changeRules(ctx, func(c *nftables.Conn) {
		c.AddTable(table)
		chain := c.AddChain(&nftables.Chain{Name: "forward", Table: table,
			Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward,
			Priority: nftables.ChainPriorityFilter})
		for _, match := range b.matches() {
			c.AddRule(&nftables.Rule{Table: table, Chain: chain,
				Exprs: append(match, &expr.Verdict{Kind: expr.VerdictDrop})})
		}
	})
	if err != nil {
		return nil, fmt.Errorf("block frames from %s: %w", b.From.Name, err)
	}
	return func(ctx context.Context) error {
		err := f.changeRules(ctx, func(c *nftables.Conn) { c.DelTable(table) })
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unblock frames from %s: %w", b.From.Name, err)
		}
		return nil
	}, nil
}

// changeRules sends one batch of changes to the fabric's packet filter.
func (f *Fabric) changeRules(ctx context.Context, change func(*nftables.Conn)) error {
	return f.Do(ctx, func() error {
		c, err := nftables.New()
		if err != nil {
			return fmt.Errorf("open nftables: %w", err)
		}
		change(c)
		return c.Flush()
	})
}

// matches are the conditions of the rules that a block takes, one for each receiver.
func (b Block) matches() [][]expr.Any {
	match := portIs(expr.MetaKeyIIF, b.From)
	if b.Protocol != 0 {
		match = append(match, protocolIs(b.Protocol)...)
	}
	if b.To == nil {
		return [][]expr.Any{match}
	}
	var all [][]expr.Any
	for _, to := range b.To {
		all = append(all, append(match[:len(match):len(match)], portIs(expr.MetaKeyOIF, to)...))
	}
	return all
}

// portIs holds for frames that come in, or go out, by a port.
func portIs(key expr.MetaKey, port Interface) []expr.Any {
	return is(&expr.Meta{Key: key, Register: 1}, binaryutil.NativeEndian.PutUint32(uint32(port.Index)))
}

// protocolIs holds for packets of a protocol of IPv4.
func protocolIs(protocol uint8) []expr.Any {
	ipv4 := binaryutil.BigEndian.PutUint16(unix.ETH_P_IP)
	field := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 9, Len: 1}
	return append(is(&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1}, ipv4),
		is(field, []byte{protocol})...)
}

// is holds where what was loaded into register 1 is a value.
func is(load expr.Any, value []byte) []expr.Any {
	return []expr.Any{load, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value}}
}
