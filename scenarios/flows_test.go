package scenarios

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/reports"
)

// TestFailoversMeasureFlows: every failover of fig7 does, from a client that no probe runs on,
// right after the steady state; and no bound looks at it.
func TestFailoversMeasureFlows(t *testing.T) {
	found, err := Find("fig7-director-*", "fig7-client-link-down", "fig7-server-link-down",
		"fig7-guard-killed")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range found {
		if len(s.Steps) < 2 || s.Steps[0] != Step(Steady{}) ||
			s.Steps[1] != Step(MeasureFlows{Client: "client2"}) {
			t.Errorf("%s begins with %v, want the steady state and flows of client2", s.Name, s.Steps[:2])
		}
		for _, p := range s.Probes {
			if p.Client == "client2" {
				t.Errorf("%s has a probe on client2 too", s.Name)
			}
		}
	}
}

func TestWithFlowsNeedsAClient(t *testing.T) {
	s := fig5DirectorKilled()
	if diff := cmp.Diff(len(s.Steps), len(withFlows(s).Steps)); diff != "" {
		t.Errorf("steps, with one client that has a probe (-want +got):\n%s", diff)
	}
}

func TestMeasureFlows(t *testing.T) {
	const s = time.Second
	rec := &reports.Recording{Length: 10 * s}
	windows := []reports.Window{{Name: "fault", From: 2 * s, To: 6 * s}}
	if got := measureFlows(rec, windows); got != nil {
		t.Errorf("of nothing: %+v, want nothing", got)
	}
	ping := func(at time.Duration, flow reports.Flow, o reports.Outcome, broke bool) {
		rec.Pings = append(rec.Pings, reports.Ping{Sent: at, Client: "client2", Flow: flow, Outcome: o,
			Broke: broke})
	}
	ping(1*s, reports.FlowUDP, reports.Timeout, false)
	ping(2*s, reports.FlowUDP, reports.Answered, false)
	ping(3*s, reports.FlowUDP, reports.Timeout, false)
	ping(3*s, reports.FlowHeld, reports.Refused, true)
	ping(4*s, reports.FlowHeld, reports.Answered, false)
	ping(5*s, reports.FlowUDP, reports.Answered, false)
	var got []string
	for _, m := range measureFlows(rec, windows) {
		got = append(got, m.Name+": "+m.Value)
	}
	want := []string{"outage of established TCP, fault: 1s, 1 of 2 lost, broke 1 times",
		"outage of UDP, fault: 2s, 1 of 3 lost"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMeasureTakeovers(t *testing.T) {
	const s = time.Second
	rec := &reports.Recording{Length: 10 * s, VRRP: reports.VRRP{Version: 2, Advert: s}}
	add := func(at time.Duration, kind reports.Kind, node, subject, detail string) {
		rec.Events = append(rec.Events, reports.Event{At: at, Kind: kind, Node: node, Subject: subject,
			Detail: detail})
	}
	add(0, reports.VIPAdd, "lb1", "192.168.1.1", "")
	add(2*s, reports.FaultInject, "lb1", "director-terminated", "")
	add(2*s, reports.State, "lb1", "leaving", "client: virtual router 51, priority 0")
	add(3*s, reports.State, "lb2", "master", "client: virtual router 51, priority 100")
	add(3*s, reports.VIPAdd, "lb2", "192.168.1.1", "")
	got := measureTakeovers(rec)
	want := []reports.Measure{{Name: "takeover by lb2, director-terminated lb1",
		Value: "1s: detect 1s, transition 0s, program 0s", Doc: "the protocol grants detect 609ms"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAgainIsTheSame: judging what was just judged changes nothing, and a run that was broken off
// stays one.
func TestAgainIsTheSame(t *testing.T) {
	s := fig6RR()
	rec := reports.Recording{Scenario: s.Name, Director: "tandemd", Length: time.Second}
	for i := range 60 {
		rec.Requests = append(rec.Requests, reports.Request{Sent: time.Duration(i), Client: "client1",
			Outcome: reports.Answered, Server: []string{"web3", "web2", "web1"}[i%3]})
	}
	first := reports.New(rec, Judge(s, &rec), measures(&rec))
	if diff := cmp.Diff(first, Again(s, first)); diff != "" {
		t.Errorf("(-first +again):\n%s", diff)
	}
	broken := reports.New(rec, append(first.Findings, reports.BrokenOff("power")), nil)
	if again := Again(s, broken); again.Verdict != reports.Inconclusive ||
		!strings.Contains(again.Summary, "was broken off: power") {
		t.Errorf("%s: %s; want it broken off", again.Verdict, again.Summary)
	}
	empty := BrokenOff(s, Director{Name: "tandemd"}, Options{}, context.Canceled)
	if diff := cmp.Diff(empty.Findings, Again(s, empty).Findings); diff != "" {
		t.Errorf("nothing recorded (-first +again):\n%s", diff)
	}
}
