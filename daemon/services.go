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
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/notify"
	"github.com/tandemlb/tandem/daemon/pool"
	"github.com/tandemlb/tandem/daemon/track"
)

// services keeps the virtual services in the kernel as the health of their real servers wants them:
//
//	checks ──reports──▶ health ──pool.Desired──▶ reconciler ──▶ kernel
//	                                ▲                             │
//	          reload ──▶ drains ────┴───── pool.Look ◀────loads───┘
//
// It does so on a backup as on a master, so that the services are there when the VIPs come. A
// report concerns one virtual server, and costs what that one costs.
type services struct {
	checks     *check.Runner
	reconciler *ipvs.Reconciler
	table      ipvs.Table
	log        *slog.Logger
	// tell, if not nil, is told what the checks have changed; it must not wait.
	tell func(s notify.Subject, up bool, reason string)
	// draining is told when a real server begins to drain, back when one is up again.
	draining, back chan struct{}
	// announce, if not nil, has the VIPs announced that are here; see welcome.
	announce func()
	// note, if not nil, is told which check has gone down, or up again.
	note func(id string, down bool)

	// setting is held while checks are set, and guards unchecked: they are still to be, by
	// firstChecks.
	setting   sync.Mutex
	unchecked bool

	mu    sync.Mutex
	index pool.Index
	// down are the IDs of the checks that are, said is what the others say of the weight; what is
	// as configured is not in it.
	down map[string]bool
	said map[string]check.Weight
	all  map[pool.Name]*service
	// overrides are the weights by operators, whether their real servers are there or not.
	overrides map[pool.ID]int
	// near is what this machine has; its maps are nil while nothing is known. away are the virtual
	// servers whose checks wait for an address.
	near netif.Here
	away map[pool.Name]bool
	// config is what was configured last; told is what its checks are told, see checks.go.
	config *config.Config
	told   hearsay

	// local, if not nil, tells what near is; see lookAround.
	local *netif.Local
	// blind is why the table could not be read at the last look; of drain's goroutine alone.
	blind error
}

// service is a virtual server and what is known of it.
type service struct {
	config *config.VirtualServer
	pool.State
	// destinations are those wanted; see pool.Services.
	destinations []ipvs.Destination
	// first is since when its real servers have been up or down, but for those in since; zero
	// before anything is known. Nil has none in it.
	first time.Time
	since map[netip.AddrPort]time.Time
}

// servicesOf returns the services of cfg in table, which run will fill. With keep they stay there
// at the end. An error says what of cfg cannot be. The checks of many real servers are made when
// the table has them.
func servicesOf(
	cfg *config.Config, table ipvs.Table, keep bool, log *slog.Logger,
) (*services, error) {
	s := &services{table: table, log: log, draining: make(chan struct{}, 1),
		back: make(chan struct{}, 1),
		down: map[string]bool{}, said: map[string]check.Weight{}}
	s.checks = check.NewRunner(s.report)
	s.told.set = track.New(s.news)
	s.told.set.Log = log
	s.reconciler = ipvs.New(table, ipvs.Options{Keep: keep, Log: log})
	set := s.configure
	if large(cfg) {
		set = s.configureFirst
	}
	if err := set(cfg); err != nil {
		return nil, err
	}
	return s, nil
}

// run works until ctx ends; then it takes the services out of the kernel, and waits for no
// connection. The error says what could not be taken out.
func (s *services) run(ctx context.Context) error {
	var others sync.WaitGroup
	others.Go(func() {
		s.await(ctx)
		s.firstChecks()
		_ = s.checks.Run(ctx) // it has no error to return
	})
	others.Go(func() { _ = s.told.set.Run(ctx) }) // it has no error to return
	others.Go(func() { s.drain(ctx) })
	if s.announce != nil {
		others.Go(func() { s.welcome(ctx) })
	}
	if s.local != nil {
		others.Go(func() { s.watchLocal(ctx) })
	}
	err := s.reconciler.Run(ctx)
	others.Wait()
	s.tellEnd()
	return err
}

// fillPatience is how long checks wait for the first virtual services: they are there in well under
// a second, or the kernel does not answer.
const fillPatience = 2 * time.Second

// await waits until the kernel has been given all that is wanted, or has refused it, for
// fillPatience, or until ctx ends.
func (s *services) await(ctx context.Context) {
	limit := time.NewTimer(fillPatience)
	defer limit.Stop()
	select {
	case <-s.reconciler.Passed():
	case <-limit.C:
	case <-ctx.Done():
	}
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
			if rs := &v.config.RealServers[i]; v.Health.Up(rs) {
				s.tell(serverSubject(v.config, rs), false, "stop")
			}
		}
		if v.Quorum == pool.Kept {
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
	s.setting.Lock()
	defer s.setting.Unlock()
	index, err := s.setChecks(cfg)
	if err != nil {
		return err
	}
	s.unchecked = false
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config = cfg
	s.know(index)
	s.decideAll(cfg.VirtualServers, s.all, now)
	return nil
}

// decideAll replaces all virtual servers; was are those before.
func (s *services) decideAll(
	servers []config.VirtualServer, was map[pool.Name]*service, now time.Time,
) {
	s.all = make(map[pool.Name]*service, len(servers))
	want := make(ipvs.Services, 0, len(servers))
	for i := range servers {
		if vs := &servers[i]; pool.Serves(vs) {
			want = append(want, s.setService(vs, was[pool.NameOf(vs)], now)...)
		}
	}
	s.reconciler.Set(want)
}

// know takes over the checks that were set, and what they say.
func (s *services) know(index pool.Index) {
	s.index = index
	s.suspend(s.config.VirtualServers, index) // there may have been news since
	s.down = map[string]bool{}
	clear(s.said)
	s.checks.Each(func(state check.State) {
		if state.Up {
			s.weigh(state.ID, state.Weight)
		} else {
			s.down[state.ID] = true
		}
	})
}

// weigh keeps what a check has said of the weight.
func (s *services) weigh(id string, w check.Weight) {
	if w == (check.Weight{}) {
		delete(s.said, id)
		return
	}
	s.said[id] = w
}

// setService replaces one virtual server, and returns what is wanted of it. was is nil for a new
// one.
func (s *services) setService(
	vs *config.VirtualServer, was *service, now time.Time,
) ipvs.Services {
	v := &service{config: vs}
	v.Overrides = overridesOf(vs, s.overrides)
	s.all[pool.NameOf(vs)] = v
	if was != nil {
		v.Quorum = was.Quorum
		v.Drains = pool.Leave(was.config, vs, was.Health, was.destinations, was.Drains, now)
	}
	if !s.unchecked {
		s.learn(v, was, now)
	}
	if was != nil && len(v.Drains) > len(was.Drains) {
		for _, d := range v.Drains[len(was.Drains):] {
			s.log.Info("real server draining", "service", pool.NameOf(vs).String(),
				"server", d.Destination.Addr.String(), "limit", pool.DrainTime)
		}
		select {
		case s.draining <- struct{}{}:
		default:
		}
	}
	return s.decide(v)
}

// learn has a virtual server know what its checks say. was is nil for a new one.
func (s *services) learn(v *service, was *service, now time.Time) {
	name := pool.NameOf(v.config)
	v.Health, v.Weights = s.index.HealthOf(name, s.down), s.index.WeightsOf(name, s.said)
	var before pool.Health
	if was != nil {
		before = was.Health
	}
	for i := range v.config.RealServers {
		rs := &v.config.RealServers[i]
		s.logServer(v.config, rs.Address, before.Up(rs), v.Health.Up(rs), nil)
	}
	v.stand(was, now)
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
	before, weight := v.Health.Up(rs), v.Weight(rs)
	if r.Change == check.Down {
		s.down[r.ID] = true
	} else {
		delete(s.down, r.ID)
	}
	s.weigh(r.ID, r.Weight)
	if s.note != nil {
		s.note(r.ID, s.down[r.ID])
	}
	s.index.Note(&v.Health, id.Service, rs, s.down)
	s.index.Weigh(&v.Weights, id.Service, rs, s.said)
	now, heavy := v.Health.Up(rs), v.Weight(rs)
	if now != before {
		s.logServer(v.config, id.Server, before, now, r.Err)
		v.turned(id.Server, r.At)
		s.tellServer(v.config, id.Server, now, r.Err)
		if now {
			s.isBack()
		}
	}
	if now && heavy != weight {
		s.log.Info("weight", "service", id.Service.String(), "server", id.Server.String(),
			"from", weight, "to", heavy)
	}
	if now != before || heavy != weight {
		s.settle(v)
	}
}

// settle has the kernel's services be what is wanted of a virtual server now.
func (s *services) settle(v *service) {
	for _, want := range s.decide(v) {
		s.reconciler.SetService(want)
	}
}

// decide works out what is wanted of a virtual server, and returns its services.
func (s *services) decide(v *service) ipvs.Services {
	want, quorum := pool.Desired(v.config, &v.State)
	name := pool.NameOf(v.config).String()
	var resumed []netip.AddrPort
	v.Drains, resumed = pool.Resume(want, v.Drains)
	for _, server := range resumed {
		s.log.Info("real server", "service", name, "server", server.String(),
			"from", "draining", "to", "up")
	}
	if v.Quorum != 0 && quorum != v.Quorum {
		s.log.Info("quorum", "service", name, "from", v.Quorum.String(), "to", quorum.String())
		if s.tell != nil {
			s.tell(serviceSubject(v.config), quorum == pool.Kept, "quorum "+quorum.String())
		}
	}
	v.Quorum, v.destinations = quorum, want
	return pool.Services(v.config, want)
}

// logServer logs a change of a real server; cause is what its check said.
func (s *services) logServer(
	vs *config.VirtualServer, server netip.AddrPort, before, now bool, cause error,
) {
	if before == now {
		return
	}
	attrs := []any{"service", pool.NameOf(vs).String(), "server", server.String(),
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
