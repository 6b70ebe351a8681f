package scenarios

import (
	"context"
	"fmt"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

const (
	// heldStreams is how many connections a client holds all the time, youngEvery the time between
	// two further ones, each of which is held for youngLife.
	heldStreams = 200
	youngEvery  = 200 * time.Millisecond
	youngLife   = 10 * time.Second
	// syncDelay is the greatest age of a connection that the other director need not know of: the
	// kernel keeps what it has to tell for 2 s, and looks every second whether it is time.
	//
	// Source: net/netfilter/ipvs/ip_vs_sync.c, IPVS_SYNC_FLUSH_TIME, IPVS_SYNC_CHECK_PERIOD.
	syncDelay = 3 * time.Second
	// resent is how long after a takeover a packet may be sent again that the outage has swallowed:
	// TCP's pauses double from 200 ms on.
	resent = 8 * time.Second
	// backWarm is how much longer than a takeover a director may take to come back that waits until
	// it has heard of the connections.
	backWarm = 20 * time.Second
)

// HoldStreams has a client open connections and hold them to the end of the run, a request and its
// answer at every tick.
type HoldStreams struct {
	Client string
	Config probe.StreamsConfig
}

func (s HoldStreams) String() string {
	return fmt.Sprintf("hold %d connections from %s", s.Config.Count, s.Client)
}

func (s HoldStreams) do(ctx context.Context, r *run) error {
	n, ok := r.lab.Node(s.Client)
	if !ok {
		return fmt.Errorf("hold connections: there is no node %s", s.Client)
	}
	held, err := probe.NewStreams(n, s.Config, func(one reports.Stream) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.streams = append(r.streams, one)
	})
	if err != nil {
		return err
	}
	return r.start(ctx, r.taskContext, held)
}

// survivals are the drills about connections that outlive their director.
func survivals() []Scenario {
	return []Scenario{
		survive("kill", faults.DirectorKilled, "@master",
			"Every process of the master's daemon is killed."),
		survive("terminate", faults.DirectorTerminated, "@master", "The master is asked to stop."),
		survive("power-off", faults.PowerOff, "@master",
			"The master loses power, and all that it knew."),
		survive("link-down", faults.LinkDown, "@master:eth0",
			"The master's cable on the client side is pulled."),
		surviveIdle(),
	}
}

// survive is a failover drill of the whole network with connections that are in use.
func survive(name string, kind faults.Kind, target, doc string) Scenario {
	t := preset("fig7")
	s := holding(t, probe.StreamsConfig{Count: heldStreams, Young: youngEvery, Life: youngLife})
	s.Name = "fig7-connections-survive-" + name
	s.Doc = doc + " The other director knows every connection of 3 s and more, and they go on; " +
		"and again when the first one comes back."
	l := masterLimits(t, kind)
	s.Probes = []Probe{{Client: "client2", Target: serviceOf(t), Rate: 10}}
	s.Steps = append(s.Steps,
		Observe{For: youngLife},
		Inject{Kind: kind, Target: target},
		Await{Condition: Takeover{}, Limit: 2 * l.settle},
		Observe{For: resent},
		HealAll{},
		Await{Condition: FailBack{}, Limit: l.together + backWarm},
		Observe{For: resent},
	)
	return s
}

// holding is a scenario that reaches the steady state and holds connections.
func holding(t topology.Topology, streams probe.StreamsConfig) Scenario {
	streams.Target = serviceOf(t)
	return Scenario{
		Topology: t,
		// By the real servers' network: clients have no part in it.
		Globals: []string{"lvs_sync_daemon eth1 inst inner"},
		Steps:   []Step{Steady{}, HoldStreams{Client: "client1", Config: streams}},
		Bounds:  []Bound{survivorsOf(faulted), survivorsOf(cameBack)},
	}
}

// surviveIdle is about connections that are quiet for most of the time that the kernel remembers
// them, which is half a minute here.
func surviveIdle() Scenario {
	const quiet = 20 * time.Second
	s := holding(preset("fig7"), probe.StreamsConfig{Count: 20, Tick: quiet})
	s.Name = "fig7-connections-survive-idle"
	s.Doc = "Connections have a request every 20 s, and lvs_timeouts has the kernel forget them " +
		"after 30 s. Between two requests every process of the master's daemon is killed, later it " +
		"comes back. The other director has kept what it knows as long as the master has, and each " +
		"next request is answered."
	s.Needs = []lab.Capability{lab.VirtualTime}
	// What the forward guard keeps back is not to be of connections that are known.
	s.Globals = append(s.Globals, "lvs_timeouts tcp 30", "lvs_forward_guard")
	s.Steps = append(s.Steps,
		Observe{For: 2*quiet + quiet/2},
		Inject{Kind: faults.DirectorKilled, Target: "@master"},
		Observe{For: quiet},
		HealAll{},
		Observe{For: 2*quiet + quiet/2}, // the fail-back, and a request on each after it
	)
	return s
}

// moment is when connections may break: it begins a window to the next such moment.
type moment struct {
	name string
	find func(*reports.Recording) (reports.Window, bool)
}

var (
	// faulted is the first fault.
	faulted = moment{"the fault", during}
	// cameBack is when, after the heal, a VIP changes hands again.
	cameBack = moment{"the fail-back", func(rec *reports.Recording) (reports.Window, bool) {
		w, ok := after(rec)
		if !ok {
			return w, false
		}
		w.From, ok = reports.Taken(rec, w)
		return w, ok
	}}
)

// streamAges part the streams in reports.
var streamAges = []time.Duration{time.Second, 2 * time.Second, syncDelay}

// survivorsOf demands that no connection breaks that was older than syncDelay.
func survivorsOf(m moment) Bound {
	return Bound{
		Name: "connections after " + m.name, Timing: true,
		Doc: fmt.Sprintf("Every connection goes on that was open for %s before %s.", syncDelay,
			m.name),
		Judge: func(rec *reports.Recording, slack time.Duration) reports.Finding {
			f := reports.Finding{Verdict: reports.Inconclusive, Observed: "nothing",
				Limit: "0 lost", Detail: m.name + " did not take place"}
			w, ok := m.find(rec)
			if !ok {
				return f
			}
			old := reports.Survivals(rec, w, syncDelay+slack)[1]
			f.Observed = fmt.Sprintf("%d of %d lost", old.Lost, old.Held)
			switch {
			case old.Held == 0:
				f.Detail = "no connection was open"
			case old.Lost == 0:
				f.Verdict, f.Detail = reports.Pass, ""
			default:
				f.Verdict = reports.Fail
				f.Detail = fmt.Sprintf("the first, to %s, was opened at %s and broke at %s: %s %s",
					old.First.Server, round(old.First.Opened), round(old.First.Broken),
					old.First.Outcome, old.First.Detail)
			}
			return f
		},
	}
}

// measureStreams are the survivors of each moment by age; none without streams.
func measureStreams(rec *reports.Recording) []reports.Measure {
	if len(rec.Streams) == 0 {
		return nil
	}
	var all []reports.Measure
	for _, m := range []moment{faulted, cameBack} {
		w, ok := m.find(rec)
		if !ok {
			continue
		}
		for _, s := range reports.Survivals(rec, w, streamAges...) {
			age := fmt.Sprintf("%s to %s", s.From, s.To)
			if s.To == 0 {
				age = fmt.Sprintf("%s and more", s.From)
			}
			all = append(all, reports.Measure{
				Name:  "connections that survived " + m.name + ", " + age,
				Value: fmt.Sprintf("%d of %d", s.Survived(), s.Held),
				Doc:   "by how long they had been open",
			})
		}
	}
	return all
}
