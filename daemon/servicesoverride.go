package daemon

import (
	"maps"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/pool"
)

// setOverrides has real servers have the weights that operators have given them, all of them, from
// now on; nil is none. One of a real server that is not there waits for it.
func (s *services) setOverrides(all map[pool.ID]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.overrides = maps.Clone(all)
	for _, v := range s.all {
		if own := overridesOf(v.config, all); !maps.Equal(own, v.Overrides) {
			v.Overrides = own
			s.settle(v)
		}
	}
}

// overridesOf are those of one virtual server.
func overridesOf(vs *config.VirtualServer, all map[pool.ID]int) pool.Overrides {
	if len(all) == 0 {
		return nil
	}
	own := pool.Overrides{}
	for i := range vs.RealServers {
		server := vs.RealServers[i].Address
		if weight, there := all[pool.ID{Service: pool.NameOf(vs), Server: server}]; there {
			own[server] = weight
		}
	}
	return own
}
