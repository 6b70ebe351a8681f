package scenarios

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scheduler"
	"github.com/tandemlb/tandem/topology"
)

// TestSampleFor compares with Cohen's tables, "Statistical Power Analysis for the Behavioral
// Sciences", 2nd edition, 1988, table 7.4: an effect of 0.1 takes 785 draws at the level 0.05 with
// one degree of freedom and 964 with two, for a power of 0.8.
func TestSampleFor(t *testing.T) {
	one := sampleFor(map[string]float64{"a": 0.5, "b": 0.5},
		map[string]float64{"a": 0.55, "b": 0.45}, 0.05, 0.8)
	third, off := 1.0/3, math.Sqrt(0.01/6)
	two := sampleFor(map[string]float64{"a": third, "b": third, "c": third},
		map[string]float64{"a": third + off, "b": third - off, "c": third}, 0.05, 0.8)
	if one != 785 || two != 964 {
		t.Errorf("%d and %d draws, want 785 and 964", one, two)
	}
	net := fig6("sh", 3, 1, 2)
	if need := sampleFor(sharesOf(net, false), sharesOf(net, true), level, power); need > clients {
		t.Errorf("the drills have %d clients, and need %d", clients, need)
	}
}

// clientsOf is what a run records in which so many clients call, one after the other, as a model has
// it, web2 leaves, and they call again.
func clientsOf(t *testing.T, net topology.Topology, n int) *reports.Recording {
	t.Helper()
	rec := &reports.Recording{}
	event := func(at time.Duration, kind reports.Kind, node, subject, detail string) {
		rec.Events = append(rec.Events, reports.Event{At: at, Kind: kind, Node: node, Subject: subject,
			Detail: detail})
	}
	table := func(t topology.Topology) string {
		return reports.Table{{Name: serviceName(t, t.Services[0]), Scheduler: t.Services[0].Scheduler,
			Servers: serversOf(t)}}.String()
	}
	event(0, reports.StepBegin, "", Steady{}.String(), "")
	event(time.Millisecond, reports.TableSet, "lb1", "", "")
	event(2*time.Millisecond, reports.TableSet, "lb1", "", table(net))
	event(3*time.Millisecond, reports.StepBegin, "", Calls{}.String(), "")
	m, err := modelOf(net, net.Services[0])
	if err != nil {
		t.Fatal(err)
	}
	after := net.Clone()
	after.Services[0].RealServers = append(after.Services[0].RealServers[:1],
		after.Services[0].RealServers[2:]...)
	at := time.Second
	for round := range 2 {
		for i := range n {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 168, 1, byte(i + 10)}), 20000)
			at += time.Millisecond
			call := reports.Call{From: from, To: net.Services[0].Addr, Opened: at}
			if c, ok := m.Connect(scheduler.Flow{From: from, To: call.To.Addr()},
				modelEpoch.Add(at)); ok {
				for _, d := range net.Services[0].RealServers {
					if addressOf(net, d) == c.Server {
						call.Server = d.Node
					}
				}
			}
			rec.Calls = append(rec.Calls, call)
		}
		if round == 0 {
			at += time.Second
			event(at, reports.StepBegin, "", Rearrange{What: "web2 leaves"}.String(), "")
			event(at+time.Millisecond, reports.TableSet, "lb1", "", table(after))
			event(at+2*time.Millisecond, reports.StepBegin, "", Calls{}.String(), "")
			if err := follow(m, net, serversOf(net), serversOf(after)); err != nil {
				t.Fatal(err)
			}
			at += time.Second
		}
	}
	rec.Length = at
	return rec
}

// TestStatistics: a kernel that does what the model says passes, also when a real server leaves, and
// one that does it with other weights, or another scheduler, fails.
func TestStatistics(t *testing.T) {
	verdicts := func(demanded, done topology.Topology, n int) string {
		rec := clientsOf(t, done, n)
		var all []string
		for _, b := range append(perClient(demanded), Predicted(demanded)) {
			f := b.Judge(rec, 0)
			all = append(all, fmt.Sprint(b.Name, " ", f.Verdict))
		}
		return strings.Join(all, ", ")
	}
	weighted := func(name string) topology.Topology { return fig6(name, 3, 1, 2) }
	const right = "spread pass, clients moved pass, predicted pass"
	for _, tt := range []struct {
		name           string
		demanded, done topology.Topology
		n              int
		want           string
	}{
		{"sh", weighted("sh"), weighted("sh"), clients, right},
		{"mh", weighted("mh"), weighted("mh"), clients, right},
		{"weights are not heeded", weighted("sh"), fig6("sh", 1, 1, 1), clients,
			"spread fail, clients moved pass, predicted fail"},
		{"sh moves clients that mh would keep", weighted("mh"), weighted("sh"), clients,
			"spread pass, clients moved fail, predicted fail"},
		{"too few clients", weighted("sh"), weighted("sh"), 50,
			"spread inconclusive, clients moved pass, predicted pass"},
	} {
		if got := verdicts(tt.demanded, tt.done, tt.n); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestRemappedNeedsTwoRounds: nothing left, so nobody moved.
func TestRemappedNeedsTwoRounds(t *testing.T) {
	net := fig6("sh", 3, 1, 2)
	rec := clientsOf(t, net, 10)
	rec.Events = rec.Events[:4]
	if f := Remapped(net, "web2").Judge(rec, 0); f.Verdict != reports.Inconclusive {
		t.Errorf("%s: %s", f.Verdict, f.Observed)
	}
}

// TestSpreadOfStrangers: a real server that nobody expected is no matter of chance.
func TestSpreadOfStrangers(t *testing.T) {
	got := chiSquare(map[string]int{"web1": 50, "web2": 50, "web9": 1},
		map[string]float64{"web1": 0.5, "web2": 0.5}, 101)
	if !math.IsInf(got, 1) {
		t.Errorf("chi-square %f, want infinity", got)
	}
	got = chiSquare(map[string]int{"web1": 60, "web2": 40},
		map[string]float64{"web1": 0.5, "web2": 0.5}, 100)
	if got != 4 {
		t.Errorf("chi-square of 60 and 40: %f, want 4", got)
	}
}
