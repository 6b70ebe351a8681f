package source

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// statement is a line that has been looked at once, to be carried out perhaps often.
type statement struct {
	// line is the line; of all but text it starts with the statement, and has no comment.
	line Line
	head head
	// off is set if a condition leaves the statement out.
	off bool
	// first is set for a definition that may go on on the next lines, which it does if it ends in a
	// backslash: more is its place.
	first bool
	more  Pos
	// parts are the pieces of a line of text.
	parts []part
	// sequence is read when it is first needed.
	sequence *sequence
}

// part is a piece of a line of text: text itself, or a statement after a brace.
type part struct {
	start, end int
	references []reference
	nested     *statement
}

// compile looks at a line. first is set for what starts a line of a file: such a condition has the
// whole line; and such a definition may go on on the next lines.
func (x *expander) compile(l Line, first bool) *statement {
	s := &statement{line: l}
	l = l.trim()
	for !s.off && headOf(l.Text) == headCondition {
		s.off, l = x.condition(l)
		s.line = l
	}
	s.head = headOf(l.Text)
	switch {
	case s.head == headDefinition:
		s.first = first
		s.line, s.more = x.continued(l)
	case s.off:
		s.head = headNone
	case s.head == headNone || s.head == headSetting:
		x.compileText(s, l)
	default:
		s.line = x.uncomment(l)
	}
	return s
}

// condition reads @id or @^id and says whether what follows, which it returns, is left out.
func (x *expander) condition(l Line) (off bool, rest Line) {
	id := l.Text[1:]
	id, negated := strings.CutPrefix(id, "^")
	if i := strings.IndexAny(id, blanks); i >= 0 {
		id = id[:i]
	}
	at := len(l.Text) - len(strings.TrimPrefix(l.Text[1:], "^")) + len(id)
	rest = l.slice(at, len(l.Text)).trim()
	switch {
	case id == "":
		x.fail(l.Pos(0), "condition %q: expected a config id right after it", clip(l.Text[:at]))
		return true, rest
	case isBare(rest.Text):
		x.warn(l.Pos(0), "condition %q: expected something after it", clip(l.Text[:at]))
	}
	return (id == x.options.ID) == negated, rest
}

// uncomment takes the comment off a line, and the blanks before it.
func (x *expander) uncomment(l Line) Line {
	end := code(l.Text)
	if end == len(l.Text) {
		return l
	}
	// keepalived takes the rest of a password for a comment without a word.
	if end > 0 && !isBlank(l.Text[end-1]) {
		c := l.Text[end : end+1]
		x.warn(l.Pos(end), `comment "%s": expected a blank before it; write \%s`+
			" or quote the word if it is part of it", c, c)
	}
	return l.slice(0, len(strings.TrimRight(l.Text[:end], blanks)))
}

// compileText finds the parts of a line.
func (x *expander) compileText(s *statement, l Line) {
	s.line = l
	if !x.deeper(l, 0, nil) {
		return
	}
	defer func() { x.depth-- }()
	t := s.line.Text
	found := scan(t[:code(t)], false)
	at, refs := 0, found.references
	for _, c := range append(found.cuts, cut{len(t), len(t)}) {
		p := part{start: at, end: c.start}
		n := 0
		for n < len(refs) && refs[n].start < c.start {
			n++
		}
		p.references, refs = refs[:n], refs[n:]
		s.parts = append(s.parts, p)
		if c.start < c.end {
			inner := x.compile(s.line.slice(c.start, c.end), false)
			s.parts = append(s.parts, part{start: c.start, end: c.end, nested: inner})
		}
		at = c.end
	}
}

// run carries out a statement. via is the use of a variable that brought it, nil if its places say
// so themselves.
func (x *expander) run(s *statement, via *origin) {
	if !x.deeper(s.line, 0, via) {
		return
	}
	defer func() { x.depth-- }()
	switch s.head {
	case headDefinition:
		x.define(s, via)
	case headSequence, headList:
		x.repeat(s, via)
	case headInclude:
		x.include(s, via)
	case headNone, headSetting:
		if !s.off {
			x.text(s, via)
		}
	case headCondition:
		panic("a condition is decided when the line is first looked at")
	}
}

// text gives the parts of a line to the caller.
func (x *expander) text(s *statement, via *origin) {
	for x.splices {
		l, ok := x.splice(s, via)
		if !ok {
			break
		}
		s, via = x.compile(l, false), nil
		if s.head != headNone && s.head != headSetting {
			x.run(s, nil)
			return
		}
	}
	for _, p := range s.parts {
		if x.stopped {
			return
		}
		if p.nested != nil {
			x.run(p.nested, via)
			continue
		}
		if v, r := x.block(s, p, via); v != nil {
			x.runBlock(v, s, p, r, via)
			continue
		}
		x.give(s, p, via)
	}
}

// give replaces the variables of a part and gives it to the caller.
func (x *expander) give(s *statement, p part, via *origin) {
	if isBare(s.line.Text[p.start:p.end]) {
		return
	}
	l := x.build(s.line, p, via)
	if !x.spend(len(l.Text) + stepCost) {
		x.tooLarge(s.line.Pos(p.start).brought(via))
		return
	}
	if isBare(l.Text) {
		return
	}
	if s.head == headSetting {
		x.setting(l)
	}
	x.emit(l)
}

// build is a part of a line with its variables replaced.
func (x *expander) build(l Line, p part, via *origin) Line {
	if len(p.references) == 0 {
		x.out.spans = appendSpans(x.out.spans[:0], 0, l, p.start, p.end, via)
		return Line{l.Text[p.start:p.end], x.out.spans}
	}
	x.out.begin()
	x.fill(&x.out, l, p, use{via: via})
	return x.out.line()
}

// setting does what a keyword says about how the rest is read. Whether its form is right is for the
// reader of the language to say.
func (x *expander) setting(l Line) {
	words := strings.Fields(l.Text[:code(l.Text)])
	switch words[0] {
	case "include_check":
		x.checks = x.checks.set(words[1:])
		for i, w := range words {
			if i > 1 && !signed(w) {
				x.warn(l.Pos(0), "include_check %q: expected + or - before it, as it is not the "+
					"first: it is left out", clip(w))
			}
		}
	case "random_seed":
		if len(words) < 2 {
			return
		}
		if seed, err := strconv.ParseUint(words[1], 10, 32); err == nil {
			x.options.Random = rand.New(rand.NewPCG(seed, 0)).Uint64N
		}
	}
}
