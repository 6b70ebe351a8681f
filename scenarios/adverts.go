package scenarios

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// counted is the window in which adverts were counted, to the recording's end.
func counted(rec *reports.Recording) (reports.Window, bool) {
	for _, ev := range rec.Events {
		if ev.Kind == reports.StepBegin && strings.HasPrefix(ev.Subject, countStep) {
			return reports.Window{Name: "count", From: ev.At, To: rec.Length}, true
		}
	}
	return reports.Window{}, false
}

// noTransition demands that while adverts are counted no VIP moves and nobody begins or ceases to
// advertise.
func noTransition() Bound {
	return quietBound("transitions", "While the adverts are counted no VIP comes or goes, and no "+
		"director begins or ceases to advertise.",
		func(rec *reports.Recording, w reports.Window) (n int, first string) {
			for _, ev := range rec.Events {
				moved := ev.Kind == reports.VIPAdd || ev.Kind == reports.VIPRemove ||
					ev.Kind == reports.State
				if !moved || !w.Contains(ev.At) {
					continue
				}
				if n++; n == 1 {
					first = fmt.Sprintf("at %s: %s %s %s %s", round(ev.At), ev.Node, ev.Kind, ev.Subject,
						ev.Detail)
				}
			}
			return n, first
		})
}

// nothingLost demands that while adverts are counted every request is answered.
func nothingLost() Bound {
	return quietBound("requests lost", "While the adverts are counted every request is answered.",
		func(rec *reports.Recording, w reports.Window) (n int, first string) {
			last, n := lostIn(rec, w)
			return n, fmt.Sprintf("the last one was sent at %s", round(last))
		})
}

// quietBound demands that something does not occur while adverts are counted.
func quietBound(
	name, doc string, count func(*reports.Recording, reports.Window) (n int, first string),
) Bound {
	return Bound{Name: name, Doc: doc, Closed: true,
		Judge: func(rec *reports.Recording, _ time.Duration) reports.Finding {
			w, ok := counted(rec)
			if !ok {
				return reports.Finding{Verdict: reports.Inconclusive, Observed: "nothing",
					Detail: "no adverts were counted"}
			}
			n, first := count(rec, w)
			f := reports.Finding{Verdict: reports.Pass, Observed: fmt.Sprint(n), Limit: "0"}
			if n > 0 {
				f.Verdict, f.Detail = reports.Fail, first
			}
			return f
		}}
}
