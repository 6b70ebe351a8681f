package scenarios

import (
	"fmt"
	"math"
	"time"

	"github.com/tandemlb/tandem/reports"
)

// The bounds of this file are about one client in the whole run from its steady state on, whatever
// the faults are: what the service promises to this client.

// ClientOutageWithin bounds the longest gap that a client sees in the whole run.
func ClientOutageWithin(client string, limit time.Duration) Bound {
	return tolerated("outage of "+client, fmt.Sprintf("%s is never unserved for more than %s.", client,
		round(limit)), client, fromSteady,
		func(rec *reports.Recording, w reports.Window, slack time.Duration) reports.Finding {
			return outageIn(rec, w, limit+slack)
		})
}

// ClientFailBackWithin bounds the longest gap that a client sees after the last heal.
func ClientFailBackWithin(client string, limit time.Duration) Bound {
	return tolerated("fail-back of "+client, fmt.Sprintf("%s is unserved for no more than %s after the "+
		"last heal.", client, round(limit)), client, fromLastHeal,
		func(rec *reports.Recording, w reports.Window, slack time.Duration) reports.Finding {
			return outageIn(rec, w, limit+slack)
		})
}

// ClientLatencyWithin bounds how long 95 of a hundred answers to a client take.
func ClientLatencyWithin(client string, limit time.Duration) Bound {
	return tolerated("latency of "+client, fmt.Sprintf("95 %% of the answers to %s take no more than "+
		"%s.", client, round(limit)), client, fromSteady,
		func(rec *reports.Recording, w reports.Window, slack time.Duration) reports.Finding {
			l := reports.Latencies(rec, w)
			if l.Count == 0 {
				return reports.Finding{Verdict: reports.Fail, Observed: "no answer", Limit: round(limit)}
			}
			f := atMost(l.P95, limit+slack)
			if f.Verdict != reports.Pass {
				f.Detail = fmt.Sprintf("half of them took %s, the longest %s", round(l.P50), round(l.Max))
			}
			return f
		})
}

// ClientLosesAtMost bounds how many requests of a client are not answered in the whole run.
func ClientLosesAtMost(client string, count int) Bound {
	return tolerated("lost by "+client, fmt.Sprintf("%s loses %s at most.", client,
		plural(count, "request")), client, fromSteady,
		func(rec *reports.Recording, w reports.Window, slack time.Duration) reports.Finding {
			c := reports.Count(rec, w)
			return losesAtMost(c, float64(count), fmt.Sprint(count), stalledRequests(c, w, slack))
		})
}

// ClientLosesShare bounds the share of a client's requests, in percent, that are not answered in the
// whole run.
func ClientLosesShare(client string, percent float64) Bound {
	limit := fmt.Sprintf("%g %%", percent)
	return tolerated("share lost by "+client, fmt.Sprintf("%s loses %s of its requests at most.",
		client, limit), client, fromSteady,
		func(rec *reports.Recording, w reports.Window, slack time.Duration) reports.Finding {
			c := reports.Count(rec, w)
			return losesAtMost(c, float64(c.Sent)*percent/100, limit, stalledRequests(c, w, slack))
		})
}

func losesAtMost(c reports.Counts, most float64, limit string, slack float64) reports.Finding {
	f := reports.Finding{Verdict: reports.Pass, Limit: limit,
		Observed: fmt.Sprintf("%d of %d", c.Lost(), c.Sent)}
	if float64(c.Lost()) > most+slack {
		f.Verdict = reports.Fail
		f.Detail = fmt.Sprintf("%d refused, %d timed out, %d late, %d failed", c.Refused, c.Timeout,
			c.Late, c.Failed)
	}
	return f
}

// stalledRequests is how many requests a stall can explain.
func stalledRequests(c reports.Counts, w reports.Window, stall time.Duration) float64 {
	return math.Ceil(float64(c.Sent) * stall.Seconds() / w.Length().Seconds())
}

// tolerated makes a bound on what one client saw in a window. It is inconclusive where the client
// sent nothing.
func tolerated(
	name, doc, client string, window func(*reports.Recording) (reports.Window, bool),
	judge func(*reports.Recording, reports.Window, time.Duration) reports.Finding,
) Bound {
	return Bound{Name: name, Doc: doc, Timing: true,
		Judge: func(rec *reports.Recording, slack time.Duration) reports.Finding {
			w, ok := window(rec)
			if !ok {
				return noWindow()
			}
			own := *rec
			own.Requests = nil
			for _, q := range rec.Requests {
				if q.Client == client {
					own.Requests = append(own.Requests, q)
				}
			}
			if reports.Count(&own, w).Sent == 0 {
				return reports.Finding{Verdict: reports.Inconclusive, Observed: "no request",
					Detail: client + " sent nothing"}
			}
			return judge(&own, w, slack)
		}}
}

// fromSteady is the window from the end of the first step, which reaches the steady state, to the
// end.
func fromSteady(rec *reports.Recording) (reports.Window, bool) {
	steps := reports.Steps(rec)
	if len(steps) < 2 {
		return reports.Window{}, false
	}
	w := reports.Window{Name: "from the steady state", From: steps[1].From, To: rec.Length}
	return w, w.Length() > 0
}

// fromLastHeal is the window from the last heal to the end.
func fromLastHeal(rec *reports.Recording) (reports.Window, bool) {
	w := reports.Window{Name: "after the last heal", To: rec.Length}
	for _, f := range reports.Faults(rec) {
		if f.Healed {
			w.From = max(w.From, f.To)
		}
	}
	return w, w.From > 0 && w.Length() > 0
}
