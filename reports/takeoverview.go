package reports

import (
	"fmt"
	"html"
	"html/template"
	"slices"
	"strings"
	"time"
)

// maxTakeovers is how many takeovers are drawn and listed; of more there are figures over all.
const maxTakeovers = 12

// The sizes of the drawing of takeovers.
const (
	takeoverLeft   = 190.0
	takeoverHeight = 30.0
	takeoverGap    = 16.0
)

// takeoversView are the takeovers of a recording.
type takeoversView struct {
	Drawing template.HTML
	Rows    []takeoverView
	// Spreads are over all, where there are several.
	Spreads []spreadView
	More    int
	// Announced says whether claims by ARP were recorded.
	Announced bool
	// Bound explains the limit of the first phase.
	Bound string
}

// takeoverView is a takeover in words.
type takeoverView struct {
	Who, VIPs, Why, Begin                          string
	Detect, Granted, Class                         string
	Transition, Program, Announce, Serve, Together string
}

// spreadView is how long one phase took over all takeovers.
type spreadView struct{ Name, Times, Least, Median, P95, Most string }

// phaseClasses are the colours of the phases.
var phaseClasses = map[PhaseName]string{Detect: "d0", Transition: "d1", Program: "d2",
	Announce: "d3", Serve: "other"}

var phaseNames = []PhaseName{Detect, Transition, Program, Announce, Serve}

// takeoversOf returns nil for a recording without takeovers.
func takeoversOf(rec *Recording) *takeoversView {
	all := Takeovers(rec)
	if len(all) == 0 {
		return nil
	}
	few := all[:min(len(all), maxTakeovers)]
	v := &takeoversView{Drawing: template.HTML(drawTakeovers(few)), More: len(all) - len(few)}
	for _, t := range few {
		v.Rows = append(v.Rows, takeoverRow(t))
	}
	if len(all) > 2 {
		v.Spreads = spreads(all)
	}
	v.Announced = slices.ContainsFunc(all, func(t Takeover) bool {
		_, ok := t.Phase(Announce)
		return ok
	})
	if rec.VRRP.Advert > 0 {
		v.Bound = fmt.Sprintf("VRRP version %d with adverts every %s grants 3 × %s and the skew of the "+
			"new master's priority; after priority 0 the skew alone", rec.VRRP.Version,
			shown(rec.VRRP.Advert), shown(rec.VRRP.Advert))
	}
	return v
}

func takeoverRow(t Takeover) takeoverView {
	v := takeoverView{Who: t.From + " → " + t.To, VIPs: strings.Join(t.VIPs, ", "),
		Begin: shown(t.Phases[0].From), Granted: "not known", Together: shown(t.Length())}
	v.Why = map[Cause]string{Died: "fell silent", Left: "left with priority 0",
		Preempted: "was preempted"}[t.Cause]
	if t.Trigger != "" {
		v.Why += " after " + t.Trigger
	}
	if t.Bound > 0 {
		v.Granted = shown(t.Bound)
	}
	text := func(name PhaseName) string {
		if p, ok := t.Phase(name); ok {
			return shown(p.Length())
		}
		return "–"
	}
	v.Detect, v.Transition, v.Program = text(Detect), text(Transition), text(Program)
	v.Announce, v.Serve = text(Announce), text(Serve)
	return v
}

// spreads are over the phases of all takeovers, and over their whole length.
func spreads(all []Takeover) []spreadView {
	var views []spreadView
	add := func(name string, of func(Takeover) (time.Duration, bool)) {
		var times []time.Duration
		for _, t := range all {
			if d, ok := of(t); ok {
				times = append(times, d)
			}
		}
		if len(times) == 0 {
			return
		}
		slices.Sort(times)
		rank := func(percent int) string { return shown(times[(len(times)*percent+99)/100-1]) }
		views = append(views, spreadView{name, fmt.Sprint(len(times)), shown(times[0]), rank(50),
			rank(95), shown(times[len(times)-1])})
	}
	for _, name := range phaseNames {
		add(string(name), func(t Takeover) (time.Duration, bool) {
			p, ok := t.Phase(name)
			return p.Length(), ok
		})
	}
	add("in all", func(t Takeover) (time.Duration, bool) { return t.Length(), true })
	return views
}

// drawTakeovers draws takeovers below each other, all from the left edge and in one scale: the
// phases of each, and a mark where the protocol has the first one end at the latest.
func drawTakeovers(all []Takeover) string {
	longest := time.Duration(1)
	for _, t := range all {
		longest = max(longest, t.Length(), t.Bound)
	}
	x := func(d time.Duration) float64 {
		return takeoverLeft + float64(d)/float64(longest)*(chartRight-takeoverLeft-4)
	}
	height := 26 + (takeoverHeight+takeoverGap)*float64(len(all))
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="timeline takeovers" viewBox="0 0 %s %s" role="img">`+"\n"+
		"<title>The phases of each takeover</title>\n", num(chartWidth), num(height))
	step := tickStep(longest)
	for at := time.Duration(0); at <= longest; at += step {
		fmt.Fprintf(&b, `<path class="grid" d="M%s 18V%s"/><text class="tick" x="%s" y="12" `+
			`text-anchor="middle">%s</text>`+"\n", num(x(at)), num(height), num(x(at)),
			tickLabel(at, step, longest))
	}
	for i, t := range all {
		drawTakeover(&b, t, x, 26+(takeoverHeight+takeoverGap)*float64(i))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func drawTakeover(b *strings.Builder, t Takeover, x func(time.Duration) float64, top float64) {
	v := takeoverRow(t)
	fmt.Fprintf(b, `<text class="lanelabel" x="0" y="%s">%s</text><text class="scale" x="0" y="%s">%s`+
		"</text>\n", num(top+12), html.EscapeString(cut(v.Who, 21)), num(top+28),
		html.EscapeString(cut(orElse(t.Trigger, v.VIPs), 28)))
	begin := t.Phases[0].From
	for _, p := range t.Phases {
		from, to := x(p.From-begin), x(p.To-begin)
		title := fmt.Sprintf("%s: %s, from %s to %s", p.Name, shown(p.Length()), shown(p.From),
			shown(p.To))
		fmt.Fprintf(b, `<rect class="%s" x="%s" y="%s" width="%s" height="%s"><title>%s</title></rect>`+
			"\n", phaseClasses[p.Name], num(from), num(top), num(max(to-from, 1.5)),
			num(takeoverHeight), html.EscapeString(title))
		if label := fitted(fmt.Sprintf("%s %s", p.Name, shown(p.Length())), to-from); label != "" {
			fmt.Fprintf(b, `<text class="boxlabel" x="%s" y="%s" text-anchor="middle">%s</text>`+"\n",
				num((from+to)/2), num(top+takeoverHeight/2+4.5), label)
		}
	}
	if t.Bound > 0 {
		fmt.Fprintf(b, `<path class="granted" d="M%s %sv%s"><title>the protocol grants %s for detect`+
			"</title></path>\n", num(x(t.Bound)), num(top-5), num(takeoverHeight+10), shown(t.Bound))
	}
}

// Legend names the colours of the phases that were recorded.
func (v *takeoversView) Legend() []legendEntry {
	var entries []legendEntry
	for _, name := range phaseNames {
		if name == Announce && !v.Announced {
			continue
		}
		entries = append(entries, legendEntry{phaseClasses[name], "", string(name)})
	}
	return entries
}
