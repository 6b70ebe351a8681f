package scenarios

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// CountAdverts lets time pass and then notes how many adverts each director has sent meanwhile, for
// the first VIP's network.
type CountAdverts struct{ For time.Duration }

func (s CountAdverts) String() string { return countStep + s.For.String() }

// countStep begins the name of the step CountAdverts.
const countStep = "count adverts for "

func (s CountAdverts) do(ctx context.Context, r *run) (err error) {
	if len(r.scenario.Topology.VIPs) == 0 {
		return errors.New("count adverts: the topology has no VIP")
	}
	network := r.scenario.Topology.VIPs[0].Network
	var counts []*probe.AdvertCount
	defer func() {
		for _, c := range counts {
			err = errors.Join(err, c.Close())
		}
	}()
	directors := r.lab.NodesOf(topology.Director)
	for _, n := range directors {
		c, err := probe.CountAdverts(ctx, r.lab, n, network)
		if err != nil {
			return err
		}
		counts = append(counts, c)
	}
	if err := (Observe(s)).do(ctx, r); err != nil {
		return err
	}
	for i, n := range directors {
		sent, err := counts[i].Sent()
		if err != nil {
			return err
		}
		r.event(reports.Event{Kind: reports.Note, Node: n.Name(), Subject: advertNote,
			Detail: fmt.Sprintf(advertForm, sent)})
	}
	return nil
}

const (
	// advertNote is the subject of the note of a count.
	advertNote = "adverts"
	advertForm = "%d sent"
)

// advertsAtLeast demands that a director sent at least so many adverts while they were counted.
func advertsAtLeast(director string, least int) Bound {
	return Bound{
		Name: "adverts", Doc: fmt.Sprintf("%s sends at least %d adverts.", director, least),
		Judge: func(rec *reports.Recording, _ time.Duration) reports.Finding {
			f := reports.Finding{Verdict: reports.Inconclusive, Observed: "nothing",
				Limit: fmt.Sprint(least), Detail: "the adverts of " + director + " were not counted"}
			for _, ev := range rec.Events {
				sent := 0
				if ev.Kind != reports.Note || ev.Subject != advertNote || ev.Node != director {
					continue
				}
				if _, err := fmt.Sscanf(ev.Detail, advertForm, &sent); err != nil {
					continue
				}
				f.Verdict, f.Observed, f.Detail = reports.Pass, fmt.Sprint(sent), ""
				if sent < least {
					f.Verdict = reports.Fail
				}
			}
			return f
		},
	}
}

// counting is the calm of a run that counts adverts.
func counting() calm { return calm{step: countStep, while: "the adverts are counted"} }
