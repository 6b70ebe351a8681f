package scenarios

import (
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/reports"
)

// TestTolerances judges a run of 70 s in which client1 sends a request each 100 ms and loses those
// from 10 s to 13 s. A second client, who loses everything, is nobody's concern.
func TestTolerances(t *testing.T) {
	const s = time.Second
	steps := func(r *reports.Recording) {
		r.Events = append(r.Events, reports.Event{Kind: reports.StepBegin, Subject: Steady{}.String()},
			reports.Event{At: s, Kind: reports.StepBegin, Subject: "go"})
		for i := range 70 {
			r.Requests = append(r.Requests, reports.Request{Sent: time.Duration(i) * s,
				Client: "client2", Outcome: reports.Timeout})
		}
	}
	tests := []struct {
		name     string
		bound    Bound
		change   func(*reports.Recording)
		slack    time.Duration
		want     reports.Verdict
		observed string
		detail   string
	}{
		{"an outage at its limit", ClientOutageWithin("client1", 3*s), steps, 0, reports.Pass, "3s", ""},
		{"one beyond", ClientOutageWithin("client1", 3*s-1), steps, 0, reports.Fail, "3s",
			"client1 got no answer from 10s to 13s, 30 requests"},
		{"that a stall explains", ClientOutageWithin("client1", s), steps, 2 * s, reports.Pass, "3s", ""},
		{"one before the steady state", ClientOutageWithin("client1", 3*s),
			func(r *reports.Recording) {
				steps(r)
				lose(r, 0, 900*time.Millisecond)
				r.Events[len(r.Events)-1].At = 14 * s
			}, 0, reports.Pass, "0s", ""},
		{"never steady", ClientOutageWithin("client1", 3*s), func(r *reports.Recording) {
			without(r, func(ev reports.Event) bool { return ev.Kind == reports.StepBegin })
		}, 0, reports.Inconclusive, "nothing", ""},
		{"a client that is silent", ClientOutageWithin("client3", 3*s), steps, 0,
			reports.Inconclusive, "no request", "client3 sent nothing"},
		{"good after the heal", ClientFailBackWithin("client1", s), steps, 0, reports.Pass, "0s", ""},
		{"not so", ClientFailBackWithin("client1", s), func(r *reports.Recording) {
			steps(r)
			lose(r, 61*s, 63*s)
		}, 0, reports.Fail, "2s", "from 1m1s to 1m3s"},
		{"an outage before the last heal", ClientFailBackWithin("client1", s),
			func(r *reports.Recording) {
				steps(r)
				lose(r, 41*s, 44*s)
			}, 0, reports.Pass, "0s", ""},
		{"loses what it may", ClientLosesAtMost("client1", 30), steps, 0, reports.Pass, "30 of 690", ""},
		{"loses more", ClientLosesAtMost("client1", 29), steps, 0, reports.Fail, "30 of 690",
			"30 timed out"},
		{"more by a stall", ClientLosesAtMost("client1", 20), steps, s, reports.Pass, "30 of 690", ""},
		{"a share", ClientLosesShare("client1", 4.4), steps, 0, reports.Pass, "30 of 690", ""},
		{"more than that", ClientLosesShare("client1", 4.3), steps, 0, reports.Fail, "30 of 690", ""},
		{"quick", ClientLatencyWithin("client1", 50*time.Millisecond), slow(steps, 20), 0,
			reports.Pass, "5ms", ""},
		{"slow", ClientLatencyWithin("client1", 50*time.Millisecond), slow(steps, 100), 0,
			reports.Fail, "200ms", "half of them took 5ms, the longest 200ms"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.bound.Judge(byTime(sorted(tale(tt.change))), tt.slack)
			if f.Verdict != tt.want || f.Observed != tt.observed ||
				!strings.Contains(f.Detail, tt.detail) {
				t.Errorf("%s, observed %q (detail: %q); want %s, %q, %q", f.Verdict, f.Observed, f.Detail,
					tt.want, tt.observed, tt.detail)
			}
		})
	}
}

// slow makes the last so many answers take 200 ms and the others 5 ms.
func slow(first func(*reports.Recording), last int) func(*reports.Recording) {
	return func(r *reports.Recording) {
		for i := range r.Requests {
			r.Requests[i].Latency = 5 * time.Millisecond
			if i >= len(r.Requests)-last {
				r.Requests[i].Latency = 200 * time.Millisecond
			}
		}
		first(r)
	}
}
