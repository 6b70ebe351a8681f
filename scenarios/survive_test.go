package scenarios

import (
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// TestSurvivorsOf judges runs with a fault at 10 s, a heal at 20 s and a fail-back at 30 s.
func TestSurvivorsOf(t *testing.T) {
	const s = time.Second
	held := func(opened, broken time.Duration) reports.Stream {
		if broken == 0 {
			return reports.Stream{Opened: opened, Closed: 40 * s, Outcome: reports.Answered}
		}
		return reports.Stream{Opened: opened, Broken: broken, Outcome: reports.Refused}
	}
	tests := []struct {
		name    string
		moment  moment
		without reports.Kind // the events of that kind are not there
		slack   time.Duration
		streams []reports.Stream
		want    reports.Verdict
	}{
		{"all go on", faulted, "", 0, []reports.Stream{held(s, 0), held(7*s, 0)}, reports.Pass},
		{"an old one breaks", faulted, "", 0, []reports.Stream{held(s, 0), held(7*s, 12*s)},
			reports.Fail},
		{"a young one breaks", faulted, "", 0, []reports.Stream{held(s, 0), held(7*s+1, 12*s)},
			reports.Pass},
		{"an old one breaks, but machines stall", faulted, "", 2 * s,
			[]reports.Stream{held(s, 0), held(7*s, 12*s)}, reports.Pass},
		{"one breaks later", faulted, "", 0, []reports.Stream{held(s, 31*s)}, reports.Pass},
		{"there is none", faulted, "", 0, nil, reports.Inconclusive},
		{"there is no fault", faulted, reports.FaultInject, 0, []reports.Stream{held(s, 0)},
			reports.Inconclusive},
		{"one breaks at the fail-back", cameBack, "", 0, []reports.Stream{held(s, 31*s)},
			reports.Fail},
		{"one breaks before the fail-back", cameBack, "", 0,
			[]reports.Stream{held(s, 0), held(s, 25*s)}, reports.Pass},
		{"there is no heal", cameBack, reports.FaultHeal, 0, []reports.Stream{held(s, 0)},
			reports.Inconclusive},
		{"there is no fail-back", cameBack, reports.VIPAdd, 0, []reports.Stream{held(s, 0)},
			reports.Inconclusive},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := &reports.Recording{Length: 40 * s, Streams: tt.streams}
			for _, ev := range []reports.Event{
				{At: s, Kind: reports.VIPAdd, Node: "lb1"},
				{At: 10 * s, Kind: reports.FaultInject, Node: "lb1", Subject: "power-off"},
				{At: 13 * s, Kind: reports.VIPAdd, Node: "lb2"},
				{At: 20 * s, Kind: reports.FaultHeal, Node: "lb1", Subject: "power-off"},
				{At: 30 * s, Kind: reports.VIPAdd, Node: "lb1"},
			} {
				if ev.Kind != tt.without {
					rec.Events = append(rec.Events, ev)
				}
			}
			if f := survivorsOf(tt.moment).Judge(rec, tt.slack); f.Verdict != tt.want {
				t.Errorf("got %s (%s: %s), want %s", f.Verdict, f.Observed, f.Detail, tt.want)
			}
		})
	}
}

// TestGlobals says that a scenario's lines are in every director's configuration.
func TestGlobals(t *testing.T) {
	for _, s := range survivals() {
		for _, n := range s.Topology.NodesOf(topology.Director) {
			text := configWith(s.Topology, *n, s.Globals)
			globals, _, _ := strings.Cut(text, "}")
			for _, line := range s.Globals {
				if !strings.Contains(globals, "\n    "+line+"\n") {
					t.Errorf("%s: global_defs of %s have no %q:\n%s", s.Name, n.Name, line, globals)
				}
			}
		}
	}
}
