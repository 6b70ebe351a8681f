package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/notify"
	"github.com/tandemlb/tandem/daemon/pool"
	"github.com/tandemlb/tandem/daemon/track"
)

// drainRhythm is the time between two looks at the real servers that drain.
const drainRhythm = time.Second

// services keeps the virtual services in the kernel as the health of their real servers wants them:
//
//	checks ──reports──▶ health ──pool.Desired──▶ reconciler ──▶ kernel
//	                                ▲                             │
//	          reload ──▶ drains ────┴───── pool.Look ◀────loads───┘
//
// It does so on a backup as on a master, so that the services are there when the VIPs come. A
// report concerns one virtual service, and costs what that one costs.
type services struct {
	checks     *check.Runner
	reconciler *ipvs.Reconciler
	table      ipvs.Table
	log        *slog.Logger
	// tell, if not nil, is told what the checks have changed; it must not wait.
	tell func(s notify.Subject, up bool, reason string)
	// draining is told when a real server begins to drain.
	draining chan struct{}
	// note, if not nil, is told which check has gone down, or up again.
	note func(id string, down bool)

	mu    sync.Mutex
	index pool.Index
	// up and said are what the checks said last, by ID; said has no weights that are as configured.
	up   map[string]bool
	said map[string]check.Weight
	all  map[ipvs.Key]*service
	// config is what was configured last; told is what its checks are told, see checks.go.
	config *config.Config
	told   hearsay

	// blind is why the table could not be read at the last look; of drain's goroutine alone.
	blind error
}

// service is a virtual service and what is known of it.
type service struct {
	config *config.VirtualServer
	// health has each real server that has checks.
	health pool.Health
	// weights are those that the checks want.
	weights pool.Weights
	quorum  pool.Quorum
	drains  []pool.Drain
	// destinations are those wanted.
	destinations []ipvs.Destination
	// since says of each real server since when it has been up or down, as far as is known.
	since map[netip.AddrPort]time.Time
}

// newServices returns the services of servers in table, which Run will fill, as servicesOf does in
// a configuration that has nothing else. With keep they stay there at the end.
func newServices(
	servers []config.VirtualServer, table ipvs.Table, keep bool, log *slog.Logger,
) (*services, error) {
	return servicesOf(&config.Config{VirtualServers: servers}, table, keep, log)
}

// servicesOf returns the services of cfg in table, which run will fill. With keep they stay there
// at the end. An error says what of cfg cannot be.
func servicesOf(
	cfg *config.Config, table ipvs.Table, keep bool, log *slog.Logger,
) (*services, error) {
	s := &services{table: table, log: log, draining: make(chan struct{}, 1),
		up: map[string]bool{}, said: map[string]check.Weight{}}
	s.checks = check.NewRunner(s.report)
	s.told.set = track.New(s.news)
	s.told.set.Log = log
	s.reconciler = ipvs.New(table, ipvs.Options{Keep: keep, Log: log})
	if err := s.configure(cfg); err != nil {
		return nil, err
	}
	return s, nil
}

// run works until ctx ends; then it takes the services out of the kernel, and waits for no
// connection. The error says what could not be taken out.
func (s *services) run(ctx context.Context) error {
	var others sync.WaitGroup
	others.Go(func() { _ = s.checks.Run(ctx) })   // it has no error to return
	others.Go(func() { _ = s.told.set.Run(ctx) }) // it has no error to return
	others.Go(func() { s.drain(ctx) })
	err := s.reconciler.Run(ctx)
	others.Wait()
	s.tellEnd()
	return err
}

// tellEnd tells that the services with omega, and their real servers, are down now.
func (s *services) tellEnd() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tell == nil {
		return
	}
	for _, v := range s.all {
		if !v.config.Omega {
			continue
		}
		for i := range v.config.RealServers {
			if rs := &v.config.RealServers[i]; v.health.Up(rs) {
				s.tell(serverSubject(v.config, rs), false, "stop")
			}
		}
		if v.quorum == pool.Kept {
			s.tell(serviceSubject(v.config), false, "stop")
		}
	}
}

// set replaces the servers, and leaves the rest of the configuration as it is.
func (s *services) set(servers []config.VirtualServer) error {
	s.mu.Lock()
	cfg := *s.config
	s.mu.Unlock()
	cfg.VirtualServers = servers
	return s.configure(&cfg)
}

// configure replaces the configuration; an error changes nothing. What is known of checks that stay
// is kept. A service that is gone goes at once, with its real servers; a real server that is gone
// from a service that stays drains.
func (s *services) configure(cfg *config.Config) error {
	index, err := s.setChecks(cfg)
	if err != nil {
		return err
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config, s.index = cfg, index
	clear(s.up)
	clear(s.said)
	for _, state := range s.checks.States() {
		s.up[state.ID] = state.Up
		if state.Up {
			s.weigh(state.ID, state.Weight)
		}
	}
	was := s.all
	servers := cfg.VirtualServers
	s.all = make(map[ipvs.Key]*service, len(servers))
	want := make(ipvs.Services, 0, len(servers))
	for i := range servers {
		if vs := &servers[i]; pool.Serves(vs) {
			want = append(want, s.setService(vs, was[pool.Key(vs)], now))
		}
	}
	s.reconciler.Set(want)
	return nil
}

// weigh keeps what a check has said of the weight.
func (s *services) weigh(id string, w check.Weight) {
	if w == (check.Weight{}) {
		delete(s.said, id)
		return
	}
	s.said[id] = w
}

// setService replaces one service, and returns what is wanted of it. was is nil for a new one.
func (s *services) setService(
	vs *config.VirtualServer, was *service, now time.Time,
) ipvs.Service {
	v := &service{config: vs, health: s.index.HealthOf(vs, s.up),
		weights: s.index.WeightsOf(vs, s.said),
		since:   make(map[netip.AddrPort]time.Time, len(vs.RealServers))}
	s.all[pool.Key(vs)] = v
	var before pool.Health
	if was != nil {
		before, v.quorum = was.health, was.quorum
		v.drains = pool.Leave(was.config, vs, was.health, was.destinations, was.drains, now)
	}
	for i := range vs.RealServers {
		rs := &vs.RealServers[i]
		s.logServer(vs, rs.Address, before.Up(rs), v.health.Up(rs), nil)
		v.since[rs.Address] = was.stood(rs, v.health.Up(rs), now)
	}
	if was != nil && len(v.drains) > len(was.drains) {
		for _, d := range v.drains[len(was.drains):] {
			s.log.Info("real server draining", "service", pool.Key(vs).String(),
				"server", d.Destination.Addr.String(), "limit", pool.DrainTime)
		}
		select {
		case s.draining <- struct{}{}:
		default:
		}
	}
	return s.decide(v)
}

// report takes a change of one check, or a failure that changes nothing. One whose real server has
// left says nothing any more.
func (s *services) report(r check.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, known := s.index.Server(r.ID)
	if !known {
		return
	}
	v := s.all[id.Service]
	if r.Change == check.None {
		s.logFailure(id, r)
		return
	}
	rs := v.server(id.Server)
	before, weight := v.health[id.Server], v.weight(rs)
	s.up[r.ID] = r.Change == check.Up
	s.weigh(r.ID, r.Weight)
	if s.note != nil {
		s.note(r.ID, !s.up[r.ID])
	}
	s.index.Note(v.health, id, s.up)
	s.index.Weigh(v.weights, id, rs.Weight, s.said)
	now, heavy := v.health[id.Server], v.weight(rs)
	if now != before {
		s.logServer(v.config, id.Server, before, now, r.Err)
		v.since[id.Server] = r.At
		s.tellServer(v.config, id.Server, now, r.Err)
	}
	if now && heavy != weight {
		s.log.Info("weight", "service", id.Service.String(), "server", id.Server.String(),
			"from", weight, "to", heavy)
	}
	if now != before || heavy != weight {
		s.reconciler.SetService(s.decide(v))
	}
}

// decide works out what is wanted of a service, and returns it.
func (s *services) decide(v *service) ipvs.Service {
	want, quorum := pool.Desired(v.config, v.health, v.weights, v.quorum, v.drains)
	var resumed []netip.AddrPort
	v.drains, resumed = pool.Resume(want, v.drains)
	for _, server := range resumed {
		s.log.Info("real server", "service", want.Key.String(), "server", server.String(),
			"from", "draining", "to", "up")
	}
	if v.quorum != 0 && quorum != v.quorum {
		s.log.Info("quorum", "service", want.Key.String(),
			"from", v.quorum.String(), "to", quorum.String())
		if s.tell != nil {
			s.tell(serviceSubject(v.config), quorum == pool.Kept, "quorum "+quorum.String())
		}
	}
	v.quorum, v.destinations = quorum, want.Destinations
	return want
}

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
	for _, key := range s.drainingKeys() {
		loads, err := s.table.Loads(ctx, key)
		if err != nil {
			loads, failed = nil, err
		}
		more = s.judge(key, loads, now) || more
	}
	if failed != nil && s.blind == nil && ctx.Err() == nil {
		s.log.Warn("cannot count connections", "err", failed)
	}
	s.blind = failed
	return more
}

// drainingKeys are those of the services of which a real server drains.
func (s *services) drainingKeys() []ipvs.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []ipvs.Key
	for k, v := range s.all {
		if len(v.drains) > 0 {
			keys = append(keys, k)
		}
	}
	return keys
}

// judge ends what need not drain any longer, and says whether anything of the service still does.
func (s *services) judge(key ipvs.Key, loads map[netip.AddrPort]ipvs.Load, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.all[key]
	if v == nil {
		return false
	}
	var over []pool.Drained
	v.drains, over = pool.Look(key.Protocol, v.drains, loads, now)
	for _, d := range over {
		s.log.Info("real server drained", "service", key.String(), "server", d.Server.String(),
			"reason", d.Reason(), "connections", d.Left)
	}
	if len(over) > 0 {
		s.reconciler.SetService(s.decide(v))
	}
	return len(v.drains) > 0
}

// logServer logs a change of a real server; cause is what its check said.
func (s *services) logServer(
	vs *config.VirtualServer, server netip.AddrPort, before, now bool, cause error,
) {
	if before == now {
		return
	}
	attrs := []any{"service", pool.Key(vs).String(), "server", server.String(),
		"from", upOrDown(before), "to", upOrDown(now)}
	if cause != nil {
		attrs = append(attrs, "reason", check.ReasonOf(cause).String(), "err", cause)
	}
	s.log.Info("real server", attrs...)
}

// tellServer tells of a change of a real server; cause is what its check said.
func (s *services) tellServer(
	vs *config.VirtualServer, server netip.AddrPort, up bool, cause error,
) {
	if s.tell == nil {
		return
	}
	reason := "check succeeded"
	if cause != nil {
		reason = cause.Error()
	}
	s.tell(serverSubject(vs, realServer(vs, server)), up, reason)
}

func upOrDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}
