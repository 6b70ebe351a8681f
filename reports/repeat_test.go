package reports

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSpreadOf(t *testing.T) {
	upTo := func(n int) []int64 {
		var values []int64
		for i := range n {
			values = append(values, int64((i*7)%n+1)) // in no order
		}
		return values
	}
	for _, tt := range []struct {
		name   string
		values []int64
		want   Spread
	}{
		{"none", nil, Spread{}},
		{"one", []int64{5}, Spread{Count: 1, Median: 5, P95: 5, Max: 5, Low: 5, High: 5}},
		{"two", []int64{7, 4}, Spread{Count: 2, Median: 5, P95: 7, Max: 7, Low: 4, High: 7,
			Confidence: 0.5}},
		// 1 - 2^(1-n)
		{"five", upTo(5), Spread{Count: 5, Median: 3, P95: 5, Max: 5, Low: 1, High: 5,
			Confidence: 0.9375}},
		{"six", upTo(6), Spread{Count: 6, Median: 3, P95: 6, Max: 6, Low: 1, High: 6,
			Confidence: 0.96875}},
		// 1 - 2 (1 + 10) / 1024
		{"ten", upTo(10), Spread{Count: 10, Median: 5, P95: 10, Max: 10, Low: 2, High: 9,
			Confidence: 0.978515625}},
		// Fewer than 40 of 100 tosses: 0.01760.
		{"a hundred", upTo(100), Spread{Count: 100, Median: 50, P95: 95, Max: 100, Low: 40, High: 61,
			Confidence: 0.9648}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-4 })
			if diff := cmp.Diff(tt.want, SpreadOf("", "", tt.values), near); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSpreadCovers: of many samples of a lopsided distribution, as many intervals have the true
// median in them as they say, within four standard errors.
func TestSpreadCovers(t *testing.T) {
	const samples, size = 4000, 15
	random := rand.New(rand.NewPCG(1, 2))
	in, said := 0, 0.0
	for range samples {
		values := make([]int64, size)
		for i := range values {
			values[i] = int64(1e9 * random.ExpFloat64())
		}
		s := SpreadOf("", UnitTime, values)
		if median := math.Ln2 * 1e9; float64(s.Low) <= median && median <= float64(s.High) {
			in++
		}
		said = s.Confidence
	}
	share := float64(in) / samples
	if off := math.Abs(share - said); said < 0.95 || off > 4*math.Sqrt(said*(1-said)/samples) {
		t.Errorf("%.4f of the intervals have the median, they say %.4f", share, said)
	}
}

func TestRepeats(t *testing.T) {
	const s = time.Second
	run := func(name string, verdict Verdict, takeover time.Duration) Report {
		rec := Recording{Scenario: name, Director: "d", Length: 20 * s,
			VIPs: []VIP{{Name: "outer", Addr: outer}},
			Events: []Event{
				{At: s, Kind: VIPAdd, Node: "lb1", Subject: outer.String()},
				{At: 5 * s, Kind: FaultInject, Node: "lb1", Subject: "f"},
				{At: 5*s + takeover, Kind: VIPAdd, Node: "lb2", Subject: outer.String()},
				{At: 6*s + takeover, Kind: VIPRemove, Node: "lb1", Subject: outer.String()},
				{At: 15 * s, Kind: FaultHeal, Node: "lb1", Subject: "f"},
			}}
		for at := 2 * s; at < 20*s; at += s / 10 {
			q := Request{Sent: at, Outcome: Answered, Latency: s / 1000}
			if at >= 5*s && at < 5*s+takeover {
				q.Outcome = Timeout
			}
			rec.Requests = append(rec.Requests, q)
		}
		return Report{Verdict: verdict, Recording: rec}
	}
	all := []Report{run("twice", Pass, 3*s), run("once", Pass, s), run("twice", Fail, 4*s)}
	got := Repeats(all)
	if len(got) != 1 || got[0].Runs != 2 || got[0].Pass != 1 || got[0].Fail != 1 {
		t.Fatalf("repeats %+v", got)
	}
	var text bytes.Buffer
	if err := WriteRepeats(&text, got); err != nil {
		t.Fatal(err)
	}
	want := `
twice with d: 2 runs: 1 passed, 1 failed
                                MEDIAN         P95         MAX   MEDIAN IS WITHIN
  outage of a fault               3.5s          4s          4s   3s to 4s (50.0 %)
  outage of a heal                  0s          0s          0s   0s
  takeover                        3.5s          4s          4s   3s to 4s (50.0 %)
  two owners                        1s          1s          1s   1s
  requests lost                     35          40          40   30 to 40 (50.0 %)
  latency, 95 % of a run           1ms         1ms         1ms   1ms
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	all[2].Recording.Events = all[2].Recording.Events[:1] // a run without its fault
	for _, s := range Repeats(all)[0].Spreads {
		if s.Name == "takeover" || s.Count != 2 {
			t.Errorf("%s is told of %d runs", s.Name, s.Count)
		}
	}
}
