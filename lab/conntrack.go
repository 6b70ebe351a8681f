package lab

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// conntrackTable is the nftables table for which the kernel tracks a node's connections.
	conntrackTable = "tandem-conntrack"
	conntrackMax   = "/proc/sys/net/netfilter/nf_conntrack_max"
	conntrackCount = "/proc/sys/net/netfilter/nf_conntrack_count"
	// mostEntries is the largest table that is filled: an entry takes 300 bytes of the kernel's memory.
	mostEntries = 1 << 20
	// entryBatch is how many entries are made by one system call.
	entryBatch = 200
	// entryLife is how long, in seconds, an entry stays that nobody uses.
	entryLife = 3600
)

// Of linux/netfilter/nfnetlink_conntrack.h and nf_conntrack_common.h.
const (
	ctNew, ctDelete = unix.NFNL_SUBSYS_CTNETLINK << 8, unix.NFNL_SUBSYS_CTNETLINK<<8 | 2

	ctaTupleOrig, ctaTupleReply, ctaStatus, ctaTimeout = 1, 2, 3, 7
	ctaTupleIP, ctaTupleProto                          = 1, 2
	ctaSourceV4, ctaDestinationV4                      = 1, 2
	ctaProtoNumber, ctaSourcePort, ctaDestinationPort  = 1, 2, 3

	// Such an entry is not dropped to make room: answered, assured, in the table.
	ctStatus = 1<<1 | 1<<2 | 1<<3
)

// FillConntrack has the node's kernel track connections, lets those that there are become known for
// a while, and then fills the table of them, so that what is no part of one that is known is dropped.
// It returns what empties the table and ends the tracking; a second time that does nothing. It needs
// Nftables and a kernel with connection tracking.
//
// Equivalent to: `nft add table inet tandem-conntrack`, a rule with `ct state`, and `conntrack -I …`
// until there is no room.
func (n *Node) FillConntrack(
	ctx context.Context, known time.Duration,
) (end func(context.Context) error, err error) {
	end = func(ctx context.Context) error {
		if err := n.Do(ctx, untrack); err != nil {
			return fmt.Errorf("empty connection table of %s: %w", n, err)
		}
		return nil
	}
	fail := func(err error) (func(context.Context) error, error) {
		return nil, fmt.Errorf("fill connection table of %s: %w", n, err)
	}
	if err := n.Do(ctx, track); err != nil {
		return fail(err)
	}
	wait := time.NewTimer(known)
	defer wait.Stop()
	select {
	case <-wait.C:
		err = n.fillConntrack(ctx)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return fail(errors.Join(err, end(context.WithoutCancel(ctx))))
	}
	return end, nil
}

// track begins to track connections in the calling thread's namespace.
func track() error {
	if _, err := os.Stat(conntrackCount); err != nil {
		return errors.New("the kernel has no connection tracking")
	}
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	if tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet); err == nil {
		for _, t := range tables {
			if t.Name == conntrackTable {
				return errors.New("it is full already")
			}
		}
	}
	t := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: conntrackTable})
	chain := c.AddChain(&nftables.Chain{Name: "track", Table: t, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityFilter})
	c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Verdict{Kind: expr.VerdictAccept},
	}})
	if err := c.Flush(); err != nil {
		return fmt.Errorf("track connections: %w", err)
	}
	return nil
}

// untrack undoes track and fillConntrack.
func untrack() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	c.DelTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: conntrackTable})
	if err := c.Flush(); errors.Is(err, unix.ENOENT) {
		return nil
	} else if err != nil {
		return fmt.Errorf("end tracking: %w", err)
	}
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer conn.Close()
	_, err = conn.Execute(netlink.Message{Data: ctHeader(), Header: netlink.Header{Type: ctDelete,
		Flags: netlink.Request | netlink.Acknowledge}})
	if err != nil {
		return fmt.Errorf("flush connections: %w", err)
	}
	return nil
}

// fillConntrack makes entries until there is no room. It takes the node's thread for a moment only.
func (n *Node) fillConntrack(ctx context.Context) error {
	var conn *netlink.Conn
	var count *os.File
	most := 0
	err := n.Do(ctx, func() (err error) {
		if most, err = readNumber(conntrackMax); err != nil {
			return err
		}
		if count, err = os.Open(conntrackCount); err != nil {
			return err
		}
		conn, err = netlink.Dial(unix.NETLINK_NETFILTER, nil)
		return err
	})
	if count != nil {
		defer count.Close()
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	if most == 0 || most > mostEntries {
		return fmt.Errorf("a table of %d entries is too large to fill (sysctl %s)", most,
			"net.netfilter.nf_conntrack_max")
	}
	next := 0
	for entries := 0; entries < most; next += entryBatch {
		if err := addEntries(conn, next); err != nil {
			return err
		}
		if entries, err = parseNumber(io.NewSectionReader(count, 0, 32)); err != nil {
			return err
		}
		if next > 2*mostEntries {
			return fmt.Errorf("it has %d of %d entries and takes no more", entries, most)
		}
	}
	return n.demandFull(ctx, next)
}

// addEntries adds a batch. Nobody reads what the kernel says of those that it has no room for.
func addEntries(conn *netlink.Conn, first int) error {
	batch := make([]netlink.Message, entryBatch)
	for i := range batch {
		var err error
		if batch[i], err = ctEntry(first+i, 0); err != nil {
			return err
		}
	}
	if _, err := conn.SendMessages(batch); err != nil {
		return fmt.Errorf("add connections: %w", err)
	}
	return nil
}

// demandFull returns an error where there is room for one entry more.
func (n *Node) demandFull(ctx context.Context, number int) error {
	one, err := ctEntry(number, netlink.Acknowledge)
	if err != nil {
		return err
	}
	err = n.Do(ctx, func() error {
		conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
		if err != nil {
			return fmt.Errorf("open netlink: %w", err)
		}
		defer conn.Close()
		_, err = conn.Execute(one)
		return err
	})
	switch {
	case err == nil:
		return errors.New("there is room left")
	case !errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("add connection: %w", err)
	}
	return nil
}

// ctHeader is the kernel's struct nfgenmsg for IPv4.
func ctHeader() []byte { return []byte{unix.AF_INET, 0, 0, 0} }

// ctEntry is the message that adds an entry: datagrams between addresses for benchmarks.
//
// Source: RFC 2544, Appendix C.2.2; net/netfilter/nf_conntrack_netlink.c.
func ctEntry(number int, flags netlink.HeaderFlags) (netlink.Message, error) {
	var from, to [4]byte
	binary.BigEndian.PutUint32(from[:], 198<<24|18<<16|uint32(number>>14)&0xffff)
	to = [4]byte{198, 19, 0, 1}
	port := uint16(1024 + number&0x3fff)
	tuple := func(src, dst [4]byte, sport, dport uint16) func(*netlink.AttributeEncoder) error {
		return func(e *netlink.AttributeEncoder) error {
			e.ByteOrder = binary.BigEndian
			e.Nested(ctaTupleIP, func(e *netlink.AttributeEncoder) error {
				e.Bytes(ctaSourceV4, netip.AddrFrom4(src).AsSlice())
				e.Bytes(ctaDestinationV4, netip.AddrFrom4(dst).AsSlice())
				return nil
			})
			e.Nested(ctaTupleProto, func(e *netlink.AttributeEncoder) error {
				e.ByteOrder = binary.BigEndian
				e.Uint8(ctaProtoNumber, unix.IPPROTO_UDP)
				e.Uint16(ctaSourcePort, sport)
				e.Uint16(ctaDestinationPort, dport)
				return nil
			})
			return nil
		}
	}
	e := netlink.NewAttributeEncoder()
	e.ByteOrder = binary.BigEndian
	e.Nested(ctaTupleOrig, tuple(from, to, port, 9))
	e.Nested(ctaTupleReply, tuple(to, from, 9, port))
	e.Uint32(ctaStatus, ctStatus)
	e.Uint32(ctaTimeout, entryLife)
	attributes, err := e.Encode()
	if err != nil {
		return netlink.Message{}, fmt.Errorf("encode connection: %w", err)
	}
	return netlink.Message{Data: append(ctHeader(), attributes...), Header: netlink.Header{
		Type: ctNew, Flags: netlink.Request | netlink.Create | netlink.Excl | flags}}, nil
}

func readNumber(file string) (int, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return parseNumber(f)
}

func parseNumber(r io.Reader) (int, error) {
	var n int
	// The kernel hands such a file out in one piece or not at all.
	if _, err := fmt.Fscan(bufio.NewReader(r), &n); err != nil {
		return 0, fmt.Errorf("read number: %w", err)
	}
	return n, nil
}
