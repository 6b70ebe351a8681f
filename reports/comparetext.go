package reports

import (
	"fmt"
	"io"
	"strings"
)

// WriteCompareText writes a comparison for a terminal: a line for each drill, below it the bounds
// that were judged otherwise and the figures that differ, at the end a sentence over all. No line
// is wider than width, of which less than 60 counts as 60.
func WriteCompareText(w io.Writer, c Comparison, width int, color bool) error {
	t := textTable{width: max(width, narrowest), color: color}
	t.side("A", c.A)
	t.side("B", c.B)
	t.line("")
	rows := [][]string{{"SCENARIO", "A", "B", "OUTAGE A", "OUTAGE B", "CHANGE"}}
	for i := range c.Pairs {
		rows = append(rows, compareRow(&c.Pairs[i]))
	}
	t.measure(rows)
	t.row(rows[0], "")
	for i := range c.Pairs {
		p := &c.Pairs[i]
		t.row(rows[i+1], p.VerdictB)
		t.compareDetails(p)
	}
	t.line("")
	for _, text := range append([]string{c.verdictSentence()}, c.Remarks...) {
		for _, line := range wrapped(printable(text), t.width) {
			t.line(line)
		}
	}
	if _, err := io.WriteString(w, t.out.String()); err != nil {
		return fmt.Errorf("write comparison: %w", err)
	}
	return nil
}

// side writes what a side is.
func (t *textTable) side(letter string, s Side) {
	for i, line := range wrapped(printable(s.about()), t.width-3) {
		if i > 0 {
			letter = " "
		}
		t.line(letter + "  " + line)
	}
}

// compareRow returns a pair's cells.
func compareRow(p *ComparedPair) []string {
	outage := func(r *Report) string {
		if r == nil {
			return "-"
		}
		return row(r)[3]
	}
	verdict := func(v Verdict) string {
		if v == "" {
			return "-"
		}
		return verdictText(v)
	}
	return []string{p.Scenario, verdict(p.VerdictA), verdict(p.VerdictB), outage(p.A), outage(p.B),
		string(p.Change)}
}

// compareDetails writes what stands below a pair's row.
func (t *textTable) compareDetails(p *ComparedPair) {
	if p.A == nil || p.B == nil {
		return
	}
	changed := 0
	for _, b := range p.Bounds {
		if b.Change == Same {
			continue
		}
		if changed++; changed <= maxReasons {
			t.compareBound(b)
		}
	}
	if more := changed - maxReasons; more > 0 {
		t.remark(fmt.Sprintf("and %s that changed", plural(more, "other bound")))
	}
	var parts []string
	for _, f := range p.Figures {
		if a, b, _ := f.Texts(); f.Notable() {
			parts = append(parts, fmt.Sprintf("%s %s → %s", f.Name, a, b))
		}
	}
	if len(parts) > 0 {
		t.remark(strings.Join(parts, "; "))
	}
}

// compareBound writes a bound that was judged otherwise.
func (t *textTable) compareBound(b ComparedBound) {
	text := b.Bound + ": " + judgedText(b.A) + " → " + judgedText(b.B)
	shown, mark := Inconclusive, "·"
	if b.B != nil {
		shown = b.B.Verdict
		text += limitText(b.B)
		mark = sign(shown)
	}
	mark = t.paint(mark, shown)
	for _, line := range wrapped(printable(text), t.width-6) {
		t.line("    " + mark + " " + line)
		mark = " "
	}
}

// judgedText is a finding's verdict and what was observed.
func judgedText(f *Finding) string {
	if f == nil {
		return "not judged"
	}
	return strings.TrimSpace(string(f.Verdict) + " " + f.Observed)
}

// limitText is a finding's limit, and why it is no pass.
func limitText(f *Finding) string {
	text := ""
	if f.Limit != "" {
		text = ", limit " + f.Limit
	}
	if f.Verdict != Pass && f.Detail != "" {
		text += "; " + f.Detail
	}
	return text
}
