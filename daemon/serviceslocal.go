package daemon

import (
	"context"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/pool"
)

// lookAround has the services know what this machine has, in the namespace of the calling thread,
// from now on and while they run.
func (s *services) lookAround() error {
	local, err := netif.OpenLocal()
	if err != nil {
		return err
	}
	s.local = local
	s.here(local.Now())
	return nil
}

// watchLocal has the services know of changes, until ctx ends. If it cannot, all checks are made.
func (s *services) watchLocal(ctx context.Context) {
	if err := s.local.Watch(ctx, s.here); err != nil {
		s.log.Warn("every check is made, on a backup too", "err", err)
		s.here(netif.Here{})
	}
}

// here takes what this machine has now. Checks that it suspends or resumes are those of services
// with ha_suspend. What has failed is tried again at once where an address or a carrier is new: it
// may have failed for want of that, and is not to be left out until its turn comes.
func (s *services) here(now netif.Here) {
	s.mu.Lock()
	more := s.near.Up != nil && now.More(s.near)
	s.near = now
	s.suspend(s.config.VirtualServers, s.index)
	s.mu.Unlock()
	if !more {
		return
	}
	var failed []string
	s.checks.Each(func(state check.State) {
		if state.Err != nil {
			failed = append(failed, state.ID)
		}
	})
	s.checks.Recheck(failed...)
}

// suspend has the checks of those virtual servers wait that are only to be made where an address of
// theirs is. The lock is held.
func (s *services) suspend(servers []config.VirtualServer, index pool.Index) {
	ids, away := map[string]bool{}, map[pool.Name]bool{}
	for i := range servers {
		vs := &servers[i]
		name := pool.NameOf(vs)
		waits := vs.SuspendOnBackup && !s.holds(vs)
		if waits {
			away[name] = true
			for j := range vs.RealServers {
				for _, id := range index.Checks(pool.ID{Service: name, Server: vs.RealServers[j].Address}) {
					ids[id] = true
				}
			}
		}
		if waits != s.away[name] {
			s.log.Info("health checks", "service", name.String(), "suspended", waits)
		}
	}
	s.away = away
	s.checks.Suspend(ids)
}

// holds says whether an address of a virtual server is on this machine, as far as is known.
func (s *services) holds(vs *config.VirtualServer) bool {
	if s.near.Addrs == nil {
		return true
	}
	if vs.Group == "" {
		return s.near.Addrs[vs.Address.Addr()]
	}
	for a := range s.near.Addrs {
		for i := range vs.Members {
			m := &vs.Members[i]
			if m.Mark == 0 && a.Is4() == m.First.Is4() && !a.Less(m.First) && !m.Last.Less(a) {
				return true
			}
		}
	}
	return false
}
