package reports

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Side is one of two runs that are compared.
type Side struct {
	// Name is what the run is called, usually its directory.
	Name    string   `json:"name"`
	Reports []Report `json:"-"`
}

// Change is how the second of two verdicts compares with the first.
type Change string

// The changes of a verdict: pass is better than inconclusive, and that better than fail.
const (
	Same   Change = "same"
	Better Change = "better"
	Worse  Change = "worse"
	// OnlyA and OnlyB: the other side has nothing to compare with.
	OnlyA Change = "only in A"
	OnlyB Change = "only in B"
)

// Comparison is two runs side by side, drill by drill.
type Comparison struct {
	A     Side           `json:"a"`
	B     Side           `json:"b"`
	Pairs []ComparedPair `json:"drills"`
	// Remarks are reasons to read figures with care.
	Remarks []string `json:"remarks,omitempty"`
}

// ComparedPair is one drill of both runs; of a drill that only one has, the other's report is nil.
type ComparedPair struct {
	Scenario string  `json:"scenario"`
	A        *Report `json:"-"`
	B        *Report `json:"-"`
	// DirectorA, VerdictA and so on are of the reports; empty: there is none.
	DirectorA string           `json:"director_a,omitempty"`
	DirectorB string           `json:"director_b,omitempty"`
	VerdictA  Verdict          `json:"verdict_a,omitempty"`
	VerdictB  Verdict          `json:"verdict_b,omitempty"`
	Change    Change           `json:"change"`
	Figures   []ComparedFigure `json:"figures"`
	Bounds    []ComparedBound  `json:"bounds"`
}

// ComparedFigure is one figure of a drill on both sides, less of which is better.
type ComparedFigure struct {
	Name string `json:"name"`
	// A, B and Delta are nanoseconds of times, else numbers; Delta is B - A.
	A     int64 `json:"a"`
	B     int64 `json:"b"`
	Delta int64 `json:"delta"`
	Time  bool  `json:"is_time"`
}

// ComparedBound is one bound of a drill on both sides; of one that only one side has judged, the
// other's finding is nil.
type ComparedBound struct {
	Bound  string   `json:"bound"`
	A      *Finding `json:"a,omitempty"`
	B      *Finding `json:"b,omitempty"`
	Change Change   `json:"change"`
}

// Worse is how many drills have a worse verdict in B than in A.
func (c Comparison) Worse() int { return c.count(Worse) }

func (c Comparison) count(change Change) int {
	n := 0
	for _, p := range c.Pairs {
		if p.Change == change {
			n++
		}
	}
	return n
}

// Compare puts two runs side by side. Drills are matched by their scenarios' names, and where a
// name occurs more than once by their order; they stand in A's order, and what only B has comes
// last.
func Compare(a, b Side) Comparison {
	c := Comparison{A: a, B: b, Remarks: remarks(a, b)}
	taken := make([]bool, len(b.Reports))
	for i := range a.Reports {
		first := &a.Reports[i]
		var second *Report
		for j := range b.Reports {
			if !taken[j] && b.Reports[j].Recording.Scenario == first.Recording.Scenario {
				taken[j], second = true, &b.Reports[j]
				break
			}
		}
		c.Pairs = append(c.Pairs, comparePair(first, second))
	}
	for j := range b.Reports {
		if !taken[j] {
			c.Pairs = append(c.Pairs, comparePair(nil, &b.Reports[j]))
		}
	}
	return c
}

// comparePair compares two reports of one scenario, of which one may be nil.
func comparePair(a, b *Report) ComparedPair {
	p := ComparedPair{A: a, B: b}
	if a != nil {
		p.Scenario, p.DirectorA, p.VerdictA = a.Recording.Scenario, a.Recording.Director, a.Verdict
	}
	if b != nil {
		p.Scenario, p.DirectorB, p.VerdictB = b.Recording.Scenario, b.Recording.Director, b.Verdict
	}
	p.Change = changeOf(p.VerdictA, p.VerdictB)
	p.Figures, p.Bounds = compareFigures(a, b), compareBounds(a, b)
	return p
}

// changeOf compares two verdicts; empty: there is none.
func changeOf(a, b Verdict) Change {
	rank := map[Verdict]int{Fail: 1, Inconclusive: 2, Pass: 3}
	switch {
	case b == "":
		return OnlyA
	case a == "":
		return OnlyB
	case rank[b] > rank[a]:
		return Better
	case rank[b] < rank[a]:
		return Worse
	}
	return Same
}

// compared are the figures that are compared: less of each is better. of says that there is none
// where nothing of it was recorded.
var compared = []struct {
	name string
	time bool
	of   func(rec *Recording) (int64, bool)
}{
	{"longest outage", true, func(rec *Recording) (int64, bool) {
		return int64(Outage(rec, Whole(rec)).Length()), len(rec.Requests) > 0
	}},
	{"requests lost", false, func(rec *Recording) (int64, bool) {
		return int64(Count(rec, Whole(rec)).Lost()), len(rec.Requests) > 0
	}},
	{"median latency", true, func(rec *Recording) (int64, bool) {
		l := Latencies(rec, Whole(rec))
		return int64(l.P50), l.Count > 0
	}},
	{"latency of 99 in 100", true, func(rec *Recording) (int64, bool) {
		l := Latencies(rec, Whole(rec))
		return int64(l.P99), l.Count > 0
	}},
	{"longest takeover", true, func(rec *Recording) (int64, bool) {
		var most time.Duration
		all := Takeovers(rec)
		for _, t := range all {
			most = max(most, t.Length())
		}
		return int64(most), len(all) > 0
	}},
	{"a VIP with two owners", true, func(rec *Recording) (int64, bool) {
		both, _ := holdingOf(rec).worst(Whole(rec))
		return int64(both), len(rec.VIPs) > 0 && len(rec.Events) > 0
	}},
	{"a VIP without owner", true, func(rec *Recording) (int64, bool) {
		_, neither := holdingOf(rec).longest()
		return int64(neither), len(rec.VIPs) > 0 && len(rec.Events) > 0
	}},
}

func compareFigures(a, b *Report) []ComparedFigure {
	figures := []ComparedFigure{}
	if a == nil || b == nil {
		return figures
	}
	for _, f := range compared {
		first, inA := f.of(&a.Recording)
		second, inB := f.of(&b.Recording)
		if inA && inB {
			figures = append(figures, ComparedFigure{f.name, first, second, second - first, f.time})
		}
	}
	return figures
}

// Texts are a figure's values as they are shown: of A, of B, and of the difference with its sign.
func (f ComparedFigure) Texts() (a, b, delta string) {
	text := func(v int64) string { return fmt.Sprint(v) }
	if f.Time {
		text = func(v int64) string { return shown(time.Duration(v)) }
	}
	switch delta = text(f.Delta); {
	case delta == text(0):
		delta = "="
	case f.Delta > 0:
		delta = "+" + delta
	default:
		delta = "−" + text(-f.Delta)
	}
	return text(f.A), text(f.B), delta
}

// Notable says whether the difference is more than chance and rounding make: of times, a
// millisecond and a twentieth of the greater one.
func (f ComparedFigure) Notable() bool {
	apart := max(f.Delta, -f.Delta)
	if !f.Time {
		return apart > 0
	}
	return time.Duration(apart) >= time.Millisecond && apart*20 >= max(f.A, f.B)
}

// compareBounds matches findings by their bounds' names, in A's order, then what only B has.
func compareBounds(a, b *Report) []ComparedBound {
	bounds := []ComparedBound{}
	add := func(name string, first, second *Finding) {
		var va, vb Verdict
		if first != nil {
			va = first.Verdict
		}
		if second != nil {
			vb = second.Verdict
		}
		bounds = append(bounds, ComparedBound{name, first, second, changeOf(va, vb)})
	}
	if a != nil {
		for i := range a.Findings {
			f := &a.Findings[i]
			add(f.Bound, f, findingOf(b, f.Bound))
		}
	}
	if b != nil {
		for i := range b.Findings {
			f := &b.Findings[i]
			if findingOf(a, f.Bound) == nil {
				add(f.Bound, nil, f)
			}
		}
	}
	return bounds
}

// findingOf returns a report's finding on a bound; nil: there is none.
func findingOf(r *Report, bound string) *Finding {
	if r == nil {
		return nil
	}
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Bound == bound })
	if i < 0 {
		return nil
	}
	return &r.Findings[i]
}

// remarks are what makes the figures of two runs hard to compare.
func remarks(a, b Side) []string {
	var all []string
	if len(a.Reports) == 0 || len(b.Reports) == 0 {
		return nil
	}
	kinds := func(s Side, of func(*Recording) string) string {
		var seen []string
		for i := range s.Reports {
			if v := of(&s.Reports[i].Recording); v != "" && !slices.Contains(seen, v) {
				seen = append(seen, v)
			}
		}
		return enumerate(seen)
	}
	clocks := func(rec *Recording) string { return clockName(rec.Host) }
	if first, second := kinds(a, clocks), kinds(b, clocks); first != second {
		all = append(all, fmt.Sprintf("A ran in %s, B in %s: their times say little beside each other.",
			orElse(first, "a time not known"), orElse(second, "a time not known")))
	}
	kernels := func(rec *Recording) string { return rec.Host.Kernel }
	if first, second := kinds(a, kernels), kinds(b, kernels); first != second {
		all = append(all, fmt.Sprintf("A ran on kernel %s, B on %s.", orElse(first, "not known"),
			orElse(second, "not known")))
	}
	return all
}

// verdictSentence is one sentence over a comparison.
func (c Comparison) verdictSentence() string {
	var parts []string
	both := len(c.Pairs)
	for _, change := range []Change{OnlyA, OnlyB} {
		if n := c.count(change); n > 0 {
			both -= n
			parts = append(parts, fmt.Sprintf("%d %s", n, change))
		}
	}
	if both == 0 {
		return "The two runs have no drill in common."
	}
	head := fmt.Sprintf("%s in both runs: ", plural(both, "drill"))
	same, better, worse := c.count(Same), c.count(Better), c.count(Worse)
	switch {
	case better+worse == 0 && both == 1:
		head += "the same verdict"
	case better+worse == 0:
		head += "all with the same verdict"
	default:
		var changes []string
		if worse > 0 {
			changes = append(changes, fmt.Sprintf("%d worse in B", worse))
		}
		if better > 0 {
			changes = append(changes, fmt.Sprintf("%d better in B", better))
		}
		if same > 0 {
			changes = append(changes, fmt.Sprintf("%d the same", same))
		}
		head += enumerate(changes)
	}
	if len(parts) > 0 {
		head += "; " + enumerate(parts)
	}
	return head + "."
}

// enumerate joins texts as a sentence does: "a, b and c".
func enumerate(texts []string) string {
	text := ""
	for i, t := range texts {
		switch {
		case i == 0:
		case i == len(texts)-1:
			text += " and "
		default:
			text += ", "
		}
		text += t
	}
	return text
}

// about says what a side is: its name, its directors and how its drills ended.
func (s Side) about() string {
	var directors []string
	for i := range s.Reports {
		d := s.Reports[i].Recording.Director
		if d != "" && !slices.Contains(directors, d) {
			directors = append(directors, d)
		}
	}
	return fmt.Sprintf("%s: %s; %s", s.Name, orElse(enumerate(directors), "no director"),
		tally(s.Reports))
}

// WriteCompareJSON writes a comparison as indented JSON: verdicts, figures and bounds, not what was
// recorded.
func WriteCompareJSON(w io.Writer, c Comparison) error {
	if c.Pairs == nil {
		c.Pairs = []ComparedPair{}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(c); err != nil {
		return fmt.Errorf("write comparison: %w", err)
	}
	return nil
}
