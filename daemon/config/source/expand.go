package source

import (
	"path"
	"strconv"
	"strings"
)

// use is how a text is being used.
type use struct {
	// via is the use of a variable that brought it; nil if its places say so themselves.
	via *origin
	// follow is the byte after it, 0 at the end of the code.
	follow byte
}

// fill writes a part of a line with its variables replaced.
func (x *expander) fill(b *builder, l Line, p part, u use) {
	at := p.start
	for _, r := range p.references {
		if x.stopped {
			return
		}
		b.copy(l, at, r.start, u.via)
		if !x.replace(b, l, r, u) {
			b.copy(l, r.start, r.end, u.via)
		}
		at = r.end
	}
	b.copy(l, at, p.end, u.via)
}

// replace writes the value of a variable and says whether there is one: what is not defined stays
// as it is, as there may well be a $ in a command.
func (x *expander) replace(b *builder, l Line, r reference, u use) bool {
	at := l.Pos(r.start).brought(u.via)
	if !x.spend(stepCost + r.end - r.start) {
		return x.tooLarge(at)
	}
	if r.computed {
		return x.compute(b, l, r, u)
	}
	v := x.variables[r.name]
	switch {
	case v == nil:
		return x.ends(l, r, u.follow) && x.predefined(b, r, at)
	case r.argument != "":
		return false
	case !x.ends(l, r, u.follow):
		x.warn(at, `variable "$%s": expected a blank after it, or "${%s}": it is left as it is`,
			clip(r.name), clip(r.name))
		return false
	case at.inside(v):
		x.fail(at, `variable "$%s": expected no use of itself in its own definition`, clip(r.name))
		return false
	case v.block:
		x.fail(at, `variable "$%s": expected it at the end of the line, as it has several lines`,
			clip(r.name))
		return false
	}
	x.value(b, v, x.next(l, r, u.follow), at)
	return true
}

// value writes the value of a variable that is used at a place, before the byte follow.
func (x *expander) value(b *builder, v *variable, follow byte, at Pos) {
	l, p := v.single()
	if !x.charge(len(l.Text), at) {
		return
	}
	if len(p.references) == 0 {
		b.brought(l, v, at)
		return
	}
	via := &origin{v, at}
	if !x.deeper(*l, 0, via) {
		return
	}
	x.fill(b, *l, *p, use{via, follow})
	x.depth--
}

// next is the byte after a use.
func (x *expander) next(l Line, r reference, follow byte) byte {
	if r.end < len(l.Text) {
		return l.Text[r.end]
	}
	return follow
}

// ends says whether a name without braces ends where keepalived sees its end.
func (x *expander) ends(l Line, r reference, follow byte) bool {
	if !r.bare {
		return true
	}
	c := x.next(l, r, follow)
	return c == 0 || isBlank(c) || strings.IndexByte(",)"+comments, c) >= 0
}

// compute replaces ${…} with uses of variables inside its braces, as in ${PRIORITY_${_INSTANCE}}:
// these come first.
func (x *expander) compute(b *builder, l Line, r reference, u use) bool {
	if !x.deeper(l, r.start, u.via) {
		return false
	}
	defer func() { x.depth-- }()
	inside := x.expanded(l.slice(r.start+2, r.end-1), use{u.via, '}'})
	result := reference{start: r.start, end: r.end}
	result.split(inside.Text)
	if result.name != "" && x.replace(b, l, result, u) {
		return true
	}
	b.copy(l, r.start, r.start+2, u.via)
	b.copy(inside, 0, len(inside.Text), nil)
	b.copy(l, r.end-1, r.end, u.via)
	return true
}

// expanded is a line with its variables replaced.
func (x *expander) expanded(l Line, u use) Line {
	if strings.IndexByte(l.Text, '$') < 0 {
		return l.within(u.via)
	}
	var b builder
	x.fill(&b, l, part{end: len(l.Text), references: scan(l.Text, true).references}, u)
	return b.line()
}

// predefined are the names that have a meaning before anything is defined.
var predefined = map[string]bool{
	"_PWD": true, "_INSTANCE": true, "_ENV": true, "_RANDOM": true, "_HASH": true, "_BANG": true,
}

// predefined writes the value of a predefined variable and says whether there is one. What comes
// from outside of the configuration is text: nothing in it is a comment or the use of a variable.
func (x *expander) predefined(b *builder, r reference, at Pos) bool {
	if r.name == "_RANDOM" || r.name == "_ENV" {
		return x.withArgument(b, r, at)
	}
	if r.argument != "" {
		return false
	}
	switch r.name {
	case "_PWD":
		x.literal(b, path.Dir(x.file.path), at)
	case "_INSTANCE":
		x.literal(b, x.options.ID, at)
	case "_HASH":
		x.literal(b, "#", at)
	case "_BANG":
		x.literal(b, "!", at)
	default:
		return false
	}
	return true
}

// literal writes text that is not of the configuration.
func (x *expander) literal(b *builder, text string, at Pos) {
	if x.charge(len(text), at) {
		b.literal(text, at)
	}
}

// withArgument writes ${_RANDOM …} or ${_ENV …}.
func (x *expander) withArgument(b *builder, r reference, at Pos) bool {
	if r.name == "_RANDOM" {
		return x.random(b, r, at)
	}
	what := strings.TrimSpace("${_ENV "+clip(r.argument)) + "}"
	if r.argument == "" || strings.ContainsAny(r.argument, blanks) {
		x.fail(at, `variable "%s": expected the name of one environment variable`, what)
		return false
	}
	value, ok := x.options.Env(r.argument)
	if !ok {
		x.warn(at, `variable "%s": expected it to be set in the environment: taken as empty`, what)
	}
	if i := strings.IndexAny(value, "\n\x00"); i >= 0 {
		x.fail(at, `variable "%s": expected one line of text`, what)
		value = value[:i]
	}
	x.literal(b, value, at)
	return true
}

// random writes ${_RANDOM [MIN [MAX]]}.
func (x *expander) random(b *builder, r reference, at Pos) bool {
	limits := [2]uint64{0, 32767}
	words := strings.Fields(r.argument)
	bad := len(words) > len(limits)
	for i := 0; i < len(words) && !bad; i++ {
		n, err := strconv.ParseUint(words[i], 10, 63)
		limits[i], bad = n, err != nil
	}
	if bad || limits[0] > limits[1] {
		x.fail(at, `variable "${_RANDOM %s}": expected [MIN [MAX]], two numbers of which the first`+
			" is not the larger (MAX is 32767 if not given)", clip(r.argument))
		return false
	}
	n := limits[0] + x.options.Random(limits[1]-limits[0]+1)
	x.literal(b, strconv.FormatUint(n, 10), at)
	return true
}
