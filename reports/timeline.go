package reports

import (
	"fmt"
	"html"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Measures of the timeline, in its own units; at full width one is a pixel.
const (
	chartWidth  = 1200.0
	chartLeft   = 112.0
	chartRight  = 1188.0
	laneHeight  = 22.0
	laneGap     = 9.0
	letterWidth = 6.6
	// maxTicks is how many marks of time fit.
	maxTicks = 12
)

// timeline draws a recording as lanes over one axis of time.
type timeline struct {
	rec *Recording
	// id makes the names of patterns unique in a page.
	id      string
	out     strings.Builder
	y       float64
	palette map[string]int
}

// drawTimeline returns a recording's timeline as an SVG element: faults, the VRRP state of each
// director, the owner of each VIP, the requests that each real server answered and those that each
// client lost. Everything in it has a title to hover over.
func drawTimeline(rec *Recording, id string) string {
	t := &timeline{rec: rec, id: id, y: 40, palette: map[string]int{}}
	for _, n := range rec.Nodes {
		if n.Role == "director" {
			t.palette[n.Name] = len(t.palette)
		}
	}
	t.faults()
	t.states()
	t.owners()
	t.servers()
	t.clients()
	t.notes()
	bottom := t.y
	lanes := t.out.String()
	t.out.Reset()
	t.axis(bottom)
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" class="timeline" role="img" `+
		`viewBox="0 0 %s %s">`+"\n", num(chartWidth), num(bottom+22))
	fmt.Fprintf(&svg, "<title>Timeline of %s</title>\n", html.EscapeString(rec.Scenario))
	svg.WriteString(t.patterns())
	svg.WriteString(t.out.String())
	svg.WriteString(lanes)
	t.out.Reset()
	t.faultLines(bottom)
	svg.WriteString(t.out.String())
	svg.WriteString("</svg>\n")
	return svg.String()
}

// num prints a coordinate to a tenth.
func num(f float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
}

// x is the place of an offset on the axis; what is outside the recording is put at its edge.
func (t *timeline) x(at time.Duration) float64 {
	if t.rec.Length <= 0 {
		return chartLeft
	}
	part := min(max(float64(at)/float64(t.rec.Length), 0), 1)
	return chartLeft + part*(chartRight-chartLeft)
}

// patterns are the hatchings that tell directors and conflicts apart without colour.
func (t *timeline) patterns() string {
	var b strings.Builder
	b.WriteString("<defs>\n")
	for _, p := range []struct{ name, size, path string }{
		{"hatch", "6", "M-1 1l2-2M0 6l6-6M5 7l2-2"},
		{"dots", "5", "M2 2h1.5"},
		{"cross", "6", "M0 0l6 6M6 0l-6 6"},
	} {
		fmt.Fprintf(&b, `<pattern id="%s-%s" width="%s" height="%s" patternUnits="userSpaceOnUse">`+
			`<path d="%s"/></pattern>`+"\n", t.id, p.name, p.size, p.size, p.path)
	}
	b.WriteString("</defs>\n")
	return b.String()
}

// axis draws the steps and the marks of time, behind the lanes.
func (t *timeline) axis(bottom float64) {
	for i, s := range Steps(t.rec) {
		from, to := t.x(s.From), t.x(s.To)
		fmt.Fprintf(&t.out, `<rect class="step s%d" x="%s" y="2" width="%s" height="%s">`+
			"<title>%s</title></rect>\n", i%2, num(from), num(to-from), num(bottom-2),
			html.EscapeString(fmt.Sprintf("%s: %s to %s", s.Name, shown(s.From), shown(s.To))))
		if label := fitted(s.Name, to-from); label != "" {
			t.text("steplabel", from+4, 14, label)
		}
	}
	step := tickStep(t.rec.Length)
	for at := time.Duration(0); at <= t.rec.Length && at >= 0; at += step {
		x := num(t.x(at))
		fmt.Fprintf(&t.out, `<path class="grid" d="M%s 34V%s"/>`+"\n", x, num(bottom))
		label := strconv.FormatFloat(at.Seconds(), 'f', -1, 64) + " s"
		for _, y := range []float64{30, bottom + 16} {
			fmt.Fprintf(&t.out, `<text class="tick" x="%s" y="%s" text-anchor="middle">%s</text>`+"\n",
				x, num(y), label)
		}
	}
}

// tickStep is the least of 1, 2, 5, 10, … units of time that needs no more than maxTicks steps.
func tickStep(length time.Duration) time.Duration {
	for unit := time.Microsecond; unit < 1000*time.Hour; unit *= 10 {
		for _, factor := range []time.Duration{1, 2, 5} {
			if length/maxTicks < unit*factor {
				return unit * factor
			}
		}
	}
	return length/maxTicks + 1
}

// fitted is a label that fits a width, or nothing.
func fitted(label string, width float64) string {
	room := int((width - 6) / letterWidth)
	if len([]rune(label)) <= room {
		return label
	}
	if room < 6 {
		return ""
	}
	return cut(label, room)
}

func (t *timeline) text(class string, x, y float64, text string) {
	fmt.Fprintf(&t.out, `<text class="%s" x="%s" y="%s">%s</text>`+"\n", class, num(x), num(y),
		html.EscapeString(text))
}

// lane begins a lane with its label and returns its top.
func (t *timeline) lane(label, title string) float64 {
	top := t.y
	fmt.Fprintf(&t.out, `<g class="lane"><rect x="0" y="%s" width="%s" height="%s"/><title>%s</title>`+
		"</g>\n", num(top-laneGap/2), num(chartWidth), num(laneHeight+laneGap),
		html.EscapeString(title))
	t.text("lanelabel", 4, top+laneHeight-6, cut(label, 15))
	t.y += laneHeight + laneGap
	return top
}

// heading begins a group of lanes.
func (t *timeline) heading(text string) {
	t.y += 6
	t.text("heading", 4, t.y+9, text)
	fmt.Fprintf(&t.out, `<path class="rule" d="M0 %sH%s"/>`+"\n", num(t.y-5), num(chartWidth))
	t.y += 20
}

// box is one bar in a lane, with a label if there is room for it.
type box struct {
	class, fill  string
	from, to     time.Duration
	label, title string
}

// box draws a bar at least two units wide.
func (t *timeline) box(b box, top, height float64) {
	from, to := t.x(b.from), t.x(b.to)
	width := max(to-from, 2)
	title := "<title>" + html.EscapeString(b.title) + "</title>"
	place := fmt.Sprintf(`x="%s" y="%s" width="%s" height="%s"`, num(from), num(top), num(width),
		num(height))
	fmt.Fprintf(&t.out, `<rect class="%s" %s>%s</rect>`+"\n", b.class, place, title)
	if b.fill != "" {
		fmt.Fprintf(&t.out, `<rect class="texture" fill="url(#%s-%s)" %s>%s</rect>`+"\n", t.id, b.fill,
			place, title)
	}
	if label := fitted(b.label, width); label != "" && height > 14 {
		fmt.Fprintf(&t.out, `<text class="boxlabel" x="%s" y="%s" text-anchor="middle">%s</text>`+"\n",
			num(from+width/2), num(top+height/2+4.5), html.EscapeString(label))
	}
}

// faults has a lane for each fault that overlaps another, one for those that do not.
func (t *timeline) faults() {
	faults := Faults(t.rec)
	if len(faults) == 0 {
		return
	}
	t.heading("Faults")
	var ends []time.Duration // of each lane
	var tops []float64
	for _, f := range faults {
		i := slices.IndexFunc(ends, func(end time.Duration) bool { return end <= f.From })
		if i < 0 {
			i = len(ends)
			ends = append(ends, 0)
			tops = append(tops, t.lane("", "faults, from inject to heal"))
		}
		ends[i] = f.To
		title := fmt.Sprintf("%s %s: injected at %s, healed at %s", f.Label(), f.Detail, shown(f.From),
			shown(f.To))
		if !f.Healed {
			title = fmt.Sprintf("%s %s: injected at %s, never healed", f.Label(), f.Detail, shown(f.From))
		}
		t.box(box{class: "fault", from: f.From, to: f.To, label: f.Label(), title: title},
			tops[i], laneHeight)
	}
}

// notes has one lane with a mark for each note, at most maxEvents of them.
func (t *timeline) notes() {
	var notes []Event
	for _, ev := range t.rec.Events {
		if ev.Kind == Note {
			notes = append(notes, ev)
		}
	}
	if len(notes) == 0 {
		return
	}
	top := t.lane("notes", "notes")
	for _, ev := range notes[:min(len(notes), maxEvents)] {
		text := fmt.Sprintf("%s %s: %s %s", shown(ev.At), ev.Node, ev.Subject, ev.Detail)
		fmt.Fprintf(&t.out, `<path class="note" d="M%s %sl6 7l-6 7l-6 -7z"><title>%s</title></path>`+"\n",
			num(t.x(ev.At)), num(top+4), html.EscapeString(text))
	}
}

// faultLines draws inject and heal across all lanes.
func (t *timeline) faultLines(bottom float64) {
	for _, f := range Faults(t.rec) {
		fmt.Fprintf(&t.out, `<path class="inject" d="M%s 34V%s"/>`+"\n", num(t.x(f.From)), num(bottom))
		if f.Healed {
			fmt.Fprintf(&t.out, `<path class="heal" d="M%s 34V%s"/>`+"\n", num(t.x(f.To)), num(bottom))
		}
	}
}
