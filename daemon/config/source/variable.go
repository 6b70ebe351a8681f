package source

import "strings"

// variable is what $NAME= defines. A further definition of the name makes a further variable, so
// that one in use keeps its lines.
type variable struct {
	name string
	// pos is where it is defined.
	pos Pos
	// block is set if the definition has several lines, of which the first may be empty.
	block bool
	lines []Line
	// statements are the lines of a block, looked at when they are first needed.
	statements []*statement
	// value are the uses of variables in the only line of what is no block.
	value   part
	scanned bool
	// cuts is set if there are statements after braces in it.
	cuts bool
}

// single is the only line of a variable that is no block.
func (v *variable) single() (*Line, *part) {
	l := &v.lines[0]
	if !v.scanned {
		v.value = part{end: len(l.Text)}
		if strings.ContainsAny(l.Text, "${}") {
			v.value.references = scan(l.Text, true).references
			v.cuts = len(scan(l.Text, false).cuts) > 0
		}
		v.scanned = true
	}
	return l, &v.value
}

// gathering is a definition whose further lines are being read.
type gathering struct {
	variable *variable
	// last is the place of the backslash that asks for a further line.
	last Pos
	// off is set if a condition leaves the definition out. keepalived leaves out its first line
	// only and reads the others as if they stood alone, which nobody can want.
	off bool
}

// define carries out $NAME=VALUE. The value is kept as written, without its comment.
func (x *expander) define(s *statement, via *origin) {
	l := s.line
	n := name(l.Text[1:])
	at := l.Pos(0).brought(via)
	equals := len(n) + 1
	switch {
	case l.Text[equals] != '=':
		x.fail(at, `variable "$%s": expected "=" right after its name`, clip(n))
		return
	case predefined[n] && !s.off:
		x.warn(at, `variable "$%s": expected another name: this one is predefined, and no more`+
			" from here on", n)
	}
	v := &variable{name: n, pos: at}
	v.lines = []Line{l.slice(equals+1, len(l.Text)).trim().within(via)}
	switch {
	case !s.more.IsZero() && !s.first:
		x.fail(s.more.brought(via),
			`variable "$%s": expected all of its definition on one line here`, clip(n))
	case !s.more.IsZero():
		x.file.gathering = &gathering{v, s.more, s.off}
	default:
		x.keep(v, s.off)
	}
}

func (x *expander) keep(v *variable, off bool) {
	if off {
		return
	}
	x.variables[v.name] = v
	x.splices = x.splices || !v.block && !isPlain(v.lines[0].Text)
}

// gather takes a further line of a definition. A line of comment is no line of it; an empty one
// ends it, as in keepalived.
func (x *expander) gather(s string, at Pos) {
	g := x.file.gathering
	if s == "" {
		x.warn(g.last, `backslash: expected a further line of $%s after it: the empty line ends it`,
			clip(g.variable.name))
		x.finish()
		return
	}
	if isBare(s) || !x.charge(stepCost, at) {
		return
	}
	l, more := x.continued(newLine(s, at).trim())
	if l.Text != "" {
		g.variable.lines = append(g.variable.lines, l)
	}
	if g.last = more; more.IsZero() {
		x.finish()
	}
}

// continued takes the comment off a line of a definition, and the backslash that says that it goes
// on: before the comment or after it. It returns the backslash's place, zero if there is none.
func (x *expander) continued(l Line) (code Line, more Pos) {
	if t, ok := strings.CutSuffix(l.Text, `\`); ok {
		more = l.Pos(len(t))
		l = l.slice(0, len(t))
	}
	l = x.uncomment(l).trim()
	if t, ok := strings.CutSuffix(l.Text, `\`); ok && more.IsZero() {
		more = l.Pos(len(t))
		l = l.slice(0, len(t)).trim()
	}
	return l, more
}

// finish ends the definition that is being read.
func (x *expander) finish() {
	g := x.file.gathering
	x.file.gathering = nil
	v := g.variable
	if v.lines[0].Text == "" && len(v.lines) > 1 {
		v.lines = v.lines[1:]
	}
	v.block = len(v.lines) > 1
	x.keep(v, g.off)
}

// unfinished says that a file ends in a definition: more likely than not half of it is missing.
func (x *expander) unfinished() {
	if g := x.file.gathering; g != nil && !x.stopped {
		x.fail(g.last,
			"backslash: expected a further line of $%s after it, got the end of the file",
			clip(g.variable.name))
	}
}

// splice puts the values into a line that bring a statement: one at the value's start where one may
// stand, as in $IF_MAIN priority 100, or one after a brace in it. It is false if none does.
func (x *expander) splice(s *statement, via *origin) (Line, bool) {
	var b builder
	at := 0
	for _, p := range s.parts {
		for _, r := range p.references {
			o := x.bringer(s.line, r, via)
			if o == nil {
				continue
			}
			b.copy(s.line, at, r.start, via)
			value, _ := o.variable.single()
			b.copy(*value, 0, len(value.Text), o)
			at = r.end
		}
	}
	if at == 0 || !x.charge(b.length()+len(s.line.Text), s.line.Pos(0).brought(via)) {
		return Line{}, false
	}
	b.copy(s.line, at, len(s.line.Text), via)
	return b.line(), true
}

// bringer is the use of a variable that brings a statement, nil if it does not.
func (x *expander) bringer(l Line, r reference, via *origin) *origin {
	v := x.variables[r.name]
	if v == nil || v.block || r.argument != "" || !x.ends(l, r, 0) ||
		!x.brings(v, mayStart(l.Text, r.start, true), 0) {
		return nil
	}
	o := &origin{v, l.Pos(r.start).brought(via)}
	if o.use.inside(v) || !x.charge(len(v.lines[0].Text), o.use) {
		return nil
	}
	if o.use.levels() >= maxDepth {
		x.tooDeep(o.use)
		return nil
	}
	return o
}

// brings says whether a variable's value brings a statement. start is set if one may stand where
// the value is used.
func (x *expander) brings(v *variable, start bool, depth int) bool {
	l, p := v.single()
	if v.cuts || start && headOf(l.Text[skipBlanks(l.Text, 0):]) != headNone {
		return true
	}
	if depth >= maxDepth {
		return false
	}
	for _, r := range p.references {
		next := x.variables[r.name]
		if next == nil || next.block || next == v || !x.charge(stepCost, v.pos) {
			continue
		}
		if x.brings(next, mayStart(l.Text, r.start, start), depth+1) {
			return true
		}
	}
	return false
}

// mayStart says whether a statement may stand at an index of a text: after a brace, or where the
// text starts if start is set.
func mayStart(s string, i int, start bool) bool {
	s = strings.TrimRight(s[:i], blanks)
	return s == "" && start || strings.HasSuffix(s, "{") || strings.HasSuffix(s, "}")
}

// block finds the use of a variable with several lines that ends a part; nil if there is none.
func (x *expander) block(s *statement, p part, via *origin) (*variable, reference) {
	if len(p.references) == 0 {
		return nil, reference{}
	}
	r := p.references[len(p.references)-1]
	if p.end != len(s.line.Text) || !isBare(s.line.Text[r.end:]) || r.argument != "" {
		return nil, reference{}
	}
	v := x.variables[r.name]
	if v == nil || !v.block || s.line.Pos(r.start).brought(via).inside(v) {
		return nil, reference{}
	}
	return v, r
}

// runBlock carries out a part that ends in the use r of a variable with several lines: the first of
// them ends the part's line, the others follow.
func (x *expander) runBlock(v *variable, s *statement, p part, r reference, via *origin) {
	at := s.line.Pos(r.start).brought(via)
	if !x.charge(stepCost, at) {
		return
	}
	o := &origin{v, at}
	before := s.line.slice(p.start, r.start)
	if v.statements == nil {
		v.statements = make([]*statement, len(v.lines))
	}
	for i, l := range v.lines {
		if x.stopped {
			return
		}
		if i == 0 && !isBare(before.Text) {
			x.run(x.compile(before.within(via).join(l.within(o)), false), nil)
			continue
		}
		if v.statements[i] == nil {
			v.statements[i] = x.compile(l, false)
		}
		x.run(v.statements[i], o)
	}
}
