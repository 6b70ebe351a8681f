package reports

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tape makes requests of two clients, one letter a request and client, 10 ms apart: a answered,
// t timeout, l late, r refused, f failed, a space none.
func tape(client1, client2 string) []Request {
	outcomes := map[byte]Outcome{'a': Answered, 't': Timeout, 'l': Late, 'r': Refused, 'f': Failed}
	var requests []Request
	for i := range max(len(client1), len(client2)) {
		for name, line := range map[string]string{"client1": client1, "client2": client2} {
			if i < len(line) && line[i] != ' ' {
				requests = append(requests, Request{Sent: time.Duration(i) * 10 * ms, Client: name,
					Outcome: outcomes[line[i]], Latency: time.Duration(i+1) * ms})
			}
		}
	}
	return requests
}

var gapTests = []struct {
	name             string
	client1, client2 string
	window           Window
	want             []Gap
	outage           Gap
}{
	{name: "none", client1: "aaaa", window: Window{To: 40 * ms}},
	{name: "no requests", window: Window{To: 40 * ms}},
	{
		name:    "from first lost to next answered, by sending",
		client1: "aattaaa",
		window:  Window{To: 70 * ms},
		want:    []Gap{{"client1", 20 * ms, 40 * ms, 2, false}},
		outage:  Gap{"client1", 20 * ms, 40 * ms, 2, false},
	},
	{
		name:    "late, refused and failed are not service",
		client1: "alrfa",
		window:  Window{To: 50 * ms},
		want:    []Gap{{"client1", 10 * ms, 40 * ms, 3, false}},
		outage:  Gap{"client1", 10 * ms, 40 * ms, 3, false},
	},
	{
		name:    "never answered again lasts to the window's end",
		client1: "att",
		window:  Window{To: 95 * ms},
		want:    []Gap{{"client1", 10 * ms, 95 * ms, 2, true}},
		outage:  Gap{"client1", 10 * ms, 95 * ms, 2, true},
	},
	{
		name:    "another client's answer shortens nothing",
		client1: "atttta",
		client2: "aataaa",
		window:  Window{To: 60 * ms},
		want: []Gap{{"client1", 10 * ms, 50 * ms, 4, false},
			{"client2", 20 * ms, 30 * ms, 1, false}},
		outage: Gap{"client1", 10 * ms, 50 * ms, 4, false},
	},
	{
		name:    "the window cuts on both sides",
		client1: "tttttta",
		window:  Window{From: 20 * ms, To: 50 * ms},
		want:    []Gap{{"client1", 20 * ms, 50 * ms, 3, true}},
		outage:  Gap{"client1", 20 * ms, 50 * ms, 3, true},
	},
	{
		name:    "the window's end is outside",
		client1: "aat",
		window:  Window{To: 20 * ms},
	},
	{
		name:    "of equal gaps the first",
		client1: "ataata",
		window:  Window{To: 60 * ms},
		want: []Gap{{"client1", 10 * ms, 20 * ms, 1, false},
			{"client1", 40 * ms, 50 * ms, 1, false}},
		outage: Gap{"client1", 10 * ms, 20 * ms, 1, false},
	},
}

func TestGaps(t *testing.T) {
	for _, tt := range gapTests {
		t.Run(tt.name, func(t *testing.T) {
			rec := &Recording{Requests: tape(tt.client1, tt.client2), Length: time.Second}
			if diff := cmp.Diff(tt.want, Gaps(rec, tt.window)); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.outage, Outage(rec, tt.window)); diff != "" {
				t.Errorf("outage (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOutages(t *testing.T) {
	rec := &Recording{Requests: tape("atta", "aaaa"), Length: time.Second}
	want := []Gap{{"client1", 10 * ms, 30 * ms, 2, false}, {Client: "client2"}}
	if diff := cmp.Diff(want, Outages(rec, Whole(rec))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCount(t *testing.T) {
	rec := &Recording{Requests: tape("aatlrf", "a"), Length: time.Second}
	want := Counts{Sent: 7, Answered: 3, Late: 1, Refused: 1, Timeout: 1, Failed: 1}
	got := Count(rec, Whole(rec))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Lost() != 4 {
		t.Errorf("lost %d, want 4", got.Lost())
	}
	if got := Count(rec, Window{From: 10 * ms, To: 20 * ms}); got.Sent != 1 {
		t.Errorf("sent in [10ms, 20ms) %d, want 1", got.Sent)
	}
}

func TestShares(t *testing.T) {
	rec := &Recording{
		Length: time.Second,
		Nodes:  []Node{{"web2", "real-server"}, {"web1", "real-server"}, {"lb1", "director"}},
		Requests: []Request{
			{Sent: 0, Outcome: Answered, Server: "web1"},
			{Sent: 1, Outcome: Answered, Server: "stranger"},
			{Sent: 2, Outcome: Late, Server: "web2"},
			{Sent: 3, Outcome: Answered, Server: "web1"},
		},
	}
	want := []Share{{"web2", 0}, {"web1", 2}, {"stranger", 1}}
	if diff := cmp.Diff(want, Shares(rec, Whole(rec))); diff != "" {
		t.Errorf("shares (-want +got):\n%s", diff)
	}
	turns := []string{"web1", "stranger", "web1"}
	if diff := cmp.Diff(turns, Turns(rec, Whole(rec))); diff != "" {
		t.Errorf("turns (-want +got):\n%s", diff)
	}
}

func TestLatencies(t *testing.T) {
	rec := &Recording{Length: time.Hour}
	if got := Latencies(rec, Whole(rec)); got != (Latency{}) {
		t.Errorf("of nothing: %v", got)
	}
	for i := range 200 { // 200 ms down to 1 ms, and a lost one that must not count
		rec.Requests = append(rec.Requests, Request{Sent: time.Duration(i),
			Outcome: Answered, Latency: time.Duration(200-i) * ms})
	}
	rec.Requests = append(rec.Requests, Request{Sent: 300, Outcome: Timeout, Latency: time.Minute})
	want := Latency{Count: 200, Min: ms, P50: 100 * ms, P95: 190 * ms, P99: 198 * ms, Max: 200 * ms}
	if diff := cmp.Diff(want, Latencies(rec, Whole(rec))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFaults(t *testing.T) {
	ev := func(at time.Duration, kind Kind, node, detail string) Event {
		return Event{at * ms, kind, node, "loss", detail}
	}
	rec := &Recording{Length: time.Second, Events: []Event{
		ev(10, FaultInject, "lb1", "eth0"),
		ev(20, FaultInject, "lb1", "eth1"),
		ev(30, FaultHeal, "lb1", "eth1"),
		ev(40, FaultHeal, "lb2", "eth0"), // healed what was never injected
		ev(50, FaultHeal, "lb1", "eth0, said otherwise"),
		ev(60, FaultInject, "lb2", "eth0"),
	}}
	want := []Fault{
		{"loss", "lb1", "eth0", Window{"loss lb1", 10 * ms, 50 * ms}, true, 0, 0},
		{"loss", "lb1", "eth1", Window{"loss lb1", 20 * ms, 30 * ms}, true, 0, 0},
		{"loss", "lb2", "eth0", Window{"loss lb2", 60 * ms, time.Second}, false, 0, 0},
	}
	if diff := cmp.Diff(want, Faults(rec)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSteps(t *testing.T) {
	rec := killed(story{"tandemd", 3500 * ms, 40 * ms, 100 * ms})
	want := []Window{{"steady state", 0, 5 * time.Second},
		{"kill the master", 5 * time.Second, 12 * time.Second},
		{"start it again", 12 * time.Second, 20 * time.Second}}
	if diff := cmp.Diff(want, Steps(&rec)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOwners(t *testing.T) {
	vip := outer.String()
	rec := &Recording{Length: 100 * ms, Events: []Event{
		{5 * ms, VIPAdd, "lb3", "192.168.2.1", ""}, // another VIP
		{10 * ms, VIPAdd, "lb1", vip, ""},
		{15 * ms, VIPAdd, "lb1", vip, ""}, // said twice
		{30 * ms, VIPAdd, "lb2", vip, ""},
		{40 * ms, VIPRemove, "lb1", vip, ""},
		{45 * ms, VIPRemove, "lb1", vip, ""}, // said twice
		{60 * ms, VIPRemove, "lb2", vip, ""},
		{65 * ms, VIPRemove, "lb4", vip, ""}, // held since before the recording
		{80 * ms, VIPAdd, "lb1", vip, ""},
	}}
	spans := []Span{{"lb4", 0, 65 * ms}, {"lb1", 10 * ms, 40 * ms}, {"lb2", 30 * ms, 60 * ms},
		{"lb1", 80 * ms, 100 * ms}}
	if diff := cmp.Diff(spans, Spans(rec, outer)); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	owners := []Tenure{
		{[]string{"lb4"}, 0, 10 * ms},
		{[]string{"lb1", "lb4"}, 10 * ms, 30 * ms},
		{[]string{"lb1", "lb2", "lb4"}, 30 * ms, 40 * ms},
		{[]string{"lb2", "lb4"}, 40 * ms, 60 * ms},
		{[]string{"lb4"}, 60 * ms, 65 * ms},
		{nil, 65 * ms, 80 * ms},
		{[]string{"lb1"}, 80 * ms, 100 * ms},
	}
	if diff := cmp.Diff(owners, Owners(rec, outer)); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	if got := Both(rec, outer, Window{From: 20 * ms, To: 55 * ms}); got != 35*ms {
		t.Errorf("both %s, want 35ms", got)
	}
	if got := Neither(rec, outer, Window{From: 70 * ms, To: time.Second}); got != 10*ms {
		t.Errorf("neither %s, want 10ms", got)
	}
}

func TestOwnersOfNothing(t *testing.T) {
	want := []Tenure{{nil, 0, 50 * ms}}
	if diff := cmp.Diff(want, Owners(&Recording{Length: 50 * ms}, outer)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Owners(&Recording{}, outer); got != nil {
		t.Errorf("of an empty recording: %v", got)
	}
}
