package config

import (
	"cmp"
	"fmt"
	"net/netip"
)

// ServiceKey is what the kernel tells services apart by: either Protocol and Address, or Mark and
// Family, the other two being zero. Keys are comparable.
type ServiceKey struct {
	Protocol Protocol
	Address  netip.AddrPort
	Mark     uint32
	Family   Family
}

// Keys returns the services of a virtual server, in the order of the file and each once: of a group
// those of all addresses in its ranges, and of its marks.
func (s *VirtualServer) Keys() []ServiceKey {
	switch {
	case s.Mark != 0:
		return []ServiceKey{{Mark: s.Mark, Family: s.Family}}
	case s.Group == "":
		return []ServiceKey{{Protocol: s.Protocol, Address: s.Address}}
	}
	var keys []ServiceKey
	had := map[ServiceKey]bool{}
	add := func(k ServiceKey) {
		if !had[k] {
			had[k] = true
			keys = append(keys, k)
		}
	}
	for i := range s.Members {
		m := &s.Members[i]
		if m.Mark != 0 {
			add(ServiceKey{Mark: m.Mark, Family: m.Family})
			continue
		}
		for a := m.First; a.IsValid() && !m.Last.Less(a); a = a.Next() {
			add(ServiceKey{Protocol: s.Protocol, Address: netip.AddrPortFrom(a, m.Port)})
		}
	}
	return keys
}

// what names the key in a sentence about s.
func (k ServiceKey) what(s *serverBlock) string {
	switch {
	case k.Mark != 0:
		return fmt.Sprintf("fwmark %d, %s", k.Mark, k.Family)
	case s.Group != "":
		return fmt.Sprintf("%s %s", k.Protocol, k.Address)
	}
	return k.Protocol.String()
}

// ForwardOf returns how packets reach a real server of s.
func (s *VirtualServer) ForwardOf(r *RealServer) Forward { return cmp.Or(r.Forward, s.Forward) }

// checkGranularity says that a prefix is longer than an address of the service.
func (d *decoder) checkGranularity(s *serverBlock) {
	const most = 32
	if s.Granularity <= most {
		return
	}
	for _, k := range s.Keys() {
		if k.Family == IPv6 || k.Address.Addr().Is6() {
			continue
		}
		d.fail(s.Pos, "persistence_granularity \"%d\": expected at most %d for IPv4",
			s.Granularity, most)
		return
	}
}
