package reports

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// troubled is a recording of three faults, the second of which begins while the first lasts.
func troubled() *Recording {
	ev := func(at time.Duration, kind Kind, subject, node string) Event {
		return Event{at * ms, kind, node, subject, ""}
	}
	return &Recording{
		Length:   200 * ms,
		VIPs:     []VIP{{"outer", outer}},
		Requests: tape("aaattaaaaaattaaaataa", ""),
		Events: []Event{
			ev(0, VIPAdd, outer.String(), "lb1"),
			ev(20, FaultInject, "killed", "lb1"),
			ev(30, VIPRemove, outer.String(), "lb1"),
			ev(40, FaultInject, "slow", "web1"),
			ev(45, VIPAdd, outer.String(), "lb2"),
			ev(60, FaultHeal, "killed", "lb1"),
			ev(70, FaultHeal, "slow", "web1"),
			ev(100, FaultInject, "killed", "lb1"),
			ev(150, FaultHeal, "killed", "lb1"),
		},
	}
}

func TestAftermaths(t *testing.T) {
	rec := troubled()
	want := []Window{{"killed lb1", 20 * ms, 100 * ms}, {"slow web1", 40 * ms, 100 * ms},
		{"killed lb1", 100 * ms, 200 * ms}}
	if diff := cmp.Diff(want, aftermaths(rec, Faults(rec))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTolls(t *testing.T) {
	rec := troubled()
	faults := Faults(rec)
	want := []toll{
		{Name: "killed lb1", Times: 2, Lost: 5, Worst: Gap{"client1", 30 * ms, 50 * ms, 2, false},
			After: faults[0], Neither: 15 * ms},
		{Name: "slow web1", Times: 1, Lost: 1, Worst: Gap{"client1", 40 * ms, 50 * ms, 1, false},
			After: faults[1], Neither: 5 * ms},
	}
	if diff := cmp.Diff(want, tolls(rec)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTollText(t *testing.T) {
	calm := troubled()
	calm.Requests = tape(strings.Repeat("a", 20), "")
	calm.Events = calm.Events[:len(calm.Events)-1]
	single := killed(story{"tandemd", 3500 * ms, 40 * ms, time.Second})
	for name, tt := range map[string]struct {
		rec  *Recording
		want string
	}{
		"one fault": {&single, ""},
		"several": {troubled(), "3 faults, all healed; the worst was killed lb1 at 20ms: an outage of " +
			"20ms; 5 requests lost in all."},
		"nothing lost": {calm, "3 faults, 2 healed; no request was lost after any of them."},
	} {
		if diff := cmp.Diff(tt.want, tollText(tt.rec)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
