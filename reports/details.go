package reports

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// WriteDetails writes for a terminal what WriteText leaves out of one report: every bound, the
// phases of takeovers, outages by flow class, the faults with their times, the measures, and the
// command that runs it again. No line is wider than width, of which less than 60 counts as 60, but
// the command.
func WriteDetails(w io.Writer, r Report, width int, color bool) error {
	t := textTable{width: max(width, narrowest), color: color}
	rec := &r.Recording
	t.findings(r.Findings)
	if v := takeoversOf(rec); v != nil {
		var rows [][]string
		for _, k := range v.Rows {
			rows = append(rows, []string{k.Who, k.Detect, k.Granted, k.Transition, k.Program, k.Announce,
				k.Serve, k.Together})
		}
		t.table([]string{"TAKEOVER", "DETECT", "GRANTED", "TRANSITION", "PROGRAM", "ANNOUNCE",
			"SUCCESS", "IN ALL"}, rows, v.More)
		t.spreads(v.Spreads)
	}
	var rows [][]string
	for _, f := range flowViews(rec) {
		rows = append(rows, []string{f.Flow, f.Sent, f.Lost, f.Outage, f.Connections})
	}
	t.table([]string{"FLOW CLASS", "SENT", "LOST", "OUTAGE", "CONNECTIONS BROKEN"}, rows, 0)
	t.ledger(ledger(rec))
	if len(r.Measures) > 0 {
		t.line("\nMEASURES")
	}
	for _, m := range r.Measures {
		t.entry(m.Name, m.Value)
	}
	if rec.Command != "" {
		t.line("\nAGAIN\n  " + printable(rec.Command))
	}
	if _, err := io.WriteString(w, t.out.String()); err != nil {
		return fmt.Errorf("write details: %w", err)
	}
	return nil
}

// findings writes every bound in a line, with its limit.
func (t *textTable) findings(all []Finding) {
	if len(all) > 0 {
		t.line("\nBOUNDS")
	}
	for _, f := range all {
		mark := t.paint(sign(f.Verdict), f.Verdict)
		text := fmt.Sprintf("%s: %s, limit %s", f.Bound, f.Observed, f.Limit)
		for _, line := range wrapped(printable(text), t.width-4) {
			t.line("  " + mark + " " + line)
			mark = " "
		}
	}
}

// entry writes a name and a value, which has lines of its own where it does not fit.
func (t *textTable) entry(name, value string) {
	line := "  " + printable(name) + ": " + printable(value)
	if utf8.RuneCountInString(line) <= t.width {
		t.line(line)
		return
	}
	for i, line := range wrapped(printable(name+": "+value), t.width-6) {
		indent := "  "
		if i > 0 {
			indent = "      "
		}
		t.line(indent + line)
	}
}

// spreads writes how long each phase took over all takeovers.
func (t *textTable) spreads(all []spreadView) {
	var rows [][]string
	for _, s := range all {
		rows = append(rows, []string{s.Name, s.Times, s.Least, s.Median, s.P95, s.Most})
	}
	t.table([]string{"ALL TAKEOVERS", "TIMES", "LEAST", "MEDIAN", "95 OF 100", "MOST"}, rows, 0)
}

// ledger writes faults with their times.
func (t *textTable) ledger(all []ledgerView) {
	recorded := func(text string) string {
		if text == notRecorded {
			return "–"
		}
		return text
	}
	var rows [][]string
	for _, f := range all[:min(len(all), maxLedger)] {
		rows = append(rows, []string{f.Fault, strings.TrimSuffix(f.Node+" "+f.Target, " –"), f.Asked,
			recorded(f.Held), recorded(f.Released), f.Healed})
	}
	t.table([]string{"FAULT", "TARGET", "ASKED FOR", "HELD", "HEAL ASKED", "HEALED"}, rows,
		len(all)-len(rows))
}

// table writes rows under a heading, each column as wide as it must be, and how many more there
// are; nothing where there are none.
func (t *textTable) table(head []string, rows [][]string, more int) {
	if len(rows) == 0 {
		return
	}
	t.line("")
	t.measure(append([][]string{head}, rows...))
	t.row(head, "")
	for _, cells := range rows {
		t.row(cells, "")
	}
	if more > 0 {
		t.line(fmt.Sprintf("and %d more", more))
	}
}
