package scenarios

import (
	"context"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// split is a drill in which two masters cannot be avoided, since VRRP knows of the master by its
// adverts alone: who can know of it must say so, and when it is over one must yield.
type split struct {
	topology topology.Topology
	// begin are the steps that split the directors, takeover how long after them there are two
	// masters.
	begin    []Step
	takeover time.Duration
	// before are the conditions that a director's status must name before there are two masters, says
	// those that one must name then, found those that it must name then although no advert says so.
	before, says, found []Says
	// start is what a director may take to start anew at the heal.
	start time.Duration
}

// findOut is what a master may take to find out that another station has its VIPs: it has to hear of
// it twice, for a moment it may be so in peace.
const findOut = 2 * time.Second

// scenario completes a scenario with the drill's steps and bounds.
func (d split) scenario(s Scenario) Scenario {
	t := d.topology
	told := t.VRRP.Advert + statusPoll + Allowance
	yield := t.VRRP.Advert + Allowance + d.start // the winner's next advert ends it
	say := func(all []Says, within time.Duration) {
		for _, says := range all {
			s.Steps = append(s.Steps, Await{Condition: says, Limit: 2 * told})
			s.Bounds = append(s.Bounds, saysWithin(says.Node, says.Condition, within))
		}
	}
	s.Topology = t
	s.Probes = []Probe{{Client: t.NodesOf(topology.Client)[0].Name, Target: serviceOf(t)}}
	s.Steps = append([]Step{Steady{}, Observe{For: time.Second}}, d.begin...)
	say(d.before, told)
	s.Steps = append(s.Steps, Await{Condition: BothHold{}, Limit: d.takeover + Allowance})
	say(d.says, told)
	say(d.found, d.takeover+findOut+statusPoll+Allowance)
	s.Steps = append(s.Steps, Observe{For: time.Second}, HealAll{},
		Await{Condition: FailBack{}, Limit: 2 * yield}, Observe{For: time.Second})
	s.Bounds = append(s.Bounds, OutageWithin(Allowance), FailBackWithin(Allowance),
		BackTogetherWithin(yield))
	return s
}

// on makes a fault of every interface of the nodes that a selector means.
func on(t topology.Topology, kind faults.Kind, selector string) []Step {
	var steps []Step
	for _, link := range t.NodesOf(topology.Director)[0].Links {
		steps = append(steps, Inject{Kind: kind, Target: selector + ":" + link.Interface})
	}
	return steps
}

func fig7BackupDeaf() Scenario {
	t := preset("fig7")
	return split{
		topology: t,
		takeover: slowest(t),
		begin:    on(t, faults.OneWay, "@master"),
		says:     []Says{{"lb1", splitBrain}},
	}.scenario(Scenario{
		Name: "fig7-backup-deaf",
		Doc: "What the master sends does not reach the backup any more; the other way all is well. " +
			"The backup must take the master for dead, so that there are two. The master hears it: it " +
			"says so at once and keeps its VIPs, and when the network is whole the other one yields " +
			"with its next advert. Clients are served all the time.",
	})
}

func fig7AdvertsLost() Scenario {
	t := preset("fig7")
	return split{
		topology: t,
		takeover: slowest(t),
		begin:    on(t, faults.AdvertsLost, "@directors"),
		found:    []Says{{"lb1", addressConflict}, {"lb2", addressConflict}},
	}.scenario(Scenario{
		Name: "fig7-adverts-lost",
		Doc: "The network loses VRRP's packets and carries everything else, as behind a wrong filter " +
			"of a switch. No director can know of the other one by its adverts, so that there are two " +
			"masters; but each can find out that somebody else has its VIPs, and says so. When the " +
			"network is whole the lower one yields with the first advert that it hears. Clients are " +
			"served all the time.",
	})
}

// fig7BackupHalfDeaf: a backup of which only one instance hears nothing would only take over to
// give back at once, again and again.
func fig7BackupHalfDeaf() Scenario {
	t := preset("fig7")
	fault := Inject{Kind: faults.OneWay, Target: "@master:eth0"}
	c := calm{step: fault.String(), while: "the backup hears the master on one side only",
		patience: t.VRRP.Advert}
	return Scenario{
		Name: "fig7-backup-half-deaf",
		Doc: "What the master sends does not reach the backup any more on the client side; on the " +
			"real-server side all is well. Both VIPs move together or not at all, and on one side the " +
			"backup hears a master that is better: nothing changes, and no client notices.",
		Topology: t,
		Probes:   []Probe{{Client: "client1", Target: serviceOf(t)}},
		Steps: []Step{Steady{}, fault, Observe{For: 2 * slowest(t)}, HealAll{},
			Observe{For: time.Second}},
		Bounds: []Bound{c.noTransition(), c.nothingLost()},
	}
}

// BothHold holds when some VIP is on more than one director.
type BothHold struct{}

func (BothHold) String() string { return "two owners" }

func (BothHold) wait(ctx context.Context, r *run) error {
	return r.owners.awaitThat(ctx, (*owners).contestedLocked)
}

// fig5MasterDeaf: nothing has to change, and nothing may.
func fig5MasterDeaf() Scenario {
	t := preset("fig5")
	fault := Inject{Kind: faults.OneWay, Target: "@backup:eth0"}
	c := calm{step: fault.String(), while: "the master does not hear the backup",
		patience: t.VRRP.Advert}
	return Scenario{
		Name: "fig5-master-deaf",
		Doc: "What the backup sends does not reach the master any more; the other way all is well. " +
			"A master needs to hear nobody: nothing changes, and no client notices.",
		Topology: t,
		Probes:   []Probe{{Client: "client1", Target: serviceOf(t)}},
		Steps: []Step{Steady{}, fault, Observe{For: 2 * slowest(t)}, HealAll{},
			Observe{For: time.Second}},
		Bounds: []Bound{c.noTransition(), c.nothingLost()},
	}
}

// mismatch is a split by configuration: the backup hears at once what it must refuse, the master
// when there are two.
func mismatch(name, doc string, mine, other topology.VRRP) Scenario {
	t := preset("fig5")
	t.VRRP = other
	takeover := slowest(t)
	t.VRRP = mine
	return split{
		topology: t,
		takeover: takeover,
		begin:    []Step{Misconfigure{Target: "@backup", Name: name, VRRP: other}},
		before:   []Says{{"lb2", advertRejected}},
		says:     []Says{{"lb1", advertRejected}},
		start:    StartAllowance,
	}.scenario(Scenario{Name: "fig5-" + name, Doc: doc})
}

func fig5OtherInterval() Scenario {
	return mismatch("other-interval",
		"The backup is configured with another advertisement interval. In version 2 each director must "+
			"then refuse the other's adverts, so that there are two masters: both say so, and when the "+
			"configuration is right again there is one.",
		topology.VRRP{Version: 2, Advert: time.Second},
		topology.VRRP{Version: 2, Advert: 2 * time.Second})
}

func fig5OtherPassword() Scenario {
	return mismatch("other-password",
		"The backup is configured with another password. Each director must then refuse the other's "+
			"adverts, so that there are two masters: both say so, and when the configuration is right "+
			"again there is one.",
		topology.VRRP{Version: 2, Advert: time.Second, Password: "blue"},
		topology.VRRP{Version: 2, Advert: time.Second, Password: "green"})
}

// fig5LearnedInterval: a backup of version 3 takes the master's interval for its own. With its own
// it would take three times as long to take over.
//
// Source: RFC 9568, Section 6.4.2.
func fig5LearnedInterval() Scenario {
	t := preset("fig5")
	t.VRRP = topology.VRRP{Version: 3, Advert: time.Second}
	other := topology.VRRP{Version: 3, Advert: 3 * time.Second}
	told := t.VRRP.Advert + statusPoll + Allowance
	// The skew time is reckoned in the learned interval as well.
	takeover := max(slowest(t), leftover(t.VRRP)) + Allowance
	killed := func(rec *reports.Recording) (reports.Window, bool) {
		return faultNamed(rec, faults.DirectorKilled.String())
	}
	return Scenario{
		Name: "fig5-learned-interval",
		Doc: "The backup is configured with an advertisement interval of 3 s, the master with one of " +
			"1 s. In version 3 the backup learns the master's from its adverts: it says that the " +
			"configurations differ, and when the master is killed it takes over as fast as with the " +
			"same configuration.",
		Topology: t,
		Probes:   []Probe{{Client: "client1", Target: serviceOf(t)}},
		Steps: []Step{
			Steady{},
			Misconfigure{Target: "@backup", Name: "longer-interval", VRRP: other},
			Await{Condition: Says{"lb2", peerMismatch}, Limit: 2 * told},
			Observe{For: t.VRRP.Advert},
			Inject{Kind: faults.DirectorKilled, Target: "@master"},
			Await{Condition: Takeover{}, Limit: 2 * takeover},
			HealAll{},
			Observe{For: time.Second},
		},
		Bounds: []Bound{
			saysWithin("lb2", peerMismatch, told),
			timed("takeover", "Within %s of the master's end the VIP is on the other director alone.",
				takeover, killed, settledWithin),
		},
	}
}

// faultNamed is the window of the first fault of a name.
func faultNamed(rec *reports.Recording, name string) (reports.Window, bool) {
	for _, f := range reports.Faults(rec) {
		if f.Name == name {
			return f.Window, true
		}
	}
	return reports.Window{}, false
}

// fig7Hostile is that strangers on the network cannot do what VRRP lets nobody do.
func fig7Hostile() Scenario {
	t := preset("fig7")
	fault := Inject{Kind: faults.HostilePackets, Target: "client2:eth0"}
	c := calm{step: fault.String(), while: "forged adverts come", patience: t.VRRP.Advert}
	return Scenario{
		Name: "fig7-hostile-packets",
		Doc: "A host on the client side sends 300 packets a second that look like adverts, of the " +
			"best priority and of the least, and are wrong in one thing each: noise, cut short, a wrong " +
			"checksum, TTL, virtual router, version, type, count, authentication or interval. No VIP " +
			"moves, the master's adverts come in time, and no client loses a request.",
		Topology: t,
		Probes:   []Probe{{Client: "client1", Target: serviceOf(t)}},
		Steps: []Step{Steady{}, fault, Listen{For: 2 * slowest(t)}, HealAll{},
			Observe{For: time.Second}},
		Bounds: []Bound{c.noTransition(), c.advertGapWithin(t, t.VRRP.Advert*6/5), c.nothingLost()},
	}
}
