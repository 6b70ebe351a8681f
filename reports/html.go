package reports

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

//go:embed report.css
var pageStyle string

//go:embed report.html.tmpl
var pageSource string

//go:embed sections.html.tmpl
var pageSections string

var page = template.Must(template.Must(template.New("report").Parse(pageSource)).
	Parse(pageSections))

const (
	// maxEvents bounds the list of events of one drill; history.ndjson has all.
	maxEvents = 2000
	// maxWindows is how many steps and faults are shown unfolded.
	maxWindows = 24
)

// WriteHTML writes reports as one HTML page that needs nothing but itself: no script, no
// request to anywhere. The verdict stands first; several reports begin with a table of them.
// Equal reports give equal bytes.
func WriteHTML(w io.Writer, reports []Report) error {
	v := pageView{
		Style:   template.CSS(pageStyle),
		Verdict: Overall(reports),
		Summary: tally(reports),
		Repeats: repeatViews(reports),
	}
	if len(reports) == 1 {
		v.Verdict, v.Summary = reports[0].Verdict, reports[0].Summary
	}
	for i := range reports {
		d := viewOf(&reports[i], fmt.Sprintf("drill-%d", i+1))
		v.Drills = append(v.Drills, d)
		if d.Choices != nil && len(reports) > 1 {
			v.Choices = append(v.Choices, d.Choices)
		}
	}
	buffer := bufio.NewWriterSize(w, bufferSize)
	if err := errors.Join(page.Execute(buffer, v), buffer.Flush()); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// pageView is what the page's template shows.
type pageView struct {
	Style   template.CSS
	Verdict Verdict
	Summary string
	Drills  []drillView
	// Repeats are over drills that were run more than once.
	Repeats []repeatView
	// Choices are those of the drills that have any, side by side.
	Choices []*choicesView
}

// Sign is the verdict's sign.
func (v pageView) Sign() string { return sign(v.Verdict) }

// Several says whether the page needs a table of its drills.
func (v pageView) Several() bool { return len(v.Drills) > 1 }

// drillView is one report as the template shows it.
type drillView struct {
	*Report
	ID                string
	Diagram, Timeline template.HTML
	Figures           []figure
	Legend            []legendEntry
	Faults            []faultView
	Windows           []windowView
	Servers           []string
	Events            []eventView
	MoreEvents        int
	Logs              []logView
	Choices           *choicesView
	Takeovers         *takeoversView
	Flows             []flowView
	Ledger            []ledgerView
	Latency           *latencyView
	Outage, Lost      string
	Limit             string
	Clock, Meaning    string
	Checksum          string
	Host              string
}

// FirstID is the first drill's name, whose patterns the legends use.
func (v pageView) FirstID() string { return v.Drills[0].ID }

// Folded says whether the windows are too many to be shown unasked.
func (v drillView) Folded() bool { return len(v.Windows) > maxWindows }

// Long says whether a ledger is too long to be shown unasked.
func (v pageView) Long(l []ledgerView) bool { return len(l) > maxLedger }

// Sign is the verdict's sign.
func (v drillView) Sign() string { return sign(v.Verdict) }

// Sign is the finding's verdict as a sign.
func (f Finding) Sign() string { return sign(f.Verdict) }

// figure is one large number.
type figure struct{ Value, Name, Note string }

// legendEntry names a colour and texture of the timeline.
type legendEntry struct{ Class, Fill, Text string }

type logView struct {
	Node  string
	Lines string
}

// windowView is a step or a fault and what the clients saw in it.
type windowView struct {
	Name, From, To, Lasted string
	Sent, Lost             int
	Outage, Neither, Both  string
	Shares                 []Share
}

func viewOf(r *Report, id string) drillView {
	rec := &r.Recording
	cells := row(r)
	v := drillView{
		Report:  r,
		ID:      id,
		Diagram: template.HTML(safeDiagram(rec.Diagram)),
		Figures: figures(r),
		Legend:  legend(rec),
		Faults:  faultViews(rec),
		Windows: windows(rec),
		Servers: Servers(rec),
		Events:  events(rec),
		Outage:  cells[3],
		Lost:    cells[4],
		Limit:   cells[5],
		Clock:   clockName(rec.Host),
		Meaning: clockMeaning(rec.Host),
		Host:    hostText(rec),
		Choices: choicesOf(rec, id),
		Flows:   flowViews(rec),
		Ledger:  ledger(rec),
		Latency: latenciesOf(rec),

		Takeovers: takeoversOf(rec),
	}
	if len(rec.Events)+len(rec.Requests) > 0 {
		v.Timeline = template.HTML(drawTimeline(rec, id))
	}
	if rec.Host.Virtual() {
		v.Checksum = shortChecksum(r)
	}
	v.MoreEvents = len(rec.Events) - len(v.Events)
	for _, node := range slices.Sorted(maps.Keys(rec.Logs)) {
		v.Logs = append(v.Logs, logView{node, strings.Join(rec.Logs[node], "\n")})
	}
	return v
}

// figures are the numbers that everybody asks for first.
func figures(r *Report) []figure {
	rec := &r.Recording
	whole := Whole(rec)
	var all []figure
	if count := Count(rec, whole); count.Sent > 0 {
		cells := row(r)
		outage := figure{cells[3], "longest outage of a client", "no limit set"}
		if cells[5] != "-" {
			outage.Note = "limit " + cells[5]
		}
		latency := Latencies(rec, whole)
		all = append(all, outage,
			figure{fmt.Sprint(count.Lost()), "requests lost", fmt.Sprintf("of %d sent", count.Sent)},
			figure{shown(latency.P50), "median latency", "99 of 100 within " + shown(latency.P99)})
	}
	if faults := Faults(rec); len(faults) > maxFaults {
		all = append(all, faultFigure(faults))
	}
	if len(rec.VIPs) > 0 && len(rec.Events) > 0 {
		all = append(all, holdingFigure(rec))
	}
	return all
}

func faultFigure(faults []Fault) figure {
	healed := 0
	for _, f := range faults {
		if f.Healed {
			healed++
		}
	}
	note := "all healed"
	if healed < len(faults) {
		note = fmt.Sprintf("%d healed", healed)
	}
	return figure{fmt.Sprint(len(faults)), "faults", note}
}

// holdingFigure is how long a VIP had two owners, or none: in all or, of a run with many faults, at
// a time.
func holdingFigure(rec *Recording) figure {
	h := holdingOf(rec)
	both, neither := h.worst(Whole(rec))
	f := figure{shown(both), "two owners of one VIP", "never without an owner"}
	if neither > 0 {
		f.Note = "none for " + shown(neither)
	}
	if len(Faults(rec)) > maxFaults {
		both, neither := h.longest()
		f.Value, f.Name = shown(both), "longest time of two owners"
		if neither > 0 {
			f.Note = fmt.Sprintf("none for %s at most", shown(neither))
		}
	}
	return f
}

// holding has the tenures of each VIP of a recording.
type holding [][]Tenure

func holdingOf(rec *Recording) holding {
	var h holding
	for _, vip := range rec.VIPs {
		h = append(h, Owners(rec, vip.Addr))
	}
	return h
}

// worst returns the longest times within a window in which a VIP had two owners, or none: of each
// VIP all of them together.
func (h holding) worst(w Window) (both, neither time.Duration) {
	for _, tenures := range h {
		both = max(both, heldOf(tenures, w, func(holders int) bool { return holders > 1 }))
		neither = max(neither, heldOf(tenures, w, func(holders int) bool { return holders == 0 }))
	}
	return both, neither
}

// longest returns the longest unbroken times in which a VIP had two owners, or none after it once
// had one.
func (h holding) longest() (both, neither time.Duration) {
	for _, tenures := range h {
		for i, t := range tenures {
			switch {
			case len(t.Nodes) > 1:
				both = max(both, t.Length())
			case len(t.Nodes) == 0 && i > 0:
				neither = max(neither, t.Length())
			}
		}
	}
	return both, neither
}

// windows are the steps, and the faults that are not a step of their own.
func windows(rec *Recording) []windowView {
	all := Steps(rec)
	for _, f := range Faults(rec) {
		w := Window{"fault: " + strings.TrimSpace(f.Label()+" "+f.Detail), f.From, f.To}
		if !slices.ContainsFunc(all, func(s Window) bool { return s.From == w.From && s.To == w.To }) {
			all = append(all, w)
		}
	}
	slices.SortStableFunc(all, func(a, b Window) int { return int(min(max(a.From-b.From, -1), 1)) })
	var views []windowView
	servers, h := Servers(rec), holdingOf(rec)
	for _, w := range all {
		both, neither := h.worst(w)
		count := Count(rec, w)
		views = append(views, windowView{
			Name: w.Name, From: shown(w.From), To: shown(w.To), Lasted: shown(w.Length()),
			Sent: count.Sent, Lost: count.Lost(), Outage: outageText(Outage(rec, w)),
			Neither: dashed(neither), Both: dashed(both), Shares: sharesOf(rec, w, servers),
		})
	}
	return views
}

func outageText(g Gap) string {
	if g.Open && g.Lost > 0 {
		return "≥ " + shown(g.Length())
	}
	return dashed(g.Length())
}

// dashed shows no time as a dash.
func dashed(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return shown(d)
}

// legend names what the timeline draws.
func legend(rec *Recording) []legendEntry {
	t := timeline{rec: rec, span: rec.Length, palette: map[string]int{}}
	var entries []legendEntry
	for _, n := range rec.Nodes {
		if n.Role == "director" {
			t.palette[n.Name] = len(t.palette)
			class, fill := t.colour(n.Name)
			entries = append(entries, legendEntry{class, fill, n.Name})
		}
	}
	for _, vip := range rec.VIPs {
		if t.crowded(len(Owners(rec, vip.Addr))) {
			return append(entries, legendEntry{"faultmark", "", "fault, inject to heal"},
				legendEntry{"served", "", "answered"},
				legendEntry{"gone", "", "longest time without"},
				legendEntry{"twice", "", "longest time of two owners"})
		}
	}
	return append(entries,
		legendEntry{"nobody", "", "nobody"},
		legendEntry{"both", "cross", "two owners ▼"},
		legendEntry{"fault", "", "fault, inject to heal"},
		legendEntry{"served", "", "answered"},
		legendEntry{"lost", "", "lost ✕"})
}

// eventView is an event in words.
type eventView struct{ At, Kind, Node, Text string }

// kindNames are what readers call the kinds of events.
var kindNames = map[Kind]string{
	StepBegin: "step", FaultInject: "fault asked for", FaultHold: "fault took hold",
	FaultRelease: "heal asked for", FaultHeal: "fault healed", VIPAdd: "VIP gained",
	VIPRemove: "VIP lost", State: "VRRP", AdvertGap: "late advert", Claim: "VIP claimed",
	Bridge: "switch sends to", TableSet: "IPVS table", Note: "note",
}

// events are the first events of a recording in words.
func events(rec *Recording) []eventView {
	var views []eventView
	for _, ev := range rec.Events[:min(len(rec.Events), maxEvents)] {
		text := ev.Subject
		if ev.Detail != "" {
			text = strings.TrimSpace(text + " (" + ev.Detail + ")")
		}
		views = append(views, eventView{shown(ev.At), kindNames[ev.Kind], ev.Node, text})
	}
	return views
}
