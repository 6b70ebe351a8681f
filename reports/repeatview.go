package reports

import (
	"fmt"
	"strings"
)

// repeatView is a Repeat in words.
type repeatView struct {
	Repeat
	Tally string
	Rows  []repeatRow
}

// repeatRow is a Spread in words.
type repeatRow struct{ Name, Median, P95, Max, Within string }

// repeatViews are over the reports of each scenario and director that was run more than once.
func repeatViews(reports []Report) []repeatView {
	var views []repeatView
	for _, r := range Repeats(reports) {
		v := repeatView{Repeat: r, Tally: fmt.Sprintf("%s: %s", plural(r.Runs, "run"),
			tallyOf(r.Pass, r.Fail, r.Inconclusive))}
		for _, s := range r.Spreads {
			v.Rows = append(v.Rows, repeatRow{s.Name, s.text(s.Median), s.text(s.P95), s.text(s.Max),
				s.interval()})
		}
		views = append(views, v)
	}
	return views
}

// markdownRepeats writes what repeated drills came to.
func markdownRepeats(b *strings.Builder, reports []Report) {
	for _, v := range repeatViews(reports) {
		fmt.Fprintf(b, "\n**%s** with %s, %s\n\n| | Median | 95 of 100 | Most | Median is within |\n"+
			"|---|---:|---:|---:|---|\n", marked(v.Scenario), marked(v.Director), v.Tally)
		for _, r := range v.Rows {
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", marked(r.Name), r.Median, r.P95, r.Max,
				r.Within)
		}
	}
}
