package scenarios

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// fig7Reloads reloads both directors 50 times. The interval divides neither a second nor the time
// between two requests, so that reloads fall everywhere between two adverts, and two requests.
// Every request takes several times the time between two of them, so that each reload finds some
// of which the client has not sent all: a director that drops the rest loses them. An answer on its
// way would not tell, for the kernel lets that through whatever became of the real server.
func fig7Reloads() Scenario {
	const count, every, pause = 50, 553 * time.Millisecond, 50 * time.Millisecond
	t := preset("fig7")
	interval := time.Second / probe.DefaultRate
	turn := time.Duration(len(t.NodesOf(topology.RealServer))) * interval
	back := checkRecovery(t.Services[0].Check) + Allowance + turn
	d := reloadDrill{t, reloadFiles(t, count)}
	return Scenario{
		Name: "fig7-reloads",
		Doc: fmt.Sprintf("Both directors load their configuration anew %d times under load, while "+
			"requests are under way that take %s each to be sent: without one "+
			"real server, with it again, with another weight, unchanged, and files with a typo, with an "+
			"unclosed brace or half-written. No VIP moves, no advert is late, no request is "+
			"lost, what a valid file says is done, and nothing of what another one says.", count, pause),
		Topology: t,
		// An advert that is 0.2 s late, a request that a reload costs: a busy machine does as much.
		Needs:  []lab.Capability{lab.VirtualTime},
		Probes: []Probe{{Client: "client1", Target: serviceOf(t), Pause: pause}},
		Steps:  []Step{Steady{}, Reloads{Every: every, Files: d.files, Then: back}, Finish{}},
		Bounds: []Bound{
			d.survived(),
			d.calm().noTransition(),
			d.calm().advertGapWithin(t, t.VRRP.Advert*6/5),
			d.calm().nothingLost(),
			d.leavesWithin(Allowance),
			d.returnsWithin(back),
			d.staysWithin(every / 2),
		},
	}
}

// reloadFiles are so many files, in rounds of five: one real server leaves, a file that is not valid
// leaves out another one, the first comes back, again one that is not valid, and one that changes a
// weight, or nothing. The last one is as at the start where count is a multiple of ten.
func reloadFiles(t topology.Topology, count int) []Reload {
	broken := []Change{Typo, Unclosed, HalfWritten}
	servers := t.Services[0].RealServers
	server := func(round int) string { return servers[round%len(servers)].Node }
	files := make([]Reload, 0, count)
	for i := range count {
		round := i / 5
		file := Reload{Change: Unchanged}
		switch i % 5 {
		case 0:
			file = Reload{LessServer, server(round)}
		case 1, 3:
			file = Reload{broken[len(files)/2%len(broken)], server(round + 1)}
		case 4:
			if round%2 == 0 {
				file = Reload{OtherWeight, server(round)}
			}
		}
		files = append(files, file)
	}
	return files
}

// reloadDrill judges a run that reloads.
type reloadDrill struct {
	topology topology.Topology
	files    []Reload
}

// calm is that of the drill: reloading is no fault.
func (d reloadDrill) calm() calm {
	return calm{step: reloadStep, while: "the directors reload", patience: 3 * d.topology.VRRP.Advert}
}

// reloadsOf are the times of the reloads.
func reloadsOf(rec *reports.Recording) []time.Duration {
	var at []time.Duration
	for _, ev := range rec.Events {
		if ev.Kind == reports.Note && ev.Subject == reloadNote {
			at = append(at, ev.At)
		}
	}
	return at
}

// survived demands that every reload takes place and no director's program ends.
func (d reloadDrill) survived() Bound {
	return d.calm().bound("reloads",
		"Every file is loaded by both directors, and no director's program ends.",
		func(rec *reports.Recording, _ reports.Window, _ time.Duration) reports.Finding {
			done := len(reloadsOf(rec))
			f := reports.Finding{Verdict: reports.Pass, Observed: fmt.Sprint(done),
				Limit: fmt.Sprint(len(d.files))}
			if f.Observed != f.Limit {
				f.Verdict = reports.Inconclusive
			}
			for _, ev := range rec.Events {
				if ev.Kind == reports.Note && ev.Subject == endedNote {
					f.Verdict = reports.Fail
					f.Detail = fmt.Sprintf("at %s: %s on %s", round(ev.At), endedNote, ev.Node)
					break
				}
			}
			return f
		})
}

// absence is a time in which the files leave a real server out.
type absence struct {
	server string
	reports.Window
	// over says that the server came back into the files.
	over bool
}

// absences are the absences of a run in order of their begin.
func (d reloadDrill) absences(rec *reports.Recording) []absence {
	var all []absence
	for i, at := range reloadsOf(rec) {
		if i >= len(d.files) || !d.files[i].Change.Valid() {
			continue
		}
		if n := len(all) - 1; n >= 0 && !all[n].over {
			all[n].To, all[n].over = at, true
		}
		if d.files[i].Change == LessServer {
			all = append(all, absence{server: d.files[i].Server,
				Window: reports.Window{From: at, To: rec.Length}})
		}
	}
	return all
}

// worstOf judges the longest of the times that something took. What never came took at least so long.
func worstOf(all []measured, limit time.Duration) reports.Finding {
	if len(all) == 0 {
		return reports.Finding{Verdict: reports.Inconclusive, Observed: "nothing",
			Limit: round(limit), Detail: "no real server left and came back"}
	}
	worst := all[0]
	for _, m := range all[1:] {
		if m.took > worst.took {
			worst = m
		}
	}
	f := atMost(worst.took, limit)
	if f.Verdict != reports.Pass {
		f.Detail = worst.detail
		if worst.never {
			f.Observed = "never"
		}
	}
	return f
}

// served makes a bound on times that who answered the requests tells, none of which may be longer
// than a limit. doc has one verb, for the limit; a stall enters so many times.
func (d reloadDrill) served(
	name, doc string, limit time.Duration, stalls time.Duration,
	measure func(rec *reports.Recording, w reports.Window) []measured,
) Bound {
	return d.calm().bound(name, fmt.Sprintf(doc, round(limit)),
		func(rec *reports.Recording, w reports.Window, slack time.Duration) reports.Finding {
			if reports.Count(rec, w).Sent == 0 {
				return d.calm().nothing("no client sent anything")
			}
			return worstOf(measure(rec, w), limit+stalls*slack)
		})
}

// leavesWithin demands that a real server that a file leaves out answers no request that is sent
// later than a time after the reload.
func (d reloadDrill) leavesWithin(limit time.Duration) Bound {
	return d.served("leaves", "A real server that a file leaves out answers no request sent later "+
		"than %s after the reload.", limit, 1,
		func(rec *reports.Recording, _ reports.Window) []measured {
			var all []measured
			for _, a := range d.absences(rec) {
				if a.Length() > limit {
					all = append(all, lastAnswer(rec, a))
				}
			}
			return all
		})
}

// lastAnswer measures how long after it left a real server got the last request that it answered.
func lastAnswer(rec *reports.Recording, a absence) measured {
	m := measured{detail: fmt.Sprintf("%s, which left at %s", a.server, round(a.From))}
	for _, q := range rec.Requests {
		// One that is under way when the server comes back may have reached it then.
		inside := a.Contains(q.Sent) && a.Contains(q.Sent+q.Latency)
		if inside && q.Outcome == reports.Answered && q.Server == a.server {
			m.took = q.Sent - a.From
		}
	}
	return m
}

// returnsWithin demands that a real server that comes back into the file answers requests in time.
// A stall enters twice: by itself, and by a check that fails for it and its next turn.
func (d reloadDrill) returnsWithin(limit time.Duration) Bound {
	return d.served("returns", "A real server that is in the file again answers requests within %s "+
		"of the reload.", limit, 2,
		func(rec *reports.Recording, w reports.Window) []measured {
			var all []measured
			for _, a := range d.absences(rec) {
				if !a.over {
					continue
				}
				// One that never came, but still had time, says nothing.
				if m := firstAnswer(rec, a, w.To); !m.never || m.took > limit {
					all = append(all, m)
				}
			}
			return all
		})
}

// firstAnswer measures how long after its absence a real server got the first request that it
// answered, up to a time.
func firstAnswer(rec *reports.Recording, a absence, to time.Duration) measured {
	m := measured{took: to - a.To, never: true,
		detail: fmt.Sprintf("%s, which came back at %s", a.server, round(a.To))}
	answers := answersOf(rec, a.server, reports.Window{From: a.To, To: to})
	if len(answers) > 0 {
		m.took, m.never = answers[0]-a.To, false
	}
	return m
}

// staysWithin demands that a real server answers requests again and again from when it came back, or
// from the begin, until a valid file leaves it out. A file that is not valid would show as a gap as
// long as the interval of the reloads.
func (d reloadDrill) staysWithin(limit time.Duration) Bound {
	return d.served("stays", "A real server that no valid file leaves out answers a request every %s "+
		"at least, whatever the others say.", limit, 2,
		func(rec *reports.Recording, w reports.Window) []measured {
			var all []measured
			for _, s := range d.topology.Services[0].RealServers {
				all = append(all, d.silences(rec, s.Node, w)...)
			}
			return all
		})
}

// silences measures the longest silence of a real server before, between and after its absences.
func (d reloadDrill) silences(rec *reports.Recording, server string, w reports.Window) []measured {
	var all []measured
	from, returned := w.From, false
	for _, a := range d.absences(rec) {
		if a.server == server {
			all = append(all, silence(rec, server, reports.Window{From: from, To: a.From}, returned))
			from, returned = a.To, true
		}
	}
	return append(all, silence(rec, server, reports.Window{From: from, To: w.To}, returned))
}

// silence measures the longest time in a window that a real server answered nothing, by the times
// of sending; one that returned begins with its first answer.
func silence(rec *reports.Recording, server string, w reports.Window, returned bool) measured {
	answers := answersOf(rec, server, w)
	if returned {
		if len(answers) == 0 {
			return measured{} // that it did not return is judged by another bound
		}
		w.From = answers[0]
	}
	var longest reports.Window
	last := w.From
	for _, at := range append(answers, w.To) {
		if at-last > longest.Length() {
			longest = reports.Window{From: last, To: at}
		}
		last = at
	}
	return measured{took: longest.Length(), detail: fmt.Sprintf("%s, from %s to %s", server,
		round(longest.From), round(longest.To))}
}

// answersOf are the times of sending of the requests of a window that a real server answered.
func answersOf(rec *reports.Recording, server string, w reports.Window) []time.Duration {
	var at []time.Duration
	for _, q := range rec.Requests {
		if w.Contains(q.Sent) && q.Outcome == reports.Answered && q.Server == server {
			at = append(at, q.Sent)
		}
	}
	return at
}
