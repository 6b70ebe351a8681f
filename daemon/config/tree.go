package config

import (
	"fmt"
	"strings"

	"github.com/tandemlb/tandem/daemon/config/source"
)

// Word is one word of the file, without its quotes.
type Word struct {
	Text   string
	Pos    Pos
	Quoted bool
}

// kept is the text for what outlives the reading: Text is a piece of a larger one, which would stay
// with it.
func (w Word) kept() string { return strings.Clone(w.Text) }

// Node is one statement: words, and perhaps a block of further statements.
type Node struct {
	// Words are never empty; the first is the keyword.
	Words []Word
	// Open is the place of the block's brace; zero if there is no block.
	Open Pos
	// Children are the statements of the block.
	Children []*Node
}

// Keyword is the first word.
func (n *Node) Keyword() string { return n.Words[0].Text }

// Pos is where the first word starts.
func (n *Node) Pos() Pos { return n.Words[0].Pos }

// Args are the words after the keyword.
func (n *Node) Args() []Word { return n.Words[1:] }

// HasBlock says whether there are braces, even with nothing in them.
func (n *Node) HasBlock() bool { return !n.Open.IsZero() }

// find is the last statement of the block with that keyword, or nil.
func (n *Node) find(keyword string) *Node {
	for i := len(n.Children) - 1; i >= 0; i-- {
		if n.Children[i].Keyword() == keyword {
			return n.Children[i]
		}
	}
	return nil
}

// placeOf is where find finds the keyword, or the block itself.
func (n *Node) placeOf(keyword string) Pos {
	if c := n.find(keyword); c != nil {
		return c.Pos()
	}
	return n.Pos()
}

// String draws the tree with one statement a line, places before it, blocks indented.
func (n *Node) String() string {
	var b strings.Builder
	n.draw(&b, 0)
	return b.String()
}

func (n *Node) draw(b *strings.Builder, depth int) {
	fmt.Fprintf(b, "%d:%d\t%s", n.Pos().Line, n.Pos().Column, strings.Repeat("  ", depth))
	for i, w := range n.Words {
		if i > 0 {
			b.WriteByte(' ')
		}
		if w.Quoted {
			fmt.Fprintf(b, "%q", w.Text)
		} else {
			b.WriteString(w.Text)
		}
	}
	if n.HasBlock() {
		b.WriteString(" {}")
	}
	b.WriteByte('\n')
	for _, c := range n.Children {
		c.draw(b, depth+1)
	}
}

// grammar is what reading the tree needs to know of the language.
type grammar struct {
	// isScript: see lexer.
	isScript func(keyword string) bool
	// isRoot tells the keywords of blocks that stand in no other block: one inside a block means
	// that a closing brace is missing before it.
	isRoot func(keyword string) bool
}

// treeReader builds the tree of a file, statement by statement.
type treeReader struct {
	grammar
	report func(Diagnostic)
	// done gets each statement outside of all blocks once it is whole, and says whether it keeps
	// it: else its nodes are used again.
	done  func(*Node) bool
	lexer lexer
	nodes nodes
	// outer is the statement outside of all blocks that is being read, nil before the first; open
	// are the blocks being read, outermost first; last is the statement that a brace on the next
	// line would belong to.
	outer *Node
	open  []*Node
	last  *Node
	// within counts the statements of outer; mistakes what was reported of braces; stopped is set
	// when nothing more is read.
	within, mistakes int
	stopped          bool
}

const (
	// deepest is how many blocks may be in each other: more than any configuration has.
	deepest = 64
	// mostStatements is how many statements may be in one outermost block: more than the largest
	// that IPVS could have.
	mostStatements = 1 << 20
	// mostMistakes is how many mistakes with braces are told, and the rest of the file left.
	mostMistakes = 20
)

// newTreeReader returns a reader of lines, one at a time.
func newTreeReader(g grammar, report func(Diagnostic), done func(*Node) bool) *treeReader {
	return &treeReader{
		grammar: g, report: report, done: done,
		lexer: lexer{isScript: g.isScript, report: report},
	}
}

// read takes one more line.
func (r *treeReader) read(l source.Line) {
	if !r.stopped {
		r.line(r.lexer.run(l))
	}
}

// end hands over what is left. There is always a tree: what is wrong with braces is reported at the
// brace and mended.
func (r *treeReader) end() {
	for _, n := range r.open {
		if r.stopped {
			break
		}
		r.unclosed(n, "the end of the file")
	}
	r.finish()
}

// finish hands over the statement outside of all blocks that has been read.
func (r *treeReader) finish() {
	switch {
	case r.outer == nil:
	case r.done(r.outer):
		r.nodes = nodes{}
	default:
		r.nodes.reset()
	}
	r.outer = nil
}

func (r *treeReader) line(ts []token) {
	for len(ts) > 0 && !r.stopped {
		switch ts[0].kind {
		case tokenOpen:
			r.openBlock(ts[0].Pos)
			ts = ts[1:]
		case tokenClose:
			r.closeBlock(ts[0].Pos)
			ts = ts[1:]
		case tokenWord:
			ts = r.statement(ts)
		}
	}
}

// statement takes the words up to the next brace or the line's end.
func (r *treeReader) statement(ts []token) []token {
	count := 1
	for count < len(ts) && ts[count].kind == tokenWord {
		count++
	}
	if first := &ts[0].Word; r.isRoot(first.Text) && !first.Quoted {
		for _, o := range r.open {
			r.unclosed(o, fmt.Sprintf("%s on line %d", first.Text, first.Pos.Line))
		}
		r.open = r.open[:0]
	}
	if len(r.open) == 0 {
		r.finish()
		r.within = 0
	}
	if r.within++; r.within > mostStatements {
		r.stop(ts[0].Pos, fmt.Sprintf("block: expected at most %d statements in it; the rest of the "+
			"file is not read", mostStatements))
		return nil
	}
	r.last = r.nodes.take(ts[:count])
	if len(r.open) == 0 {
		r.outer = r.last
	} else {
		into := r.open[len(r.open)-1]
		into.Children = append(into.Children, r.last)
	}
	return ts[count:]
}

// fail reports a mistake with braces. After many of them nothing can be said of the rest.
func (r *treeReader) fail(at Pos, format string, args ...any) {
	if r.mistakes++; r.mistakes == mostMistakes {
		r.stop(at, "braces: expected fewer mistakes up to here; the rest of the file is not read")
	}
	if !r.stopped {
		r.report(Diagnostic{Pos: at, Severity: Error, Text: fmt.Sprintf(format, args...)})
	}
}

// stop says why it ends here.
func (r *treeReader) stop(at Pos, text string) {
	r.report(Diagnostic{Pos: at, Severity: Error, Text: text})
	r.stopped = true
}

func (r *treeReader) unclosed(n *Node, before string) {
	r.fail(n.Open, "%s {: expected its closing brace before %s", n.Keyword(), before)
}

// openBlock starts the block of the last statement. A brace that belongs to no statement gets one
// of its own that is in no tree, so that what is in it is skipped.
func (r *treeReader) openBlock(at Pos) {
	n := r.last
	if n == nil {
		r.fail(at, "brace {: expected a keyword before it")
		n = &Node{Words: []Word{{Text: "block", Pos: at}}}
	}
	if len(r.open) == deepest {
		r.stop(at, fmt.Sprintf("brace {: expected at most %d blocks in each other; the rest of the "+
			"file is not read", deepest))
		return
	}
	n.Open = at
	r.open = append(r.open, n)
	r.last = nil
}

func (r *treeReader) closeBlock(at Pos) {
	r.last = nil
	if len(r.open) == 0 {
		r.fail(at, "brace }: expected no more than there are blocks open")
		return
	}
	r.open = r.open[:len(r.open)-1]
}
