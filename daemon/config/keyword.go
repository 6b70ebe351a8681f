package config

import (
	"fmt"
	"slices"
	"strings"
)

// keyword is one keyword of the language in one kind of block, where T is what the block becomes.
type keyword[T any] struct {
	name string
	// usage completes "expected …"; doc says what it means; def is the default, in the words of the
	// language, that a T starts with. Where code works the default out, otherwise describes it.
	usage, doc, def, otherwise string
	// block is set for keywords that open a block, many for those that may come more than once.
	block, many bool
	// late keywords are read after the others of their block, because they inherit from them.
	late bool
	// script keywords have a command as argument: see lexer.
	script bool
	// idle keywords are known and checked but change nothing in this version.
	idle bool
	// inner lists the keywords in its block, all idle if idle is set; nil if it has none.
	inner func(idle bool) []Keyword
	// set reads the statement into t.
	set func(d *decoder, t *T, n *Node)
}

// table is every keyword of one kind of block.
type table[T any] struct {
	scope    string
	keywords []keyword[T]
	index    map[string]int
}

func newTable[T any](scope string, groups ...[]keyword[T]) *table[T] {
	t := &table[T]{scope: scope, keywords: slices.Concat(groups...), index: map[string]int{}}
	for i, k := range t.keywords {
		if _, twice := t.index[k.name]; twice {
			panic("keyword " + k.name + " is twice in " + scope)
		}
		t.index[k.name] = i
	}
	return t
}

// start gives t the defaults of the table.
func (tab *table[T]) start(d *decoder, t *T) {
	for _, k := range tab.keywords {
		if k.def == "" {
			continue
		}
		n := &Node{Words: []Word{{Text: k.name}}}
		for _, w := range strings.Fields(k.def) {
			n.Words = append(n.Words, Word{Text: w})
		}
		k.set(d, t, n)
	}
}

// read reads the statements of a block into t.
func (tab *table[T]) read(d *decoder, t *T, ns []*Node) {
	seen := map[string]Pos{}
	var late []*Node
	for _, n := range ns {
		i, known := tab.index[n.Keyword()]
		if !known {
			d.unknown(n, tab.scope, tab.names())
			continue
		}
		k := &tab.keywords[i]
		if first, twice := seen[k.name]; twice && !k.many {
			d.warn(n.Pos(), "%s: expected once in %s; this one replaces line %d",
				k.name, tab.scope, first.Line)
		}
		seen[k.name] = n.Pos()
		if k.late {
			late = append(late, n)
			continue
		}
		tab.one(d, t, k, n)
	}
	for _, n := range late {
		tab.one(d, t, &tab.keywords[tab.index[n.Keyword()]], n)
	}
}

func (tab *table[T]) one(d *decoder, t *T, k *keyword[T], n *Node) {
	switch {
	case n.HasBlock() && !k.block:
		d.fail(n.Open, "%s {: expected %s and no block", k.name, k.usage)
		return
	case !n.HasBlock() && k.block:
		d.fail(n.Pos(), "%s: expected a block { … } after it", quoteArgs(n))
		return
	}
	if k.idle {
		d.warn(n.Pos(), "%s: has no effect yet in this version", k.name)
	}
	k.set(d, t, n)
}

func (tab *table[T]) names() []string {
	var ns []string
	for _, k := range tab.keywords {
		ns = append(ns, k.name)
	}
	return ns
}

// list describes the keywords of the table and of the blocks in it; idle is set if the block of the
// table itself changes nothing yet.
func (tab *table[T]) list(idle bool) []Keyword {
	var ks []Keyword
	for _, k := range tab.keywords {
		ks = append(ks, Keyword{
			Name: k.name, Scope: tab.scope, Usage: k.usage, Default: k.def + k.otherwise,
			Doc: k.doc, Block: k.block, Effective: !k.idle && !idle, script: k.script,
		})
		if k.inner != nil {
			ks = append(ks, k.inner(k.idle || idle)...)
		}
	}
	return ks
}

// leaf is a keyword whose arguments have a form and go to one field.
func leaf[T, V any](name, def string, f form[V], at func(*T) *V, doc string) keyword[T] {
	k := keyword[T]{name: name, usage: f.usage, doc: doc, def: def}
	k.set = func(d *decoder, t *T, n *Node) {
		if v, ok := arguments(d, n, f); ok {
			*at(t) = v
		}
	}
	return k
}

// scriptLeaf is a leaf whose argument is a command.
func scriptLeaf[T any](name string, at func(*T) **Script, doc string) keyword[T] {
	k := leaf(name, "", command(), at, doc)
	k.script = true
	return k
}

// list is a block of statements that are values, not keywords: each is given to add.
func list[T any](name, usage string, add func(*decoder, *T, []Word), doc string) keyword[T] {
	k := keyword[T]{name: name, usage: usage, doc: doc, block: true, many: true}
	k.set = func(d *decoder, t *T, n *Node) {
		for _, w := range n.Args() {
			d.fail(w.Pos, "%s %q: expected { after the keyword", name, w.Text)
		}
		for _, c := range n.Children {
			if c.HasBlock() {
				d.fail(c.Open, "%s {: expected %s and no block", c.Keyword(), usage)
				continue
			}
			add(d, t, c.Words)
		}
	}
	return k
}

// nested is a block with keywords of its own: it becomes a U, which done puts into the T.
func nested[T, U any](
	name string, inner *table[U], make func(*T) U, done func(*decoder, *T, *U, *Node), doc string,
) keyword[T] {
	k := keyword[T]{name: name, usage: "no value", doc: doc, block: true, inner: inner.list}
	k.set = func(d *decoder, t *T, n *Node) {
		u := make(t)
		inner.start(d, &u)
		inner.read(d, &u, n.Children)
		done(d, t, &u, n)
	}
	return k
}

// as changes a keyword: a short way to set its rarer fields inside a table.
func (k keyword[T]) as(change func(*keyword[T])) keyword[T] {
	change(&k)
	return k
}

func isLate[T any](k *keyword[T]) { k.late = true }
func isMany[T any](k *keyword[T]) { k.many = true }
func isIdle[T any](k *keyword[T]) { k.idle = true }

// idleWords are keywords that are known, taken with whatever follows, and change nothing yet. A
// word that ends in {} opens a block, one that ends in () has a command as its value.
func idleWords[T any](words string) []keyword[T] {
	ks := quietWords[T](words)
	for i := range ks {
		ks[i].idle = true
	}
	return ks
}

// quietWords are idle words in a block about which all has been said at its start.
func quietWords[T any](words string) []keyword[T] {
	var ks []keyword[T]
	for _, w := range strings.Fields(words) {
		name, block := strings.CutSuffix(w, "{}")
		name, script := strings.CutSuffix(name, "()")
		ks = append(ks, keyword[T]{
			name: name, usage: "its value", block: block, many: true, script: script,
			set: func(*decoder, *T, *Node) {},
		})
	}
	return ks
}

// skipped is what a block becomes whose keywords are known but change nothing yet.
type skipped struct{}

// idleBlock is a block of quiet words.
func idleBlock[T any](name string, inner *table[skipped]) keyword[T] {
	return keyword[T]{
		name: name, usage: "its name", block: true, many: true, idle: true, inner: inner.list,
		set: func(d *decoder, _ *T, n *Node) { inner.read(d, &skipped{}, n.Children) },
	}
}

// arguments reads the arguments of n in the form, or reports what is wrong with them.
func arguments[V any](d *decoder, n *Node, f form[V]) (V, bool) {
	v, bad := f.parse(n.Args())
	if bad == fits {
		return v, true
	}
	d.misfit(n, bad, f.usage, f.choices)
	return v, false
}

func quoteArgs(n *Node) string {
	if len(n.Args()) == 0 {
		return n.Keyword()
	}
	var ws []string
	for _, w := range n.Args() {
		ws = append(ws, w.Text)
	}
	return fmt.Sprintf("%s %q", n.Keyword(), strings.Join(ws, " "))
}
