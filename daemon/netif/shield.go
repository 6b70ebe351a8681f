package netif

import (
	"bytes"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Shield keeps what comes from the network away from an address of this host, but for neighbor
// discovery: a virtual router that is not the owner of its addresses need not answer on them (RFC
// 9568, Section 6.1, Accept_Mode). It is not for a director: IPVS takes packets after it.
type Shield struct {
	// Table is the nftables table of the family inet, one for all addresses. Nobody else should
	// have one of that name.
	Table string
	// Priority is that of its chain.
	Priority int32
	// Counters has the table count what it keeps away. It matters when the table is made.
	Counters bool
	Addr     netip.Addr
}

// String returns, for example, "192.168.1.1 in table tandem".
func (s Shield) String() string { return fmt.Sprintf("%s in table %s", s.Addr, s.Table) }

// PutShield puts the shield up. A second call is no error.
//
// Equivalent to: `nft add element inet TABLE vips4 { ADDR }`.
func (h *Host) PutShield(s Shield) error {
	h.shielding.Lock()
	defer h.shielding.Unlock()
	err := h.changeShield(s, func(c *nftables.Conn, t *shieldTable, there bool) error {
		if !there {
			t.make(c, s)
		}
		return c.SetAddElements(t.setOf(s.Addr), elementOf(s.Addr))
	})
	if lacksINet(err) {
		err = fmt.Errorf("nftables of this kernel lacks the family inet: %w", err)
	}
	if err != nil {
		return fmt.Errorf("shield %s: %w", s, err)
	}
	return nil
}

// DropShield takes the shield down, and the table with the last one. One that is not there is no
// error.
//
// Equivalent to: `nft delete element inet TABLE vips4 { ADDR }`.
func (h *Host) DropShield(s Shield) error {
	h.shielding.Lock()
	defer h.shielding.Unlock()
	err := h.changeShield(s, func(c *nftables.Conn, t *shieldTable, there bool) error {
		if !there {
			return nil
		}
		left, found, err := t.others(c, s.Addr)
		switch {
		case err != nil || !found:
			return err
		case left == 0:
			c.DelTable(t.table)
			return nil
		}
		return c.SetDeleteElements(t.setOf(s.Addr), elementOf(s.Addr))
	})
	// A kernel without nftables has no shield.
	if err == nil || lacksINet(err) {
		return nil
	}
	return fmt.Errorf("remove shield %s: %w", s, err)
}

// changeShield calls do with the table of s, and whether there is one, and carries out what it
// says.
func (h *Host) changeShield(s Shield,
	do func(c *nftables.Conn, t *shieldTable, there bool) error) error {
	c, err := nftables.New(nftables.WithNetNSFd(int(h.ns)))
	if err != nil {
		return err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	there := false
	for _, t := range tables {
		there = there || t.Name == s.Table
	}
	if err := do(c, newShieldTable(s.Table), there); err != nil {
		return err
	}
	return c.Flush()
}

// shieldTable is the table with its sets of addresses, by family.
type shieldTable struct {
	table        *nftables.Table
	vips4, vips6 *nftables.Set
}

func newShieldTable(name string) *shieldTable {
	t := &nftables.Table{Name: name, Family: nftables.TableFamilyINet}
	return &shieldTable{
		table: t,
		vips4: &nftables.Set{Table: t, Name: "vips4", KeyType: nftables.TypeIPAddr},
		vips6: &nftables.Set{Table: t, Name: "vips6", KeyType: nftables.TypeIP6Addr},
	}
}

func (t *shieldTable) setOf(a netip.Addr) *nftables.Set {
	if a.Is6() {
		return t.vips6
	}
	return t.vips4
}

func elementOf(a netip.Addr) []nftables.SetElement {
	return []nftables.SetElement{{Key: a.AsSlice()}}
}

// others returns how many other addresses there are, and whether a is one of all.
func (t *shieldTable) others(c *nftables.Conn, a netip.Addr) (left int, found bool, err error) {
	for _, set := range []*nftables.Set{t.vips4, t.vips6} {
		elements, err := c.GetSetElements(set)
		if err != nil {
			return 0, false, fmt.Errorf("list %s: %w", set.Name, err)
		}
		for _, e := range elements {
			if bytes.Equal(e.Key, a.AsSlice()) {
				found = true
				continue
			}
			left++
		}
	}
	return left, found, nil
}

// make makes the table:
//
//	chain input { type filter hook input priority P; policy accept;
//		iifname "lo" accept
//		icmpv6 type 135-136 accept
//		ip daddr @vips4 drop
//		ip6 daddr @vips6 drop
//	}
//
// With counters the last two have one each.
func (t *shieldTable) make(c *nftables.Conn, s Shield) {
	c.AddTable(t.table)
	accept := nftables.ChainPolicyAccept
	chain := c.AddChain(&nftables.Chain{
		Name: "input", Table: t.table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Policy: &accept,
		Priority: nftables.ChainPriorityRef(nftables.ChainPriority(s.Priority)),
	})
	for i, set := range []*nftables.Set{t.vips4, t.vips6} {
		set.ID = uint32(i) + 1 // unless it is given the library counts, for all of a process
		_ = c.AddSet(set, nil) // it has no elements that could be wrong
	}
	const ipv4Dest, ipv6Dest = 16, 24
	for _, exprs := range [][]expr.Any{
		{
			&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
			equals([]byte("lo\x00")), verdict(expr.VerdictAccept),
		},
		append(family(unix.NFPROTO_IPV6),
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equals([]byte{unix.IPPROTO_ICMPV6}),
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Len: 1},
			&expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: []byte{135}, ToData: []byte{136}},
			verdict(expr.VerdictAccept)),
		append(family(unix.NFPROTO_IPV4), t.dropTo(t.vips4, ipv4Dest, 4, s.Counters)...),
		append(family(unix.NFPROTO_IPV6), t.dropTo(t.vips6, ipv6Dest, 16, s.Counters)...),
	} {
		c.AddRule(&nftables.Rule{Table: t.table, Chain: chain, Exprs: exprs})
	}
}

func family(f byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equals([]byte{f})}
}

func (t *shieldTable) dropTo(
	set *nftables.Set, offset, length uint32, counted bool,
) []expr.Any {
	exprs := []expr.Any{
		&expr.Payload{
			DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length,
		},
		&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID},
	}
	if counted {
		exprs = append(exprs, &expr.Counter{})
	}
	return append(exprs, verdict(expr.VerdictDrop))
}

func equals(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

func verdict(kind expr.VerdictKind) expr.Any { return &expr.Verdict{Kind: kind} }
