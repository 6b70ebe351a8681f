package pool

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
)

// Name identifies a virtual server of a configuration, over reloads too: by Protocol and Address,
// by Mark and Family, or by Protocol and Group, the others being zero. Names are comparable.
type Name struct {
	Protocol config.Protocol
	Address  netip.AddrPort
	Mark     uint32
	Family   config.Family
	Group    string
}

// compare orders names.
func (n Name) compare(m Name) int {
	return cmp.Or(cmp.Compare(n.Protocol, m.Protocol), n.Address.Compare(m.Address),
		cmp.Compare(n.Mark, m.Mark), cmp.Compare(n.Family, m.Family),
		strings.Compare(n.Group, m.Group))
}

// NameOf returns the name of a virtual server.
func NameOf(vs *config.VirtualServer) Name {
	switch {
	case vs.Mark != 0:
		return Name{Mark: vs.Mark, Family: vs.Family}
	case vs.Group != "":
		return Name{Protocol: vs.Protocol, Group: vs.Group}
	}
	return Name{Protocol: vs.Protocol, Address: vs.Address}
}

// String names the virtual server in a log: "TCP 192.168.1.1:80", "mark 7 IPv4" or "group web TCP".
func (n Name) String() string {
	switch {
	case n.Mark != 0:
		return fmt.Sprintf("mark %d %s", n.Mark, family(n.Family))
	case n.Group != "":
		return fmt.Sprintf("group %s %s", n.Group, n.Protocol)
	}
	return fmt.Sprintf("%s %s", n.Protocol, n.Address)
}

// Keys returns the services of a virtual server in the kernel, each once: one, or those of a group.
func Keys(vs *config.VirtualServer) []ipvs.Key {
	own := vs.Keys()
	keys := make([]ipvs.Key, 0, len(own))
	for _, k := range own {
		keys = append(keys, ipvs.Key{Protocol: protocol(k.Protocol), Addr: k.Address,
			Mark: k.Mark, Family: family(k.Family)})
	}
	return keys
}

// Services returns the services of a virtual server with those destinations, which Desired has
// returned and which are not to be changed afterwards.
//
// Only NAT can change the port of a packet (ip_vs_nat_xmit; the other transmitters leave it), so
// that a destination reached otherwise has the port of each service: 0 for a mark, which the kernel
// takes as that of the packet (ip_vs_schedule).
func Services(vs *config.VirtualServer, ds []ipvs.Destination) ipvs.Services {
	keys := Keys(vs)
	services := make(ipvs.Services, 0, len(keys))
	for _, k := range keys {
		services = append(services, ipvs.Service{
			Key: k, Settings: settings(vs, k), Destinations: destinationsIn(k, ds),
		})
	}
	return services
}

// At returns the address that a destination of Desired has in a service.
func At(k ipvs.Key, d ipvs.Destination) netip.AddrPort {
	if d.Forward == ipvs.NAT {
		return d.Addr
	}
	return netip.AddrPortFrom(d.Addr.Addr(), k.Addr.Port())
}

// destinationsIn returns the destinations as they are in a service. Of those that would be the same
// in it, as where a reload has only changed a port, the first counts.
func destinationsIn(k ipvs.Key, ds []ipvs.Destination) []ipvs.Destination {
	moved := false
	for _, d := range ds {
		moved = moved || At(k, d) != d.Addr
	}
	if !moved {
		return ds
	}
	out := make([]ipvs.Destination, 0, len(ds))
	had := make(map[netip.AddrPort]bool, len(ds))
	for _, d := range ds {
		if d.Addr = At(k, d); !had[d.Addr] {
			had[d.Addr] = true
			out = append(out, d)
		}
	}
	return out
}

// Sum adds up the loads of a virtual server's services, which loads returns, for each of the
// destinations, which Desired has returned. Its weight is the highest. The error is the first of
// loads; what the other services have is there nevertheless.
func Sum(
	vs *config.VirtualServer, ds []ipvs.Destination,
	loads func(ipvs.Key) (map[netip.AddrPort]ipvs.Load, error),
) (map[netip.AddrPort]ipvs.Load, error) {
	sum := make(map[netip.AddrPort]ipvs.Load, len(ds))
	var first error
	for _, k := range Keys(vs) {
		some, err := loads(k)
		if err != nil {
			first = cmp.Or(first, err)
		}
		for _, d := range ds {
			load, there := some[At(k, d)]
			if !there {
				continue
			}
			s, more := sum[d.Addr]
			if !more {
				sum[d.Addr] = load
				continue
			}
			sum[d.Addr] = ipvs.Load{Weight: max(s.Weight, load.Weight),
				Active: s.Active + load.Active, Inactive: s.Inactive + load.Inactive,
				Persistent: s.Persistent + load.Persistent}
		}
	}
	return sum, first
}

// settings are those of one service of a virtual server.
func settings(vs *config.VirtualServer, k ipvs.Key) ipvs.Settings {
	s := ipvs.Settings{
		Scheduler:   ipvs.Scheduler(vs.Scheduler),
		Flags:       flags(vs),
		Persistence: vs.Persistence,
		Engine:      ipvs.Engine(vs.Engine),
	}
	if bits := vs.Granularity; bits > 0 && (bits <= 32 || k.IsIPv6()) {
		s.PersistenceBits = bits
	}
	return s
}

// flags are those of a virtual server that its scheduler knows.
func flags(vs *config.VirtualServer) ipvs.Flags {
	hash := config.HashFlags{}
	switch ipvs.Scheduler(vs.Scheduler) {
	case ipvs.SourceHash:
		hash = vs.SourceHash
	case ipvs.MaglevHash:
		hash = vs.Maglev
	}
	var all ipvs.Flags
	for _, f := range []struct {
		set  bool
		flag ipvs.Flags
	}{
		{vs.OnePacket, ipvs.OnePacket},
		{vs.Flags.One, ipvs.Sched1}, {vs.Flags.Two, ipvs.Sched2}, {vs.Flags.Three, ipvs.Sched3},
		{hash.Fallback, ipvs.Fallback}, {hash.Port, ipvs.HashPort},
	} {
		if f.set {
			all |= f.flag
		}
	}
	return all
}

// realServer returns the destination of a real server.
func realServer(vs *config.VirtualServer, rs *config.RealServer, weight int) ipvs.Destination {
	way, wrap := vs.Forward, vs.Tunnel
	if rs.Forward != 0 {
		way, wrap = rs.Forward, rs.Tunnel
	}
	d := destination(rs.Address, way, wrap, weight)
	d.Upper, d.Lower = uint32(rs.UpperThreshold), uint32(rs.LowerThreshold)
	return d
}

func sorryServer(vs *config.VirtualServer, weight int) ipvs.Destination {
	way, wrap := vs.Forward, vs.Tunnel
	if vs.SorryForward != 0 {
		way, wrap = vs.SorryForward, vs.SorryTunnel
	}
	return destination(vs.SorryServer, way, wrap, weight)
}

func destination(
	addr netip.AddrPort, way config.Forward, wrap config.Tunnel, weight int,
) ipvs.Destination {
	d := ipvs.Destination{Addr: addr, Forward: forward(way), Weight: weight}
	if d.Forward == ipvs.TUN {
		d.Tunnel = tunnel(wrap)
	}
	return d
}

func tunnel(t config.Tunnel) ipvs.Tunnel {
	out := ipvs.Tunnel{Port: t.Port}
	switch t.Type {
	case "gue":
		out.Type = ipvs.GUE
	case "gre":
		out.Type = ipvs.GRE
	}
	switch t.Checksum {
	case "csum":
		out.Checksum = ipvs.FullChecksum
	case "remcsum":
		out.Checksum = ipvs.RemoteChecksum
	}
	return out
}

func protocol(p config.Protocol) ipvs.Protocol {
	switch p {
	case config.TCP:
		return ipvs.TCP
	case config.UDP:
		return ipvs.UDP
	case config.SCTP:
		return ipvs.SCTP
	}
	return 0
}

func family(f config.Family) ipvs.Family {
	switch f {
	case config.IPv4:
		return ipvs.IPv4
	case config.IPv6:
		return ipvs.IPv6
	}
	return 0
}

func forward(f config.Forward) ipvs.Forward {
	switch f {
	case config.NAT:
		return ipvs.NAT
	case config.DR:
		return ipvs.DR
	case config.TUN:
		return ipvs.TUN
	}
	return 0
}
