package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

func TestReloadFiles(t *testing.T) {
	top := preset("fig7")
	files := reloadFiles(top, 50)
	count := map[Change]int{}
	for i, f := range files {
		count[f.Change]++
		if (f.Server == "") != (f.Change == Unchanged) {
			t.Errorf("file %d: %s is about %q", i, f.Change, f.Server)
		}
		if f.Change.Valid() || i == 0 {
			continue
		}
		if before := files[i-1]; before.Change == LessServer && before.Server == f.Server {
			t.Errorf("file %d: %s would not show, the real server is out already", i, f)
		}
	}
	want := map[Change]int{Unchanged: 15, LessServer: 10, OtherWeight: 5,
		Typo: 8, Unclosed: 6, HalfWritten: 6}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if last := files[len(files)-1]; len(files) != 50 || last.Change != Unchanged {
		t.Errorf("%d files, the last one: %s; want 50, unchanged", len(files), last)
	}
}

func TestReloadConfig(t *testing.T) {
	top := preset("fig7")
	lb1 := *top.NodesOf(topology.Director)[0]
	original := Config(top, lb1)
	const web3 = "real_server 192.168.2.13 80"
	tests := []struct {
		file Reload
		// has and lacks are words of the file; open is how many blocks it leaves open.
		has, lacks string
		open       int
	}{
		{Reload{Change: Unchanged}, web3, "", 0},
		{Reload{LessServer, "web3"}, "real_server 192.168.2.12 80", web3, 0},
		{Reload{OtherWeight, "web3"}, web3 + " {\n        weight 2\n", "", 0},
		{Reload{Typo, "web3"}, "advert_int l1\n", web3, 0},
		{Reload{Unclosed, "web3"}, "        inner\n    }\nvrrp_instance", web3, 1},
		{Reload{HalfWritten, "web3"}, "real_server 192.168.2.11 80", web3, 4},
	}
	for _, tt := range tests {
		t.Run(tt.file.String(), func(t *testing.T) {
			text := tt.file.config(top, lb1)
			if (text == original) != (tt.file.Change == Unchanged) {
				t.Error("only the unchanged file is the director's own")
			}
			if !strings.Contains(text, tt.has) || tt.lacks != "" && strings.Contains(text, tt.lacks) {
				t.Errorf("want %q and no %q in\n%s", tt.has, tt.lacks, text)
			}
			if open := strings.Count(text, "{") - strings.Count(text, "}"); open != tt.open {
				t.Errorf("%d blocks are left open, want %d in\n%s", open, tt.open, text)
			}
		})
	}
	if diff := cmp.Diff(original, Config(top, lb1)); diff != "" {
		t.Errorf("the topology was changed (-want +got):\n%s", diff)
	}
	if got := Change(0).String(); got != "Change(0)" {
		t.Errorf("the unset change is %q", got)
	}
}

const (
	reloadBegin = 2 * time.Second
	reloadEvery = 553 * time.Millisecond
)

// reloadAt is when a file of the synthetic recording is loaded.
func reloadAt(i int) time.Duration { return reloadBegin + time.Duration(i+1)*reloadEvery }

// gapEvent is the note of a virtual router's longest gap.
func gapEvent(router, adverts int, gap time.Duration) reports.Event {
	return reports.Event{At: 34 * time.Second, Kind: reports.Note, Subject: gapNote,
		Detail: fmt.Sprintf(gapForm, router, adverts, 4*time.Second, 4*time.Second+gap)}
}

// reloading is the recording of a drill that a perfect director carries out, in virtual time, as far
// as change leaves it. The real servers that its files name answer in turn.
func reloading(change func(*reports.Recording)) *reports.Recording {
	top := preset("fig7")
	files := reloadFiles(top, 50)
	rec := &reports.Recording{Length: 34 * time.Second, Host: reports.Host{Clock: reports.VirtualClock},
		VIPs: vipsOf(top), Events: []reports.Event{
			{At: time.Second, Kind: reports.VIPAdd, Node: "lb1", Subject: outer.String()},
			{At: reloadBegin, Kind: reports.StepBegin, Subject: Reloads{Files: files}.String()},
		}}
	for i, f := range files {
		rec.Events = append(rec.Events, reports.Event{At: reloadAt(i), Kind: reports.Note,
			Subject: reloadNote, Detail: f.String()})
	}
	rec.Events = append(rec.Events, gapEvent(51, 30, 1200*time.Millisecond),
		gapEvent(52, 30, time.Second))
	out, next := "", 0
	for at := time.Second; at < rec.Length; at += 10 * time.Millisecond {
		for next < len(files) && reloadAt(next) <= at {
			if f := files[next]; f.Change.Valid() {
				out = ""
				if f.Change == LessServer {
					out = f.Server
				}
			}
			next++
		}
		rec.Requests = append(rec.Requests, reports.Request{Sent: at, Client: "client1",
			Outcome: reports.Answered, Server: inTurn(out, len(rec.Requests))})
	}
	change(rec)
	return rec
}

// inTurn is who answers the nth request while one real server is out.
func inTurn(out string, n int) string {
	in := slices.DeleteFunc([]string{"web1", "web2", "web3"},
		func(s string) bool { return s == out })
	return in[n%len(in)]
}

// answer has one real server answer what another one did, of the requests sent in [from, to).
func answer(rec *reports.Recording, from, to time.Duration, was, is string) {
	for i, q := range rec.Requests {
		if from <= q.Sent && q.Sent < to && q.Server == was {
			rec.Requests[i].Server = is
		}
	}
}

// visit has a real server answer the first request that is sent at a time or later.
func visit(rec *reports.Recording, at time.Duration, server string) {
	i := slices.IndexFunc(rec.Requests, func(q reports.Request) bool { return q.Sent >= at })
	rec.Requests[i].Server = server
}

// note adds an event at a time.
func note(at time.Duration, kind reports.Kind, subject string) func(*reports.Recording) {
	return func(r *reports.Recording) {
		r.Events = append(r.Events, reports.Event{At: at, Kind: kind, Node: "lb1", Subject: subject})
	}
}

// regap replaces the notes of the gaps.
func regap(clock string, events ...reports.Event) func(*reports.Recording) {
	return func(r *reports.Recording) {
		r.Host.Clock = clock
		r.Events = append(r.Events[:len(r.Events)-2], events...)
	}
}

// losing loses the request sent at 10 s, with the machine late with one at a time.
func losing(how reports.Outcome, late, at time.Duration) func(*reports.Recording) {
	return func(r *reports.Recording) {
		for i, q := range r.Requests {
			if q.Sent == 10*time.Second {
				r.Requests[i].Outcome, r.Requests[i].Server = how, ""
			}
			if q.Sent == at {
				r.Requests[i].Late = late
			}
		}
	}
}

// reloadCase is a synthetic recording that reload bounds judge.
type reloadCase struct {
	name   string
	change func(*reports.Recording)
	// fails and unsure are the bounds that are broken and that are inconclusive.
	fails, unsure string
}

// quietCases are about what must not happen.
func quietCases() []reloadCase {
	const s, ms = time.Second, time.Millisecond
	return []reloadCase{
		{"perfect", func(*reports.Recording) {}, "", ""},
		{"a VIP goes", note(5*s, reports.VIPRemove, outer.String()), "transitions", ""},
		{"a master falls silent", note(5*s, reports.State, "silent"), "transitions", ""},
		{"before the first reload it may", note(s, reports.State, "master"), "", ""},
		{"a director ends", note(5*s, reports.Note, endedNote), "reloads", ""},
		{"a gap beyond the limit", regap(reports.VirtualClock, gapEvent(51, 30, 1200*ms+1),
			gapEvent(52, 30, s)), "advert gap", ""},
		{"a real clock's gap within it", regap(reports.RealClock, gapEvent(51, 30, s),
			gapEvent(52, 30, 1700*ms)), "", ""},
		{"a real clock's gap beyond it", regap(reports.RealClock, gapEvent(51, 30, s),
			gapEvent(52, 30, 1701*ms)), "advert gap", ""},
		{"one router not heard", regap(reports.VirtualClock, gapEvent(51, 30, s)), "", "advert gap"},
		{"one router silent all the time", regap(reports.VirtualClock, gapEvent(51, 30, s),
			gapEvent(52, 0, 30*s)), "advert gap", ""},
		{"a lost request", losing(reports.Timeout, 0, 0), "requests lost", ""},
		{"one near a stall", losing(reports.Timeout, 200*ms, 10*s+500*ms), "", "requests lost"},
		{"one near a small lateness, and a stall far away", func(r *reports.Recording) {
			losing(reports.Timeout, 30*ms, 10*s+500*ms)(r)
			r.Requests[0].Late = 200 * ms
		}, "", "requests lost"},
		{"one near a small lateness alone", losing(reports.Timeout, 30*ms, 10*s+50*ms),
			"requests lost", ""},
		{"one far from a stall", losing(reports.Timeout, 200*ms, 12*s), "requests lost", ""},
		{"one refused near a stall", losing(reports.Refused, 200*ms, 10*s+500*ms),
			"requests lost", ""},
		{"a transition and a short stall", func(r *reports.Recording) {
			note(5*s, reports.VIPRemove, outer.String())(r)
			r.Requests[0].Late = 900 * ms
		}, "transitions", ""},
		{"a transition and a long stall", func(r *reports.Recording) {
			note(5*s, reports.VIPRemove, outer.String())(r)
			r.Requests[0].Late = s
		}, "", "transitions"},
	}
}

// serverCases are about who answers the requests.
func serverCases() []reloadCase {
	const s, ms = time.Second, time.Millisecond
	return []reloadCase{
		{"a real server leaves in time", func(r *reports.Recording) {
			visit(r, reloadAt(0)+490*ms, "web1")
		}, "", ""},
		{"one leaves late", func(r *reports.Recording) {
			visit(r, reloadAt(0)+510*ms, "web1")
		}, "leaves", ""},
		{"one comes back with a file that is not valid", func(r *reports.Recording) {
			visit(r, reloadAt(1)+20*ms, "web1")
		}, "leaves", ""},
		{"one leaves with a file that is not valid", func(r *reports.Recording) {
			answer(r, reloadAt(3), reloadAt(4), "web2", "web3")
		}, "stays", ""},
		{"one answers a request that is under way when it comes back", func(r *reports.Recording) {
			visit(r, reloadAt(2)-10*ms, "web1")
			for i := range r.Requests {
				r.Requests[i].Latency = 11 * ms
			}
		}, "", ""},
		{"one comes back in time", func(r *reports.Recording) {
			answer(r, reloadAt(2), reloadAt(2)+2500*ms, "web1", "web3")
		}, "", ""},
		{"one comes back late", func(r *reports.Recording) {
			answer(r, reloadAt(2), reloadAt(2)+2550*ms, "web1", "web3")
		}, "returns", ""},
		{"one does not come back", func(r *reports.Recording) {
			answer(r, reloadAt(47), 34*s, "web1", "web3")
		}, "returns", ""},
		{"one does not come back and a long stall", func(r *reports.Recording) {
			answer(r, reloadAt(47), 34*s, "web1", "web3")
			r.Requests[0].Late = s
		}, "", "returns"},
		{"one has no time left to come back", func(r *reports.Recording) {
			r.Length = reloadAt(47) + 2500*ms
			answer(r, reloadAt(47), 34*s, "web1", "web3")
		}, "", ""},
		{"no client", func(r *reports.Recording) { r.Requests = nil },
			"", "requests lost leaves returns stays"},
		{"broken off", func(r *reports.Recording) {
			r.Events, r.Length = r.Events[:22], reloadAt(19)+100*ms
		}, "", "reloads advert gap"},
		{"never begun", func(r *reports.Recording) { r.Events = r.Events[:1] }, "",
			"reloads transitions advert gap requests lost leaves returns stays"},
	}
}

func TestReloadBounds(t *testing.T) {
	for _, tt := range append(quietCases(), serverCases()...) {
		t.Run(tt.name, func(t *testing.T) {
			var fails, unsure, details []string
			for _, f := range Judge(fig7Reloads(), reloading(tt.change)) {
				switch f.Verdict {
				case reports.Fail:
					fails = append(fails, f.Bound)
				case reports.Inconclusive:
					unsure = append(unsure, f.Bound)
				case reports.Pass:
					continue
				}
				details = append(details, fmt.Sprintf("%s: %s, limit %s: %s", f.Bound, f.Observed, f.Limit,
					f.Detail))
			}
			if got := strings.Join(fails, " "); got != tt.fails {
				t.Errorf("%q fail, want %q; %q", got, tt.fails, details)
			}
			if got := strings.Join(unsure, " "); got != tt.unsure {
				t.Errorf("%q are inconclusive, want %q; %q", got, tt.unsure, details)
			}
		})
	}
}
