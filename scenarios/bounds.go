package scenarios

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

func matchName(pattern, name string) (bool, error) {
	ok, err := path.Match(pattern, name)
	if err != nil {
		return false, fmt.Errorf("find scenario %q: %w", pattern, err)
	}
	return ok, nil
}

// during is the window of a recording's first fault, from inject to heal.
func during(rec *reports.Recording) (reports.Window, bool) {
	faults := reports.Faults(rec)
	if len(faults) == 0 {
		return reports.Window{}, false
	}
	w := faults[0].Window
	w.Name = "fault"
	return w, true
}

// after is the window from the first fault's heal to the end.
func after(rec *reports.Recording) (reports.Window, bool) {
	faults := reports.Faults(rec)
	if len(faults) == 0 || !faults[0].Healed {
		return reports.Window{}, false
	}
	return reports.Window{Name: "after the heal", From: faults[0].To, To: rec.Length}, true
}

// noWindow is the finding when what a bound looks at did not take place.
func noWindow() reports.Finding {
	return reports.Finding{Verdict: reports.Inconclusive, Observed: "nothing",
		Detail: "the fault was not injected and healed"}
}

// atMost compares a measured time with its limit.
func atMost(observed, limit time.Duration) reports.Finding {
	f := reports.Finding{Verdict: reports.Pass, Observed: round(observed), Limit: round(limit)}
	if observed > limit {
		f.Verdict = reports.Fail
	}
	return f
}

func round(d time.Duration) string { return d.Round(time.Millisecond).String() }

// timed makes a bound on a time within a window of the recording. doc has one verb, for the limit.
func timed(
	name, doc string, limit time.Duration, window func(*reports.Recording) (reports.Window, bool),
	judge func(rec *reports.Recording, w reports.Window, limit time.Duration) reports.Finding,
) Bound {
	return Bound{
		Name: name, Doc: fmt.Sprintf(doc, round(limit)), Timing: true,
		Judge: func(rec *reports.Recording, slack time.Duration) reports.Finding {
			w, ok := window(rec)
			if !ok {
				return noWindow()
			}
			return judge(rec, w, limit+slack)
		},
	}
}

// OutageWithin bounds the longest gap that any client saw from the fault to its heal.
func OutageWithin(limit time.Duration) Bound {
	return timed(reports.OutageBound, "No client goes unserved for more than %s after the fault.",
		limit, during, outageIn)
}

// FailBackWithin bounds the longest gap that any client saw after the heal.
func FailBackWithin(limit time.Duration) Bound {
	return timed("fail-back outage", "No client goes unserved for more than %s after the heal.",
		limit, after, outageIn)
}

// OneOwnerWithin demands that so long after the fault one director alone holds every VIP, and that
// this stays so until the heal.
func OneOwnerWithin(limit time.Duration) Bound {
	return timed("one owner", "Within %s of the fault all VIPs are on one director, and on no "+
		"other, and stay there.", limit, during, settledWithin)
}

// BackTogetherWithin demands that so long after the heal one director alone holds every VIP for
// good.
func BackTogetherWithin(limit time.Duration) Bound {
	return timed("one owner again", "Within %s of the heal all VIPs are on one director, and on no "+
		"other, and stay there.", limit, after, settledWithin)
}

// outageIn judges the longest gap in a window that must not be empty of requests.
func outageIn(rec *reports.Recording, w reports.Window, limit time.Duration) reports.Finding {
	if reports.Count(rec, w).Sent == 0 {
		return reports.Finding{Verdict: reports.Inconclusive, Observed: "no request",
			Limit: round(limit), Detail: "no client sent anything"}
	}
	gap := reports.Outage(rec, w)
	f := atMost(gap.Length(), limit)
	if f.Verdict != reports.Pass {
		f.Detail = fmt.Sprintf("%s got no answer from %s to %s, %d requests", gap.Client,
			round(gap.From), round(gap.To), gap.Lost)
	}
	return f
}

// settledWithin judges when the owners of all VIPs came to rest in a window.
func settledWithin(rec *reports.Recording, w reports.Window, limit time.Duration) reports.Finding {
	at, ok := settled(ownersOf(rec), w)
	if !ok {
		f := reports.Finding{Verdict: reports.Fail, Observed: "never", Limit: round(limit),
			Detail: "at the end: " + holdersAt(rec, w.To-1)}
		if w.To-w.From <= limit {
			f.Verdict, f.Observed = reports.Inconclusive, "not in "+round(w.To-w.From)
		}
		return f
	}
	f := atMost(at-w.From, limit)
	if f.Verdict != reports.Pass {
		f.Detail = fmt.Sprintf("before %s: %s", round(at), holdersAt(rec, at-1))
	}
	return f
}

// ownersOf are the tenures of each VIP.
func ownersOf(rec *reports.Recording) [][]reports.Tenure {
	var all [][]reports.Tenure
	for _, v := range rec.VIPs {
		all = append(all, reports.Owners(rec, v.Addr))
	}
	return all
}

// settled returns the first time in a window from which on, to the window's end, the same single
// director holds every VIP, of which owners has the tenures.
func settled(owners [][]reports.Tenure, w reports.Window) (time.Duration, bool) {
	at, sole := w.From, ""
	for _, tenures := range owners {
		for _, t := range tenures {
			if t.To <= w.From || t.From >= w.To {
				continue
			}
			if len(t.Nodes) != 1 || t.To < w.To {
				at = max(at, min(t.To, w.To))
				continue
			}
			if sole != "" && sole != t.Nodes[0] {
				return 0, false
			}
			sole = t.Nodes[0]
		}
	}
	return at, at < w.To && sole != ""
}

// holdersAt names who held each VIP at a time.
func holdersAt(rec *reports.Recording, at time.Duration) string {
	var parts []string
	for _, v := range rec.VIPs {
		who := "nobody"
		for _, t := range reports.Owners(rec, v.Addr) {
			if t.From <= at && at < t.To && len(t.Nodes) > 0 {
				who = strings.Join(t.Nodes, " and ")
			}
		}
		parts = append(parts, v.Name+" on "+who)
	}
	return strings.Join(parts, ", ")
}

// NothingLostAfter demands that no request sent later than so long after the fault, and before its
// heal, is lost.
func NothingLostAfter(delay time.Duration) Bound {
	return timed("out of service", "No request sent later than %s after the fault is lost.", delay,
		during, lastLost)
}

// lastLost judges when the last lost request of a window was sent. A window no longer than the limit
// says nothing.
func lastLost(rec *reports.Recording, w reports.Window, limit time.Duration) reports.Finding {
	if w.Length() <= limit {
		return noWindow()
	}
	last, lost := lostIn(rec, w)
	f := atMost(last-w.From, limit)
	f.Detail = fmt.Sprintf("%d requests were lost, the last one %s after the fault", lost,
		round(last-w.From))
	return f
}

// lostIn returns when the last lost request of a window was sent, its begin where there is none, and
// how many there are.
func lostIn(rec *reports.Recording, w reports.Window) (last time.Duration, lost int) {
	last = w.From
	for _, q := range rec.Requests {
		if w.Contains(q.Sent) && q.Outcome != reports.Answered {
			last, lost = q.Sent, lost+1
		}
	}
	return last, lost
}

// BackInServiceWithin demands that a real server answers requests again so long after the heal.
func BackInServiceWithin(server string, limit time.Duration) Bound {
	return timed("back in service", server+" answers requests again within %s of the heal.", limit,
		after, func(rec *reports.Recording, w reports.Window, limit time.Duration) reports.Finding {
			for _, q := range rec.Requests {
				if w.Contains(q.Sent) && q.Outcome == reports.Answered && q.Server == server {
					return atMost(q.Sent-w.From, limit)
				}
			}
			return reports.Finding{Verdict: reports.Fail, Observed: "never", Limit: round(limit)}
		})
}

// Shares demands that each real server answered exactly so many of the requests, and that none was
// lost.
func Shares(want map[string]int) Bound {
	names := make([]string, 0, len(want))
	for name := range want {
		names = append(names, name)
	}
	slices.Sort(names)
	print := func(count func(string) int) string {
		var parts []string
		for _, name := range names {
			parts = append(parts, fmt.Sprintf("%s %d", name, count(name)))
		}
		return strings.Join(parts, ", ")
	}
	limit := print(func(name string) int { return want[name] })
	return Bound{
		Name: "shares", Doc: "The requests are shared out exactly: " + limit + ".",
		Judge: func(rec *reports.Recording, _ time.Duration) reports.Finding {
			got := map[string]int{}
			for _, s := range reports.Shares(rec, reports.Whole(rec)) {
				got[s.Server] = s.Answered
			}
			f := reports.Finding{Verdict: reports.Pass, Limit: limit,
				Observed: print(func(name string) int { return got[name] })}
			if lost := reports.Count(rec, reports.Whole(rec)).Lost(); lost > 0 || f.Observed != limit {
				f.Verdict = reports.Fail
				f.Detail = fmt.Sprintf("%d requests were lost", lost)
			}
			return f
		},
	}
}

// Order demands that the real servers answered in this order, over and over.
func Order(turn ...string) Bound {
	return Bound{
		Name: "order", Doc: "The real servers answer in turn: " + strings.Join(turn, ", ") + ".",
		Judge: func(rec *reports.Recording, _ time.Duration) reports.Finding {
			got := reports.Turns(rec, reports.Whole(rec))
			f := reports.Finding{Verdict: reports.Pass, Limit: strings.Join(turn, " ") + " …",
				Observed: fmt.Sprintf("%d in order", len(got))}
			if len(got) == 0 {
				f.Verdict, f.Detail = reports.Fail, "nothing was answered"
			}
			for i, server := range got {
				if server != turn[i%len(turn)] {
					f.Verdict = reports.Fail
					f.Detail = fmt.Sprintf("answer %d came from %s, want %s", i+1, server,
						turn[i%len(turn)])
					f.Observed = strings.Join(got[:min(len(got), i+1)], " ")
					break
				}
			}
			return f
		},
	}
}

// vipsOf are a topology's VIPs as a recording has them.
func vipsOf(t topology.Topology) []reports.VIP {
	vips := []reports.VIP{}
	for _, v := range t.VIPs {
		vips = append(vips, reports.VIP{Name: v.Name, Addr: v.Addr})
	}
	return vips
}

// serviceOf is the address and port that a preset's clients call.
func serviceOf(t topology.Topology) netip.AddrPort {
	if len(t.Services) > 0 {
		return t.Services[0].Addr
	}
	return netip.AddrPortFrom(t.VIPs[0].Addr, serverPort)
}
