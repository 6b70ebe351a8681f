package reports

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestWriteHTMLIsSmallAndDeterministic(t *testing.T) {
	dense := passed()
	dense.Recording.Requests = killed(story{"tandemd", 3500 * ms, 40 * ms, 2 * ms}).Requests
	ragged := passed()
	ragged.Recording.Requests = nil
	for i := range 10000 {
		r := Request{Sent: time.Duration(i) * 2 * ms, Client: fmt.Sprintf("client%d", i%2+1),
			Outcome: Answered, Server: "web1"}
		if i/2%2 == 0 {
			r.Outcome, r.Server = Timeout, ""
		}
		ragged.Recording.Requests = append(ragged.Recording.Requests, r)
	}
	sparse := passed()
	sparse.Recording.Requests = nil
	for i := range 4000 {
		r := Request{Sent: time.Duration(i) * 5 * ms, Client: "client1", Outcome: Answered,
			Server: "web1"}
		if i%4 == 0 {
			r.Outcome, r.Server = Timeout, ""
		}
		sparse.Recording.Requests = append(sparse.Recording.Requests, r)
	}
	for name, r := range map[string]Report{"usual": passed(), "dense": dense, "ragged": ragged,
		"sparse": sparse, "soak": soakReport()} {
		t.Run(name, func(t *testing.T) {
			var first, second bytes.Buffer
			for _, b := range []*bytes.Buffer{&first, &second} {
				if err := WriteHTML(b, []Report{r}); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Error("two pages of one report differ")
			}
			t.Logf("%d bytes", first.Len())
			most := 300_000
			if name == "soak" {
				most = 700_000
			}
			if first.Len() > most {
				t.Errorf("%d bytes, want at most %d", first.Len(), most)
			}
		})
	}
}

func TestWriteHTMLOfNothing(t *testing.T) {
	for name, reports := range map[string][]Report{"no reports": nil,
		"an empty report": {{}}, "no requests": {New(Recording{Length: time.Second}, nil, nil)}} {
		var b strings.Builder
		if err := WriteHTML(&b, reports); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(b.String(), "</html>") {
			t.Errorf("%s: the page has no end", name)
		}
	}
}

func TestTimelineGolden(t *testing.T) {
	rec := killed(story{"tandemd", 3500 * ms, 40 * ms, 100 * ms})
	golden(t, "timeline.svg", drawTimeline(&rec, "drill-1"))
}

func TestTimelineMarksConflicts(t *testing.T) {
	r := failed()
	svg := drawTimeline(&r.Recording, "x")
	for _, want := range []string{
		"lb1 and lb2 hold 192.168.1.1 at once from 8.608s to 12s, for 3.392s", `class="both"`,
		"client1: 180 of 180 requests lost", "longest outage 3.6s", "healed at 12s",
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("the timeline lacks %q", want)
		}
	}
}

// TestTimelineStateLabels: a state stands over a director's rows only while all its routers are in
// it.
func TestTimelineStateLabels(t *testing.T) {
	rec := &Recording{Length: time.Second, Nodes: []Node{{"lb1", "director"}}, Events: []Event{
		{0, State, "lb1", "master", "client: virtual router 51, priority 150"},
		{0, State, "lb1", "master", "server: virtual router 52, priority 150"},
	}}
	label := ">master</text>"
	if svg := drawTimeline(rec, "x"); strings.Count(svg, label) != 1 {
		t.Errorf("%d labels for two routers of one state, want 1", strings.Count(svg, label))
	}
	rec.Events[1].Subject = "silent"
	if svg := drawTimeline(rec, "x"); strings.Contains(svg, label) {
		t.Error("the lane is called master while one router is silent")
	}
}

func TestTickStep(t *testing.T) {
	for length, want := range map[time.Duration]time.Duration{
		0: time.Microsecond, 20 * time.Second: 2 * time.Second, time.Second: 100 * ms,
		13 * time.Second: 2 * time.Second, 2 * time.Minute: 15 * time.Second,
		time.Hour: 10 * time.Minute, 24 * time.Hour: 3 * time.Hour, 240 * time.Hour: 24 * time.Hour,
		1200 * time.Hour: 101 * time.Hour,
	} {
		if got := tickStep(length); got != want {
			t.Errorf("%s: %s, want %s", length, got, want)
		}
	}
}

func TestTickLabel(t *testing.T) {
	for _, tt := range []struct {
		at, length time.Duration
		want       string
	}{
		{300 * ms, time.Second, "0.3 s"},
		{4 * time.Second, 20 * time.Second, "4 s"},
		{90 * time.Second, 3 * time.Minute, "90 s"},
		{20 * time.Minute, time.Hour, "20 min"},
		{90 * time.Minute, 3 * time.Hour, "1:30 h"},
		{0, 24 * time.Hour, "0 h"},
		{21 * time.Hour, 24 * time.Hour, "21 h"},
	} {
		if got := tickLabel(tt.at, tickStep(tt.length), tt.length); got != tt.want {
			t.Errorf("%s of %s: %q, want %q", tt.at, tt.length, got, tt.want)
		}
	}
}

func TestSafeDiagram(t *testing.T) {
	tests := []struct{ name, svg, want string }{
		{"shapes stay", `<svg viewBox="0 0 1 1"><rect x="1"/><text>a&lt;b</text></svg>`,
			`<svg viewBox="0 0 1 1"><rect x="1"></rect><text>a&lt;b</text></svg>`},
		{"handlers go", `<svg onload="x()"><rect onclick="x()" x="1"/></svg>`,
			`<svg><rect x="1"></rect></svg>`},
		{"references go", `<svg><rect fill="url(http://e/x)" class="URL(x)"/></svg>`,
			`<svg><rect></rect></svg>`},
		{"foreign style goes", `<svg><style>@import "http://e/x"</style></svg>`,
			`<svg><style></style></svg>`},
		{"script", `<svg><script>x()</script></svg>`, ""},
		{"image", `<svg><image href="http://e/x"/></svg>`, ""},
		{"no drawing", `<p>hello</p>`, ""},
		{"two", `<svg></svg><svg></svg>`, ""},
		{"broken", `<svg><rect>`, ""},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := safeDiagram(tt.svg); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if safeDiagram(fig7Diagram) == "" {
		t.Error("a topology's drawing is refused")
	}
}
