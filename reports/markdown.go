package reports

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// WriteMarkdown writes reports for a comment on a pull request, in the Markdown of GitHub and
// GitLab: the verdict, a table of the drills, and folded below it the bounds of each drill that did
// not pass and the commands that run all of it again. Nothing in a report can end the table, become
// a link or call somebody's name.
func WriteMarkdown(w io.Writer, reports []Report) error {
	var b strings.Builder
	v := Overall(reports)
	title := tally(reports)
	if len(reports) == 1 {
		title = reports[0].Summary
	}
	fmt.Fprintf(&b, "### %s %s: %s\n\n", sign(v), v, marked(title))
	if len(reports) > 0 {
		b.WriteString("| | Drill | Director | Outage | Limit | Lost / sent |\n" +
			"|---|---|---|---:|---:|---:|\n")
	}
	for i := range reports {
		cells := row(&reports[i])
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", sign(reports[i].Verdict), marked(cells[0]),
			marked(cells[1]), marked(cells[3]), marked(cells[5]), marked(cells[4]))
	}
	for i := range reports {
		if reports[i].Verdict != Pass {
			markdownFindings(&b, &reports[i])
		}
	}
	markdownRepeats(&b, reports)
	markdownAgain(&b, reports)
	return writeMarkdown(w, &b)
}

// markdownFindings writes a report's bounds, folded.
func markdownFindings(b *strings.Builder, r *Report) {
	rec := &r.Recording
	fmt.Fprintf(b, "\n<details><summary>%s %s with %s: %s</summary>\n\n", sign(r.Verdict),
		html.EscapeString(printable(rec.Scenario)), html.EscapeString(printable(rec.Director)),
		called(html.EscapeString(printable(r.Summary))))
	if len(r.Findings) > 0 {
		b.WriteString("| | Bound | Observed | Limit |\n|---|---|---:|---:|\n")
	}
	for _, f := range r.Findings {
		bound := "**" + marked(f.Bound) + "**"
		if f.Verdict != Pass {
			bound += "<br>" + marked(reason(f))
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", sign(f.Verdict), bound, marked(f.Observed),
			marked(f.Limit))
	}
	b.WriteString("\n</details>\n")
}

// markdownAgain writes where the drills ran and the commands that run them again, folded.
func markdownAgain(b *strings.Builder, reports []Report) {
	if len(reports) == 0 {
		return
	}
	b.WriteString("\n<details><summary>Where it ran, and how to run it again</summary>\n\n")
	hosts := map[string]bool{}
	for i := range reports {
		if text := environment(&reports[i].Recording); !hosts[text] {
			hosts[text] = true
			fmt.Fprintf(b, "%s\n\n", marked(text))
		}
	}
	b.WriteString("<pre>")
	for _, r := range reports {
		if r.Recording.Command != "" {
			b.WriteString(called(html.EscapeString(printable(r.Recording.Command))) + "\n")
		}
	}
	b.WriteString("</pre>\n\n</details>\n")
}

// WriteCompareMarkdown writes a comparison as WriteMarkdown writes reports.
func WriteCompareMarkdown(w io.Writer, c Comparison) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", marked(c.verdictSentence()))
	fmt.Fprintf(&b, "- **A** %s\n- **B** %s\n", marked(c.A.about()), marked(c.B.about()))
	for _, remark := range c.Remarks {
		fmt.Fprintf(&b, "- %s\n", marked(remark))
	}
	if len(c.Pairs) > 0 {
		b.WriteString("\n| Drill | A | B | Outage A | Outage B | Change |\n" +
			"|---|---|---|---:|---:|---|\n")
	}
	for i := range c.Pairs {
		cells := compareRow(&c.Pairs[i])
		if c.Pairs[i].Change == Worse {
			cells[5] = "**worse**"
		} else {
			cells[5] = marked(cells[5])
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", marked(cells[0]), cells[1], cells[2],
			marked(cells[3]), marked(cells[4]), cells[5])
	}
	for i := range c.Pairs {
		markdownPair(&b, &c.Pairs[i])
	}
	return writeMarkdown(w, &b)
}

// markdownPair writes the figures and the changed bounds of a drill, folded.
func markdownPair(b *strings.Builder, p *ComparedPair) {
	if p.A == nil || p.B == nil {
		return
	}
	var rows strings.Builder
	for _, bound := range p.Bounds {
		if bound.Change != Same {
			fmt.Fprintf(&rows, "| **%s** | %s | %s | %s |\n", marked(bound.Bound),
				marked(judgedText(bound.A)), marked(judgedText(bound.B)), bound.Change)
		}
	}
	for _, f := range p.Figures {
		if first, second, delta := f.Texts(); f.Notable() {
			fmt.Fprintf(&rows, "| %s | %s | %s | %s |\n", f.Name, first, second, delta)
		}
	}
	if rows.Len() == 0 {
		return
	}
	fmt.Fprintf(b, "\n<details><summary>%s</summary>\n\n| | A | B | Change |\n|---|---:|---:|---:|\n"+
		"%s\n</details>\n", html.EscapeString(printable(p.Scenario)), rows.String())
}

func writeMarkdown(w io.Writer, b *strings.Builder) error {
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write markdown: %w", err)
	}
	return nil
}

// markdownSigns are written so that they stand for themselves.
var markdownSigns = strings.NewReplacer(`\`, `\\`, "|", `\|`, "`", "\\`", "*", `\*`, "_", `\_`,
	"[", `\[`, "]", `\]`, "~", `\~`, "#", `\#`, "<", "&lt;", ">", "&gt;", "&", "&amp;",
	"@", "&#64;", "://", "&#58;//", "www.", "www&#46;")

// marked returns a text as it must stand in Markdown, in one line.
func marked(s string) string { return markdownSigns.Replace(printable(s)) }

// called keeps the names in a text from being called.
func called(s string) string { return strings.ReplaceAll(s, "@", "&#64;") }

// environment says in a sentence on what a run took place.
func environment(rec *Recording) string {
	alone := Recording{Host: rec.Host}
	alone.Host.RealStarted, alone.Host.RealLength = alone.Started, 0
	return hostText(&alone)
}
