package source

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unique"
)

// Pos is a place in a configuration: File, Line and Column are where the author wrote it. Line and
// Column count from 1, columns in bytes. Places are equal only if the same use of a variable
// brought them. The zero Pos is unknown.
//
// There is one of each block, and of blocks there may be tens of thousands: it has 24 bytes.
type Pos struct {
	file         unique.Handle[string] // zero: unknown
	Line, Column int32
	// from is how the text came to where it counts; nil if it stands in the file that was asked
	// for.
	from *origin
}

// At returns a place in the file that was asked for; the column may be 0 for the whole line, and
// the line for the whole file.
func At(file string, line, column int) Pos {
	return Pos{file: unique.Make(file), Line: int32(line), Column: int32(column)}
}

// File returns the name of the file; empty if it is unknown.
func (p Pos) File() string {
	if p.file == (unique.Handle[string]{}) {
		return ""
	}
	return p.file.Value()
}

// origin is one step on the way of a text: a file that was included, or a variable that was used.
type origin struct {
	// variable is nil for an included file.
	variable *variable
	// use is the place of the include or of the variable's use.
	use Pos
}

// String returns file:line:column of the place of use.
func (p Pos) String() string { return p.Use().written() }

// written is file:line:column of the place itself.
func (p Pos) written() string { return fmt.Sprintf("%s:%d:%d", p.File(), p.Line, p.Column) }

// IsZero says whether the place is unknown.
func (p Pos) IsZero() bool { return p == Pos{} }

// Use is where the text counts: for text from a variable the place in a file where the outermost
// variable is used, else the place itself.
func (p Pos) Use() Pos {
	for p.from != nil && p.from.variable != nil {
		p = p.from.use
	}
	return p
}

// brought is the place as a use of a variable brings it; nil changes nothing.
func (p Pos) brought(via *origin) Pos {
	if via != nil {
		p.from = via
	}
	return p
}

// inside says whether a use of the variable has brought the place.
func (p Pos) inside(v *variable) bool {
	for o := p.from; o != nil; o = o.use.from {
		if o.variable == v {
			return true
		}
	}
	return false
}

// levels is how many includes and uses of variables have brought the place.
func (p Pos) levels() int {
	n := 0
	for o := p.from; o != nil; o = o.use.from {
		n++
	}
	return n
}

// Compare orders by place of use, then by place as written.
func (p Pos) Compare(q Pos) int {
	u, v := p.Use(), q.Use()
	return cmp.Or(u.compareWritten(v), p.compareWritten(q))
}

func (p Pos) compareWritten(q Pos) int {
	return cmp.Or(strings.Compare(p.File(), q.File()), cmp.Compare(p.Line, q.Line),
		cmp.Compare(p.Column, q.Column))
}

// Step is a further place that belongs to another one, and why.
type Step struct {
	// Pos is the place; its Use is of no interest.
	Pos Pos
	// Text is what is there: one of the forms that are named below.
	Text string
}

// The texts of steps. The name of a variable follows the second one.
const (
	includedHere = "included from here"
	definedHere  = "in the definition of $"
	otherHere    = "the other one is here"
)

// String returns file:line:column: note: text, with the place as it is written.
func (s Step) String() string { return fmt.Sprintf("%s: %s: %s", s.Pos.written(), Note, s.Text) }

// Trace says how the text came to its place of use: the definitions of the variables that brought
// it, outermost first, then the includes that brought the file, innermost first. It is empty for
// what stands in the file that was asked for.
func (p Pos) Trace() []Step {
	var steps []Step
	for q := p; q.from != nil && q.from.variable != nil; q = q.from.use {
		steps = append(steps, Step{q, definedHere + q.from.variable.name})
	}
	slices.Reverse(steps)
	for u := p.Use(); u.from != nil; u = u.from.use.Use() {
		steps = append(steps, Step{u.from.use.Use(), includedHere})
	}
	return steps
}

// traced is the inverse of Trace: a place of use with the steps that led there.
func traced(at Pos, steps []Step) Pos {
	definitions, includes := steps, []Step(nil)
	if i := slices.IndexFunc(steps, func(s Step) bool { return s.Text == includedHere }); i >= 0 {
		definitions, includes = steps[:i], steps[i:]
	}
	for _, s := range slices.Backward(includes) {
		s.Pos.from = at.from
		at.from = &origin{use: s.Pos}
	}
	for _, s := range definitions {
		name := strings.TrimPrefix(s.Text, definedHere)
		s.Pos.from = &origin{variable: &variable{name: name}, use: at}
		at = s.Pos
	}
	return at
}
