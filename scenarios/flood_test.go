package scenarios

import (
	"testing"

	"github.com/tandemlb/tandem/reports"
)

func TestRefusesAtLeast(t *testing.T) {
	note := func(node, detail string) reports.Event {
		return reports.Event{Kind: reports.Note, Node: node, Subject: refusedNote, Detail: detail}
	}
	three := refusals{"bad checksum": 60, "too short": 39, "bad ttl": 1}.String()
	if want := "100 in all: 1 bad ttl, 39 too short, 60 bad checksum"; three != want {
		t.Errorf("three reasons: %q, want %q", three, want)
	}
	for _, tt := range []struct {
		name           string
		event          reports.Event
		least, reasons int
		want           reports.Verdict
	}{
		{"enough", note("lb1", three), 100, 3, reports.Pass},
		{"too few", note("lb1", three), 101, 3, reports.Fail},
		{"too few reasons", note("lb1", three), 100, 4, reports.Fail},
		{"none", note("lb1", refusals{}.String()), 1, 1, reports.Fail},
		{"another director", note("lb2", three), 100, 3, reports.Inconclusive},
		{"no status", note("lb1", noStatus), 100, 3, reports.Inconclusive},
	} {
		rec := story(func(r *reports.Recording) { at(r, tt.event) })
		if got := refusesAtLeast("lb1", tt.least, tt.reasons).Judge(rec, 0); got.Verdict != tt.want {
			t.Errorf("%s: %s (%s), want %s", tt.name, got.Verdict, got.Detail, tt.want)
		}
	}
}
