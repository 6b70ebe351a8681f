package ipvs

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"time"

	moby "github.com/moby/ipvs"
	"golang.org/x/sys/unix"
)

// A command of the generic netlink family IPVS (IPVS_CMD_ in linux/ip_vs.h).
type command uint8

const (
	cmdNewService command = iota + 1
	cmdSetService
	cmdDelService
	cmdGetService
	cmdNewDest
	cmdSetDest
	cmdDelDest
	cmdGetDest
	cmdNewDaemon
	cmdDelDaemon
	cmdGetDaemon
	cmdSetConfig
	cmdGetConfig
	cmdSetInfo
	cmdGetInfo
	cmdZero
	cmdFlush
)

// Attributes of a command (IPVS_CMD_ATTR_).
const (
	attrService = iota + 1
	attrDest
	attrDaemon
	attrTimeoutTCP
	attrTimeoutTCPFin
	attrTimeoutUDP
)

// Attributes of a service (IPVS_SVC_ATTR_). The 32-bit statistics, number 10, are not read.
const (
	svcFamily    = 1
	svcProtocol  = 2
	svcAddr      = 3
	svcPort      = 4
	svcMark      = 5
	svcScheduler = 6
	svcFlags     = 7
	svcTimeout   = 8
	svcNetmask   = 9
	svcEngine    = 11
	svcStats64   = 12
)

// Attributes of a destination (IPVS_DEST_ATTR_).
const (
	destAddr       = 1
	destPort       = 2
	destForward    = 3
	destWeight     = 4
	destUpper      = 5
	destLower      = 6
	destActive     = 7
	destInactive   = 8
	destPersistent = 9
	destFamily     = 11
	destStats64    = 12
	destTunType    = 13
	destTunPort    = 14
	destTunFlags   = 15
)

// flagPersistent is IP_VS_SVC_F_PERSISTENT.
const flagPersistent = 0x01

// genlVersion is that of the family, genlHeader the length of the header before the attributes:
// command, version and two bytes of nothing (linux/genetlink.h).
const (
	genlVersion = 1
	genlHeader  = 4
)

// message is one command with its attributes, not yet on its way.
type message struct {
	command command
	// fill writes the attributes; nil writes none.
	fill func(*attributes)
	// op is written in place of fill, if it is not nil.
	op *Op
}

// encode writes the generic netlink message: header and attributes.
func (m message) encode(a *attributes) {
	*a = append(*a, byte(m.command), genlVersion, 0, 0)
	switch {
	case m.op != nil:
		m.op.encode(a)
	case m.fill != nil:
		m.fill(a)
	}
}

// opMessage returns the message that carries out op, which is valid and stays as it is.
func opMessage(op *Op) message {
	c := command(op.Kind)
	switch op.Kind {
	case AddDestination:
		c = cmdNewDest
	case SetDestination:
		c = cmdSetDest
	case DeleteDestination:
		c = cmdDelDest
	case AddService, SetService, DeleteService:
	}
	return message{command: c, op: op}
}

// encode writes the attributes of an operation.
func (op *Op) encode(a *attributes) {
	switch op.Kind {
	case AddService, SetService:
		encodeService(a, op.Key, &op.Settings)
	case DeleteService:
		encodeService(a, op.Key, nil)
	case AddDestination, SetDestination, DeleteDestination:
		encodeService(a, op.Key, nil)
		encodeDestination(a, &op.Destination, op.Kind != DeleteDestination)
	}
}

// keyMessage returns a message about one service.
func keyMessage(c command, k Key) message {
	return message{command: c, fill: func(a *attributes) { encodeService(a, k, nil) }}
}

// encodeService writes what identifies the service, and its settings unless they are nil
// (ip_vs_genl_parse_service in net/netfilter/ipvs/ip_vs_ctl.c).
func encodeService(a *attributes, k Key, s *Settings) {
	at := a.begin(attrService)
	defer func() { a.end(at) }()
	a.uint16(svcFamily, familyNumber(k.IsIPv6()))
	if k.Mark != 0 {
		a.uint32(svcMark, k.Mark)
	} else {
		a.uint16(svcProtocol, uint16(k.Protocol))
		a.addr(svcAddr, k.Addr.Addr())
		a.port(svcPort, k.Addr.Port())
	}
	if s == nil {
		return
	}
	a.string(svcScheduler, string(s.Scheduler))
	flags := uint32(s.Flags)
	if s.Persistence > 0 {
		flags |= flagPersistent
	}
	// The kernel takes of the flags those in the mask behind them.
	b := binary.NativeEndian.AppendUint32(nil, flags)
	a.bytes(svcFlags, binary.NativeEndian.AppendUint32(b, ^uint32(0))...)
	a.uint32(svcTimeout, uint32(s.Persistence/time.Second))
	a.bytes(svcNetmask, toNetmask(k, s.PersistenceBits)...)
	if s.Engine != "" {
		a.string(svcEngine, string(s.Engine))
	}
}

// encodeDestination writes what identifies the destination, and all else of it if full
// (ip_vs_genl_parse_dest in net/netfilter/ipvs/ip_vs_ctl.c).
func encodeDestination(a *attributes, d *Destination, full bool) {
	at := a.begin(attrDest)
	defer func() { a.end(at) }()
	a.addr(destAddr, d.Addr.Addr())
	a.port(destPort, d.Addr.Port())
	a.uint16(destFamily, familyNumber(d.Addr.Addr().Is6()))
	if !full {
		return
	}
	a.uint32(destForward, forwardFlags(d.Forward))
	a.uint32(destWeight, uint32(d.Weight))
	a.uint32(destUpper, d.Upper)
	a.uint32(destLower, d.Lower)
	if d.Forward == TUN {
		a.uint8(destTunType, uint8(d.Tunnel.Type))
		a.port(destTunPort, d.Tunnel.Port)
		a.uint16(destTunFlags, uint16(d.Tunnel.Checksum))
	}
}

func familyNumber(ipv6 bool) uint16 {
	if ipv6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

func forwardFlags(f Forward) uint32 {
	switch f {
	case DR:
		return moby.ConnectionFlagDirectRoute
	case TUN:
		return moby.ConnectionFlagTunnel
	}
	return moby.ConnectionFlagMasq
}

func fromForwardFlags(flags uint32) Forward {
	switch flags & moby.ConnectionFlagFwdMask {
	case moby.ConnectionFlagMasq:
		return NAT
	case moby.ConnectionFlagDirectRoute:
		return DR
	case moby.ConnectionFlagTunnel:
		return TUN
	}
	return 0
}

// toNetmask returns the netmask attribute: an IPv4 mask in network order, or an IPv6 prefix length
// in the machine's. The kernel refuses an IPv6 service without one.
func toNetmask(k Key, length int) []byte {
	if length == 0 {
		length = addrBits(k)
	}
	if k.IsIPv6() {
		return binary.NativeEndian.AppendUint32(nil, uint32(length))
	}
	return net.CIDRMask(length, 32)
}

// fromNetmask returns the prefix length of a netmask attribute, -1 if it is none.
func fromNetmask(mask []byte, ipv6 bool) int {
	if len(mask) != 4 {
		return -1
	}
	if ipv6 {
		n := binary.NativeEndian.Uint32(mask)
		if n < 1 || n > 128 {
			return -1
		}
		return int(n)
	}
	m := binary.BigEndian.Uint32(mask)
	ones := bits.LeadingZeros32(^m)
	if ones == 0 || m<<ones != 0 {
		return -1
	}
	return ones
}

// nestedIn returns a reader of what is in the one attribute of that type of a generic netlink
// message.
func nestedIn(b []byte, typ uint16) (attributeReader, error) {
	if len(b) < genlHeader {
		return attributeReader{}, errShort
	}
	r := attributeReader{rest: b[genlHeader:]}
	var in attributeReader
	found := false
	for r.next() {
		if r.typ == typ {
			in, found = r.nested(), true
		}
	}
	switch {
	case r.err != nil:
		return in, r.err
	case !found:
		return in, fmt.Errorf("no attribute %d", typ)
	}
	return in, nil
}

// rawAddr is an address as the kernel sends it: 16 bytes whatever the family.
type rawAddr struct {
	family uint16
	addr   []byte
	port   uint16
}

// decode returns the address; the family that stands beside it, or that of its service.
func (r rawAddr) decode() (netip.AddrPort, error) {
	length := net.IPv4len
	if r.family == unix.AF_INET6 {
		length = net.IPv6len
	} else if r.family != unix.AF_INET {
		return netip.AddrPort{}, fmt.Errorf("unknown address family %d", r.family)
	}
	if len(r.addr) < length {
		return netip.AddrPort{}, fmt.Errorf("address of %d bytes", len(r.addr))
	}
	a, _ := netip.AddrFromSlice(r.addr[:length])
	return netip.AddrPortFrom(a, r.port), nil
}

// bigEndian16 returns a port attribute; 0 if it is none.
func bigEndian16(b []byte) uint16 {
	if len(b) != 2 {
		return 0
	}
	return binary.BigEndian.Uint16(b)
}
