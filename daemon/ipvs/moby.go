package ipvs

import (
	"encoding/binary"
	"math/bits"
	"net"
	"net/netip"
	"time"

	moby "github.com/moby/ipvs"
	"golang.org/x/sys/unix"
)

// flagPersistent is IP_VS_SVC_F_PERSISTENT.
const flagPersistent = 0x01

func toMoby(k Key, s Settings) *moby.Service {
	m := &moby.Service{
		AddressFamily: unix.AF_INET,
		Protocol:      uint16(k.Protocol),
		Port:          k.Addr.Port(),
		FWMark:        k.Mark,
		SchedName:     string(s.Scheduler),
		Flags:         uint32(s.Flags),
		Timeout:       uint32(s.Persistence / time.Second),
		Netmask:       mobyNetmask(k, s.PersistenceBits),
	}
	if k.IsIPv6() {
		m.AddressFamily = unix.AF_INET6
	}
	if k.Mark == 0 {
		m.Address = net.IP(k.Addr.Addr().AsSlice())
	}
	if s.Persistence > 0 {
		m.Flags |= flagPersistent
	}
	return m
}

// mobyNetmask returns the netmask attribute as the library wants it: it writes the number in the
// machine's order, where the kernel has an IPv4 mask in network order and an IPv6 prefix length in
// the machine's. The kernel refuses an IPv6 service without one.
func mobyNetmask(k Key, length int) uint32 {
	if length == 0 {
		length = addrBits(k)
	}
	if k.IsIPv6() {
		return uint32(length)
	}
	return binary.NativeEndian.Uint32(net.CIDRMask(length, 32))
}

func fromMoby(m *moby.Service) Service {
	s := Service{Settings: Settings{
		Scheduler: Scheduler(m.SchedName),
		Flags:     Flags(m.Flags) & (OnePacket | Sched1 | Sched2 | Sched3),
	}}
	if m.FWMark != 0 {
		s.Mark, s.Family = m.FWMark, IPv4
		if m.AddressFamily == unix.AF_INET6 {
			s.Family = IPv6
		}
	} else {
		s.Protocol, s.Addr = Protocol(m.Protocol), addrPort(m.Address, m.Port)
	}
	if m.Flags&flagPersistent != 0 {
		s.Persistence = time.Duration(m.Timeout) * time.Second
	}
	s.PersistenceBits = fromNetmask(m.Netmask, s.IsIPv6())
	s.Settings = s.Settings.canonical(s.Key)
	return s
}

// fromNetmask returns the prefix length of a mask, -1 if it has none or is empty.
func fromNetmask(mask uint32, ipv6 bool) int {
	if ipv6 {
		return int(mask)
	}
	b := binary.NativeEndian.AppendUint32(nil, mask)
	m := binary.BigEndian.Uint32(b)
	ones := bits.LeadingZeros32(^m)
	if ones == 0 || m<<ones != 0 {
		return -1
	}
	return ones
}

func toMobyDestination(d Destination) *moby.Destination {
	return &moby.Destination{
		Address:         net.IP(d.Addr.Addr().AsSlice()),
		Port:            d.Addr.Port(),
		Weight:          d.Weight,
		ConnectionFlags: forwardFlags(d.Forward),
		UpperThreshold:  d.Upper,
		LowerThreshold:  d.Lower,
	}
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

// fromMobyDestination loses the upper half of a weight above MaxWeight, which nothing of ours sets:
// the library reads no more.
func fromMobyDestination(m *moby.Destination) Destination {
	d := Destination{
		Addr:   addrPort(m.Address, m.Port),
		Weight: m.Weight,
		Upper:  m.UpperThreshold,
		Lower:  m.LowerThreshold,
	}
	switch m.ConnectionFlags & moby.ConnectionFlagFwdMask {
	case moby.ConnectionFlagMasq:
		d.Forward = NAT
	case moby.ConnectionFlagDirectRoute:
		d.Forward = DR
	case moby.ConnectionFlagTunnel:
		d.Forward = TUN
	}
	return d
}

func addrPort(ip net.IP, port uint16) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a, port)
}
