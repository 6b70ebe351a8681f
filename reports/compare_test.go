package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// namedReport is a report of a scenario with one bound.
func namedReport(scenario string, v Verdict) Report {
	return New(Recording{Scenario: scenario, Director: "tandemd"},
		[]Finding{{Bound: "b", Verdict: v}}, nil)
}

func TestCompareMatchesByName(t *testing.T) {
	tests := []struct {
		name string
		a, b []Report
		want string
	}{
		{"nothing", nil, nil, ""},
		{"each in its own order", []Report{namedReport("x", Pass), namedReport("y", Fail)},
			[]Report{namedReport("y", Pass), namedReport("x", Inconclusive)}, "x worse, y better"},
		{"one is missing on each side", []Report{namedReport("x", Pass)},
			[]Report{namedReport("y", Pass)}, "x only in A, y only in B"},
		{"repeated", []Report{namedReport("x", Pass), namedReport("x", Fail), namedReport("x", Fail)},
			[]Report{namedReport("x", Pass), namedReport("x", Inconclusive)},
			"x same, x better, x only in A"},
		{"fail is the worst", []Report{namedReport("x", Inconclusive)},
			[]Report{namedReport("x", Fail)}, "x worse"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range Compare(Side{Reports: tt.a}, Side{Reports: tt.b}).Pairs {
				got = append(got, fmt.Sprintf("%s %s", p.Scenario, p.Change))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompareBounds(t *testing.T) {
	one := Report{Findings: []Finding{{Bound: "x", Verdict: Pass}, {Bound: "y", Verdict: Fail}}}
	other := Report{Findings: []Finding{{Bound: "z", Verdict: Fail}, {Bound: "x", Verdict: Fail}}}
	var got []string
	for _, b := range compareBounds(&one, &other) {
		got = append(got, fmt.Sprintf("%s %s", b.Bound, b.Change))
	}
	want := "x worse, y only in A, z only in B"
	if diff := cmp.Diff(want, strings.Join(got, ", ")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFigureNotable(t *testing.T) {
	tests := []struct {
		figure ComparedFigure
		want   bool
	}{
		{ComparedFigure{A: 1, B: 2, Delta: 1}, true},
		{ComparedFigure{A: 2, B: 2}, false},
		{ComparedFigure{A: int64(time.Second), B: int64(1100 * ms), Delta: int64(100 * ms), Time: true},
			true},
		{ComparedFigure{A: int64(time.Second), B: int64(960 * ms), Delta: int64(-40 * ms), Time: true},
			false},
		{ComparedFigure{A: 1000, B: 9000, Delta: 8000, Time: true}, false},
	}
	for _, tt := range tests {
		if got := tt.figure.Notable(); got != tt.want {
			t.Errorf("%+v: notable %t, want %t", tt.figure, got, tt.want)
		}
	}
}

// twoRuns is a comparison with a drill that got worse, one that is the same, and one of A alone.
func twoRuns() Comparison {
	other := passed()
	other.Recording.Scenario = "director-terminated"
	long := unjudged()
	long.Recording.Scenario = "a-drill-with-quite-a-long-name-" + strings.Repeat("x", 60)
	real := passed()
	real.Recording.Scenario = "director-terminated"
	real.Recording.Host.Clock = VirtualClock
	return Compare(Side{"runs/1", []Report{passed(), other, long}},
		Side{"runs/2", []Report{failed(), real}})
}

func TestWriteCompare(t *testing.T) {
	none := Compare(Side{Name: "runs/1"}, Side{Name: "runs/2"})
	hostile := failed()
	hostile.Recording.Scenario = "a|b\n<b>@you</b> [x](http://elsewhere.invalid) \x1b[2J"
	tests := []struct {
		name  string
		c     Comparison
		write func(io.Writer, Comparison) error
	}{
		{"compare.txt", twoRuns(), plainCompare},
		{"compare-none.txt", none, plainCompare},
		{"compare-hostile.txt", Compare(Side{"a", []Report{hostile}}, Side{"b", nil}), plainCompare},
		{"compare.md", twoRuns(), WriteCompareMarkdown},
		{"compare-none.md", none, WriteCompareMarkdown},
		{"compare-hostile.md", Compare(Side{"a", []Report{hostile}}, Side{"b", nil}),
			WriteCompareMarkdown},
		{"compare.json", twoRuns(), WriteCompareJSON},
		{"compare-none.json", none, WriteCompareJSON},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			if err := tt.write(&b, tt.c); err != nil {
				t.Fatal(err)
			}
			golden(t, tt.name, b.String())
			for line := range strings.Lines(b.String()) {
				n := utf8.RuneCountInString(line) - 1
				if strings.HasSuffix(tt.name, ".txt") && n > 80 {
					t.Errorf("%d columns: %s", n, line)
				}
			}
			if strings.HasSuffix(tt.name, ".json") && !json.Valid([]byte(b.String())) {
				t.Error("no JSON")
			}
			if err := tt.write(broken{}, tt.c); !errors.Is(err, errBroken) {
				t.Errorf("error %v, want the writer's", err)
			}
		})
	}
}

func plainCompare(w io.Writer, c Comparison) error { return WriteCompareText(w, c, 80, false) }

func TestWriteCompareHTML(t *testing.T) {
	var first, second bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &second} {
		if err := WriteCompareHTML(b, twoRuns()); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two pages of one comparison differ")
	}
	t.Logf("%d bytes", first.Len())
	if err := WriteCompareHTML(broken{}, twoRuns()); !errors.Is(err, errBroken) {
		t.Errorf("error %v, want the writer's", err)
	}
}

// TestTimelinesOfOneScale: the same moment stands at the same place in both timelines of a drill.
func TestTimelinesOfOneScale(t *testing.T) {
	rec := passed().Recording
	alone := drawTimeline(&rec, "x")
	wide := drawTimelineOver(&rec, "x", 2*rec.Length)
	if alone == wide {
		t.Error("a longer axis changes nothing")
	}
	if again := drawTimelineOver(&rec, "x", rec.Length/2); again != alone {
		t.Error("a shorter axis cuts the recording")
	}
	if !strings.Contains(wide, "40 s") {
		t.Error("the axis does not reach to 40 s")
	}
}

func TestWriteMarkdown(t *testing.T) {
	hostile := failed()
	hostile.Findings[1].Detail = "| <script> @you `x` *y* [z](http://elsewhere.invalid)\nnext"
	hostile.Recording.Command = "tandem drill run x --target @master </pre>"
	for name, reports := range map[string][]Report{
		"report.md":         {passed()},
		"report-several.md": {passed(), failed(), unjudged(), simulated(), brokenOffReport()},
		"report-hostile.md": {hostile},
		"report-none.md":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := WriteMarkdown(&b, reports); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.String())
			for _, foreign := range []string{"<script", "@you", "@master", "http://", "\nnext"} {
				if strings.Contains(b.String(), foreign) {
					t.Errorf("%q came in", foreign)
				}
			}
		})
	}
}
