package reports

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// narrowest is the least width of a text table.
const narrowest = 60

// WriteText writes the verdict table for a terminal: a line for each report, below it a line
// for each finding that is not a pass, and a sentence over all. No line is wider than width, of
// which less than 60 counts as 60. Colour is written only when asked for; the verdicts also
// differ in sign and word.
func WriteText(w io.Writer, reports []Report, width int, color bool) error {
	t := textTable{width: max(width, narrowest), color: color}
	rows := [][]string{{"SCENARIO", "DIRECTOR", "VERDICT", "OUTAGE", "LOST/SENT", "BOUND"}}
	for i := range reports {
		rows = append(rows, row(&reports[i]))
	}
	t.measure(rows)
	t.row(rows[0], "")
	for i := range reports {
		t.row(rows[i+1], reports[i].Verdict)
		for _, f := range reports[i].Findings {
			if f.Verdict != Pass {
				t.reason(f)
			}
		}
	}
	t.line("\n" + tally(reports))
	if _, err := io.WriteString(w, t.out.String()); err != nil {
		return fmt.Errorf("write verdicts: %w", err)
	}
	return nil
}

// row returns a report's cells. The outage is the bound's where one was judged, else the longest of
// the recording.
func row(r *Report) []string {
	rec := &r.Recording
	count := Count(rec, Whole(rec))
	outage, limit, lost := "-", "-", "-"
	if count.Sent > 0 {
		outage = shown(Outage(rec, Whole(rec)).Length())
		lost = fmt.Sprintf("%d/%d", count.Lost(), count.Sent)
	}
	for _, f := range r.Findings {
		if f.Bound == OutageBound {
			outage, limit = orElse(f.Observed, outage), f.Limit
		}
	}
	return []string{rec.Scenario, rec.Director, verdictText(r.Verdict), outage, lost, limit}
}

// verdictText is a verdict's sign and word.
func verdictText(v Verdict) string { return sign(v) + " " + string(v) }

func sign(v Verdict) string {
	switch v {
	case Pass:
		return "✓"
	case Fail:
		return "✗"
	}
	return "?"
}

// tally is one sentence over all reports.
func tally(reports []Report) string {
	count := map[Verdict]int{}
	for _, r := range reports {
		count[r.Verdict]++
	}
	if len(reports) == 0 {
		return "No drill was run."
	}
	var parts []string
	for _, v := range []Verdict{Pass, Fail, Inconclusive} {
		words := map[Verdict]string{Pass: "passed", Fail: "failed", Inconclusive: "inconclusive"}
		if count[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[v], words[v]))
		}
	}
	return fmt.Sprintf("%s: %s.", plural(len(reports), "drill"), strings.Join(parts, ", "))
}

// textTable lays cells out in columns.
type textTable struct {
	width  int
	color  bool
	widths []int
	out    strings.Builder
}

// verdictColumn is never narrowed.
const verdictColumn = 2

// measure makes columns as wide as their cells; where that is too wide, the widest gives way.
func (t *textTable) measure(rows [][]string) {
	t.widths = make([]int, len(rows[0]))
	total := 2 * (len(t.widths) - 1)
	for i := range t.widths {
		for _, cells := range rows {
			cells[i] = printable(cells[i])
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cells[i]))
		}
		total += t.widths[i]
	}
	for ; total > t.width; total-- {
		widest := 0
		for i := range t.widths {
			if i != verdictColumn && t.widths[i] > t.widths[widest] {
				widest = i
			}
		}
		t.widths[widest]--
	}
}

// printable keeps control characters, which could steer a terminal, out of what is printed.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

func (t *textTable) row(cells []string, v Verdict) {
	var line strings.Builder
	for i, cell := range cells {
		cell = cut(cell, t.widths[i])
		padding := strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(cell))
		if i == verdictColumn && v != "" {
			cell = t.paint(cell, v)
		}
		line.WriteString(cell + padding + "  ")
	}
	t.line(strings.TrimRight(line.String(), " "))
}

// cut shortens a text to so many columns, the last one an ellipsis.
func cut(s string, columns int) string {
	if utf8.RuneCountInString(s) <= columns {
		return s
	}
	return string([]rune(s)[:columns-1]) + "…"
}

// paint colours a text by a verdict: ECMA-48 green, red or yellow.
func (t *textTable) paint(s string, v Verdict) string {
	if !t.color {
		return s
	}
	code := map[Verdict]string{Pass: "32", Fail: "31"}[v]
	return "\x1b[" + orElse(code, "33") + "m" + s + "\x1b[0m"
}

// reason writes why a finding is not a pass.
func (t *textTable) reason(f Finding) {
	text := f.Bound + ": "
	if f.Verdict == Fail {
		text += fmt.Sprintf("observed %s, limit %s; ", f.Observed, f.Limit)
	}
	mark := t.paint(sign(f.Verdict), f.Verdict)
	for _, line := range wrapped(printable(text+reason(f)), t.width-6) {
		t.line("    " + mark + " " + line)
		mark = " "
	}
}

// wrapped breaks a text at spaces into lines of so many columns; a longer word is cut.
func wrapped(s string, columns int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		word = cut(word, columns)
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > columns {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}

func (t *textTable) line(s string) { t.out.WriteString(s + "\n") }
