package config

// nodes are where the statements of a tree live. Those of a block that has been read and is not
// kept make room for those of the next: a large file has millions, of which only few are needed at
// a time.
type nodes struct {
	nodes []Node
	words []Word
}

// leastNodes is how many there is room for at first.
const leastNodes = 64

// take returns a statement of these words. It is valid until reset.
func (ns *nodes) take(ts []token) *Node {
	if len(ns.nodes) == cap(ns.nodes) {
		// The full one stays with those who point into it.
		ns.nodes = make([]Node, 0, max(leastNodes, 2*cap(ns.nodes)))
	}
	if len(ns.words)+len(ts) > cap(ns.words) {
		ns.words = make([]Word, 0, max(2*leastNodes, 2*cap(ns.words), len(ts)))
	}
	first := len(ns.words)
	for i := range ts {
		ns.words = append(ns.words, ts[i].Word)
	}
	ns.nodes = ns.nodes[:len(ns.nodes)+1]
	n := &ns.nodes[len(ns.nodes)-1]
	n.Words = ns.words[first:len(ns.words):len(ns.words)]
	n.Open, n.Children = Pos{}, n.Children[:0]
	return n
}

// reset makes room: no statement that was taken is used any more.
func (ns *nodes) reset() { ns.nodes, ns.words = ns.nodes[:0], ns.words[:0] }
