package reports

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// flowing is a recording with pings of two classes, and some that are lost from 5 s to 6 s.
func flowing() Recording {
	rec := Recording{Length: 10 * time.Second, Nodes: []Node{{"client1", "client"}}}
	for at := time.Duration(0); at < rec.Length; at += 100 * ms {
		lost := at >= 5*time.Second && at < 6*time.Second
		for _, flow := range []Flow{FlowHeld, FlowUDP} {
			p := Ping{Sent: at, Client: "client2", Flow: flow, Outcome: Answered}
			if lost && (flow == FlowUDP || at == 5*time.Second) {
				p.Outcome, p.Broke = Timeout, flow == FlowHeld
			}
			rec.Pings = append(rec.Pings, p)
		}
		rec.Requests = append(rec.Requests, Request{Sent: at, Client: "client1", Outcome: Answered})
	}
	SortPings(rec.Pings)
	return rec
}

func TestFlowLosses(t *testing.T) {
	streams := []Stream{open(0, 9*time.Second), brokeOff(0, 5500*ms)}
	tests := []struct {
		name    string
		streams []Stream
		window  Window
		want    string
	}{
		{"all of it", nil, Window{To: 10 * time.Second}, "new TCP 0/100 0s 0 of 0, " +
			"established TCP 1/100 100ms 1 of 0, UDP 10/100 1s 0 of 0"},
		{"after it", nil, Window{From: 7 * time.Second, To: 8 * time.Second}, "new TCP 0/10 0s 0 of 0, " +
			"established TCP 0/10 0s 0 of 0, UDP 0/10 0s 0 of 0"},
		{"with streams", streams, Window{From: 5 * time.Second, To: 8 * time.Second},
			"new TCP 0/30 0s 0 of 0, established TCP 1/30 100ms 2 of 2, UDP 10/30 1s 0 of 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := flowing()
			rec.Streams = tt.streams
			var got []string
			for _, l := range FlowLosses(&rec, tt.window) {
				got = append(got, fmt.Sprintf("%s %d/%d %s %d of %d", l.Flow, l.Lost, l.Sent,
					shown(l.Outage.Length()), l.Broken, l.Held))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if got := FlowLosses(&Recording{}, Window{}); got != nil {
		t.Errorf("of nothing: %+v, want nothing", got)
	}
}

func TestFlowsAreDrawn(t *testing.T) {
	rec := flowing()
	svg := drawTimeline(&rec, "x")
	for _, want := range []string{">established<", ">UDP<",
		"client2: 10 of 10 requests lost, 5s to 6s"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the timeline lacks %q", want)
		}
	}
	if strings.Contains(svg, ">ICMP<") {
		t.Error("it has a lane for what was not measured")
	}
}
