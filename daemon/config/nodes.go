package config

// nodes are where the statements of a tree live. Those of a block that has been read and is not
// kept make room for those of the next: a large file has millions, of which only few are needed at
// a time.
type nodes struct {
	nodes store[Node]
	words store[Word]
}

// piece is how many nodes or words there is room for at once.
const piece = 128

// take returns a statement of these words. It is valid until reset.
func (ns *nodes) take(ts []token) *Node {
	words := ns.words.take(len(ts))
	for i := range ts {
		words[i] = ts[i].Word
	}
	n := &ns.nodes.take(1)[0]
	n.Words, n.Open, n.Children = words, Pos{}, n.Children[:0]
	return n
}

// reset makes room: no statement that was taken is used any more.
func (ns *nodes) reset() {
	ns.nodes.reset()
	ns.words.reset()
}

// store is memory that is handed out from the first to the last, and then again. What was in it is
// still there.
type store[T any] struct {
	pieces [][]T
	at     int // the piece of which is taken
	used   int // of that
}

// take returns room for n.
func (s *store[T]) take(n int) []T {
	for s.at < len(s.pieces) && len(s.pieces[s.at])-s.used < n {
		s.at, s.used = s.at+1, 0
	}
	if s.at == len(s.pieces) {
		s.pieces = append(s.pieces, make([]T, max(piece, n)))
	}
	s.used += n
	return s.pieces[s.at][s.used-n : s.used : s.used]
}

func (s *store[T]) reset() { s.at, s.used = 0, 0 }
