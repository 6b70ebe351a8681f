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
	widestLabel = 200.0
	chartRight  = 1188.0
	laneHeight  = 22.0
	laneGap     = 9.0
	letterWidth = 6.6
	boldWidth   = 8.4 // of a lane's label
	// maxTicks is how many marks of time fit.
	maxTicks = 12
	// maxSteps is how many steps of a scenario can be told apart behind the lanes, maxLines how many
	// faults can be marked across them.
	maxSteps = 40
	maxLines = 24
	// noteWidth joins notes nearer than that.
	noteWidth = 12.0
)

// timeline draws a recording as lanes over one axis of time.
type timeline struct {
	rec *Recording
	// id makes the names of patterns unique in a page.
	id      string
	out     strings.Builder
	y       float64
	palette map[string]int
	// left is where the axis begins, right of the lanes' labels.
	left float64
	// span is the length of the axis: the recording's, or more.
	span time.Duration
	// tallest is the longest time for which a VIP had no owner, or two, or a client no answer.
	tallest time.Duration
}

// drawTimeline returns a recording's timeline as an SVG element: faults, the VRRP state of each
// director, the owner of each VIP, the requests that each real server answered and those that each
// client lost. Everything in it has a title to hover over.
func drawTimeline(rec *Recording, id string) string { return drawTimelineOver(rec, id, 0) }

// drawTimelineOver is drawTimeline with an axis of at least so long a time.
func drawTimelineOver(rec *Recording, id string, span time.Duration) string {
	t := &timeline{rec: rec, id: id, y: 40, palette: map[string]int{}, left: labelWidth(rec),
		span: max(rec.Length, span)}
	both, neither := holdingOf(rec).longest()
	t.tallest = max(both, neither, Outage(rec, Whole(rec)).Length())
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
	t.flowLanes()
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
	if t.span <= 0 {
		return t.left
	}
	part := min(max(float64(at)/float64(t.span), 0), 1)
	return t.left + part*t.room()
}

// room is the width of the axis.
func (t *timeline) room() float64 { return chartRight - t.left }

// labelWidth is the room that the lanes' labels need: more where kinds of faults are among them.
func labelWidth(rec *Recording) float64 {
	width := chartLeft
	if faults := Faults(rec); len(faults) > maxFaults {
		for _, f := range faults {
			width = max(width, min(float64(len(f.Name))*boldWidth+12, widestLabel))
		}
	}
	return width
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
	steps := Steps(t.rec)
	if len(steps) > maxSteps {
		steps = nil
	}
	for i, s := range steps {
		from, to := t.x(s.From), t.x(s.To)
		fmt.Fprintf(&t.out, `<rect class="step s%d" x="%s" y="2" width="%s" height="%s">`+
			"<title>%s</title></rect>\n", i%2, num(from), num(to-from), num(bottom-2),
			html.EscapeString(fmt.Sprintf("%s: %s to %s", s.Name, shown(s.From), shown(s.To))))
		if label := fitted(s.Name, to-from); label != "" {
			t.text("steplabel", from+4, 14, label)
		}
	}
	step := tickStep(t.span)
	for at := time.Duration(0); at <= t.span && at >= 0; at += step {
		x, anchor := t.x(at), "middle"
		label := tickLabel(at, step, t.span)
		if x+float64(len(label))*letterWidth/2 > chartWidth {
			anchor = "end"
		}
		fmt.Fprintf(&t.out, `<path class="grid" d="M%s 34V%s"/>`+"\n", num(x), num(bottom))
		for _, y := range []float64{30, bottom + 16} {
			fmt.Fprintf(&t.out, `<text class="tick" x="%s" y="%s" text-anchor="%s">%s</text>`+"\n",
				num(x), num(y), anchor, label)
		}
	}
}

// tickSteps are the steps that people count time in; above and below them come powers of ten.
var tickSteps = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
	15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
	10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour,
	6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 48 * time.Hour}

// tickStep is the least usual step of time of which no more than maxTicks are needed.
func tickStep(length time.Duration) time.Duration {
	for unit := time.Microsecond; unit < time.Second; unit *= 10 {
		for _, factor := range []time.Duration{1, 2, 5} {
			if length/maxTicks < unit*factor {
				return unit * factor
			}
		}
	}
	for _, step := range tickSteps {
		if length/maxTicks < step {
			return step
		}
	}
	return length/maxTicks/time.Hour*time.Hour + time.Hour
}

// tickLabel is the label of a mark of time: in hours, minutes or seconds, whatever the axis needs.
func tickLabel(at, step, length time.Duration) string {
	switch {
	case step >= time.Hour:
		return fmt.Sprintf("%d h", at/time.Hour)
	case step >= time.Minute && length >= 2*time.Hour:
		return fmt.Sprintf("%d:%02d h", at/time.Hour, at%time.Hour/time.Minute)
	case step >= time.Minute:
		return fmt.Sprintf("%d min", at/time.Minute)
	}
	return strconv.FormatFloat(at.Seconds(), 'f', -1, 64) + " s"
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
	top := t.laneOnly(title)
	t.text("lanelabel", 4, top+laneHeight-6, cut(label, 15))
	return top
}

// scaledLane begins a lane whose label says below it what its tallest bar stands for.
func (t *timeline) scaledLane(label, scale, title string) float64 {
	top := t.laneOnly(title)
	t.text("scaledlabel", 4, top+laneHeight-11, cut(label, int((t.left-8)/boldWidth)))
	t.text("scale", 4, top+laneHeight+2, cut(scale, 18))
	return top
}

// laneOnly begins a lane without a label.
func (t *timeline) laneOnly(title string) float64 {
	top := t.y
	fmt.Fprintf(&t.out, `<g class="lane"><rect x="0" y="%s" width="%s" height="%s"/><title>%s</title>`+
		"</g>\n", num(top-laneGap/2), num(chartWidth), num(laneHeight+laneGap),
		html.EscapeString(title))
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
	// short stands in place of a label that does not fit whole.
	short string
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
	label := fitted(b.label, width)
	if label != b.label && b.short != "" {
		label = fitted(b.short, width)
	}
	if label != "" && height > 14 {
		fmt.Fprintf(&t.out, `<text class="boxlabel" x="%s" y="%s" text-anchor="middle">%s</text>`+"\n",
			num(from+width/2), num(top+height/2+4.5), html.EscapeString(label))
	}
}

// faults has a lane for each fault that overlaps another, one for those that do not; of many
// faults it has one for each kind.
func (t *timeline) faults() {
	faults := Faults(t.rec)
	if len(faults) == 0 {
		return
	}
	t.heading("Faults")
	if len(faults) > maxFaults {
		t.faultKinds(faults)
		return
	}
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
		t.fault(f, tops[i])
	}
}

// fault draws a fault from its request to its heal; the times in which it took hold and was healed
// are hatched.
func (t *timeline) fault(f Fault, top float64) {
	t.box(box{class: "fault", from: f.From, to: f.To, label: f.Label(), title: f.story()}, top,
		laneHeight)
	for _, w := range []Window{{From: f.From, To: f.Held}, {From: f.Released, To: f.To}} {
		if w.From > 0 && t.x(w.To)-t.x(w.From) >= 2 {
			t.box(box{class: "turning", fill: "hatch", from: w.From, to: w.To, title: f.story()}, top,
				laneHeight)
		}
	}
}

// story says in words what a fault was and how long it lasted.
func (f Fault) story() string {
	what := strings.TrimSpace(f.Label() + " " + f.Detail)
	if f.Held > 0 {
		what += fmt.Sprintf(": injected at %s, took hold after %s", shown(f.From), shown(f.Held-f.From))
	} else {
		what += ": injected at " + shown(f.From)
	}
	switch {
	case !f.Healed:
		return what + ", never healed"
	case f.Released > 0:
		return what + fmt.Sprintf(", heal asked for at %s, done after %s", shown(f.Released),
			shown(f.To-f.Released))
	}
	return what + ", healed at " + shown(f.To)
}

// notes has one lane with a mark for each note, or for several that are close together.
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
	for len(notes) > 0 {
		n := 1
		for n < len(notes) && t.x(notes[n].At)-t.x(notes[0].At) < noteWidth {
			n++
		}
		text := noteText(notes[0])
		if n > 1 {
			text = fmt.Sprintf("%d notes to %s, the first: %s", n, shown(notes[n-1].At), text)
		}
		fmt.Fprintf(&t.out, `<path class="note" d="M%s %sl6 7l-6 7l-6 -7z"><title>%s</title></path>`+"\n",
			num(t.x(notes[0].At)), num(top+4), html.EscapeString(text))
		notes = notes[n:]
	}
}

func noteText(ev Event) string {
	return fmt.Sprintf("%s %s: %s %s", shown(ev.At), ev.Node, ev.Subject, ev.Detail)
}

// faultLines draws inject and heal across all lanes, unless there are too many to see past them.
func (t *timeline) faultLines(bottom float64) {
	faults := Faults(t.rec)
	if len(faults) > maxLines {
		return
	}
	for _, f := range faults {
		fmt.Fprintf(&t.out, `<path class="inject" d="M%s 34V%s"/>`+"\n", num(t.x(f.From)), num(bottom))
		if f.Healed {
			fmt.Fprintf(&t.out, `<path class="heal" d="M%s 34V%s"/>`+"\n", num(t.x(f.To)), num(bottom))
		}
	}
}
