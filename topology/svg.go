package topology

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// Measures of the drawing, in its own units.
const (
	boxWidth   = 150
	boxHeight  = 54
	boxGap     = 26
	vipWidth   = 190
	vipHeight  = 38
	vipGap     = 14
	barHeight  = 28
	linkLength = 42
	margin     = 16
	lineHeight = 20
	// letterWidth is a generous average of small text's letters.
	letterWidth = 7
)

// svgStyle names no element outside the drawing, and takes ink and paper from the page that the
// drawing is inlined in, if that sets --tandem-ink and --tandem-paper.
const svgStyle = `.tandem-net{--ink:var(--tandem-ink,#1b1f24);--paper:var(--tandem-paper,#fff);` +
	`font:13px system-ui,sans-serif}
@media (prefers-color-scheme:dark){.tandem-net{--ink:var(--tandem-ink,#e8eaed);` +
	`--paper:var(--tandem-paper,#14171c)}}
.tandem-net text{fill:var(--ink)}
.tandem-net .paper{fill:var(--paper)}
.tandem-net .name{font-weight:600;font-size:15px}
.tandem-net .small{font-size:12px;opacity:.8}
.tandem-net .addr{font-size:12px;font-family:ui-monospace,monospace}
.tandem-net .bar{fill:var(--ink);fill-opacity:.1;stroke:var(--ink);stroke-opacity:.45}
.tandem-net .wire{fill:none;stroke:var(--ink);stroke-opacity:.55;stroke-width:1.5}
.tandem-net .box{fill-opacity:.13;stroke-width:2}
.tandem-net .client{fill:#64748b;stroke:#64748b}
.tandem-net .director{fill:#0072b2;stroke:#2a8fd0;stroke-width:3}
.tandem-net .real-server{fill:#009e73;stroke:#009e73}
.tandem-net .unset{fill:none;stroke:var(--ink)}
.tandem-net .vip{fill:#d55e00;fill-opacity:.13;stroke:#d55e00;stroke-width:2}
.tandem-net .claim{fill:none;stroke:#d55e00;stroke-width:2;stroke-dasharray:5 4}
`

// SVG draws a topology: networks as bars, nodes as boxes with their addresses, VIPs between the
// directors that keep them. The element needs nothing from outside, so that it can stand alone or
// inside an HTML page, light or dark.
func SVG(t Topology) string {
	d := &drawing{Topology: &t, layout: newLayout(&t)}
	d.vips = d.vipRow(&t)
	width := d.width()
	y := margin
	var bars []int
	heights := make([]int, len(d.rows))
	tops := make([]int, len(d.rows))
	for i := range d.rows {
		tops[i], heights[i] = y, d.rowHeight(i)
		if heights[i] > 0 {
			y += heights[i] + linkLength
			if i > 0 {
				tops[i] += linkLength
				y += linkLength
			}
		}
		if i < len(d.Networks) {
			bars = append(bars, y)
			y += barHeight
		} else if heights[i] > 0 {
			y -= linkLength
		}
	}
	d.bars = bars
	for i := range d.rows {
		d.row(i, tops[i], heights[i], width)
	}
	for i, n := range d.Networks {
		d.bar(n, bars[i], width)
	}
	y = d.facts(y+2*margin, (width-2*margin)/letterWidth)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="tandem-net" role="img" `+
		`viewBox="0 0 %d %d" width="%d" height="%d">`+"\n", width, y, width, y)
	fmt.Fprintf(&b, "<title>%s</title>\n<style>%s</style>\n", escape(t.Name+": "+t.Doc), svgStyle)
	fmt.Fprintf(&b, `<rect class="paper" width="%d" height="%d"/>`+"\n", width, y)
	b.WriteString(d.wires.String())
	b.WriteString(d.shapes.String())
	b.WriteString("</svg>\n")
	return b.String()
}

// drawing collects wires and what stands over them.
type drawing struct {
	*Topology
	layout
	vips          int
	bars          []int
	wires, shapes strings.Builder
}

func escape(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		panic(err) // a strings.Builder takes everything
	}
	return b.String()
}

func (d *drawing) text(x, y int, class, anchor, text string) {
	fmt.Fprintf(&d.shapes, `<text x="%d" y="%d" class="%s" text-anchor="%s">%s</text>`+"\n",
		x, y, class, anchor, escape(text))
}

// width is that of the widest row.
func (d *drawing) width() int {
	widest := 3*boxWidth + 2*boxGap
	for i := range d.rows {
		widest = max(widest, d.rowWidth(i))
	}
	return widest + 4*margin
}

func (d *drawing) rowWidth(i int) int {
	width := len(d.rows[i])*(boxWidth+boxGap) - boxGap
	if i == d.vips {
		width += vipWidth + 3*boxGap
	}
	return width
}

func (d *drawing) rowHeight(i int) int {
	switch {
	case len(d.rows[i]) == 0:
		return 0
	case i == d.vips:
		return max(boxHeight, len(d.VIPs)*(vipHeight+vipGap)-vipGap)
	}
	return boxHeight
}

// row draws the nodes of a row, centred, and the VIPs between the directors.
func (d *drawing) row(i, top, height, width int) {
	x := (width - d.rowWidth(i)) / 2
	y := top + (height-boxHeight)/2
	left, right := d.rows[i], []*Node(nil)
	if i == d.vips {
		left, right = split(d.rows[i])
	}
	for _, n := range left {
		d.node(n, i, x, y)
		x += boxWidth + boxGap
	}
	if i == d.vips {
		x += boxGap
		d.virtual(i, x, top, height, len(right) > 0)
		x += vipWidth + 2*boxGap
	}
	for _, n := range right {
		d.node(n, i, x, y)
		x += boxWidth + boxGap
	}
}

// corner tells the roles apart without colour.
var corner = map[Role]int{Client: boxHeight / 2, Director: 10, RealServer: 0}

func (d *drawing) node(n *Node, row, x, y int) {
	fmt.Fprintf(&d.shapes, `<rect class="paper" x="%d" y="%d" width="%d" height="%d" rx="%d"/>`+"\n",
		x, y, boxWidth, boxHeight, corner[n.Role])
	fmt.Fprintf(&d.shapes,
		`<rect class="box %s" x="%d" y="%d" width="%d" height="%d" rx="%d"/>`+"\n",
		n.Role, x, y, boxWidth, boxHeight, corner[n.Role])
	d.text(x+boxWidth/2, y+23, "name", "middle", n.Name)
	what := strings.ReplaceAll(n.Role.String(), "-", " ")
	if n.Priority != 0 {
		what += fmt.Sprintf(", priority %d", n.Priority)
	}
	d.text(x+boxWidth/2, y+42, "small", "middle", what)
	above, below := 0, 0
	for _, l := range n.Links {
		k, ok := d.network[l.Network]
		if !ok {
			continue
		}
		if k < row {
			above++
			d.wire("wire", x+boxWidth/4*above, y, d.bars[k]+barHeight)
			d.text(x+boxWidth/4*above+6, y-8, "addr", "start", l.Addr.Addr().String())
		} else {
			below++
			d.wire("wire", x+boxWidth/4*below, y+boxHeight, d.bars[k])
			d.text(x+boxWidth/4*below+6, y+boxHeight+17, "addr", "start", l.Addr.Addr().String())
		}
	}
}

func (d *drawing) wire(class string, x, from, to int) {
	fmt.Fprintf(&d.wires, `<path class="%s" d="M%d %dV%d"/>`+"\n", class, x, from, to)
}

// virtual draws the VIPs one below the other, each claimed on its network.
func (d *drawing) virtual(row, x, top, height int, shared bool) {
	middle := top + height/2
	from, to := x-2*boxGap, x+vipWidth
	if shared {
		to += 2 * boxGap
	}
	fmt.Fprintf(&d.wires, `<path class="claim" d="M%d %dH%d"/>`+"\n", from, middle, to)
	y := top + (height-len(d.VIPs)*(vipHeight+vipGap)+vipGap)/2
	count, drawn := map[bool]int{}, map[bool]int{} // how many VIPs go up, and how many down
	for _, vip := range d.VIPs {
		count[d.network[vip.Network] < row]++
	}
	for _, vip := range d.VIPs {
		if k, ok := d.network[vip.Network]; ok {
			up := k < row
			drawn[up]++
			at := x + vipWidth*drawn[up]/(count[up]+1)
			if up {
				d.wire("claim", at, y, d.bars[k]+barHeight)
			} else {
				d.wire("claim", at, y+vipHeight, d.bars[k])
			}
		}
		for _, class := range []string{"paper", "vip"} {
			fmt.Fprintf(&d.shapes, `<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="%d"/>`+"\n",
				class, x, y, vipWidth, vipHeight, vipHeight/2)
		}
		d.text(x+vipWidth/2, y+17, "name", "middle", "VIP "+vip.Addr.String())
		d.text(x+vipWidth/2, y+32, "small", "middle",
			fmt.Sprintf("%s, virtual router %d", vip.Name, vip.RouterID))
		y += vipHeight + vipGap
	}
}

func (d *drawing) bar(n Network, y, width int) {
	for _, class := range []string{"paper", "bar"} {
		fmt.Fprintf(&d.shapes, `<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="6"/>`+"\n",
			class, margin, y, width-2*margin, barHeight)
	}
	d.text(2*margin, y+19, "name", "start", n.Name)
	d.text(width-2*margin, y+19, "addr", "end", n.Prefix.String())
}

// facts writes the lines below the drawing and returns its end.
func (d *drawing) facts(y, columns int) int {
	for _, line := range wrapped(facts(d.Topology), columns, "") {
		d.text(margin, y, "small", "start", line)
		y += lineHeight
	}
	return y
}

// facts are the lines below every drawing: what its boxes and wires do not show.
func facts(t *Topology) []string {
	var lines []string
	if len(t.VIPs) > 0 {
		line := fmt.Sprintf("VRRP version %d, an advert every %s", t.VRRP.Version, t.VRRP.Advert)
		if t.VRRP.UseVMAC {
			line += ", virtual MAC addresses"
		}
		lines = append(lines, line)
	}
	for _, s := range t.Services {
		var servers []string
		for _, r := range s.RealServers {
			server := fmt.Sprintf("%s:%d", r.Node, r.Port)
			if r.Weight != 1 {
				server += fmt.Sprintf(" weight %d", r.Weight)
			}
			if common, one := s.forward(); !one {
				server += " by " + r.Forward.String()
			} else if len(servers) == len(s.RealServers)-1 && common != Masq {
				server += " by " + common.String()
			}
			servers = append(servers, server)
		}
		line := fmt.Sprintf("service %s, %s over %s", s.Addr, s.Scheduler, strings.Join(servers, ", "))
		if s.Marked.IsValid() {
			line = fmt.Sprintf("service of all of %s by firewall mark, %s over %s", s.Marked, s.Scheduler,
				strings.Join(servers, ", "))
		}
		if s.Protocol != HTTP {
			line = strings.ToUpper(s.Protocol.String()) + " " + line
		}
		if s.Check.Kind != 0 {
			line += fmt.Sprintf("; %s check every %s", strings.ToUpper(s.Check.Kind.String()),
				s.Check.DelayLoop)
		}
		lines = append(lines, line)
	}
	return lines
}
