package reports

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ownersByDefinition looks for the holders of each tenure anew.
func ownersByDefinition(rec *Recording, vip netip.Addr) []Tenure {
	spans := Spans(rec, vip)
	cuts := []time.Duration{0, rec.Length}
	for _, s := range spans {
		cuts = append(cuts, s.From, s.To)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var tenures []Tenure
	for i := 1; i < len(cuts); i++ {
		t := Tenure{From: cuts[i-1], To: cuts[i]}
		for _, s := range spans {
			if s.From <= t.From && t.To <= s.To {
				t.Nodes = append(t.Nodes, s.Node)
			}
		}
		slices.Sort(t.Nodes)
		if n := len(tenures); n > 0 && slices.Equal(tenures[n-1].Nodes, t.Nodes) {
			tenures[n-1].To = t.To
			continue
		}
		tenures = append(tenures, t)
	}
	return tenures
}

func TestOwnersByDefinition(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for range 500 {
		rec := &Recording{Length: time.Duration(random.IntN(60)) * ms}
		at := time.Duration(0)
		for range random.IntN(30) {
			at += time.Duration(random.IntN(4)) * ms
			kind := []Kind{VIPAdd, VIPRemove}[random.IntN(2)]
			rec.Events = append(rec.Events, Event{at, kind, fmt.Sprintf("lb%d", random.IntN(3)),
				outer.String(), ""})
		}
		if diff := cmp.Diff(ownersByDefinition(rec, outer), Owners(rec, outer)); diff != "" {
			t.Fatalf("of %v (-want +got):\n%s", rec.Events, diff)
		}
	}
}

// TestCover: of a span a bin has what lies in it, and all bins together have all of it.
func TestCover(t *testing.T) {
	tl := &timeline{rec: &Recording{}, span: 1076 / 4, left: chartLeft}
	tests := []struct {
		from, to time.Duration
		want     map[int]float64
	}{
		{0, 1, map[int]float64{0: 1}},
		{3, 6, map[int]float64{3: 1, 4: 1, 5: 1}},
		{268, 269, map[int]float64{268: 1}},
		{268, 1000, map[int]float64{268: 1}},
		{5, 5, nil},
	}
	for _, tt := range tests {
		parts := make([]float64, tl.binCount())
		tl.cover(parts, tt.from, tt.to)
		for i, got := range parts {
			if diff := got - tt.want[i]; diff > 1e-9 || diff < -1e-9 {
				t.Errorf("[%d, %d): bin %d has %g, want %g", tt.from, tt.to, i, got, tt.want[i])
			}
		}
	}
}

func TestStepsOutline(t *testing.T) {
	tl := &timeline{left: 100}
	got := tl.steps([]float64{0, 0, 0.5}, []float64{1, 1, 0.5}, 4, 10, 20)
	if want := "M100 30H100V10H108V20H112H112V20H108V30z"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// label is a text of a drawing and where it stands.
type label struct {
	text        string
	left, right float64
	y           float64
}

// labelsOf returns the texts of a drawing.
func labelsOf(t *testing.T, svg string) []label {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	var labels []label
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return labels
		}
		if err != nil {
			t.Fatal(err)
		}
		start, ok := tok.(xml.StartElement)
		if !ok || start.Name.Local != "text" {
			continue
		}
		at := map[string]string{}
		for _, a := range start.Attr {
			at[a.Name.Local] = a.Value
		}
		var text string
		if err := d.DecodeElement(&text, &start); err != nil {
			t.Fatal(err)
		}
		x, _ := strconv.ParseFloat(at["x"], 64)
		y, _ := strconv.ParseFloat(at["y"], 64)
		width := float64(len([]rune(text))) * letterWidth
		switch at["text-anchor"] {
		case "middle":
			x -= width / 2
		case "end":
			x -= width
		}
		labels = append(labels, label{text, x, x + width, y})
	}
}

// TestTimelineLabelsDoNotOverlap: whatever a run has, what is written can be read.
func TestTimelineLabelsDoNotOverlap(t *testing.T) {
	few, soak := killed(story{"tandemd", 3500 * ms, 40 * ms, 100 * ms}), soaked(42)
	flapping := soaked(1)
	flapping.Length = 6 * time.Hour
	for name, rec := range map[string]*Recording{"few": &few, "soak": &soak, "cut": &flapping} {
		labels := labelsOf(t, drawTimeline(rec, "x"))
		if len(labels) < 20 {
			t.Errorf("%s: %d labels, want at least 20", name, len(labels))
		}
		for i, a := range labels {
			if a.left < 0 || a.right > chartWidth+1 {
				t.Errorf("%s: %q from %.0f to %.0f is cut off", name, a.text, a.left, a.right)
			}
			for _, b := range labels[i+1:] {
				if a.y == b.y && a.left < b.right && b.left < a.right {
					t.Errorf("%s: %q and %q overlap at %.0f, %.0f", name, a.text, b.text, b.left, b.y)
				}
			}
		}
	}
}

func TestTimelineOfSoak(t *testing.T) {
	rec := soaked(42)
	svg := drawTimeline(&rec, "x")
	for _, want := range []string{
		">3 h</text>", ">process-stopped</text>", ">45 times</text>", ">no owner</text>",
		">≤ 17ms</text>", "longest outage 4s", "process-killed lb1 all of the daemon: injected at",
		"lb1: master", "VIP outer: lb1 ", "client1: 4 requests lost in 1 outage, the longest 4s",
		"VIP outer: two owners once, the longest 17ms", `class="served profile"`,
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("the timeline lacks %q", want)
		}
	}
	for _, lack := range []string{`class="inject"`, `class="step `, "lostmark", "bothmark"} {
		if n := strings.Count(svg, lack); n > 0 {
			t.Errorf("the timeline has %d of %s", n, lack)
		}
	}
}

// TestTimelineFaultKinds: as many kinds have lanes as there is room for.
func TestTimelineFaultKinds(t *testing.T) {
	rec := &Recording{Length: time.Minute}
	for i := range 30 {
		rec.Events = append(rec.Events, Event{time.Duration(i) * time.Second, FaultInject, "lb1",
			fmt.Sprintf("kind-%d", i%15), ""})
	}
	svg := drawTimeline(rec, "x")
	for want, n := range map[string]int{">2 times</text>": 12, ">others</text>": 1,
		">6 times</text>": 1} {
		if got := strings.Count(svg, want); got != n {
			t.Errorf("%q stands %d times, want %d", want, got, n)
		}
	}
}

// TestTimelineJoinsNotes: notes that would lie on each other become one mark that counts them.
func TestTimelineJoinsNotes(t *testing.T) {
	rec := &Recording{Length: time.Hour}
	for i := range 500 {
		rec.Events = append(rec.Events, Event{time.Duration(i) * time.Second, Note, "lb1", "hello", ""})
	}
	svg := drawTimeline(rec, "x")
	if n := strings.Count(svg, `class="note"`); n < 5 || n > 20 {
		t.Errorf("%d marks for 500 notes in a seventh of the axis, want 5 to 20", n)
	}
	if want := "41 notes to 40s, the first: 0s lb1: hello"; !strings.Contains(svg, want) {
		t.Errorf("the timeline lacks %q", want)
	}
}

func TestSoakPage(t *testing.T) {
	var b strings.Builder
	if err := WriteHTML(&b, []Report{soakReport()}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Fault by fault", "<td>process-killed lb1</td>",
		"<details class=\"fold\"><summary>Step by step: ",
		"<summary>What happened, in order: 2000 events", "more events stand in history.ndjson",
		"longest time of two owners", "all healed"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
