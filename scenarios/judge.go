package scenarios

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// stallTolerance is how late the machine may be before a bound on time can no longer be judged: below
// it the Allowance covers the delay.
const stallTolerance = 100 * time.Millisecond

// stallFactor is how many times a stall can enter a failover: it can delay noticing, taking over and
// answering.
const stallFactor = 3

// logTail is how many lines of each node's log go into a report that is not a pass.
const logTail = 30

// recordingOf begins the recording of a run.
func recordingOf(s Scenario, d Director, o Options, started time.Time) reports.Recording {
	rec := reports.Recording{
		Scenario: s.Name, Doc: s.Doc, Director: d.Name, Seed: o.Seed, Started: started.UTC(),
		Command: o.Command, Noise: o.Noise, Diagram: topology.SVG(s.Topology), VIPs: vipsOf(s.Topology),
	}
	if len(s.Topology.VIPs) > 0 {
		rec.VRRP = reports.VRRP{Version: s.Topology.VRRP.Version, Advert: s.Topology.VRRP.Advert}
	}
	for _, n := range s.Topology.Nodes {
		rec.Nodes = append(rec.Nodes, reports.Node{Name: n.Name, Role: n.Role.String()})
	}
	return rec
}

// describeHost says where this process runs.
func describeHost() reports.Host {
	var u unix.Utsname
	_ = unix.Uname(&u) // it fails on a bad pointer only
	release, _, _ := bytes.Cut(u.Release[:], []byte{0})
	clock := reports.RealClock
	if lab.VirtualClock() {
		clock = reports.VirtualClock
	}
	return reports.Host{Kernel: string(release), Guest: kernel.InGuest(), CPUs: runtime.NumCPU(),
		Clock: clock}
}

// observe starts the probes that watch without traffic of their own.
func (r *run) observe(ctx, tasks context.Context) error {
	t := r.scenario.Topology
	directors := r.lab.NodesOf(topology.Director)
	if len(t.Services) > 0 {
		every := tablePoll
		if r.scenario.Long {
			every = longTablePoll
		}
		r.tables = probe.NewTables(directors, every, r.sink)
		if err := r.start(ctx, tasks, r.tables); err != nil {
			return err
		}
	}
	if len(t.VIPs) == 0 {
		return nil
	}
	r.adverts = probe.NewAdverts(r.lab, r.sink)
	for _, w := range []task{
		probe.NewWatcher(directors, vipAddrs(t), r.sink),
		r.adverts,
		probe.NewClaims(r.lab, r.sink),
		probe.NewSwitch(r.lab, r.sink),
	} {
		if err := r.start(ctx, tasks, w); err != nil {
			return err
		}
	}
	return nil
}

// judge completes the recording and judges it. problem says why the run was broken off; nil: it was
// not. A run that was broken off fails no bound but a closed one: what was missing may only not have
// come yet.
func (r *run) judge(problem error) reports.Report {
	rec := r.recording
	rec.Events, rec.Requests = r.recorder.Events(), r.recorder.Requests()
	rec.Calls, rec.Streams, rec.Pings = r.recorder.Calls(), r.streams, r.pings
	reports.SortPings(rec.Pings)
	predict(r.scenario.Topology, &rec)
	findings := Judge(r.scenario, &rec)
	if problem != nil {
		findings = append(withoutUnfinished(r.scenario, &rec, findings),
			reports.BrokenOff(problem.Error()))
	}
	if reports.Judge(findings) != reports.Pass {
		rec.Logs = map[string][]string{}
		for _, n := range r.lab.Nodes() {
			if lines := n.Tail(logTail); len(lines) > 0 {
				rec.Logs[n.Name()] = lines
			}
		}
	}
	return reports.New(rec, findings, measures(&rec))
}

// BrokenOff returns the inconclusive report of a run of which nothing is left but why: the kernel that
// carried it has ended.
func BrokenOff(s Scenario, d Director, o Options, problem error) reports.Report {
	rec := recordingOf(s, d, o, time.Time{})
	return reports.New(rec, []reports.Finding{reports.BrokenOff(problem.Error())}, nil)
}

// Judge judges a recording, fresh or stored, by the bounds of its scenario and by the invariants that
// apply to it. The limits of timing bounds are wider by the noise floor of the control run, if one was
// made, but by no more than maxNoise. A timing bound that fails is inconclusive where the machine
// stalled and the bound would have held with a limit wider by what stalls can explain, or where the
// noise floor is above maxNoise and it would have held with a limit wider by all of it.
func Judge(s Scenario, rec *reports.Recording) []reports.Finding {
	bounds := boundsOf(s, rec)
	findings := make([]reports.Finding, 0, len(bounds)+1)
	for _, b := range bounds {
		f := b.Judge(rec, floorFor(b, rec))
		f.Bound, f.Doc = b.Name, b.Doc
		if b.Timing && f.Verdict == reports.Fail {
			if why := excuse(b, rec); why != "" {
				f.Verdict = reports.Inconclusive
				f.Detail = strings.TrimPrefix(f.Detail+"; "+why, "; ")
			}
		}
		findings = append(findings, f)
	}
	if f, ok := controlled(rec); ok {
		findings = append(findings, f)
	}
	return findings
}

// maxNoise is the most that a control run widens a limit by. A machine that disturbs a run in which
// nothing is broken by more is no place to judge times on.
const maxNoise = Allowance

// floorFor is what a bound's limit is wider by for noise.
func floorFor(b Bound, rec *reports.Recording) time.Duration {
	if !b.Timing {
		return 0
	}
	return min(rec.Noise.Floor(), maxNoise)
}

// excuse says what of the machine explains that a bound on time failed; "": nothing does.
func excuse(b Bound, rec *reports.Recording) string {
	late, floor := Stall(rec), rec.Noise.Floor()
	if late > stallTolerance &&
		b.Judge(rec, floorFor(b, rec)+stallFactor*late).Verdict != reports.Fail {
		return fmt.Sprintf("the machine stalled for %s", round(late))
	}
	if floor > maxNoise && b.Judge(rec, floor).Verdict != reports.Fail {
		return fmt.Sprintf("with nothing broken this machine costs %s", round(floor))
	}
	return ""
}

// Stall returns the longest time by which the machine was late to send a planned request.
func Stall(rec *reports.Recording) time.Duration {
	var longest time.Duration
	for _, q := range rec.Requests {
		longest = max(longest, q.Late)
	}
	return longest
}

// measures are the figures that the report shows beside the bounds.
func measures(rec *reports.Recording) []reports.Measure {
	var all []reports.Measure
	add := func(name, value, doc string) {
		all = append(all, reports.Measure{Name: name, Value: value, Doc: doc})
	}
	windows := []reports.Window{}
	if faults := reports.Faults(rec); len(faults) > 1 {
		all = measureFaults(rec, faults)
	} else if w, ok := during(rec); ok {
		windows = append(windows, w)
	}
	if w, ok := after(rec); ok && len(windows) > 0 {
		windows = append(windows, w)
	}
	for _, w := range windows {
		c := reports.Count(rec, w)
		add("outage, "+w.Name, round(reports.Outage(rec, w).Length()),
			"longest gap of unanswered requests of one client, by time of sending")
		add("requests lost, "+w.Name, fmt.Sprintf("%d of %d", c.Lost(), c.Sent),
			fmt.Sprintf("not answered within %s", probe.DefaultLimit))
		for _, v := range rec.VIPs {
			add("both hold "+v.Name+", "+w.Name, round(reports.Both(rec, v.Addr, w)),
				"time in which more than one director's kernel held the VIP")
			add("nobody holds "+v.Name+", "+w.Name, round(reports.Neither(rec, v.Addr, w)),
				"time in which no director's kernel held the VIP")
		}
	}
	l := reports.Latencies(rec, reports.Whole(rec))
	if l.Count > 0 {
		add("latency", fmt.Sprintf("p50 %s, p95 %s, max %s", round(l.P50), round(l.P95), round(l.Max)),
			"from connect to the end of the answer")
	}
	all = append(all, measureStreams(rec)...)
	all = append(all, measureFlows(rec, windows)...)
	all = append(all, measureTakeovers(rec)...)
	add("longest stall", round(Stall(rec)), "how late the machine was to send a planned request")
	return all
}
