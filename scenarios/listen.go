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

// Listen lets time pass and then notes the longest gap between two adverts of each virtual router
// meanwhile.
type Listen struct{ For time.Duration }

func (s Listen) String() string { return "listen to adverts for " + s.For.String() }

func (s Listen) do(ctx context.Context, r *run) error {
	if r.adverts == nil {
		return errors.New("listen to adverts: the topology has no VIP")
	}
	r.adverts.RestartGaps()
	err := Observe(s).do(ctx, r)
	r.noteGaps()
	return err
}

const (
	// gapNote is the subject of the note of a virtual router's longest gap between adverts.
	gapNote = "advert gap"
	gapForm = "virtual router %d: %d adverts, none from %s to %s"
)

// noteGaps notes the longest gap between two adverts of each virtual router since they were last
// measured anew.
func (r *run) noteGaps() {
	for _, g := range r.adverts.Gaps() {
		r.event(reports.Event{Kind: reports.Note, Subject: gapNote,
			Detail: fmt.Sprintf(gapForm, g.Router, g.Adverts, g.From, g.To)})
	}
}

// advertGapWithin bounds the time between two adverts of each virtual router. Where the clock is
// real, the Allowance is for the machine's lateness to send and to hear them.
func (c calm) advertGapWithin(t topology.Topology, limit time.Duration) Bound {
	doc := fmt.Sprintf("No two adverts of a virtual router are further apart than %s, on a real "+
		"clock than %s.", round(limit), round(limit+Allowance))
	return c.bound("advert gap", doc,
		func(rec *reports.Recording, _ reports.Window, slack time.Duration) reports.Finding {
			limit := limit + slack
			if !rec.Host.Virtual() {
				limit += Allowance
			}
			gaps := gapsOf(rec)
			var worst probe.AdvertGap
			for _, v := range t.VIPs {
				g, ok := gaps[v.RouterID]
				if !ok {
					return reports.Finding{Verdict: reports.Inconclusive, Observed: "nothing",
						Limit: round(limit), Detail: fmt.Sprintf("no advert of virtual router %d was "+
							"heard", v.RouterID)}
				}
				if g.Length() > worst.Length() {
					worst = g
				}
			}
			f := atMost(worst.Length(), limit)
			if f.Verdict != reports.Pass {
				f.Detail = fmt.Sprintf("virtual router %d, from %s to %s", worst.Router,
					round(worst.From), round(worst.To))
			}
			return f
		})
}

// gapsOf reads the notes of gaps back, by virtual router. A note that is none says nothing.
func gapsOf(rec *reports.Recording) map[uint8]probe.AdvertGap {
	gaps := map[uint8]probe.AdvertGap{}
	for _, ev := range rec.Events {
		if ev.Kind != reports.Note || ev.Subject != gapNote {
			continue
		}
		var g probe.AdvertGap
		var from, to string
		if _, err := fmt.Sscanf(ev.Detail, gapForm, &g.Router, &g.Adverts, &from, &to); err != nil {
			continue
		}
		var errFrom, errTo error
		g.From, errFrom = time.ParseDuration(from)
		g.To, errTo = time.ParseDuration(to)
		if errFrom == nil && errTo == nil {
			gaps[g.Router] = g
		}
	}
	return gaps
}
