package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/pool"
)

// services keeps the virtual services in the kernel as the health of their real servers wants them:
//
//	checks ──reports──▶ health ──pool.Desired──▶ reconciler ──▶ kernel
//
// It does so on a backup as on a master, so that the services are there when the VIPs come.
type services struct {
	checks     *check.Runner
	reconciler *ipvs.Reconciler
	log        *slog.Logger

	mu      sync.Mutex
	servers []config.VirtualServer
	// states are those of the checks by ID, as reported.
	states map[string]check.State
	health pool.Health
	quorum pool.Quorum
}

// newServices returns the services of servers in table, which Run will fill. With keep they stay
// there at the end.
func newServices(
	servers []config.VirtualServer, table ipvs.Table, keep bool, log *slog.Logger,
) (*services, error) {
	s := &services{log: log, states: map[string]check.State{}}
	s.checks = check.NewRunner(s.report)
	s.reconciler = ipvs.New(table, ipvs.Options{Keep: keep, Log: log})
	if err := s.set(servers); err != nil {
		return nil, err
	}
	return s, nil
}

// run works until ctx ends; then it takes the services out of the kernel. The error says what could
// not be taken out.
func (s *services) run(ctx context.Context) error {
	var checks sync.WaitGroup
	checks.Go(func() { _ = s.checks.Run(ctx) }) // it has no error to return
	err := s.reconciler.Run(ctx)
	checks.Wait()
	return err
}

// set replaces the servers. What is known of checks that stay is kept.
func (s *services) set(servers []config.VirtualServer) error {
	tasks, err := pool.Tasks(servers)
	if err != nil {
		return err
	}
	if err := s.checks.Set(tasks); err != nil {
		return fmt.Errorf("set health checks: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers = servers
	clear(s.states)
	for _, state := range s.checks.States() {
		s.states[state.ID] = state
	}
	s.decide(nil)
	return nil
}

// report takes a change of one check.
func (s *services) report(r check.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states[r.ID] = check.State{ID: r.ID, Up: r.Change == check.Up}
	s.decide(r.Err)
}

// decide works out what is wanted and has it made so. cause is what the last check said.
func (s *services) decide(cause error) {
	states := make([]check.State, 0, len(s.states))
	for _, state := range s.states {
		states = append(states, state)
	}
	was := s.health
	s.health = pool.HealthOf(s.servers, states)
	s.logServers(was, cause)
	had := s.quorum
	want, quorum := pool.Desired(s.servers, s.health, had)
	s.quorum = quorum
	s.logQuorums(had)
	s.reconciler.Set(want)
}

func (s *services) logServers(was pool.Health, cause error) {
	for i := range s.servers {
		vs := &s.servers[i]
		for j := range vs.RealServers {
			rs := &vs.RealServers[j]
			before, now := was.Up(vs, rs), s.health.Up(vs, rs)
			if before == now {
				continue
			}
			attrs := []any{"service", pool.Key(vs).String(), "server", rs.Address.String(),
				"from", upOrDown(before), "to", upOrDown(now)}
			if cause != nil {
				attrs = append(attrs, "reason", check.ReasonOf(cause).String(), "err", cause)
			}
			s.log.Info("real server", attrs...)
		}
	}
}

func (s *services) logQuorums(had pool.Quorum) {
	for i := range s.servers {
		key := pool.Key(&s.servers[i])
		before, known := had[key]
		if now := s.quorum[key]; known && now != before {
			s.log.Info("quorum", "service", key.String(),
				"from", keptOrLost(before), "to", keptOrLost(now))
		}
	}
}

func upOrDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func keptOrLost(kept bool) string {
	if kept {
		return "kept"
	}
	return "lost"
}
