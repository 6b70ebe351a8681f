package config

import (
	"fmt"
	"iter"
	"reflect"
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
	// inherits is set if the value comes from another block unless it is given: it is written even
	// if it is zero.
	inherits bool
	// script keywords have a command as argument: see lexer.
	script bool
	// support is what this version does with it, zero means Works; why says why that is harmless or
	// what to use instead.
	support Support
	why     string
	// inner are the keywords in its block; nil if it has none.
	inner interface {
		list(within Support, why string) []Keyword
		commands(names map[string]bool)
	}
	// idle is what is said of a keyword that does not work.
	idle string
	// set reads the statement into t; preset gives t the default, nil if there is none.
	set    func(d *decoder, t *T, n *Node)
	preset func(t *T)
	// write writes the statements that set would read to turn base, the block with no statement in
	// it, into t; nil if another keyword does.
	write func(p *printer, k *keyword[T], t, base *T)
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
		t.keywords[i].support = max(k.support, Works)
		t.keywords[i].idle = k.doesNotWork()
	}
	return t
}

// start gives t the defaults of the table.
func (tab *table[T]) start(t *T) {
	for i := range tab.keywords {
		if preset := tab.keywords[i].preset; preset != nil {
			preset(t)
		}
	}
}

// read reads the statements of a block into t.
func (tab *table[T]) read(d *decoder, t *T, ns []*Node) {
	r := blockReader[T]{table: tab, decoder: d, into: t, outer: len(d.seen)}
	for _, n := range ns {
		r.read(n)
	}
	r.end()
}

// blockReader reads the statements of one block, one at a time.
type blockReader[T any] struct {
	*table[T]
	*decoder
	into *T
	// inTurn is set if what is late is read in its turn all the same.
	inTurn bool
	// outer is how many of the decoder's seen keywords are of the blocks around this one; late are
	// left until the end.
	outer int
	late  []*Node
}

// seenKeyword is a keyword that may come only once, by its index, and its place.
type seenKeyword struct {
	at  int
	pos Pos
}

// read takes one more statement and says whether it is kept until the end.
func (r *blockReader[T]) read(n *Node) bool {
	if r.full() {
		return false
	}
	at, known := r.index[n.Keyword()]
	if !known {
		r.unknown(n, r.scope, r.names())
		return false
	}
	k := &r.keywords[at]
	if !k.many {
		r.once(at, n.Pos())
	}
	if k.late && !r.inTurn {
		r.late = append(r.late, n)
		return true
	}
	r.one(r.decoder, r.into, k, n)
	return false
}

// once says of a keyword whether it was there before.
func (r *blockReader[T]) once(at int, pos Pos) {
	seen := r.seen[r.outer:]
	i := slices.IndexFunc(seen, func(s seenKeyword) bool { return s.at == at })
	if i < 0 {
		r.seen = append(r.seen, seenKeyword{at, pos})
		return
	}
	first := seen[i].pos
	r.warnTwice(pos, first, "%s: expected once in %s; this one replaces %s",
		r.keywords[at].name, r.scope, see(pos, first))
	seen[i].pos = pos
}

// end reads what was left.
func (r *blockReader[T]) end() {
	for i, n := range r.late {
		r.one(r.decoder, r.into, &r.keywords[r.index[n.Keyword()]], n)
		r.late[i] = nil // there may be many
	}
	r.seen = r.seen[:r.outer]
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
	k.sayWhatItDoes(d, n)
	k.set(d, t, n)
}

// doesNotWork is what is said of the keyword, empty if it works.
func (k *keyword[T]) doesNotWork() string {
	switch k.support {
	case Pending:
		return k.name + ": has no effect yet in this version" + prefixed("; ", k.why)
	case Needless:
		return k.name + ": has no effect: " + k.why
	case Refused:
		return k.name + ": expected " + k.why
	case Works:
	}
	return ""
}

// sayWhatItDoes tells of a keyword that does not work.
func (k *keyword[T]) sayWhatItDoes(d *decoder, n *Node) {
	if k.idle != "" {
		severity := map[Support]Severity{Pending: Warning, Needless: Note, Refused: Error}[k.support]
		d.report(Diagnostic{Pos: n.Pos(), Severity: severity, Text: k.idle})
	}
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func (tab *table[T]) names() []string {
	var ns []string
	for _, k := range tab.keywords {
		ns = append(ns, k.name)
	}
	return ns
}

// write writes t in the order of the table. base is what it was before any statement.
func (tab *table[T]) write(p *printer, t, base *T) {
	tab.start(base)
	for i := range tab.keywords {
		if k := &tab.keywords[i]; k.write != nil {
			k.write(p, k, t, base)
		}
	}
}

// list describes the keywords of the table and of the blocks in it, none better supported than the
// block of the table itself.
func (tab *table[T]) list(within Support, why string) []Keyword {
	var ks []Keyword
	for _, k := range tab.keywords {
		support := k.support
		if within > support {
			support, k.why = within, why
		}
		ks = append(ks, Keyword{
			Name: k.name, Scope: tab.scope, Usage: k.usage, Default: k.def + k.otherwise,
			Doc: k.doc, Block: k.block, Support: support, Why: k.why,
		})
		if k.inner != nil {
			ks = append(ks, k.inner.list(support, k.why)...)
		}
	}
	return ks
}

// commands puts into names the keywords, of the table and of the blocks in it, whose argument is a
// command.
func (tab *table[T]) commands(names map[string]bool) {
	for i := range tab.keywords {
		k := &tab.keywords[i]
		if k.script {
			names[k.name] = true
		}
		if k.inner != nil {
			k.inner.commands(names)
		}
	}
}

// leaf is a keyword whose arguments have a form and go to one field.
func leaf[T, V any](name, def string, f form[V], at func(*T) *V, doc string) keyword[T] {
	k := keyword[T]{name: name, usage: f.usage, doc: doc, def: def}
	k.set = func(d *decoder, t *T, n *Node) {
		if v, ok := arguments(d, n, f); ok {
			*at(t) = v
		}
	}
	if def != "" {
		v := preset(name, def, f)
		k.preset = func(t *T) { *at(t) = v }
	}
	k.write = func(p *printer, k *keyword[T], t, base *T) {
		v := at(t)
		if def == "" && !k.inherits && reflect.ValueOf(v).Elem().IsZero() {
			return
		}
		words := f.words(*v)
		if words == nil || k.support != Works && same(words, f.words(*at(base))) {
			return
		}
		p.statement(k.script, name, words)
	}
	return k
}

// same says whether two statements are the same; nil is no statement.
func same(a, b []string) bool { return slices.Equal(a, b) && (a == nil) == (b == nil) }

// preset reads a default. That it is of its form is the table's own business.
func preset[V any](name, def string, f form[V]) V {
	var args []Word
	for _, w := range strings.Fields(def) {
		args = append(args, Word{Text: w})
	}
	v, bad := f.parse(args)
	if bad != fits {
		panic(fmt.Sprintf("default %q of %s: expected %s", def, name, f.usage))
	}
	return v
}

// alias is the keyword k by another name.
func (k keyword[T]) alias(name string) keyword[T] {
	k.doc, k.otherwise = "another name of "+k.name, ""
	k.name, k.preset, k.write, k.def = name, nil, nil, ""
	return k
}

// scriptLeaf is a leaf whose argument is a command.
func scriptLeaf[T any](name string, at func(*T) **Script, doc string) keyword[T] {
	k := leaf(name, "", command(), at, doc)
	k.script = true
	return k
}

// list is a block of lines that are values, not keywords: parse makes an E of each.
func list[T, E any](
	name, usage string, parse func(d *decoder, keyword string, ws []Word) (E, bool),
	words func(*E) []string, at func(*T) *[]E, doc string,
) keyword[T] {
	k := keyword[T]{name: name, usage: usage, doc: doc, block: true, many: true}
	k.set = func(d *decoder, t *T, n *Node) {
		d.noArguments(n)
		for _, c := range n.Children {
			if c.HasBlock() {
				d.fail(c.Open, "%s {: expected %s and no block", c.Keyword(), usage)
				continue
			}
			if e, ok := parse(d, name, c.Words); ok {
				*at(t) = append(*at(t), e)
			}
		}
	}
	k.write = func(p *printer, _ *keyword[T], t, _ *T) {
		es := *at(t)
		if len(es) == 0 {
			return
		}
		p.block(func() {
			for i := range es {
				p.statement(false, "", words(&es[i]))
			}
		}, name)
	}
	return k
}

// nested is a block with keywords of its own: it becomes a U, which done puts into the T.
func nested[T, U any](
	name string, inner *table[U], make func(*T) U, done func(*decoder, *T, *U, *Node), doc string,
) keyword[T] {
	k := keyword[T]{name: name, usage: "no value", doc: doc, block: true, inner: inner}
	k.set = func(d *decoder, t *T, n *Node) {
		u := make(t)
		inner.start(&u)
		inner.read(d, &u, n.Children)
		done(d, t, &u, n)
	}
	return k
}

// passing is nested for blocks of which there may be thousands: done keeps nothing of the U but
// what it copies, and the next block has its memory.
func passing[T, U any](
	name string, inner *table[U], make func(*T) U, done func(*decoder, *T, *U, *Node), doc string,
) keyword[T] {
	k := nested(name, inner, make, done, doc)
	k.set = func(d *decoder, t *T, n *Node) {
		u, _ := d.spare[inner].(*U)
		if u == nil {
			u = new(U)
		}
		delete(d.spare, inner) // a block may be in one of its own kind
		*u = make(t)
		inner.start(u)
		inner.read(d, u, n.Children)
		done(d, t, u, n)
		if d.spare == nil {
			d.spare = map[any]any{}
		}
		d.spare[inner] = u
	}
	return k
}

// writes makes a nested block write what it becomes: one block for each of all, with the words of
// head after its keyword. make is as in nested.
func writes[T, U any](
	inner *table[U], make func(*T) U, all func(*T) []U, head func(*U) []string,
) func(*keyword[T]) {
	return writesInTurn(inner, make, func(t *T) iter.Seq[U] { return slices.Values(all(t)) }, head)
}

// writesInTurn is writes for blocks of which there may be thousands: each is made when the one
// before it has been written, and has its memory. Nil blocks are none.
func writesInTurn[T, U any](
	inner *table[U], make func(*T) U, all func(*T) iter.Seq[U], head func(*U) []string,
) func(*keyword[T]) {
	return func(k *keyword[T]) {
		name := k.name
		k.write = func(p *printer, _ *keyword[T], t, _ *T) {
			if blocks := all(t); blocks != nil {
				inner.writeBlocks(p, name, blocks, head, make(t))
			}
		}
	}
}

// writeBlocks writes blocks of that name, with the words of head, unless it is nil, after it.
func (tab *table[U]) writeBlocks(
	p *printer, name string, blocks iter.Seq[U], head func(*U) []string, base U,
) {
	type memory struct{ block, base U }
	m, _ := p.spare[tab].(*memory)
	if m == nil {
		m = new(memory)
	}
	delete(p.spare, tab) // a block may be in one of its own kind
	m.base = base
	inside := func() { tab.write(p, &m.block, &m.base) }
	words := []string{name}
	for m.block = range blocks {
		if head != nil {
			words = append(words[:1], head(&m.block)...)
		}
		p.block(inside, words...)
	}
	p.spare[tab] = m
}

// as changes a keyword: a short way to set its rarer fields inside a table.
func (k keyword[T]) as(change func(*keyword[T])) keyword[T] {
	change(&k)
	return k
}

func isLate[T any](k *keyword[T]) { k.late = true }
func isMany[T any](k *keyword[T]) { k.many = true }

// otherwise describes a default that code works out.
func otherwise[T any](how string) func(*keyword[T]) {
	return func(k *keyword[T]) { k.otherwise = how }
}

// inherits describes a default that comes from another block.
func inherits[T any](how string) func(*keyword[T]) {
	return func(k *keyword[T]) { k.otherwise, k.inherits = how, true }
}

// pendingBut marks keywords that are typed and checked and change nothing yet, but for those of these
// names, which work.
func pendingBut[T any](working []string, ks ...keyword[T]) []keyword[T] {
	for i := range ks {
		if !slices.Contains(working, ks[i].name) {
			ks[i].support = Pending
		}
	}
	return ks
}

// needless marks keywords that change nothing, because of why.
func needless[T any](why string, ks ...keyword[T]) []keyword[T] {
	return marked(Needless, why, ks)
}

// refused marks keywords without which the daemon would do something else than they ask for.
func refused[T any](instead string, ks ...keyword[T]) []keyword[T] {
	return marked(Refused, instead, ks)
}

func marked[T any](s Support, why string, ks []keyword[T]) []keyword[T] {
	for i := range ks {
		ks[i].support = s
		if why != "" {
			ks[i].why = why
		}
	}
	return ks
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
