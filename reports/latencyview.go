package reports

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"
)

// The sizes of the drawing of latencies: so many bars for each power of ten.
const (
	perDecade     = 12
	latencyFloor  = 150.0
	latencyHeight = 122.0
)

// latencyView is how the latencies of answered requests are spread, and the outages.
type latencyView struct {
	Drawing template.HTML
	Text    string
	Outages string
}

// latenciesOf returns nil for a recording with no answered request.
func latenciesOf(rec *Recording) *latencyView {
	l := Latencies(rec, Whole(rec))
	if l.Count == 0 {
		return nil
	}
	v := &latencyView{Drawing: template.HTML(drawLatencies(rec, l)), Text: fmt.Sprintf(
		"%s answered: the least %s, half within %s, 95 of 100 within %s, 99 of 100 within %s, the "+
			"most %s.", plural(l.Count, "request"), shown(l.Min), shown(l.P50), shown(l.P95),
		shown(l.P99), shown(l.Max))}
	var lengths []time.Duration
	for _, g := range Gaps(rec, Whole(rec)) {
		lengths = append(lengths, g.Length())
	}
	if n := len(lengths); n > 0 {
		slices.Sort(lengths)
		v.Outages = fmt.Sprintf("%s: the shortest %s, half within %s, the longest %s.",
			plural(n, "outage"), shown(lengths[0]), shown(lengths[(n-1)/2]), shown(lengths[n-1]))
	}
	return v
}

// drawLatencies draws how many requests took how long, on a logarithmic axis of time.
func drawLatencies(rec *Recording, l Latency) string {
	place := func(d time.Duration) float64 { return math.Log10(float64(max(d, 1))) }
	low, high := math.Floor(place(l.Min)), math.Ceil(place(l.Max)+1e-9)
	if high <= low {
		high = low + 1
	}
	counts := make([]int, int(high-low)*perDecade)
	most := 1
	for _, r := range rec.Requests {
		if r.Outcome == Answered {
			i := min(max(int((place(r.Latency)-low)*perDecade), 0), len(counts)-1)
			counts[i]++
			most = max(most, counts[i])
		}
	}
	x := func(at float64) float64 { return 30 + (at-low)/(high-low)*(chartRight-60) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="timeline latencies" viewBox="0 0 %s %s" role="img">`+"\n"+
		"<title>Latencies of answered requests</title>\n", num(chartWidth), num(latencyFloor+22))
	for at := low; at <= high; at++ {
		fmt.Fprintf(&b, `<path class="grid" d="M%s 14V%s"/><text class="tick" x="%s" y="%s" `+
			`text-anchor="middle">%s</text>`+"\n", num(x(at)), num(latencyFloor), num(x(at)),
			num(latencyFloor+16), shown(time.Duration(math.Round(math.Pow(10, at)))))
	}
	for i, n := range counts {
		if n == 0 {
			continue
		}
		from, to := low+float64(i)/perDecade, low+float64(i+1)/perDecade
		height := max(latencyHeight*float64(n)/float64(most), 1.5)
		fmt.Fprintf(&b, `<rect class="other" x="%s" y="%s" width="%s" height="%s"><title>%s took %s to `+
			"%s</title></rect>\n", num(x(from)), num(latencyFloor-height), num(x(to)-x(from)-2),
			num(height), plural(n, "request"), shown(time.Duration(math.Pow(10, from))),
			shown(time.Duration(math.Pow(10, to))))
	}
	marks := []struct {
		name string
		at   time.Duration
	}{{"50 %", l.P50}, {"99 %", l.P99}}
	for i, m := range marks {
		at := x(place(m.at))
		fmt.Fprintf(&b, `<path class="granted" d="M%s 14V%s"/><text class="tick" x="%s" y="%d" `+
			`text-anchor="start">%s %s</text>`+"\n", num(at), num(latencyFloor), num(at+4), 22+14*i,
			m.name, shown(m.at))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
