package reports

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"time"
)

//go:embed compare.html.tmpl
var compareSource string

var comparePage = template.Must(template.New("compare").Parse(compareSource))

// WriteCompareHTML writes a comparison as one page that needs nothing but itself. The two timelines
// of a drill have one scale. Equal comparisons give equal bytes.
func WriteCompareHTML(w io.Writer, c Comparison) error {
	v := compareView{Style: template.CSS(pageStyle), Summary: c.verdictSentence(),
		Remarks: c.Remarks, A: c.A.about(), B: c.B.about(), Tone: "pass", Word: "compared"}
	switch {
	case c.Worse() > 0:
		v.Tone, v.Word = "fail", "worse"
	case c.count(Better) > 0:
		v.Word = "better"
	case len(c.Pairs) == c.count(OnlyA)+c.count(OnlyB):
		v.Tone = "inconclusive"
	}
	for i := range c.Pairs {
		p := pairViewOf(&c.Pairs[i], fmt.Sprintf("drill-%d", i+1))
		v.Pairs = append(v.Pairs, p)
		for _, s := range p.Sides {
			if v.Patterns == "" && s.Timeline != "" {
				v.Patterns = s.ID
			}
		}
	}
	buffer := bufio.NewWriterSize(w, bufferSize)
	if err := errors.Join(comparePage.Execute(buffer, v), buffer.Flush()); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// compareView is what the template shows.
type compareView struct {
	Style               template.CSS
	Tone, Word, Summary string
	A, B                string
	Remarks             []string
	Pairs               []pairView
	// Patterns is the timeline whose patterns the legends use.
	Patterns string
}

// pairView is a pair as the template shows it.
type pairView struct {
	*ComparedPair
	ID               string
	Doc              string
	OutageA, OutageB string
	LostA, LostB     string
	Sides            []sideView
	Legend           []legendEntry
	Rows             []figureView
	Judged           []boundView
}

// sideView is one report of a pair.
type sideView struct {
	ID, Letter string
	Report     *Report
	Sign       string
	Timeline   template.HTML
	Choices    *choicesView
}

type figureView struct{ Name, A, B, Delta, Class string }

type boundView struct {
	ComparedBound
	Doc, ObservedA, ObservedB, Limit, Detail string
}

// Sign is a verdict's sign.
func (v Verdict) Sign() string { return sign(v) }

func pairViewOf(p *ComparedPair, id string) pairView {
	v := pairView{ComparedPair: p, ID: id, OutageA: "–", OutageB: "–", LostA: "–", LostB: "–"}
	span := time.Duration(0)
	for _, r := range []*Report{p.A, p.B} {
		if r != nil {
			span = max(span, r.Recording.Length)
			v.Doc, v.Legend = r.Recording.Doc, legend(&r.Recording)
		}
	}
	if p.A != nil {
		cells := row(p.A)
		v.OutageA, v.LostA = cells[3], cells[4]
		v.Sides = append(v.Sides, sideViewOf("A", p.A, id+"-a", span))
	}
	if p.B != nil {
		cells := row(p.B)
		v.OutageB, v.LostB = cells[3], cells[4]
		v.Sides = append(v.Sides, sideViewOf("B", p.B, id+"-b", span))
	}
	for _, f := range p.Figures {
		row := figureView{Name: f.Name}
		row.A, row.B, row.Delta = f.Texts()
		switch {
		case !f.Notable():
		case f.Delta > 0:
			row.Class = "more"
		default:
			row.Class = "less"
		}
		v.Rows = append(v.Rows, row)
	}
	for _, b := range p.Bounds {
		v.Judged = append(v.Judged, boundViewOf(b))
	}
	return v
}

func boundViewOf(b ComparedBound) boundView {
	v := boundView{ComparedBound: b, ObservedA: "–", ObservedB: "–"}
	for i, f := range []*Finding{b.A, b.B} {
		if f == nil {
			continue
		}
		v.Doc, v.Limit = f.Doc, f.Limit
		if i == 0 {
			v.ObservedA = f.Observed
		} else {
			v.ObservedB = f.Observed
		}
		if f.Verdict != Pass && f.Detail != "" {
			v.Detail = string(rune('A'+i)) + ": " + f.Detail
		}
	}
	return v
}

func sideViewOf(letter string, r *Report, id string, span time.Duration) sideView {
	rec := &r.Recording
	v := sideView{ID: id, Letter: letter, Report: r, Sign: sign(r.Verdict),
		Choices: choicesOf(rec, id)}
	if len(rec.Events)+len(rec.Requests) > 0 {
		v.Timeline = template.HTML(drawTimelineOver(rec, id, span))
	}
	return v
}
