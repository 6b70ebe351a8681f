package reports

import (
	"fmt"
	"html"
	"slices"
	"strings"
	"time"
)

// Requests are drawn in bins, and their titles cover several bins, so that a timeline stays small
// whatever the number of requests.
const (
	narrowBin = 4.0
	widestBin = 8.0
	// fullBin is how many answers of one server a bin should hold, lest chance shows as pattern.
	fullBin    = 5
	hoverWidth = 16.0
	// denseBin is the most answers in a bin that bars show; more are drawn as one shape.
	denseBin = 50
	// mergeWidth joins losses nearer than that.
	mergeWidth = 2.0
)

// states has a lane for each director: what its adverts say, one row for each virtual router.
func (t *timeline) states() {
	spans := stateSpans(t.rec)
	if len(spans) == 0 {
		return
	}
	t.heading("VRRP state, by the adverts")
	if t.crowded(len(spans)) {
		t.crowdedStates(spans)
		return
	}
	for _, node := range directors(t.rec, spans) {
		top := t.lane(node, node+": VRRP state by its adverts, a row for each virtual router")
		routers := routersOf(spans, node)
		height := laneHeight / float64(max(len(routers), 1))
		for _, s := range spans {
			if s.node != node || s.state == "" {
				continue
			}
			row := slices.Index(routers, s.router)
			class, fill := "silent", ""
			switch s.state {
			case "master":
				class, fill = t.colour(node)
				class += " row"
			case "leaving":
				class, fill = "leaving", "dots"
			}
			b := box{class: class, fill: fill, from: s.from, to: s.to, title: fmt.Sprintf(
				"%s, %s: %s from %s to %s", node, s.router, s.state, shown(s.from),
				shown(s.to))}
			t.box(b, top+float64(row)*height, height-1)
		}
		if len(routers) > 0 {
			t.stateLabels(node, spans, routers, top)
		}
	}
}

// routersOf returns the virtual routers that a node advertised for, in order of appearance.
func routersOf(spans []stateSpan, node string) []string {
	var routers []string
	for _, s := range spans {
		if s.node == node && !slices.Contains(routers, s.router) {
			routers = append(routers, s.router)
		}
	}
	return routers
}

// stateLabels writes the state over the rows of a lane where all routers agree.
func (t *timeline) stateLabels(node string, spans []stateSpan, routers []string, top float64) {
	for _, s := range spans {
		from, to := t.x(s.from), t.x(s.to)
		label := fitted(s.state, to-from)
		if s.node != node || s.router != routers[0] || label == "" {
			continue
		}
		middle := s.from + (s.to-s.from)/2
		agree := 0
		for _, o := range spans {
			if o.node == node && o.state == s.state && o.from <= middle && middle < o.to {
				agree++
			}
		}
		if agree == len(routers) {
			fmt.Fprintf(&t.out, `<text class="boxlabel" x="%s" y="%s" text-anchor="middle">%s</text>`+
				"\n", num((from+to)/2), num(top+laneHeight/2+4.5), html.EscapeString(label))
		}
	}
}

// colour returns the class and the texture of a director.
func (t *timeline) colour(node string) (class, fill string) {
	i, ok := t.palette[node]
	if !ok {
		return "other", ""
	}
	textures := [...]string{"", "hatch", "dots", "cross"}
	return fmt.Sprintf("d%d", i%len(textures)), textures[i%len(textures)]
}

// stateSpan is a time in which a node's adverts for one virtual router said the same.
type stateSpan struct {
	node, router, state string
	from, to            time.Duration
}

// stateSpans parts the state events of each node and virtual router, in order of from.
func stateSpans(rec *Recording) []stateSpan {
	var spans []stateSpan
	last := map[[2]string]int{}
	for _, ev := range rec.Events {
		if ev.Kind != State {
			continue
		}
		router, _, _ := strings.Cut(ev.Detail, ",")
		key := [2]string{ev.Node, router}
		if i, ok := last[key]; ok {
			if spans[i].state == ev.Subject {
				continue
			}
			spans[i].to = ev.At
		}
		last[key] = len(spans)
		spans = append(spans, stateSpan{ev.Node, router, ev.Subject, ev.At, max(rec.Length, ev.At)})
	}
	return spans
}

// directors returns the directors in the topology's order, and whoever else has a state.
func directors(rec *Recording, spans []stateSpan) []string {
	var names []string
	for _, n := range rec.Nodes {
		if n.Role == "director" {
			names = append(names, n.Name)
		}
	}
	for _, s := range spans {
		if !slices.Contains(names, s.node) {
			names = append(names, s.node)
		}
	}
	return names
}

// owners has a lane for each VIP: who holds it, and where that is nobody or more than one.
func (t *timeline) owners() {
	if len(t.rec.VIPs) == 0 {
		return
	}
	t.heading("Owner of each VIP, by the kernels")
	for _, vip := range t.rec.VIPs {
		tenures := Owners(t.rec, vip.Addr)
		if t.crowded(len(tenures)) {
			t.crowdedOwners(vip, tenures)
			continue
		}
		top := t.lane("VIP "+vip.Name, fmt.Sprintf("VIP %s %s: who holds it", vip.Name, vip.Addr))
		for _, o := range tenures {
			b := box{from: o.From, to: o.To}
			lasted := fmt.Sprintf("from %s to %s, for %s", shown(o.From), shown(o.To), shown(o.Length()))
			switch len(o.Nodes) {
			case 0:
				b.class, b.label, b.short = "nobody", "nobody "+shown(o.Length()), "nobody"
				b.title = fmt.Sprintf("nobody holds %s %s", vip.Addr, lasted)
			case 1:
				b.class, b.fill = t.colour(o.Nodes[0])
				b.label = o.Nodes[0]
				b.title = fmt.Sprintf("%s holds %s %s", b.label, vip.Addr, lasted)
			default:
				who := strings.Join(o.Nodes, " and ")
				b.class, b.fill, b.label = "both", "cross", "both "+shown(o.Length())
				b.short = "both"
				b.title = fmt.Sprintf("%s hold %s at once %s", who, vip.Addr, lasted)
				x := num(t.x(o.From + o.Length()/2))
				fmt.Fprintf(&t.out, `<path class="bothmark" d="M%s %sl-5 -7h10z"><title>%s</title></path>`+
					"\n", x, num(top), html.EscapeString(b.title))
			}
			t.box(b, top, laneHeight)
		}
	}
}

// servers has a lane for each real server: how many requests it answered, by the time of sending.
func (t *timeline) servers() {
	names := Servers(t.rec)
	if len(names) == 0 || len(t.rec.Requests) == 0 {
		return
	}
	t.heading("Requests answered by each real server")
	bins := int(t.room() / t.binWidth(len(names)))
	width := t.room() / float64(bins)
	counts := map[string][]int{}
	most := 1
	for _, r := range within(t.rec, Whole(t.rec)) {
		if r.Outcome != Answered {
			continue
		}
		if counts[r.Server] == nil {
			counts[r.Server] = make([]int, bins)
		}
		bin := min(int((t.x(r.Sent)-t.left)/width), bins-1)
		counts[r.Server][bin]++
		most = max(most, counts[r.Server][bin])
	}
	for _, name := range names {
		top := t.lane(name, name+": requests answered, by the time of sending")
		if counts[name] != nil {
			t.density(name, counts[name], most, width, top)
		}
	}
}

// binWidth is the least width of a bin that holds enough answers.
func (t *timeline) binWidth(servers int) float64 {
	width := narrowBin
	for width < widestBin &&
		float64(len(t.rec.Requests)/servers)*width/t.room() < fullBin {
		width *= 2
	}
	return width
}

// density draws counts as bars in one path, with titles over a few bins each.
func (t *timeline) density(name string, counts []int, most int, width, top float64) {
	var path strings.Builder
	for i, n := range counts {
		if n > 0 && most <= denseBin {
			height := max(laneHeight*float64(n)/float64(most), 1)
			fmt.Fprintf(&path, "M%s %sv-%s", num(t.left+(float64(i)+0.5)*width),
				num(top+laneHeight), num(height))
		}
	}
	if most > denseBin {
		t.profile(counts, most, width, top)
	} else {
		fmt.Fprintf(&t.out, `<path class="served" stroke-width="%s" d="%s"/>`+"\n", num(width-1),
			path.String())
	}
	perBin := t.span / time.Duration(len(counts))
	hoverBins := max(int(hoverWidth/width), 1)
	for i := 0; i < len(counts); i += hoverBins {
		end := min(i+hoverBins, len(counts))
		n := 0
		for _, c := range counts[i:end] {
			n += c
		}
		if n == 0 {
			continue
		}
		fmt.Fprintf(&t.out, `<rect class="hover" x="%s" y="%s" width="%s" height="%s"><title>%s: %d `+
			`answered, %s to %s</title></rect>`+"\n", num(t.left+float64(i)*width), num(top),
			num(float64(end-i)*width), num(laneHeight), html.EscapeString(name), n,
			shown(perBin*time.Duration(i)), shown(perBin*time.Duration(end)))
	}
}

// clients has a lane for each client: the requests that it lost.
func (t *timeline) clients() {
	names := Clients(t.rec)
	if len(names) == 0 {
		return
	}
	t.heading("Requests lost by each client")
	outage := Outage(t.rec, Whole(t.rec))
	for _, name := range names {
		losses := t.losses(t.rec, name)
		if len(losses) > maxLosses {
			t.crowdedLosses(name)
			if outage.Lost > 0 && outage.Client == name {
				t.bracket(outage)
			}
			continue
		}
		top := t.lane(name, name+": requests lost, by the time of sending")
		t.lossBoxes(t.rec, name, top, func(l loss) string {
			return fmt.Sprintf("✕ %d lost", l.count.Lost())
		})
		if outage.Lost > 0 && outage.Client == name {
			t.bracket(outage)
		}
	}
}

// bracket marks the longest outage below its client's lane.
func (t *timeline) bracket(g Gap) {
	from, to, y := t.x(g.From), t.x(g.To), t.y
	fmt.Fprintf(&t.out, `<path class="bracket" d="M%s %sv6H%sv-6"/>`+"\n", num(from), num(y-5),
		num(to))
	label := "longest outage " + shown(g.Length())
	if g.Open {
		label += " or more"
	}
	half := float64(len(label)) * letterWidth / 2
	middle := min(max((from+to)/2, t.left+half), chartRight-half)
	fmt.Fprintf(&t.out, `<text class="outage" x="%s" y="%s" text-anchor="middle">%s</text>`+"\n",
		num(middle), num(y+15), html.EscapeString(label))
	t.y += 26
}

// loss is a stretch of the axis with lost requests.
type loss struct {
	from, to time.Duration
	count    Counts
}

func (l loss) title(client string) string {
	var kinds []string
	for _, k := range []struct {
		n    int
		what string
	}{{l.count.Timeout, "timed out"}, {l.count.Refused, "refused"}, {l.count.Late, "too late"},
		{l.count.Failed, "failed otherwise"}} {
		if k.n > 0 {
			kinds = append(kinds, fmt.Sprintf("%d %s", k.n, k.what))
		}
	}
	return fmt.Sprintf("%s: %d of %d requests lost, %s to %s (%s)", client, l.count.Lost(),
		l.count.Sent, shown(l.from), shown(l.to), strings.Join(kinds, ", "))
}

// losses returns a client's gaps in a recording, joined where the drawing could not part them.
func (t *timeline) losses(rec *Recording, client string) []loss {
	own := Recording{Length: rec.Length}
	for _, r := range rec.Requests {
		if r.Client == client {
			own.Requests = append(own.Requests, r)
		}
	}
	var joined []loss
	for _, g := range Gaps(&own, Whole(&own)) {
		n := len(joined)
		if n > 0 && t.x(g.From)-max(t.x(joined[n-1].to), t.x(joined[n-1].from)+2) < mergeWidth {
			joined[n-1].to = g.To
			continue
		}
		joined = append(joined, loss{from: g.From, to: g.To})
	}
	requests := own.Requests
	for i := range joined {
		w := Window{From: joined[i].from, To: joined[i].to}
		first, _ := slices.BinarySearchFunc(requests, w.From,
			func(r Request, at time.Duration) int { return int(min(max(r.Sent-at, -1), 1)) })
		last, _ := slices.BinarySearchFunc(requests, w.To,
			func(r Request, at time.Duration) int { return int(min(max(r.Sent-at, -1), 1)) })
		own.Requests = requests[first:last]
		joined[i].count = Count(&own, w)
	}
	return joined
}
