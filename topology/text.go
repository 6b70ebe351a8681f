package topology

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// textWidth is the widest line of a drawing; what does not fit is listed instead.
const textWidth = 80

// Text draws a topology of one or two networks for a terminal of 80 columns, networks as vertical
// bars. More networks, or names too long, are listed network by network.
func Text(t Topology) string {
	var lines []string
	switch len(t.Networks) {
	case 1, 2:
		lines = textDrawing(&t)
	}
	if lines == nil || widest(lines) > textWidth {
		lines = textList(&t)
	}
	var b strings.Builder
	lines = append(lines, "")
	for _, line := range append(lines, wrapped(facts(&t), textWidth, "  ")...) {
		b.WriteString(strings.TrimRight(line, " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// wrapped indents lines and breaks them at spaces before the last column; what follows is indented
// more.
func wrapped(lines []string, columns int, indent string) []string {
	var out []string
	for _, line := range lines {
		indent, further := indent, indent+"  "
		for utf8.RuneCountInString(indent+line) > columns {
			cut := strings.LastIndex(line[:max(columns-len(indent), 0)], " ")
			if cut <= 0 {
				break
			}
			out = append(out, indent+line[:cut])
			line, indent = line[cut+1:], further
		}
		out = append(out, indent+line)
	}
	return out
}

func widest(lines []string) int {
	width := 0
	for _, line := range lines {
		width = max(width, utf8.RuneCountInString(line))
	}
	return width
}

// host is the part of an address that the network does not say: .2 of 192.168.1.2/24, ::2 of
// 2001:db8:1::2/64.
func host(l Link) string { return hostPart(l.Addr.Addr(), l.Addr.Bits()) }

func hostPart(addr netip.Addr, bits int) string {
	if addr.Is6() && bits >= 0 {
		b := addr.As16()
		for i := range b[:min(bits/8, len(b))] {
			b[i] = 0
		}
		return netip.AddrFrom16(b).String()
	}
	parts := strings.Split(addr.String(), ".")
	if bits < 0 || bits > 24 || len(parts) != 4 {
		return "." + addr.String()
	}
	return "." + strings.Join(parts[bits/8:], ".")
}

// textDrawing draws clients left of the first bar, real servers right of the last, and what has a
// link to both between them.
func textDrawing(t *Topology) []string {
	l := newLayout(t)
	var left, between, right []string
	middle := 0
	if len(t.Networks) == 2 {
		middle = 34
	}
	for row, nodes := range l.rows {
		for _, n := range nodes {
			switch {
			case row == 0:
				left = append(left, n.Name+" "+host(n.Links[0])+" ─")
			case len(n.Links) > 1:
				between = append(between, spanning(n, l, middle))
			case len(n.Links) == 1:
				line := "─ " + host(n.Links[0]) + " " + n.Name
				if n.Priority != 0 {
					line += fmt.Sprintf(" (%d)", n.Priority)
				}
				if row < len(t.Networks) {
					between = append(between, line)
				} else {
					right = append(right, line)
				}
			}
		}
	}
	if len(t.Networks) == 2 {
		between = append(between, virtualLines(t, l, middle)...)
	} else {
		for _, vip := range t.VIPs {
			right = append(right, fmt.Sprintf("═ %s VIP %s",
				hostPart(vip.Addr, t.Networks[0].Prefix.Bits()), vip.Name))
		}
	}
	return assemble(t, left, between, right, middle)
}

// spanning is the line of a node between two bars: ─ .2 ── lb1 (150) ── .2 ─.
func spanning(n *Node, l layout, width int) string {
	ends := [2]string{}
	for _, link := range n.Links {
		if k, ok := l.network[link.Network]; ok && k < 2 {
			ends[k] = " " + host(link) + " "
		}
	}
	name := n.Name
	if n.Priority != 0 {
		name += fmt.Sprintf(" (%d)", n.Priority)
	}
	return between(ends[0], " "+name+" ", ends[1], width, "─")
}

// between fills a line between two bars: an end, a middle and an end.
func between(left, middle, right string, width int, fill string) string {
	left, right = fill+left, right+fill
	free := width - utf8.RuneCountInString(left+middle+right)
	if free < 2 {
		free = 2
	}
	before := max(width/2-utf8.RuneCountInString(left)-utf8.RuneCountInString(middle)/2, 1)
	before = min(before, free-1)
	return left + strings.Repeat(fill, before) + middle + strings.Repeat(fill, free-before) + right
}

// virtualLines are the VIPs between two bars, those of the first network and of the second paired.
func virtualLines(t *Topology, l layout, width int) []string {
	var sides [2][]VIP
	for _, vip := range t.VIPs {
		if k, ok := l.network[vip.Network]; ok {
			sides[k] = append(sides[k], vip)
		}
	}
	var lines []string
	for i := range max(len(sides[0]), len(sides[1])) {
		var ends, names [2]string
		for k := range sides {
			if i < len(sides[k]) {
				vip := sides[k][i]
				ends[k] = " " + hostPart(vip.Addr, t.Networks[k].Prefix.Bits()) + " "
				names[k] = vip.Name
			}
		}
		label := strings.Trim(names[0]+" / "+names[1], " /")
		lines = append(lines, between(ends[0], " VIP "+label+" ", ends[1], width, "═"))
	}
	return lines
}

// assemble joins the columns around the bars. The bars of the first and last network run through
// every line.
func assemble(t *Topology, left, between, right []string, middle int) []string {
	margin := max(widest(left), 2)
	head := "  " + networkLabel(t.Networks[0])
	if middle > 0 {
		second := networkLabel(t.Networks[1])
		column := max(margin+1+middle+1-len(second)/2, len(head)+2)
		head = fmt.Sprintf("%-*s%s", column, head, second)
	}
	lines := []string{head}
	for i := range max(len(left), len(right)) + len(between) {
		var a, m, z string
		beside := max(len(left), len(right))
		if i < beside {
			a, z = at(left, i), at(right, i)
		} else {
			m = between[i-beside]
		}
		line := strings.Repeat(" ", margin-utf8.RuneCountInString(a)) + a
		if middle == 0 {
			lines = append(lines, line+joint(a, m+z)+m+z)
			continue
		}
		line += joint(a, m) + m + strings.Repeat(" ", max(middle-utf8.RuneCountInString(m), 0))
		inner := ""
		if utf8.RuneCountInString(m) >= middle {
			inner = m
		}
		lines = append(lines, line+joint(inner, z)+z)
	}
	return lines
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

func networkLabel(n Network) string { return n.Name + " " + n.Prefix.String() }

// joint is one character of a vertical bar with what hangs on its two sides.
func joint(left, right string) string {
	double := strings.HasPrefix(right, "═") || strings.HasSuffix(left, "═")
	switch {
	case left != "" && right != "":
		return "┼"
	case left != "" && double:
		return "╡"
	case left != "":
		return "┤"
	case right != "" && double:
		return "╞"
	case right != "":
		return "├"
	}
	return "│"
}

// textList lists networks with what hangs on them.
func textList(t *Topology) []string {
	var lines []string
	for _, network := range t.Networks {
		lines = append(lines, networkLabel(network))
		for i := range t.Nodes {
			n := &t.Nodes[i]
			if link, ok := n.LinkOn(network.Name); ok {
				line := fmt.Sprintf("├─ %-15s %s", link.Addr.Addr(), n.Name)
				if n.Priority != 0 {
					line += fmt.Sprintf(" (%d)", n.Priority)
				}
				lines = append(lines, line)
			}
		}
		for _, vip := range t.VIPs {
			if vip.Network == network.Name {
				lines = append(lines, fmt.Sprintf("╞═ %-15s VIP %s", vip.Addr, vip.Name))
			}
		}
	}
	return lines
}
