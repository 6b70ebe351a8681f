package instance

import (
	"slices"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// unknown reports whether a packet is about another virtual router than m's, which only a member is
// handed that hears all. It counts and tells of those that the host does not have; whatever else may
// be wrong with them is not this host's business.
func (r *Runner) unknown(m *member, p netif.Packet) bool {
	const vridAt = 1
	if !m.cfg.HearAll || len(p.Payload) <= vridAt {
		return false
	}
	vrid := p.Payload[vridAt]
	if vrid == m.cfg.Router.VRID {
		return false
	}
	if slices.Contains(m.cfg.Siblings, vrid) {
		return true
	}
	r.update(m, func(s *Status) { count(&s.Drops, vrrp.DropVRID) })
	if m.unknown == nil {
		m.unknown = map[uint8]uint64{}
	}
	m.unknown[vrid]++
	if n := m.unknown[vrid]; loud(n) {
		r.warn(m, "advert of an unknown virtual router", "vrid", vrid, "source", p.From, "count", n)
	}
	return true
}
