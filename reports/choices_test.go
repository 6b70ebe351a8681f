package reports

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// scheduled is a run of four calls: two as predicted, one elsewhere, and one refused.
func scheduled() Report {
	rec := Recording{Scenario: "scheduler-rr", Doc: "In turn.", Director: "tandemd",
		Length: time.Second, Nodes: []Node{{"client1", "client"}, {"web1", "real-server"},
			{"web2", "real-server"}}}
	for i, c := range []struct{ server, predicted string }{
		{"web1", "web1"}, {"web2", "web2"}, {"web2", "web1"}, {"", "web2"},
	} {
		outcome := Answered
		if c.server == "" {
			outcome = Refused
		}
		rec.Calls = append(rec.Calls, Call{ID: i + 1, Client: "client1",
			From:   netip.AddrPortFrom(netip.MustParseAddr("192.168.1.100"), uint16(20000+i)),
			Opened: time.Duration(i) * time.Millisecond, Outcome: outcome,
			Server: c.server, Predicted: c.predicted})
	}
	return New(rec, []Finding{{Bound: "predicted", Verdict: Fail, Observed: "2 of 4", Limit: "all"}},
		nil)
}

func TestChoices(t *testing.T) {
	r := scheduled()
	got := choicesOf(&r.Recording, "drill-1")
	want := []choiceShare{
		{Server: "web1", Took: 1, Expected: "2", Percent: 25, Class: "d0"},
		{Server: "web2", Took: 2, Expected: "2", Percent: 50, Class: "d1"},
		{Server: "", Took: 1, Expected: "0", Percent: 25, Class: "d2"},
	}
	if diff := cmp.Diff(want, got.Shares); diff != "" {
		t.Errorf("shares (-want +got):\n%s", diff)
	}
	if got.AsPredicted != "2 of 4 as predicted" || got.Exact || got.Shown != 4 {
		t.Errorf("got %s, exact %v, %d shown", got.AsPredicted, got.Exact, got.Shown)
	}
	strip := string(got.Strip)
	for text, times := range map[string]int{
		`class="lost"`: 2, `class="nobody"`: 2, // what is wrong, and where it belongs
		"connection 3 from 192.168.1.100:20002: web2, predicted web1": 2,
		"connection 4 from 192.168.1.100:20003: none, predicted web2": 2,
	} {
		if n := strings.Count(strip, text); n != times {
			t.Errorf("%s: %d times, want %d, in\n%s", text, n, times, strip)
		}
	}
	if choicesOf(&Recording{}, "") != nil {
		t.Error("choices of a recording without calls")
	}
}

// TestChoicesOfTheFirstStep: shares are of the calls before the real servers change.
func TestChoicesOfTheFirstStep(t *testing.T) {
	r := scheduled()
	r.Recording.Events = []Event{{Kind: StepBegin}, {At: 2 * time.Millisecond, Kind: StepBegin}}
	got := choicesOf(&r.Recording, "drill-1")
	if got.Counted != 2 || got.Total != 4 || got.Shares[0].Took+got.Shares[1].Took != 2 {
		t.Errorf("%d of %d counted: %v", got.Counted, got.Total, got.Shares)
	}
}

// TestChoicesByLot: where there is no model, nothing was expected, and nothing is wrong.
func TestChoicesByLot(t *testing.T) {
	r := scheduled()
	for i := range r.Recording.Calls {
		r.Recording.Calls[i].Predicted = ""
	}
	got := choicesOf(&r.Recording, "drill-1")
	want := []choiceShare{
		{Server: "web1", Took: 1, Expected: "–", Percent: 25, Class: "d0"},
		{Server: "web2", Took: 2, Expected: "–", Percent: 50, Class: "d1"},
		{Server: "", Took: 1, Expected: "–", Percent: 25, Class: "d2"},
	}
	if diff := cmp.Diff(want, got.Shares); diff != "" {
		t.Errorf("shares (-want +got):\n%s", diff)
	}
	if got.AsPredicted != "drawn by lot" || !got.Exact ||
		strings.Contains(string(got.Strip), `class="lost"`) {
		t.Errorf("got %s, exact %v\n%s", got.AsPredicted, got.Exact, got.Strip)
	}
}

// TestPageShowsSchedulersSideBySide where there are several, and once each where there is one.
func TestPageShowsSchedulersSideBySide(t *testing.T) {
	for n, want := range []int{1: 0, 2: 1} {
		if n == 0 {
			continue
		}
		var b bytes.Buffer
		all := make([]Report, n)
		for i := range all {
			all[i] = scheduled()
		}
		if err := WriteHTML(&b, all); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(b.String(), "Schedulers side by side"); got != want {
			t.Errorf("%d reports: %d sections, want %d", n, got, want)
		}
		if got := strings.Count(b.String(), "Who got the first 4 connections"); got != n {
			t.Errorf("%d reports: %d strips", n, got)
		}
	}
}
