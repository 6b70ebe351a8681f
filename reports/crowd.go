package reports

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"time"
)

// A lane that holds more than can be told apart is drawn in bins: how much of each was whose, and
// how long the worst of each lasted.
const (
	// maxBoxes is how many spans a lane shows one by one, maxLosses how many losses, maxFaults how
	// many faults.
	maxBoxes  = 60
	maxLosses = 24
	maxFaults = 8
	// maxKinds is how many kinds of faults have a lane of their own.
	maxKinds = 12
	// crowdBin is the width of a bin.
	crowdBin = 4.0
	// faultWidth is the least width of a fault among many.
	faultWidth = 3.0
)

// crowded says whether so many spans are too many for a lane.
func (t *timeline) crowded(n int) bool { return n > maxBoxes && t.span > 0 }

// binCount is the number of bins of a crowded lane.
func (t *timeline) binCount() int {
	return int(t.room() / crowdBin)
}

// pitch is the exact width of a bin.
func (t *timeline) pitch() float64 { return t.room() / float64(t.binCount()) }

// binAt is the bin of an offset, and how far into it that is, from 0 to 1.
func (t *timeline) binAt(at time.Duration) (bin int, within float64) {
	place := min(max(float64(at)/float64(t.span), 0), 1) * float64(t.binCount())
	bin = min(int(place), t.binCount()-1)
	return bin, place - float64(bin)
}

// cover adds to each bin the part of it that lies between two offsets.
func (t *timeline) cover(parts []float64, from, to time.Duration) {
	first, begin := t.binAt(from)
	last, end := t.binAt(to)
	if first == last {
		parts[first] += end - begin
		return
	}
	parts[first] += 1 - begin
	for i := first + 1; i < last; i++ {
		parts[i]++
	}
	parts[last] += end
}

// area draws how much of each bin something takes up as one shape that stands on base, or on the
// floor where base is nil; it returns the base of what is stacked on it.
func (t *timeline) area(class, fill string, base, parts []float64, top, height float64) []float64 {
	if base == nil {
		base = make([]float64, len(parts))
	}
	next := make([]float64, len(parts))
	for i := range parts {
		next[i] = min(base[i]+parts[i], 1)
	}
	path := t.steps(base, next, t.pitch(), top, height)
	fmt.Fprintf(&t.out, `<path class="%s share" d="%s"/>`+"\n", class, path)
	if fill != "" {
		fmt.Fprintf(&t.out, `<path class="texture" fill="url(#%s-%s)" d="%s"/>`+"\n", t.id, fill, path)
	}
	return next
}

// steps is the outline between two rows of heights, from 0 to 1, along bins of a width.
func (t *timeline) steps(low, high []float64, width, top, height float64) string {
	var b strings.Builder
	y := func(h float64) string { return num(top + height*(1-h)) }
	x := func(bin int) string { return num(t.left + float64(bin)*width) }
	fmt.Fprintf(&b, "M%s %s", x(0), y(low[0]))
	for i, h := range high {
		if i == 0 || y(h) != y(high[i-1]) {
			fmt.Fprintf(&b, "H%sV%s", x(i), y(h))
		}
	}
	fmt.Fprintf(&b, "H%s", x(len(high)))
	for i := len(low) - 1; i >= 0; i-- {
		if i == len(low)-1 || y(low[i]) != y(low[i+1]) {
			fmt.Fprintf(&b, "H%sV%s", x(i+1), y(low[i]))
		}
	}
	return b.String() + "z"
}

// bars draws the longest time of each bin as a bar. A lane's height stands for the longest in which
// anybody went without in the whole recording, so that all lanes can be compared.
func (t *timeline) bars(class string, longest []time.Duration, top float64) {
	most := max(t.tallest, slices.Max(longest))
	var path strings.Builder
	for i, d := range longest {
		if d > 0 {
			height := max(laneHeight*float64(d)/float64(most), 2)
			fmt.Fprintf(&path, "M%s %sv-%s", num(t.left+(float64(i)+0.5)*t.pitch()),
				num(top+laneHeight), num(height))
		}
	}
	fmt.Fprintf(&t.out, `<path class="%s" stroke-width="%s" d="%s"/>`+"\n", class, num(crowdBin-1),
		path.String())
}

// strips covers a lane with places to point at; of what title says nothing there is none.
func (t *timeline) strips(top float64, title func(Window) string) {
	n := int(math.Round(t.room() / hoverWidth))
	width := t.room() / float64(n)
	for i := range n {
		part := func(i int) time.Duration {
			return time.Duration(float64(t.span) * float64(i) / float64(n))
		}
		w := Window{From: part(i), To: part(i + 1)}
		if text := title(w); text != "" {
			fmt.Fprintf(&t.out, `<rect class="hover" x="%s" y="%s" width="%s" height="%s"><title>%s, `+
				"%s to %s</title></rect>\n", num(t.left+float64(i)*width), num(top), num(width),
				num(laneHeight), html.EscapeString(text), coarse(w.From), coarse(w.To))
		}
	}
}

// coarse prints a time to a second.
func coarse(d time.Duration) string { return shown(d.Round(time.Second)) }

// faultKinds has a lane for each kind of fault, and one for all kinds for which there is no room.
func (t *timeline) faultKinds(faults []Fault) {
	var kinds []string
	byKind := map[string][]Fault{}
	for _, f := range faults {
		kind := orElse(f.Name, "unnamed")
		if byKind[kind] == nil && len(kinds) >= maxKinds {
			kind = "others"
		}
		if byKind[kind] == nil {
			kinds = append(kinds, kind)
		}
		byKind[kind] = append(byKind[kind], f)
	}
	for _, kind := range kinds {
		title := fmt.Sprintf("%s: %s, from inject to heal", kind, plural(len(byKind[kind]), "fault"))
		top := t.scaledLane(kind, fmt.Sprintf("%d times", len(byKind[kind])), title)
		t.faultMarks(byKind[kind], top)
	}
}

// faultMarks draws faults, joined where the drawing could not part them.
func (t *timeline) faultMarks(faults []Fault, top float64) {
	for len(faults) > 0 {
		right := func(f Fault) float64 { return max(t.x(f.To), t.x(f.From)+faultWidth) }
		n, end := 1, right(faults[0])
		for n < len(faults) && t.x(faults[n].From) < end+0.5 {
			end = max(end, right(faults[n]))
			n++
		}
		title := faults[0].story()
		if n > 1 {
			title = fmt.Sprintf("%d faults to %s, the first: %s", n, shown(faults[n-1].To), title)
		}
		from := t.x(faults[0].From)
		fmt.Fprintf(&t.out, `<rect class="faultmark" x="%s" y="%s" width="%s" height="%s"><title>%s`+
			"</title></rect>\n", num(from), num(top), num(end-from), num(laneHeight),
			html.EscapeString(title))
		faults = faults[n:]
	}
}

// crowdedStates has a lane for each director with how much of each bin it was master for, as the
// mean over its virtual routers.
func (t *timeline) crowdedStates(spans []stateSpan) {
	for _, node := range directors(t.rec, spans) {
		top := t.lane(node, node+": how much of the time it was master by its adverts, the mean over "+
			"its virtual routers")
		parts := make([]float64, t.binCount())
		for _, s := range spans {
			if s.node == node && s.state == "master" {
				t.cover(parts, s.from, s.to)
			}
		}
		for i := range parts {
			parts[i] /= float64(max(len(routersOf(spans, node)), 1))
		}
		class, fill := t.colour(node)
		t.area(class, fill, nil, parts, top, laneHeight)
		t.strips(top, func(w Window) string { return masterText(spans, node, w) })
	}
}

// masterText says how much of a window a node was master, and how often its state changed.
func masterText(spans []stateSpan, node string, w Window) string {
	changes := 0
	var master time.Duration
	for _, s := range spans {
		if s.node != node {
			continue
		}
		if w.Contains(s.from) {
			changes++
		}
		if s.state == "master" {
			master += w.overlap(s.from, s.to)
		}
	}
	if master == 0 && changes == 0 {
		return ""
	}
	routers := max(len(routersOf(spans, node)), 1)
	return fmt.Sprintf("%s: master %s of the time, %s", node,
		percent(master/time.Duration(routers), w.Length()), plural(changes, "change"))
}

func percent(part, whole time.Duration) string {
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(max(whole, 1)))
}

// crowdedOwners has a lane with how much of each bin each node held a VIP, and below it one each
// for the longest times in which nobody and in which more than one held it, where that occurs.
func (t *timeline) crowdedOwners(vip VIP, tenures []Tenure) {
	top := t.lane("VIP "+vip.Name, fmt.Sprintf("VIP %s %s: how much of the time each held it",
		vip.Name, vip.Addr))
	var holders []string
	parts := map[string][]float64{}
	for _, o := range tenures {
		for _, node := range o.Nodes {
			if parts[node] == nil {
				holders = append(holders, node)
				parts[node] = make([]float64, t.binCount())
			}
		}
		if len(o.Nodes) == 1 {
			t.cover(parts[o.Nodes[0]], o.From, o.To)
		}
	}
	slices.Sort(holders)
	var base []float64
	for _, node := range holders {
		class, fill := t.colour(node)
		base = t.area(class, fill, base, parts[node], top, laneHeight)
	}
	t.strips(top, func(w Window) string { return ownerText(vip, tenures, holders, w) })
	if len(tenures[0].Nodes) == 0 {
		tenures = tenures[1:] // before the first owner nobody was missed
	}
	t.tenureBars("no owner", "gone", vip, tenures, func(o Tenure) bool { return len(o.Nodes) == 0 })
	t.tenureBars("two owners", "twice", vip, tenures, func(o Tenure) bool { return len(o.Nodes) > 1 })
}

// ownerText says how much of a window each node alone held a VIP.
func ownerText(vip VIP, tenures []Tenure, holders []string, w Window) string {
	var nobody, both time.Duration
	alone := map[string]time.Duration{}
	for _, o := range tenures {
		d := w.overlap(o.From, o.To)
		switch len(o.Nodes) {
		case 0:
			nobody += d
		case 1:
			alone[o.Nodes[0]] += d
		default:
			both += d
		}
	}
	var texts []string
	for _, node := range holders {
		if alone[node] > 0 {
			texts = append(texts, node+" "+percent(alone[node], w.Length()))
		}
	}
	if nobody > 0 {
		texts = append(texts, "nobody "+shown(nobody))
	}
	if both > 0 {
		texts = append(texts, "two owners "+shown(both))
	}
	return "VIP " + vip.Name + ": " + strings.Join(texts, ", ")
}

// tenureBars has a lane with the longest tenures of a sort, unless there is none.
func (t *timeline) tenureBars(
	name, class string, vip VIP, tenures []Tenure, of func(Tenure) bool,
) {
	longest := make([]time.Duration, t.binCount())
	for _, o := range tenures {
		if of(o) {
			bin, _ := t.binAt(o.From)
			longest[bin] = max(longest[bin], o.Length())
		}
	}
	worst := slices.Max(longest)
	if worst <= 0 {
		return
	}
	top := t.scaledLane(name, "≤ "+shown(worst), fmt.Sprintf("VIP %s %s: %s, the longest time in "+
		"each bar's stretch; the longest is %s", vip.Name, vip.Addr, name, shown(worst)))
	t.bars(class, longest, top)
	t.strips(top, func(w Window) string {
		n, most := 0, time.Duration(0)
		for _, o := range tenures {
			if of(o) && w.Contains(o.From) {
				n, most = n+1, max(most, o.Length())
			}
		}
		if n == 0 {
			return ""
		}
		return fmt.Sprintf("VIP %s: %s %s, the longest %s", vip.Name, name, times(n), shown(most))
	})
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// crowdedLosses has a lane with a client's longest outages.
func (t *timeline) crowdedLosses(client string) {
	var gaps []Gap
	longest := make([]time.Duration, t.binCount())
	for _, g := range Gaps(t.rec, Whole(t.rec)) {
		if g.Client == client {
			gaps = append(gaps, g)
			bin, _ := t.binAt(g.From)
			longest[bin] = max(longest[bin], g.Length())
		}
	}
	worst := slices.Max(longest)
	top := t.scaledLane(client, "≤ "+shown(worst), fmt.Sprintf("%s: the longest outage in each "+
		"bar's stretch; the longest is %s", client, shown(worst)))
	t.bars("gone", longest, top)
	t.strips(top, func(w Window) string {
		n, lost, most := 0, 0, time.Duration(0)
		for _, g := range gaps {
			if w.Contains(g.From) {
				n, lost, most = n+1, lost+g.Lost, max(most, g.Length())
			}
		}
		if n == 0 {
			return ""
		}
		return fmt.Sprintf("%s: %s lost in %s, the longest %s", client, plural(lost, "request"),
			plural(n, "outage"), shown(most))
	})
}

// profile draws counts as one shape, where bars would be a grating.
func (t *timeline) profile(counts []int, most int, width, top float64) {
	low, high := make([]float64, len(counts)), make([]float64, len(counts))
	for i, n := range counts {
		high[i] = float64(n) / float64(most)
	}
	fmt.Fprintf(&t.out, `<path class="served profile" d="%s"/>`+"\n",
		t.steps(low, high, width, top, laneHeight))
}
