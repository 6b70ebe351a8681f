package daemon

import (
	"context"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/pool"
)

// drainRhythm is the time between two looks at the real servers that drain.
const drainRhythm = time.Second

// drain looks after the real servers that drain, every drainRhythm while there are any, until ctx
// ends.
func (s *services) drain(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.draining:
		}
		for more := true; more; more = s.look(ctx, time.Now()) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(drainRhythm):
			}
		}
	}
}

// look asks the table for the connections of all that drain, and says whether anything still does.
func (s *services) look(ctx context.Context, now time.Time) bool {
	var failed error
	more := false
	for name, d := range s.drainers() {
		loads, err := s.loads(ctx, d.config, d.destinations)
		if err != nil {
			loads, failed = nil, err
		}
		more = s.judge(name, loads, now) || more
	}
	if failed != nil && s.blind == nil && ctx.Err() == nil {
		s.log.Warn("cannot count connections", "err", failed)
	}
	s.blind = failed
	return more
}

// loads returns what the destinations of a virtual server have to do in all of its services.
func (s *services) loads(
	ctx context.Context, vs *config.VirtualServer, ds []ipvs.Destination,
) (map[netip.AddrPort]ipvs.Load, error) {
	return pool.Sum(vs, ds, func(k ipvs.Key) (map[netip.AddrPort]ipvs.Load, error) {
		return s.table.Loads(ctx, k)
	})
}

// drainer is a virtual server of which a real server drains, as it was a moment ago.
type drainer struct {
	config       *config.VirtualServer
	destinations []ipvs.Destination
}

func (s *services) drainers() map[pool.Name]drainer {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[pool.Name]drainer{}
	for name, v := range s.all {
		if len(v.Drains) > 0 {
			all[name] = drainer{v.config, v.destinations}
		}
	}
	return all
}

// judge ends what need not drain any longer, and says whether anything of the virtual server still
// does.
func (s *services) judge(
	name pool.Name, loads map[netip.AddrPort]ipvs.Load, now time.Time,
) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.all[name]
	if v == nil {
		return false
	}
	var over []pool.Drained
	v.Drains, over = pool.Look(v.config.Protocol, v.Drains, loads, now)
	for _, d := range over {
		s.log.Info("real server drained", "service", name.String(), "server", d.Server.String(),
			"reason", d.Reason(), "connections", d.Left)
	}
	if len(over) > 0 {
		s.settle(v)
	}
	return len(v.Drains) > 0
}
