package daemon

import (
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
)

// linkDelays returns how long changes of interfaces are held back.
func linkDelays(cfg *config.Config) map[string]instance.LinkDelay {
	all := map[string]instance.LinkDelay{}
	for _, d := range cfg.Global.Links.Delays {
		all[d.Interface] = instance.LinkDelay{Down: d.Down, Up: d.Up}
	}
	return all
}

// hearUnknown has the first instance of each interface, by multicast and by unicast of each family,
// hear the adverts of virtual routers that the host does not have.
func hearUnknown(gs []instance.Group) {
	type ear struct {
		device        string
		ipv6, unicast bool
	}
	first := map[ear]*instance.Config{}
	for _, g := range gs {
		for i := range g.Members {
			m := &g.Members[i]
			e := ear{m.Interface, m.IPv6(), m.Router.Unicast}
			if first[e] == nil {
				first[e] = m
				m.HearAll = true
				continue
			}
			first[e].Siblings = append(first[e].Siblings, m.Router.VRID)
		}
	}
}
