package netif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Mark gives packets to some addresses and a port a firewall mark, by which IPVS can have one service
// for all of them.
type Mark struct {
	// First and Last are the ends of the range of addresses, both included.
	First, Last netip.Addr
	// Protocol is a number such as unix.IPPROTO_TCP; Port 0 is every port.
	Protocol uint8
	Port     uint16
	// Mark is what they get.
	Mark uint32
}

// MarkTable is an nftables table of the family inet with marks. Nobody else should have one of its
// name.
type MarkTable struct {
	Name string
	// Priority is that of its chain for packets from the network; IPVS comes at 98.
	Priority int32
	Marks    []Mark
}

// outPriority is the priority of the chain for packets of this host at most: IPVS comes at -98.
const outPriority = -150

// PutMarks makes the table, in the place of one of its name, all at once.
//
// Equivalent to: `nft -f` of a file that deletes the table and has it anew.
func (h *Host) PutMarks(t MarkTable) error {
	err := h.changeMarks(t.Name, func(c *nftables.Conn, table *nftables.Table) { t.make(c, table) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) {
		err = fmt.Errorf("nftables of this kernel lacks the family inet: %w", err)
	}
	if err != nil {
		return fmt.Errorf("put marks in table %s: %w", t.Name, err)
	}
	return nil
}

// DropMarks takes the table of that name away. One that is not there is no error.
//
// Equivalent to: `nft delete table inet NAME`.
func (h *Host) DropMarks(name string) error {
	err := h.changeMarks(name, func(*nftables.Conn, *nftables.Table) {})
	// A kernel without nftables has no marks.
	if err == nil || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) ||
		errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil
	}
	return fmt.Errorf("remove marks in table %s: %w", name, err)
}

// changeMarks deletes the table, if it is there, and has anew make it again, in one transaction.
func (h *Host) changeMarks(name string, anew func(*nftables.Conn, *nftables.Table)) error {
	h.shielding.Lock()
	defer h.shielding.Unlock()
	c, err := nftables.New(nftables.WithNetNSFd(int(h.ns)), nftables.WithSockOptions(roomForMarks))
	if err != nil {
		return err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	table := &nftables.Table{Name: name, Family: nftables.TableFamilyINet}
	for _, t := range tables {
		if t.Name == name {
			c.DelTable(table)
		}
	}
	anew(c, table)
	return c.Flush()
}

// roomForMarks has a whole transaction fit into the socket: it is one message, of some 400 bytes a
// rule, and each part of it has an answer.
func roomForMarks(c *netlink.Conn) error {
	const most = 32 << 20
	return errors.Join(c.SetWriteBuffer(most), c.SetReadBuffer(most))
}

// make makes the table:
//
//	chain input { type filter hook input priority P; policy accept;
//		ip daddr 192.168.1.1-192.168.1.9 tcp dport 80 meta mark set 1000
//		…
//	}
//	chain output { type filter hook output priority -150; policy accept; the same }
func (t *MarkTable) make(c *nftables.Conn, table *nftables.Table) {
	c.AddTable(table)
	accept := nftables.ChainPolicyAccept
	for _, hook := range []struct {
		name     string
		hook     *nftables.ChainHook
		priority int32
	}{
		{"input", nftables.ChainHookInput, t.Priority},
		{"output", nftables.ChainHookOutput, min(t.Priority, outPriority)},
	} {
		chain := c.AddChain(&nftables.Chain{
			Name: hook.name, Table: table, Type: nftables.ChainTypeFilter, Hooknum: hook.hook,
			Policy: &accept, Priority: nftables.ChainPriorityRef(nftables.ChainPriority(hook.priority)),
		})
		for _, m := range t.Marks {
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: m.exprs()})
		}
	}
}

// exprs are the mark as a rule.
func (m *Mark) exprs() []expr.Any {
	exprs := family(unix.NFPROTO_IPV4)
	offset, length := uint32(16), uint32(4) // of the destination
	if m.First.Is6() {
		exprs, offset, length = family(unix.NFPROTO_IPV6), 24, 16
	}
	exprs = append(exprs,
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length},
		&expr.Range{Op: expr.CmpOpEq, Register: 1,
			FromData: m.First.AsSlice(), ToData: m.Last.AsSlice()},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equals([]byte{m.Protocol}))
	if m.Port != 0 {
		exprs = append(exprs,
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			equals(binary.BigEndian.AppendUint16(nil, m.Port)))
	}
	return append(exprs,
		&expr.Immediate{Register: 1, Data: binary.NativeEndian.AppendUint32(nil, m.Mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1})
}
