package reports

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// open is a stream that went on until it was closed, brokeOff one of which a request got no answer.
func open(from, to time.Duration) Stream {
	return Stream{Opened: from, Closed: to, Outcome: Answered}
}

func brokeOff(from, at time.Duration) Stream {
	return Stream{Opened: from, Broken: at, Outcome: Refused}
}

// TestSurvivals is about a moment 10 s in, of which the consequences count up to 20 s.
func TestSurvivals(t *testing.T) {
	const s = time.Second
	// What is expected are the streams held and lost that were open for less than 1 s, up to 3 s, and
	// longer.
	tests := []struct {
		name    string
		streams []Stream
		want    string
	}{
		{"none", nil, "0/0 0/0 0/0"},
		{"of every age", []Stream{open(10*s, 30*s), open(9*s+1, 30*s), open(9*s, 30*s),
			open(7*s+1, 30*s), open(7*s, 30*s), open(0, 30*s)}, "2/0 2/0 2/0"},
		{"opened later", []Stream{open(10*s+1, 30*s), brokeOff(11*s, 12*s)}, "0/0 0/0 0/0"},
		{"closed before", []Stream{open(0, 10*s)}, "0/0 0/0 0/0"},
		{"closed by plan soon after", []Stream{open(0, 10*s+1)}, "0/0 0/0 1/0"},
		{"broken by it", []Stream{brokeOff(9*s+1, 11*s), brokeOff(8*s, 10*s), brokeOff(0, 19*s)},
			"1/1 1/1 1/1"},
		{"broken in flight", []Stream{brokeOff(0, 10*s-200*ms)}, "0/0 0/0 1/1"},
		{"broken before", []Stream{brokeOff(0, 9*s)}, "0/0 0/0 0/0"},
		{"broken by what comes after", []Stream{brokeOff(0, 20*s)}, "0/0 0/0 1/0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := &Recording{Streams: tt.streams}
			got := ""
			for i, one := range Survivals(rec, Window{From: 10 * s, To: 20 * s}, s, 3*s) {
				got += fmt.Sprintf("%s%d/%d", map[bool]string{true: " "}[i > 0], one.Held, one.Lost)
				if (one.First != nil) != (one.Lost > 0) {
					t.Errorf("First of %d lost: got %v", one.Lost, one.First)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestSurvivalAges(t *testing.T) {
	got := Survivals(&Recording{}, Window{}, time.Second, 3*time.Second)
	want := []Survival{{To: time.Second}, {From: time.Second, To: 3 * time.Second},
		{From: 3 * time.Second}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestTaken(t *testing.T) {
	rec := &Recording{Events: []Event{{At: 1, Kind: VIPAdd}, {At: 3, Kind: VIPRemove},
		{At: 5, Kind: VIPAdd}, {At: 6, Kind: VIPAdd}}}
	if at, ok := Taken(rec, Window{From: 2, To: 9}); !ok || at != 5 {
		t.Errorf("got %d, %t, want 5", at, ok)
	}
	if at, ok := Taken(rec, Window{From: 2, To: 5}); ok {
		t.Errorf("got %d, want nothing", at)
	}
}
