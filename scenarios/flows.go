package scenarios

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

const (
	// echoUnit is the name of the program that sends datagrams back, on each director.
	echoUnit = "echo"
	// echoPort is where it listens, on the VIP.
	echoPort = 7
)

// MeasureFlows has a client measure to the end of the run what becomes of other traffic than new
// TCP connections: echo requests to the VIP that clients call, datagrams to an echo server there,
// which each director runs, and one connection to the virtual service that is held. Measures and
// reports show them; no bound judges them.
type MeasureFlows struct{ Client string }

func (s MeasureFlows) String() string { return "measure flows from " + s.Client }

func (s MeasureFlows) do(ctx context.Context, r *run) error {
	n, ok := r.lab.Node(s.Client)
	if !ok {
		return fmt.Errorf("measure flows: there is no node %s", s.Client)
	}
	service := serviceOf(r.scenario.Topology)
	config := probe.FlowsConfig{ICMP: service.Addr(), Held: service,
		UDP: netip.AddrPortFrom(service.Addr(), echoPort)}
	for _, d := range r.lab.NodesOf(topology.Director) {
		u := d.AddUnit(echoUnit, func(ctx context.Context) (*lab.Process, error) {
			return probe.StartEcho(ctx, d, config.UDP)
		})
		if err := u.Start(ctx); err != nil {
			return err
		}
	}
	flows, err := probe.NewFlows(n, config, func(p reports.Ping) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.pings = append(r.pings, p)
	})
	if err != nil {
		return err
	}
	return r.start(ctx, r.taskContext, flows)
}

// withFlows is a scenario whose last client that no probe runs on measures flows, from the steady
// state on. Without such a client it is the same.
func withFlows(s Scenario) Scenario {
	clients := s.Topology.NodesOf(topology.Client)
	slices.Reverse(clients)
	for _, c := range clients {
		if slices.ContainsFunc(s.Probes, func(p Probe) bool { return p.Client == c.Name }) {
			continue
		}
		steady := slices.IndexFunc(s.Steps, func(step Step) bool { _, ok := step.(Steady); return ok })
		s.Steps = slices.Insert(slices.Clone(s.Steps), steady+1, Step(MeasureFlows{Client: c.Name}))
		return s
	}
	return s
}

// measureFlows are the losses of each flow class but that of the requests, in each window; none
// where nothing else was measured.
func measureFlows(rec *reports.Recording, windows []reports.Window) []reports.Measure {
	var all []reports.Measure
	if len(rec.Pings) == 0 {
		return nil
	}
	for _, w := range windows {
		for _, l := range reports.FlowLosses(rec, w) {
			if l.Flow == reports.FlowNew {
				continue
			}
			value := fmt.Sprintf("%s, %d of %d lost", round(l.Outage.Length()), l.Lost, l.Sent)
			if l.Flow == reports.FlowHeld {
				value += fmt.Sprintf(", broke %d times", l.Broken)
			}
			all = append(all, reports.Measure{Name: "outage of " + string(l.Flow) + ", " + w.Name,
				Value: value, Doc: "longest gap of pings without an answer, by time of sending"})
		}
	}
	return all
}

// measureTakeovers are the phases of each takeover of a run with a fault or two; of more reports
// show the spread.
func measureTakeovers(rec *reports.Recording) []reports.Measure {
	takeovers := reports.Takeovers(rec)
	if len(takeovers) > 4 {
		return nil
	}
	var all []reports.Measure
	for _, t := range takeovers {
		var parts []string
		for _, p := range t.Phases {
			parts = append(parts, fmt.Sprintf("%s %s", p.Name, round(p.Length())))
		}
		doc := "by what the wire, the kernels and the clients showed"
		if t.Bound > 0 {
			doc = fmt.Sprintf("the protocol grants detect %s", round(t.Bound))
		}
		all = append(all, reports.Measure{Doc: doc,
			Name:  fmt.Sprintf("takeover by %s, %s", t.To, cmp.Or(t.Trigger, "unprovoked")),
			Value: round(t.Length()) + ": " + strings.Join(parts, ", ")})
	}
	return all
}
