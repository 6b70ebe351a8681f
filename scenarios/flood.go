package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// fig5MillionHostile is a minute of 17,000 forged adverts a second.
func fig5MillionHostile() Scenario {
	const million = 1_000_000
	s := flood(time.Minute)
	s.Name = "fig5-million-hostile-packets"
	// One lie in ten is a foreign virtual router, and one is noise, which seldom speaks of this one: the
	// kernel may keep such packets away.
	for _, d := range s.Topology.NodesOf(topology.Director) {
		s.Bounds = append(s.Bounds, refusesAtLeast(d.Name, million*3/4, 5))
	}
	return s
}

// flood lets a host forge adverts for so long.
func flood(length time.Duration) Scenario {
	t := preset("fig5")
	fault := Inject{Kind: faults.HostileFlood, Target: "client1:eth0"}
	c := calm{step: fault.String(), while: "forged adverts come", patience: t.VRRP.Advert}
	return Scenario{
		Doc: fmt.Sprintf("A host sends 17,000 packets a second for %s that look like adverts, of the "+
			"best priority and of the least, and are wrong in one thing each: noise, cut short, a wrong "+
			"checksum, TTL, virtual router, version, type, count, authentication or interval. No VIP "+
			"moves, the master's adverts come in time, no client loses a request, and each director "+
			"says how many packets it has refused, and why.", hours(length)),
		Topology: t,
		Needs:    []lab.Capability{lab.VirtualTime},
		Long:     true,
		Probes:   []Probe{{Client: "client1", Target: serviceOf(t), Rate: 10}},
		Steps: []Step{Steady{}, fault, Listen{For: length}, HealAll{}, AskRefusals{},
			Observe{For: time.Second}},
		Bounds: []Bound{c.noTransition(), c.advertGapWithin(t, t.VRRP.Advert*6/5), c.nothingLost()},
	}
}

// AskRefusals notes how many adverts each director has refused by its status, and why.
type AskRefusals struct{}

func (AskRefusals) String() string { return "ask for refused adverts" }

func (AskRefusals) do(ctx context.Context, r *run) error {
	for _, n := range r.lab.NodesOf(topology.Director) {
		if r.director.Status == nil {
			r.event(reports.Event{Kind: reports.Note, Node: n.Name(), Subject: refusedNote,
				Detail: noStatus})
			continue
		}
		refused, err := r.director.refusals(ctx, n)
		if err != nil {
			return err
		}
		r.event(reports.Event{Kind: reports.Note, Node: n.Name(), Subject: refusedNote,
			Detail: refused.String()})
	}
	return nil
}

// refusedNote is the subject of the note of refused adverts.
const refusedNote = "refused adverts"

// refusals are how many adverts were refused, by reason.
type refusals map[string]int

// String returns, for example, "3 in all: 2 bad checksum, 1 too short".
func (r refusals) String() string {
	var all []string
	sum := 0
	for reason, n := range r {
		all = append(all, fmt.Sprintf("%d %s", n, reason))
		sum += n
	}
	slices.Sort(all)
	return fmt.Sprintf(refusalsForm+"%s", sum, strings.Join(all, ", "))
}

const refusalsForm = "%d in all: "

// refusals asks the director on a node what its instances have refused.
func (d Director) refusals(ctx context.Context, n *lab.Node) (refusals, error) {
	result, err := n.Exec(ctx, d.Path, d.Status...)
	if err != nil {
		return nil, fmt.Errorf("ask %s for refused adverts: %w", n, err)
	}
	var status struct {
		Instances []struct {
			Adverts struct {
				Dropped map[string]int `json:"dropped"`
			} `json:"adverts"`
		} `json:"instances"`
	}
	if err := json.Unmarshal(result.Output, &status); err != nil {
		return nil, fmt.Errorf("read status of %s: %w: %.100q", n, err, result.Output)
	}
	sum := refusals{}
	for _, i := range status.Instances {
		for reason, n := range i.Adverts.Dropped {
			sum[reason] += n
		}
	}
	return sum, nil
}

// refusesAtLeast demands that a director's status says that it has refused so many adverts, for so
// many reasons.
func refusesAtLeast(node string, least, reasons int) Bound {
	return Bound{
		Name: node + " refuses", Doc: fmt.Sprintf("The status of %s names at least %d refused adverts, "+
			"for at least %d reasons.", node, least, reasons),
		Judge: func(rec *reports.Recording, _ time.Duration) reports.Finding {
			f := reports.Finding{Verdict: reports.Inconclusive, Observed: "nothing",
				Limit: fmt.Sprint(least), Detail: node + " was not asked"}
			for _, ev := range rec.Events {
				if ev.Kind != reports.Note || ev.Subject != refusedNote || ev.Node != node {
					continue
				}
				n, err := 0, errors.New("no status")
				if ev.Detail != noStatus {
					_, err = fmt.Sscanf(ev.Detail, refusalsForm, &n)
				}
				if err != nil {
					f.Detail = errNoStatus.Error()
					continue
				}
				f.Verdict, f.Observed, f.Detail = reports.Pass, fmt.Sprint(n), ev.Detail
				if n < least || strings.Count(ev.Detail, ",")+1 < reasons {
					f.Verdict = reports.Fail
				}
			}
			return f
		},
	}
}
