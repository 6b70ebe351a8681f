package scenarios

import (
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/topology"
)

// Catalogue returns every scenario in the catalogue's order, long ones included. Each call makes new
// values.
func Catalogue() []Scenario {
	return append(All(), fig5MillionAdverts(), fig5MillionHostile(), fig7Soak())
}

// All returns the catalogue's scenarios that are not long, in its order. Each call makes new values.
func All() []Scenario {
	return slices.Concat([]Scenario{
		fig5DirectorKilled(),
		fig5DirectorTerminated(),
		fig6RR(),
		fig6WRR(),
		fig6RealServerDown(),
		fig7("director-killed", faults.DirectorKilled, "@master",
			"Every process of the master is killed at once, as by an out-of-memory killer."),
		fig7("director-terminated", faults.DirectorTerminated, "@master",
			"The master is asked to stop, as for an upgrade."),
		fig7("director-frozen", faults.DirectorFrozen, "@master",
			"Every process of the master stands still and later goes on, as on a paused machine."),
		fig7Worker("worker-killed", faults.WorkerKilled,
			"What the master's daemon has started to do its work is killed, but not its first process."),
		fig7Worker("worker-frozen", faults.WorkerFrozen,
			"What the master's daemon has started to do its work stands still, but not its first "+
				"process."),
		fig7("guard-killed", faults.GuardKilled, "@master",
			"The first process of the master's daemon is killed, but not what it has started."),
		fig7("director-powered-off", faults.PowerOff, "@master",
			"The master loses power: it says nothing more, and forgets everything."),
		fig7("client-link-down", faults.LinkDown, "@master:eth0",
			"The master's cable on the client side is pulled."),
		fig7("server-link-down", faults.LinkDown, "@master:eth1",
			"The master's cable on the real-server side is pulled."),
		fig7Boot(),
		fig5BothKilled(),
		fig5BothFrozen(),
		fig5Starved(),
		fig7VIPDeleted(),
		fig7BackupDeaf(),
		fig7BackupHalfDeaf(),
		fig5MasterDeaf(),
		fig7AdvertsLost(),
		fig7UplinkLost(),
		fig5OtherInterval(),
		fig5OtherPassword(),
		fig5LearnedInterval(),
		fig7Hostile(),
		fig7Reloads(),
		fig7RandomFaults(),
	}, forwardings(), associations(), checkDrills(), schedules(), survivals(), vmacDrills())
}

// Demo are the names of the scenarios that `make demo` runs.
func Demo() []string {
	return []string{"fig6-rr", "fig6-real-server-down", "fig7-director-killed",
		"fig7-director-terminated", "fig7-director-frozen", "fig7-client-link-down"}
}

// preset returns a preset, which exists.
func preset(name string) topology.Topology {
	t, err := topology.Preset(name)
	if err != nil {
		panic(err)
	}
	return t
}

// limits are what a fault may cost.
type limits struct {
	// outage is the longest gap of service until the heal, settle the time until one director alone
	// holds every VIP.
	outage, settle time.Duration
	// failBack and together are the same after the heal.
	failBack, together time.Duration
}

// masterLimits are those of a fault of the master.
func masterLimits(t topology.Topology, kind faults.Kind) limits {
	e, _ := entitlementOf(kind)
	return e.limits(t)
}

// failover is a failover drill: break the master, see the other one take over, heal, see the first one
// come back.
func failover(s Scenario, kind faults.Kind, target string) Scenario {
	t := s.Topology
	l := masterLimits(t, kind)
	s.Probes = []Probe{{Client: t.NodesOf(topology.Client)[0].Name, Target: serviceOf(t)}}
	s.Steps = []Step{
		Steady{},
		Observe{For: time.Second},
		Inject{Kind: kind, Target: target},
		Await{Condition: Takeover{}, Limit: 2 * l.settle},
		Await{Condition: Answers{InARow: 50}, Limit: l.outage},
		HealAll{},
		Await{Condition: FailBack{}, Limit: 2 * l.together},
		Await{Condition: Answers{InARow: 100}, Limit: l.outage},
		// Who has lost its VIPs meanwhile again gets the whole limit to be judged by.
		Await{Condition: FailBack{}, Limit: 2 * l.together},
	}
	s.Bounds = []Bound{
		OutageWithin(l.outage),
		OneOwnerWithin(l.settle),
		FailBackWithin(l.failBack),
		BackTogetherWithin(l.together),
	}
	return s
}

func fig5DirectorKilled() Scenario {
	return failover(Scenario{
		Name: "fig5-director-killed",
		Doc: "Two directors keep one VIP, and answer requests to it themselves. Every process of " +
			"the master's daemon is killed; the other one takes the VIP over, later it comes back.",
		Topology: preset("fig5"),
	}, faults.DirectorKilled, "@master")
}

func fig5DirectorTerminated() Scenario {
	return failover(Scenario{
		Name: "fig5-director-terminated",
		Doc: "Two directors keep one VIP, and answer requests to it themselves. The master is " +
			"asked to stop; the other one takes the VIP over, later it comes back.",
		Topology: preset("fig5"),
	}, faults.DirectorTerminated, "@master")
}

// fig7 is a failover drill on the whole network.
func fig7(name string, kind faults.Kind, target, doc string) Scenario {
	return withFlows(failover(Scenario{
		Name: "fig7-" + name,
		Doc: doc + " Both VIPs must end on the other director, clients may wait no longer than the " +
			"protocol needs, and after the heal the first director takes both back.",
		Topology: preset("fig7"),
	}, kind, target))
}

// fig7Worker is a drill in which the master's daemon heals itself: nobody notices.
func fig7Worker(name string, kind faults.Kind, doc string) Scenario {
	t := preset("fig7")
	hurt := slowest(t) + Allowance
	c := calm{step: "inject " + kind.String(), while: "the daemon heals itself",
		patience: t.VRRP.Advert}
	out := checkDeadline(t.Services[0].Check) + Allowance
	return Scenario{
		Name: "fig7-" + name,
		Doc: "One of the real servers is out of service. " + doc + " The daemon heals itself: no VIP " +
			"moves, no request is lost, the dead real server stays out, and the other director hears " +
			"an advert when it expects one.",
		Topology: t,
		Probes:   []Probe{{Client: t.NodesOf(topology.Client)[0].Name, Target: serviceOf(t)}},
		Steps: []Step{
			Steady{},
			Inject{Kind: faults.ServerStopped, Target: t.NodesOf(topology.RealServer)[0].Name},
			Observe{For: out},
			Inject{Kind: kind, Target: "@master"},
			Observe{For: 2 * hurt},
			HealAll{},
			Observe{For: hurt},
		},
		Bounds: []Bound{c.noTransition(), c.nothingLost()},
	}
}

// fig6RR: rr begins with the real server that was added last, because the kernel puts new ones at
// the head of its list, and goes on in turn (net/netfilter/ipvs/ip_vs_rr.c).
func fig6RR() Scenario {
	return Scenario{
		Name: "fig6-rr",
		Doc: "One director spreads 60 requests, one after another, by the scheduler rr: each real " +
			"server gets every third one.",
		Topology: fig6("rr", 1, 1, 1),
		Steps:    []Step{Steady{}, Requests{Client: "client1", Count: 60}},
		Bounds: []Bound{
			Shares(map[string]int{"web1": 20, "web2": 20, "web3": 20}),
			Order("web3", "web2", "web1"),
		},
	}
}

// fig6WRR: 60 requests are ten whole cycles of the weights' sum, so the shares are exact wherever in
// the cycle the scheduler begins (net/netfilter/ipvs/ip_vs_wrr.c).
func fig6WRR() Scenario {
	return Scenario{
		Name: "fig6-wrr",
		Doc: "One director spreads 60 requests, one after another, by the scheduler wrr with the " +
			"weights 3, 2 and 1: the shares are exactly as the weights.",
		Topology: fig6("wrr", 3, 2, 1),
		Steps:    []Step{Steady{}, Requests{Client: "client1", Count: 60}},
		Bounds:   []Bound{Shares(map[string]int{"web1": 30, "web2": 20, "web3": 10})},
	}
}

// fig6 is the preset with another scheduler and weights.
func fig6(scheduler string, weights ...int) topology.Topology {
	t := preset("fig6")
	t.Services[0].Scheduler = scheduler
	for i, w := range weights {
		t.Services[0].RealServers[i].Weight = w
	}
	return t
}

func fig6RealServerDown() Scenario {
	t := preset("fig6")
	check := t.Services[0].Check
	out, back := checkDeadline(check)+Allowance, checkRecovery(check)+Allowance
	return Scenario{
		Name: "fig6-real-server-down",
		Doc: "The program of one of three real servers ends. The health check takes the server out " +
			"of service, no request is lost after that, and it comes back by itself.",
		Topology: t,
		Probes:   []Probe{{Client: "client1", Target: serviceOf(t)}},
		Steps: []Step{
			Steady{},
			Observe{For: time.Second},
			Inject{Kind: faults.ServerStopped, Target: "web2"},
			Await{Condition: Answers{InARow: 100}, Limit: out},
			Observe{For: out},
			HealAll{},
			Await{Condition: FullTable{}, Limit: back},
			Await{Condition: Answers{InARow: 100}, Limit: 5 * time.Second},
		},
		Bounds: []Bound{NothingLostAfter(out), BackInServiceWithin("web2", back)},
	}
}

// vipAddrs are the addresses of a topology's VIPs.
func vipAddrs(t topology.Topology) []netip.Addr {
	addrs := make([]netip.Addr, 0, len(t.VIPs))
	for _, v := range t.VIPs {
		addrs = append(addrs, v.Addr)
	}
	return addrs
}
