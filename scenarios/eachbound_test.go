package scenarios

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/reports"
)

// tale is a recording of three faults, 20 s each, healed after 10 s: of the master at 10 s, of the
// backup at 30 s and of a real server at 50 s, with a request each 100 ms until 70 s. It is a good
// one.
func tale(change func(*reports.Recording)) *reports.Recording {
	const s = time.Second
	rec := &reports.Recording{
		Length: 70 * s,
		Nodes: []reports.Node{{Name: "lb1", Role: "director"}, {Name: "lb2", Role: "director"},
			{Name: "web1", Role: "real-server"}, {Name: "web2", Role: "real-server"},
			{Name: "web3", Role: "real-server"}},
		VIPs: []reports.VIP{{Name: "outer", Addr: outer}},
		Events: []reports.Event{
			{At: 0, Kind: reports.VIPAdd, Node: "lb1", Subject: outer.String()},
			{At: 13 * s, Kind: reports.VIPRemove, Node: "lb1", Subject: outer.String()},
			{At: 13 * s, Kind: reports.VIPAdd, Node: "lb2", Subject: outer.String()},
			{At: 23 * s, Kind: reports.VIPRemove, Node: "lb2", Subject: outer.String()},
			{At: 23 * s, Kind: reports.VIPAdd, Node: "lb1", Subject: outer.String()},
			{At: 70*s - 1, Kind: reports.StepBegin, Subject: Finish{}.String()},
		},
	}
	for i, f := range []struct{ node, fault string }{
		{"lb1", "director-killed"}, {"lb2", "director-frozen"}, {"web2", "server-stopped"},
	} {
		at := time.Duration(10+20*i) * s
		rec.Events = append(rec.Events,
			reports.Event{At: at, Kind: reports.FaultInject, Node: f.node, Subject: f.fault},
			reports.Event{At: at + 10*s - 1, Kind: reports.StepBegin, Subject: HealAll{}.String()},
			reports.Event{At: at + 10*s, Kind: reports.FaultHeal, Node: f.node, Subject: f.fault})
	}
	for i := range 700 {
		rec.Requests = append(rec.Requests, reports.Request{Sent: time.Duration(i) * s / 10,
			Client: "client1", Outcome: reports.Answered, Server: fmt.Sprintf("web%d", 1+i%3)})
	}
	lose(rec, 10*s, 13*s)
	change(rec)
	return rec
}

// without removes the events that match.
func without(rec *reports.Recording, match func(reports.Event) bool) {
	var left []reports.Event
	for _, ev := range rec.Events {
		if !match(ev) {
			left = append(left, ev)
		}
	}
	rec.Events = left
}

func TestEachBound(t *testing.T) {
	const s = time.Second
	a := allowance{preset("fig7"), s / 10}
	good := func(*reports.Recording) {}
	flap := func(at time.Duration) func(*reports.Recording) {
		return func(r *reports.Recording) {
			move(r, outer, at, at)
			r.Events = append(r.Events,
				reports.Event{At: at + s, Kind: reports.VIPRemove, Node: "lb2", Subject: outer.String()},
				reports.Event{At: at + s, Kind: reports.VIPAdd, Node: "lb1", Subject: outer.String()})
		}
	}
	tests := []struct {
		name     string
		bound    Bound
		change   func(*reports.Recording)
		want     reports.Verdict
		observed string
		detail   string
	}{
		{"a good run", eachOutageWithin(a), good, reports.Pass, "3s", ""},
		{"a takeover that takes too long", eachOutageWithin(a),
			func(r *reports.Recording) { lose(r, 10*s, 14*s+300*time.Millisecond) }, reports.Fail,
			"4.3s", "director-killed lb1 at 10s"},
		{"an outage of a master's length for the backup's sake", eachOutageWithin(a),
			func(r *reports.Recording) { lose(r, 33*s, 34*s) }, reports.Fail, "1s",
			"director-frozen lb2 at 30s"},
		{"an outage in the calm is none of the fault", eachOutageWithin(a),
			func(r *reports.Recording) { lose(r, 25*s, 30*s) }, reports.Pass, "3s", ""},
		{"nobody asked", eachOutageWithin(a), func(r *reports.Recording) { r.Requests = nil },
			reports.Inconclusive, "nothing", "no client sent"},
		{"no fault", eachOutageWithin(a),
			func(r *reports.Recording) { r.Events = r.Events[:1] }, reports.Inconclusive, "nothing", ""},
		{"a fail-back in time", eachFailBackWithin(a),
			func(r *reports.Recording) { lose(r, 23*s, 24*s) }, reports.Pass, "1s", ""},
		{"one that is not", eachFailBackWithin(a), func(r *reports.Recording) { lose(r, 20*s, 25*s) },
			reports.Fail, "5s", "director-killed lb1"},
		{"the last calm counts as well", eachFailBackWithin(a),
			func(r *reports.Recording) { lose(r, 65*s, 67*s) }, reports.Fail, "2s", "server-stopped"},
		{"but not where the run was broken off in it", eachFailBackWithin(a),
			func(r *reports.Recording) {
				lose(r, 65*s, 67*s)
				without(r, func(ev reports.Event) bool { return ev.Subject == Finish{}.String() })
			}, reports.Pass, "0s", ""},
		{"one owner", eachOneOwner(a), good, reports.Pass, "3s", ""},
		{"both for too long", eachOneOwner(a), func(r *reports.Recording) {
			without(r, func(ev reports.Event) bool { return ev.At == 13*s && ev.Node == "lb1" })
			r.Events = append(r.Events, reports.Event{At: 17 * s, Kind: reports.VIPRemove, Node: "lb1",
				Subject: outer.String()})
		}, reports.Fail, "7s", "director-killed lb1"},
		{"a VIP that a fault of the backup moves", eachOneOwner(a), flap(33 * s), reports.Fail, "4s",
			"director-frozen lb2"},
		{"a VIP that a fault of a real server moves", eachOneOwner(a), flap(53 * s), reports.Fail, "4s",
			"server-stopped web2"},
		{"a fault that never ends", eachOneOwner(a), func(r *reports.Recording) {
			without(r, func(ev reports.Event) bool { return ev.At >= 60*s-1 })
			flap(53 * s)(r)
		}, reports.Pass, "3s", ""},
		{"a fault healed because the run was broken off", eachOneOwner(a), func(r *reports.Recording) {
			without(r, func(ev reports.Event) bool { return ev.At == 60*s-1 })
			flap(53 * s)(r)
		}, reports.Pass, "3s", ""},
		{"together again", eachBackTogether(a), good, reports.Pass, "3s", ""},
		{"a VIP that moves long after the heal", eachBackTogether(a), flap(27 * s), reports.Fail, "8s",
			"director-killed lb1"},
		{"nobody at the end", eachBackTogether(a), func(r *reports.Recording) {
			r.Events = append(r.Events, reports.Event{At: 69 * s, Kind: reports.VIPRemove, Node: "lb1",
				Subject: outer.String()})
		}, reports.Fail, "never", "outer on nobody"},
		{"nothing lost to a dead server", eachOutOfService(a), good, reports.Pass, "0s", ""},
		{"lost until the check sees it", eachOutOfService(a),
			func(r *reports.Recording) { lose(r, 50*s, 54*s) }, reports.Pass, "3.9s", ""},
		{"lost for too long", eachOutOfService(a), func(r *reports.Recording) { lose(r, 58*s, 59*s) },
			reports.Fail, "8.9s", "server-stopped web2"},
		{"too short a fault", eachOutOfService(a), func(r *reports.Recording) {
			without(r, func(ev reports.Event) bool { return ev.At == 60*s || ev.At == 60*s-1 })
			r.Events = append(r.Events,
				reports.Event{At: 51*s - 1, Kind: reports.StepBegin, Subject: "heal"},
				reports.Event{At: 51 * s, Kind: reports.FaultHeal, Node: "web2", Subject: "server-stopped"})
		}, reports.Inconclusive, "nothing", "did not last"},
		{"no real server went down", eachOutOfService(a), func(r *reports.Recording) {
			without(r, func(ev reports.Event) bool { return ev.Node == "web2" })
		}, reports.Pass, "no such fault", ""},
		{"all answer again", eachBackInService(a), good, reports.Pass, "200ms", ""},
		{"one that answers late", eachBackInService(a), func(r *reports.Recording) {
			mute(r, "web2", 60*s, 65*s)
		}, reports.Fail, "5.2s", "web2"},
		{"one that never answers again", eachBackInService(a), func(r *reports.Recording) {
			mute(r, "web2", 60*s, 70*s)
		}, reports.Fail, "never", "web2 answered nothing"},
		{"everything came", everythingCame(), good, reports.Pass, "everything", ""},
		{"one thing did not", everythingCame(), func(r *reports.Recording) {
			r.Events = append(r.Events, reports.Event{At: 30 * s, Kind: reports.Note,
				Subject: FullTable{}.String() + notCome + "8s"})
		}, reports.Fail, "1 things did not come", "at 30s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.bound.Judge(sorted(tale(tt.change)), 0)
			if f.Verdict != tt.want || f.Observed != tt.observed ||
				!strings.Contains(f.Detail, tt.detail) {
				t.Errorf("%s, observed %q (detail: %q); want %s, %q, %q", f.Verdict, f.Observed, f.Detail,
					tt.want, tt.observed, tt.detail)
			}
		})
	}
}

// sorted puts events in order of time, as a recording has them.
func sorted(rec *reports.Recording) *reports.Recording {
	slices.SortStableFunc(rec.Events, func(a, b reports.Event) int { return cmp.Compare(a.At, b.At) })
	return rec
}

// mute gives the turns of a real server to another one.
func mute(rec *reports.Recording, server string, from, to time.Duration) {
	for i, q := range rec.Requests {
		if q.Server == server && from <= q.Sent && q.Sent < to {
			rec.Requests[i].Server = "web1"
		}
	}
}

func TestEachBoundGrantsSlack(t *testing.T) {
	a := allowance{preset("fig7"), time.Second / 10}
	rec := sorted(tale(func(r *reports.Recording) { lose(r, 33*time.Second, 34*time.Second) }))
	if f := eachOutageWithin(a).Judge(rec, time.Second); f.Verdict != reports.Pass {
		t.Errorf("with a second of slack: %s (%s), want pass", f.Verdict, f.Detail)
	}
}

// TestStallExplainsWhatDidNotCome: a wait in vain says nothing where the machine stalled; that a real
// server never answers again fails all the same.
func TestStallExplainsWhatDidNotCome(t *testing.T) {
	late := func(stall time.Duration) *reports.Recording {
		return sorted(tale(func(r *reports.Recording) {
			r.Requests[3].Late = stall
			r.Events = append(r.Events, reports.Event{At: 30 * time.Second, Kind: reports.Note,
				Subject: FullTable{}.String() + notCome + "8s"})
			mute(r, "web2", 60*time.Second, 70*time.Second)
		}))
	}
	s := Scenario{Bounds: []Bound{everythingCame(), eachBackInService(allowance{preset("fig7"),
		time.Second / 10})}}
	for stall, want := range map[time.Duration]reports.Verdict{
		0: reports.Fail, time.Second: reports.Inconclusive,
	} {
		got := Judge(s, late(stall))
		if got[0].Verdict != want {
			t.Errorf("a stall of %s and a wait in vain: %s, want %s", stall, got[0].Verdict, want)
		}
		if got[1].Verdict != reports.Fail {
			t.Errorf("a stall of %s and a server that never comes: %s, want fail", stall, got[1].Verdict)
		}
	}
}

func TestStagesOfTale(t *testing.T) {
	v := newView(sorted(tale(func(*reports.Recording) {})))
	var got []string
	for _, s := range v.stages {
		got = append(got, fmt.Sprintf("%s part %d, after %s to %s, whole %v", s.fault.Label(), s.whom,
			s.after.From, s.after.To, s.whole))
	}
	want := []string{
		"director-killed lb1 part 1, after 20s to 30s, whole true",
		"director-frozen lb2 part 2, after 40s to 50s, whole true",
		"server-stopped web2 part 3, after 1m0s to 1m10s, whole true",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
}

// TestLimitsAreThoseOfTheSingleDrills: several faults one after another cost no more than each
// alone.
func TestLimitsAreThoseOfTheSingleDrills(t *testing.T) {
	top := preset("fig7")
	a := allowance{top, 0}
	for _, h := range hits(top) {
		if h.whom == partMaster && a.limits(h.kind, h.whom) != masterLimits(top, h.kind) {
			t.Errorf("%s on %s: %+v, alone %+v", h.kind, h.target, a.limits(h.kind, h.whom),
				masterLimits(top, h.kind))
		}
	}
}

// overlapping is a recording of two faults that hold at once: of the master from 10 s to 30 s, and of
// a real server from 12 s to 25 s. Each is healed by a schedule.
func overlapping(change func(*reports.Recording)) *reports.Recording {
	const s = time.Second
	return sorted(tale(func(r *reports.Recording) {
		without(r, func(ev reports.Event) bool {
			return ev.Kind != reports.VIPAdd && ev.Kind != reports.VIPRemove || ev.At == 23*s
		})
		fault := func(from, to time.Duration, name, node string) {
			r.Events = append(r.Events,
				reports.Event{At: from, Kind: reports.FaultInject, Node: node, Subject: name},
				reports.Event{At: to, Kind: reports.StepBegin, Subject: healing + name + " on " + node},
				reports.Event{At: to, Kind: reports.FaultHeal, Node: node, Subject: name})
		}
		fault(10*s, 30*s, "director-killed", "lb1")
		fault(12*s, 25*s, "server-stopped", "web2")
		r.Events = append(r.Events, reports.Event{At: 70*s - 1, Kind: reports.StepBegin,
			Subject: Finish{}.String()})
		change(r)
	}))
}

// returns moves the VIP back to the first director.
func returns(rec *reports.Recording, at time.Duration) {
	rec.Events = append(rec.Events,
		reports.Event{At: at, Kind: reports.VIPRemove, Node: "lb2", Subject: outer.String()},
		reports.Event{At: at, Kind: reports.VIPAdd, Node: "lb1", Subject: outer.String()})
}

// healAt moves the heal of a fault.
func healAt(rec *reports.Recording, fault string, at time.Duration) {
	for i, ev := range rec.Events {
		if ev.Subject == fault && ev.Kind == reports.FaultHeal ||
			strings.HasPrefix(ev.Subject, healing+fault) {
			rec.Events[i].At = at
		}
	}
}

// TestFaultsAtOnce: they are one stage, which may cost what they do together.
func TestFaultsAtOnce(t *testing.T) {
	const s = time.Second
	a := allowance{preset("fig7"), s / 10}
	good := func(*reports.Recording) {}
	stages := newView(overlapping(good)).stages
	if len(stages) != 1 || stages[0].fault.From != 10*s || stages[0].fault.To != 30*s ||
		stages[0].spread != 2*s || !stages[0].whole || stages[0].only(partServer) {
		t.Errorf("%+v, want one stage from 10s to 30s with a spread of 2s", stages)
	}
	alone := a.limits(faults.DirectorKilled, partMaster).outage
	tests := []struct {
		name   string
		bound  Bound
		change func(*reports.Recording)
		want   reports.Verdict
	}{
		{"more than one alone may cost", eachOutageWithin(a),
			func(r *reports.Recording) { lose(r, 10*s, 10*s+alone+s) }, reports.Pass},
		{"more than both", eachOutageWithin(a),
			func(r *reports.Recording) { lose(r, 10*s, 10*s+3*alone+4*s) }, reports.Fail},
		{"a real server alone is out of service", eachOutOfService(a),
			func(r *reports.Recording) { lose(r, 10*s, 30*s) }, reports.Pass},
		{"VIPs that move back when the director is healed", eachOneOwner(a),
			func(r *reports.Recording) {
				returns(r, 23*s)
				healAt(r, "director-killed", 22*s)
			}, reports.Pass},
		{"VIPs that move before", eachOneOwner(a),
			func(r *reports.Recording) { returns(r, 23*s) }, reports.Fail},
		{"a heal by nobody's step", eachOutageWithin(a), func(r *reports.Recording) {
			without(r, func(ev reports.Event) bool { return strings.HasPrefix(ev.Subject, healing+"s") })
		}, reports.Inconclusive},
	}
	for _, tt := range tests {
		if f := tt.bound.Judge(overlapping(tt.change), 0); f.Verdict != tt.want {
			t.Errorf("%s: %s, observed %s of %s (%s), want %s", tt.name, f.Verdict, f.Observed, f.Limit,
				f.Detail, tt.want)
		}
	}
}

// byTime puts requests in order of sending, as a recording has them.
func byTime(rec *reports.Recording) *reports.Recording {
	slices.SortStableFunc(rec.Requests,
		func(a, b reports.Request) int { return cmp.Compare(a.Sent, b.Sent) })
	return rec
}
