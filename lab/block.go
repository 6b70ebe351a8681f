package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Block is what the fabric does not carry: frames that one interface sends and that would reach
// another. What goes the other way is carried as ever. What is zero does not matter: the zero Block
// is every frame.
type Block struct {
	// From is the fabric's end of the sender's cable, To those of the receivers'; zero and nil:
	// everybody's.
	From Interface
	To   []Interface
	// EtherType is the only type of frames that is blocked, for example unix.ETH_P_ARP.
	EtherType uint16
	// Protocol is the only protocol of IP that is blocked, Source and Destination the only addresses,
	// Port the only port that such a packet goes to: of IPv6 where an address or EtherType says so,
	// else of IPv4.
	Protocol            uint8
	Source, Destination netip.Addr
	Port                uint16
	// Longer is how many bytes a frame may carry that is not blocked.
	Longer uint32
}

// String says whose frames are blocked, for example "frames from lb1.eth0 to lb2.eth0".
func (b Block) String() string {
	text := "frames"
	if b.From.Name != "" {
		text += " from " + b.From.Name
	}
	for i, to := range b.To {
		text += []string{" to ", ", "}[min(i, 1)] + to.Name
	}
	return text
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
		return nil, fmt.Errorf("block %s: %w", b, err)
	}
	return func(ctx context.Context) error {
		err := f.changeRules(ctx, func(c *nftables.Conn) { c.DelTable(table) })
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unblock %s: %w", b, err)
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
	var match []expr.Any
	if b.From != (Interface{}) {
		match = portIs(expr.MetaKeyIIF, b.From)
	}
	if kind := b.etherType(); kind != 0 {
		match = append(match, is(&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
			binaryutil.BigEndian.PutUint16(kind))...)
	}
	match = append(match, b.fields()...)
	if b.Longer != 0 {
		match = append(match, &expr.Meta{Key: expr.MetaKeyLEN, Register: 1},
			// Numbers are compared byte by byte.
			&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
			&expr.Cmp{Op: expr.CmpOpGt, Register: 1, Data: binaryutil.BigEndian.PutUint32(b.Longer)})
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

// etherType is the type of frames that is blocked; 0: any.
func (b Block) etherType() uint16 {
	switch {
	case b.EtherType != 0:
		return b.EtherType
	case b.Source.Is6() || b.Destination.Is6():
		return unix.ETH_P_IPV6
	case b.Protocol != 0 || b.Source.IsValid() || b.Destination.IsValid():
		return unix.ETH_P_IP
	}
	return 0
}

// offsets are where an IP packet without options has what a block is about.
type offsets struct{ protocol, source, destination, port uint32 }

// offsets are those of the packets that are blocked.
//
// Source: RFC 791, Section 3.1; RFC 8200, Section 3.
func (b Block) offsets() offsets {
	if b.etherType() == unix.ETH_P_IPV6 {
		return offsets{protocol: 6, source: 8, destination: 24, port: 42}
	}
	return offsets{protocol: 9, source: 12, destination: 16, port: 22}
}

// fields are the conditions on the header of an IP packet without options, and of what follows.
func (b Block) fields() []expr.Any {
	var match []expr.Any
	at := b.offsets()
	field := func(offset uint32, value []byte) {
		match = append(match, is(&expr.Payload{DestRegister: 1,
			Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(len(value))}, value)...)
	}
	if b.Protocol != 0 {
		field(at.protocol, []byte{b.Protocol})
	}
	if b.Source.IsValid() {
		field(at.source, b.Source.AsSlice())
	}
	if b.Destination.IsValid() {
		field(at.destination, b.Destination.AsSlice())
	}
	if b.Port != 0 {
		field(at.port, binaryutil.BigEndian.PutUint16(b.Port))
	}
	return match
}

// is holds where what was loaded into register 1 is a value.
func is(load expr.Any, value []byte) []expr.Any {
	return []expr.Any{load, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value}}
}
