package netif

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Reply is what a real server behind NAT says to clients, as it comes from it: a director that knows
// the connection puts the virtual service in place of the source.
type Reply struct {
	// Protocol is an IPPROTO.
	Protocol uint8
	// Source is the real server; port 0 is every port.
	Source netip.AddrPort
}

// String returns, for example, "6/192.168.2.11:80".
func (r Reply) String() string { return fmt.Sprintf("%d/%s", r.Protocol, r.Source) }

// Compare orders replies by their protocol, address and port.
func (r Reply) Compare(other Reply) int {
	return cmp.Or(cmp.Compare(r.Protocol, other.Protocol), r.Source.Compare(other.Source))
}

// guardTable is the nftables table of the forward guard, of the family inet.
const guardTable = "tandem_forward"

// guardPriority is just after that at which IPVS translates what it forwards.
//
// Source: net/netfilter/ipvs/ip_vs_core.c, ip_vs_ops4, NF_INET_FORWARD.
const guardPriority = 101

// SetForwardGuard has this host forward no replies that IPVS has not translated: they are of
// connections that it does not know, and a client would answer such a one by an RST, which reaches
// the real server and ends a connection that another director, or this one in a moment, can go on
// with. What is guarded replaces what was before; none takes the guard away. A second call is no
// error. The order means nothing.
//
// Equivalent to: `nft add rule inet tandem_forward forward ip saddr . meta l4proto . th sport
// @replies4 counter drop`.
func (h *Host) SetForwardGuard(replies []Reply) error {
	h.shielding.Lock()
	defer h.shielding.Unlock()
	err := h.setForwardGuard(replies)
	if lacksINet(err) {
		if len(replies) == 0 {
			return nil // there can be none
		}
		err = fmt.Errorf("nftables of this kernel lacks the family inet: %w", err)
	}
	if err != nil {
		return fmt.Errorf("set forward guard: %w", err)
	}
	return nil
}

func (h *Host) setForwardGuard(replies []Reply) error {
	c, there, err := h.guardConn()
	if err != nil {
		return err
	}
	g := newGuard()
	if there {
		c.DelTable(g.table)
	}
	if len(replies) > 0 {
		if err := g.make(c, replies); err != nil {
			return err
		}
	}
	return c.Flush()
}

// ForwardGuard returns what is guarded, in order; nil is no guard.
func (h *Host) ForwardGuard() ([]Reply, error) {
	h.shielding.Lock()
	defer h.shielding.Unlock()
	replies, err := h.forwardGuard()
	if err != nil && !lacksINet(err) {
		return nil, fmt.Errorf("read forward guard: %w", err)
	}
	return replies, nil
}

func (h *Host) forwardGuard() ([]Reply, error) {
	c, there, err := h.guardConn()
	if err != nil || !there {
		return nil, err
	}
	var all []Reply
	g := newGuard()
	for _, s := range g.sets {
		elements, err := c.GetSetElements(s.set)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", s.set.Name, err)
		}
		for _, e := range elements {
			all = append(all, s.reply(e.Key))
		}
	}
	slices.SortFunc(all, Reply.Compare)
	return all, nil
}

// guardConn returns a connection, and whether the table is there.
func (h *Host) guardConn() (c *nftables.Conn, there bool, err error) {
	if c, err = nftables.New(nftables.WithNetNSFd(int(h.ns))); err != nil {
		return nil, false, err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, false, fmt.Errorf("list tables: %w", err)
	}
	return c, slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == guardTable }),
		nil
}

func lacksINet(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) ||
		errors.Is(err, unix.EPROTONOSUPPORT)
}

// forwardGuard is the table and its sets.
type forwardGuard struct {
	table *nftables.Table
	sets  []guardSet
}

// guardSet has replies of one family, with ports or without.
type guardSet struct {
	set   *nftables.Set
	six   bool
	ports bool
}

func newGuard() *forwardGuard {
	g := &forwardGuard{table: &nftables.Table{Name: guardTable, Family: nftables.TableFamilyINet}}
	for _, s := range []struct {
		name  string
		six   bool
		ports bool
	}{{"replies4", false, true}, {"replies6", true, true}, {"hosts4", false, false},
		{"hosts6", true, false}} {
		addr, port := nftables.TypeIPAddr, nftables.TypeInetService
		if s.six {
			addr = nftables.TypeIP6Addr
		}
		kind := nftables.MustConcatSetType(addr, nftables.TypeInetProto)
		if s.ports {
			kind = nftables.MustConcatSetType(addr, nftables.TypeInetProto, port)
		}
		g.sets = append(g.sets, guardSet{six: s.six, ports: s.ports, set: &nftables.Set{
			Table: g.table, Name: s.name, KeyType: kind, Concatenation: true}})
	}
	return g
}

// has says whether a reply belongs to the set.
func (s guardSet) has(r Reply) bool {
	return s.six == r.Source.Addr().Is6() && s.ports == (r.Source.Port() != 0)
}

// key is a reply as an element: each part fills words of four bytes.
func (s guardSet) key(r Reply) []byte {
	key := append(r.Source.Addr().AsSlice(), r.Protocol, 0, 0, 0)
	if s.ports {
		key = append(append(key, binaryutil.BigEndian.PutUint16(r.Source.Port())...), 0, 0)
	}
	return key
}

// reply is an element's.
func (s guardSet) reply(key []byte) Reply {
	length := 4
	if s.six {
		length = 16
	}
	addr, _ := netip.AddrFromSlice(key[:length])
	r := Reply{Protocol: key[length], Source: netip.AddrPortFrom(addr, 0)}
	if s.ports {
		r.Source = netip.AddrPortFrom(addr, binary.BigEndian.Uint16(key[length+4:]))
	}
	return r
}

// make makes the table:
//
//	chain forward { type filter hook forward priority 101; policy accept;
//		ip saddr . meta l4proto . th sport @replies4 counter drop
//		ip6 saddr . meta l4proto . th sport @replies6 counter drop
//		ip saddr . meta l4proto @hosts4 counter drop
//		ip6 saddr . meta l4proto @hosts6 counter drop
//	}
func (g *forwardGuard) make(c *nftables.Conn, replies []Reply) error {
	c.AddTable(g.table)
	accept := nftables.ChainPolicyAccept
	chain := c.AddChain(&nftables.Chain{
		Name: "forward", Table: g.table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Policy: &accept,
		Priority: nftables.ChainPriorityRef(guardPriority),
	})
	for i, s := range g.sets {
		var elements []nftables.SetElement
		for _, r := range replies {
			if s.has(r) {
				elements = append(elements, nftables.SetElement{Key: s.key(r)})
			}
		}
		s.set.ID = uint32(i) + 1 // unless it is given the library counts, for all of a process
		if err := c.AddSet(s.set, elements); err != nil {
			return fmt.Errorf("make set %s: %w", s.set.Name, err)
		}
		c.AddRule(&nftables.Rule{Table: g.table, Chain: chain, Exprs: s.drop()})
	}
	return nil
}

// drop is the rule of the set. Its words come one after the other into registers of four bytes.
func (s guardSet) drop() []expr.Any {
	const firstWord = unix.NFT_REG32_00
	protocol, offset, length, words := byte(unix.NFPROTO_IPV4), uint32(12), uint32(4), uint32(1)
	if s.six {
		protocol, offset, length, words = unix.NFPROTO_IPV6, 8, 16, 4
	}
	exprs := append(family(protocol),
		&expr.Payload{DestRegister: firstWord, Base: expr.PayloadBaseNetworkHeader, Offset: offset,
			Len: length},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: firstWord + words})
	if s.ports {
		exprs = append(exprs, &expr.Payload{DestRegister: firstWord + words + 1,
			Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 2})
	}
	return append(exprs,
		&expr.Lookup{SourceRegister: firstWord, SetName: s.set.Name, SetID: s.set.ID},
		&expr.Counter{}, verdict(expr.VerdictDrop))
}
