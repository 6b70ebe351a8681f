package daemon

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/pool"
)

// configureFirst is the first configure, for many real servers: it makes no checks, which would
// keep the table waiting as long as all the rest. Until firstChecks real servers are what they are
// before anything is known of them. An error says what of cfg cannot be.
func (s *services) configureFirst(cfg *config.Config) error {
	certificates, err := loadTLS(cfg)
	if err != nil {
		return err
	}
	faults := pool.Faults(cfg.VirtualServers, means(cfg, certificates, s.told.set))
	if len(faults) > 0 {
		return fmt.Errorf("check %w", faults[0].Err)
	}
	if err := s.setTold(cfg); err != nil {
		return err
	}
	s.setting.Lock()
	defer s.setting.Unlock()
	s.unchecked = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config = cfg
	s.decideAll(cfg.VirtualServers, nil, time.Time{})
	return nil
}

// firstChecks makes the checks that configureFirst has left out, unless a configure has since. What
// is wanted stays the same: no check has said anything yet.
func (s *services) firstChecks() {
	s.setting.Lock()
	defer s.setting.Unlock()
	if !s.unchecked {
		return
	}
	s.unchecked = false
	s.mu.Lock()
	cfg := s.config
	s.mu.Unlock()
	index, err := s.setChecks(cfg)
	if err != nil {
		// It was the same a moment ago, and nothing was wrong with it.
		s.log.Error("real servers are not checked", "err", err)
		return
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.know(index)
	for _, v := range s.all {
		s.learn(v, nil, now)
	}
}
