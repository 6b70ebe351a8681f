package topology

import (
	"fmt"
	"strings"
)

// Mermaid draws a topology as a Mermaid flowchart, for Markdown pages that render it.
func Mermaid(t Topology) string {
	var b strings.Builder
	b.WriteString("flowchart TB\n")
	for i, n := range t.Networks {
		fmt.Fprintf(&b, "  net%d[[\"%s %s\"]]\n", i, quoted(n.Name), n.Prefix)
	}
	l := newLayout(&t)
	for i := range t.Nodes {
		n := &t.Nodes[i]
		label := quoted(n.Name)
		if n.Priority != 0 {
			label += fmt.Sprintf("<br>priority %d", n.Priority)
		}
		opening, closing := shape(n.Role)
		fmt.Fprintf(&b, "  node%d%s\"%s\"%s\n", i, opening, label, closing)
	}
	for i, vip := range t.VIPs {
		fmt.Fprintf(&b, "  vip%d{{\"VIP %s<br>%s, virtual router %d\"}}\n", i, vip.Addr,
			quoted(vip.Name), vip.RouterID)
	}
	for row, nodes := range l.rows {
		for _, n := range nodes {
			mermaidLinks(&b, &t, l, n, row)
		}
	}
	for i, vip := range t.VIPs {
		if k, ok := l.network[vip.Network]; ok {
			fmt.Fprintf(&b, "  net%d -.- vip%d\n", k, i)
		}
	}
	return b.String()
}

// mermaidLinks writes a node's links; Mermaid puts the first end above the second.
func mermaidLinks(b *strings.Builder, t *Topology, l layout, n *Node, row int) {
	for i := range t.Nodes {
		if &t.Nodes[i] != n {
			continue
		}
		for _, link := range n.Links {
			k, ok := l.network[link.Network]
			switch {
			case ok && k < row:
				fmt.Fprintf(b, "  net%d ---|%s| node%d\n", k, link.Addr.Addr(), i)
			case ok:
				fmt.Fprintf(b, "  node%d ---|%s| net%d\n", i, link.Addr.Addr(), k)
			}
		}
	}
}

// shape tells the roles apart.
func shape(role Role) (opening, closing string) {
	switch role {
	case Client:
		return "([", "])"
	case Director:
		return "[/", `\]`
	}
	return "[", "]"
}

// quoted makes a word safe inside a Mermaid label, which stands in double quotes.
func quoted(s string) string {
	return strings.NewReplacer(`"`, "#quot;", "<", "#lt;", "\n", " ").Replace(s)
}
