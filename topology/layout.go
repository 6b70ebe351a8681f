package topology

import "slices"

// layout says which nodes stand in which row of a drawing. With networks drawn as bars one
// below the other, row 0 is above the first bar and row i directly below the i-th, counted from
// 1.
type layout struct {
	rows [][]*Node
	// network gives a network's place by its name.
	network map[string]int
}

// newLayout puts clients of the first network above it, a node of several networks below its first,
// and every other node below its network.
func newLayout(t *Topology) layout {
	l := layout{rows: make([][]*Node, len(t.Networks)+1), network: map[string]int{}}
	for i, n := range t.Networks {
		l.network[n.Name] = i
	}
	for i := range t.Nodes {
		n := &t.Nodes[i]
		first := len(t.Networks)
		for _, link := range n.Links {
			if k, ok := l.network[link.Network]; ok {
				first = min(first, k)
			}
		}
		row := min(first+1, len(t.Networks))
		if first == 0 && n.Role == Client && len(n.Links) == 1 {
			row = 0
		}
		l.rows[row] = append(l.rows[row], n)
	}
	return l
}

// vipRow is the row of the directors that keep the VIPs, or -1 for none.
func (l layout) vipRow(t *Topology) int {
	if len(t.VIPs) == 0 {
		return -1
	}
	return slices.IndexFunc(l.rows, func(row []*Node) bool {
		return slices.ContainsFunc(row, func(n *Node) bool { return n.Role == Director })
	})
}

// split parts a row into what stands left and right of its VIPs: half of the directors each, all
// other nodes right.
func split(row []*Node) (left, right []*Node) {
	var directors, others []*Node
	for _, n := range row {
		if n.Role == Director {
			directors = append(directors, n)
		} else {
			others = append(others, n)
		}
	}
	half := (len(directors) + 1) / 2
	return directors[:half], append(slices.Clone(directors[half:]), others...)
}
