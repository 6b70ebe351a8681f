package source

import (
	"fmt"
	"strconv"
	"strings"
)

// sequence is a ~SEQ or ~LST that has been read.
type sequence struct {
	// word is ~SEQ, ~SEQx or ~LST.
	word string
	// names are the variables; a ~SEQ has one.
	names []string
	// bounds is what follows the name of a ~SEQ: its numbers, which may be variables.
	bounds Line
	// sets are the values of a ~LST, each with one for each name.
	sets [][]Line
	// rest is what is repeated.
	rest *statement
}

// numbers are what a ~SEQ counts: count of them, from start on. count is not zero.
type numbers struct{ start, step, count int64 }

// repeat carries out a ~SEQ or ~LST. Its variables take each value in turn and keep the last one,
// as in keepalived.
func (x *expander) repeat(s *statement, via *origin) {
	if s.sequence == nil {
		q, err := x.readSequence(s.line)
		if err != nil {
			x.fail(s.line.Pos(0).brought(via), "sequence %q: %v", clip(s.line.Text), err)
			s.head, s.off = headNone, true
			return
		}
		s.sequence = q
	}
	if s.head == headList {
		x.repeatList(s, via)
		return
	}
	q := s.sequence
	at := s.line.Pos(0).brought(via)
	if !x.charge(len(q.bounds.Text), at) {
		return
	}
	ns, err := q.count(x.expanded(q.bounds, use{via, ')'}).Text)
	if err != nil {
		x.fail(at, "sequence %q: %v", clip(s.line.Text), err)
		return
	}
	base := 10
	if q.word == "~SEQx" {
		base = 16
	}
	v := &variable{name: q.names[0], pos: at, scanned: true, lines: []Line{newLine("", at)}}
	v.lines[0].spans[0].whole = true
	for i := int64(0); i < ns.count && x.charge(stepCost, at); i++ {
		text := strconv.FormatInt(ns.start+i*ns.step, base)
		v.lines[0].Text, v.value.end = text, len(text)
		x.variables[v.name] = v
		x.run(q.rest, via)
	}
}

// repeatList carries out a ~LST.
func (x *expander) repeatList(s *statement, via *origin) {
	q := s.sequence
	at := s.line.Pos(0).brought(via)
	for _, set := range q.sets {
		if !x.charge(stepCost, at) {
			return
		}
		for i, n := range q.names {
			x.keep(&variable{name: n, pos: at, lines: []Line{set[i].within(via)}}, false)
		}
		x.run(q.rest, via)
	}
}

// readSequence reads ~SEQ(NAME, …) REST or ~LST(NAMES, VALUES…) REST.
func (x *expander) readSequence(l Line) (*sequence, error) {
	q := &sequence{word: l.Text[:len("~SEQ")]}
	if strings.HasPrefix(l.Text, "~SEQx") {
		q.word = l.Text[:len("~SEQx")]
	}
	open := skipBlanks(l.Text, len(q.word))
	end := strings.IndexByte(l.Text, ')')
	if open == len(l.Text) || l.Text[open] != '(' || end < 0 {
		return nil, fmt.Errorf(`expected "(" and ")" after %s`, q.word)
	}
	inside := l.slice(open+1, end)
	rest := l.slice(end+1, len(l.Text)).trim()
	var err error
	if q.word == "~LST" {
		err = q.list(inside)
	} else {
		err = q.variable(inside)
	}
	if err != nil {
		return nil, err
	}
	if rest.Text == "" {
		x.warn(l.Pos(0), "sequence %q: expected something to repeat after it", clip(l.Text))
	}
	q.rest = x.compile(rest, false)
	return q, nil
}

// variable reads NAME, NUMBERS.
func (q *sequence) variable(inside Line) error {
	n, _, ok := strings.Cut(inside.Text, ",")
	if !ok {
		return fmt.Errorf("expected %s(NAME, [START, [STEP,]] END)", q.word)
	}
	q.bounds = inside.slice(len(n)+1, len(inside.Text))
	return q.name(n)
}

// name adds the name of a variable.
func (q *sequence) name(s string) error {
	s = strings.Trim(s, blanks)
	if s == "" || name(s) != s {
		return fmt.Errorf("name %q: expected letters, digits and _, no digit first", clip(s))
	}
	q.names = append(q.names, s)
	return nil
}

// list reads NAME, VALUES… or {NAMES}, {VALUES}….
func (q *sequence) list(inside Line) error {
	fields, err := split(inside)
	if err != nil {
		return err
	}
	if len(fields) < 2 {
		return fmt.Errorf("expected ~LST(NAME, VALUE…) or ~LST({NAME, …}, {VALUE, …}, …)")
	}
	for _, n := range set(fields[0]) {
		if err := q.name(n.Text); err != nil {
			return err
		}
	}
	for _, f := range fields[1:] {
		values := set(f)
		if len(values) > len(q.names) {
			return fmt.Errorf("values %q: expected at most %d of them", clip(f.Text), len(q.names))
		}
		for len(values) < len(q.names) {
			values = append(values, newLine("", f.Pos(0)))
		}
		q.sets = append(q.sets, values)
	}
	return nil
}

// set is what is in the braces of a field, or the field itself.
func set(field Line) []Line {
	t := field.Text
	if !strings.HasPrefix(t, "{") {
		return []Line{field}
	}
	// There is no error: split has seen that braces match.
	values, _ := split(field.slice(1, len(t)-1))
	return values
}

// split cuts at the commas that are in no braces.
func split(l Line) ([]Line, error) {
	var fields []Line
	start, depth := 0, 0
	for i := range len(l.Text) + 1 {
		switch {
		case i < len(l.Text) && l.Text[i] == '{':
			depth++
		case i < len(l.Text) && l.Text[i] == '}':
			depth--
		case i == len(l.Text) || l.Text[i] == ',' && depth == 0:
			f := l.slice(start, i).trim()
			if depth != 0 || strings.HasPrefix(f.Text, "{") && !strings.HasSuffix(f.Text, "}") {
				return nil, fmt.Errorf("%q: expected its braces to match", clip(f.Text))
			}
			fields = append(fields, f)
			start = i + 1
		}
	}
	return fields, nil
}

// count reads the numbers of a ~SEQ, [START, [STEP,]] END, in the notation of C: 0x is hexadecimal,
// a leading 0 octal.
func (q *sequence) count(s string) (numbers, error) {
	var given [3]int64
	words := strings.Split(s, ",")
	if len(words) > len(given) {
		return numbers{}, fmt.Errorf("expected at most three numbers, got %d", len(words))
	}
	for i, w := range words {
		w = strings.Trim(w, blanks)
		n, err := strconv.ParseInt(w, 0, 32)
		if err != nil || strings.Contains(w, "_") {
			return numbers{}, fmt.Errorf("number %q: expected one of at most 31 bits", clip(w))
		}
		given[i] = n
	}
	start, step, end := given[0], given[1], given[2]
	switch len(words) {
	case 1:
		end, start = start, 1
		if end < 0 {
			start = -1
		}
		step = direction(start, end)
	case 2:
		end, step = step, direction(start, step)
	}
	if step == 0 || start < end && step < 0 || start > end && step > 0 {
		return numbers{}, fmt.Errorf("step %d: expected it to lead from %d to %d", step, start, end)
	}
	if q.word == "~SEQx" && (start < 0 || end < 0) {
		return numbers{}, fmt.Errorf("expected no number below zero with ~SEQx")
	}
	return numbers{start, step, (end-start)/step + 1}, nil
}

// direction is the step from one number towards another one.
func direction(from, to int64) int64 {
	if to < from {
		return -1
	}
	return 1
}
