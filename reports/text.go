package reports

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// narrowest is the least width of a text table.
const narrowest = 60

// maxReasons is how many findings that are no pass are explained for one report.
const maxReasons = 8

// WriteText writes the verdict table for a terminal: a line for each report, below it for each
// finding that is not a pass why, of a run with several faults what they came to, and of one in
// virtual time its checksum; at the end a sentence over all and one on the clock. No line is wider
// than width, of which less than 60 counts as 60. Colour is written only when asked for; the
// verdicts also differ in sign and word.
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
		t.details(&reports[i])
	}
	t.line("\n" + tally(reports))
	t.clocks(reports)
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

// details writes what stands below a report's row.
func (t *textTable) details(r *Report) {
	findings := slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool {
		return f.Verdict == Pass
	})
	slices.SortStableFunc(findings, func(a, b Finding) int { return failsFirst(a) - failsFirst(b) })
	for _, f := range findings[:min(len(findings), maxReasons)] {
		t.reason(f)
	}
	if more := len(findings) - maxReasons; more > 0 {
		t.remark(fmt.Sprintf("and %s that did not pass", plural(more, "other bound")))
	}
	if text := tollText(&r.Recording); text != "" {
		t.remark(text)
	}
	if r.Recording.Host.Virtual() {
		t.remark(fmt.Sprintf("seed %d, checksum %s", r.Recording.Seed, shortChecksum(r)))
	}
}

func failsFirst(f Finding) int {
	if f.Verdict == Fail {
		return 0
	}
	return 1
}

// remark writes a text below a report's row.
func (t *textTable) remark(text string) {
	for _, line := range wrapped(printable(text), t.width-4) {
		t.line("    " + line)
	}
}

// clocks says what the clock of the reports means, or of each sort of clock.
func (t *textTable) clocks(reports []Report) {
	for _, clock := range []string{VirtualClock, RealClock} {
		n := 0
		for _, r := range reports {
			if r.Recording.Host.Clock == clock {
				n++
			}
		}
		if n == 0 {
			continue
		}
		h := Host{Clock: clock}
		text := clockName(h) + ": " + clockMeaning(h) + "."
		text = strings.ToUpper(text[:1]) + text[1:]
		if n < len(reports) {
			text = fmt.Sprintf("%d in %s", n, strings.ToLower(text[:1])+text[1:])
		}
		for _, line := range wrapped(text, t.width) {
			t.line(line)
		}
	}
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
