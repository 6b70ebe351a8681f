package source

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Severity says what a diagnostic means for the configuration.
type Severity uint8

// A Warning leaves the configuration usable, an Error does not.
const (
	Warning Severity = iota + 1
	Error
)

// String returns "warning" or "error".
func (s Severity) String() string {
	switch s {
	case Warning:
		return "warning"
	case Error:
		return "error"
	}
	return "unset"
}

// Diagnostic is one thing to say about one place of the configuration.
type Diagnostic struct {
	Pos      Pos
	Severity Severity
	// Text is `keyword "value": what was expected`, without place or severity.
	Text string
}

// String returns file:line:column: severity: text, with the place of use.
func (d Diagnostic) String() string {
	return fmt.Sprintf("%s: %s: %s", d.Pos, d.Severity, d.Text)
}

// Diagnostics is everything there is to say about a configuration, sorted by place.
type Diagnostics []Diagnostic

// Err returns nil if there is no error among them; otherwise an error whose text is all the errors,
// one a line.
func (ds Diagnostics) Err() error {
	var errs []error
	for _, d := range ds {
		if d.Severity == Error {
			errs = append(errs, errors.New(d.String()))
		}
	}
	return errors.Join(errs...)
}

// String returns all of them, one a line, each line ended.
func (ds Diagnostics) String() string {
	var b strings.Builder
	for _, d := range ds {
		b.WriteString(d.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// Sort orders by place; what is said of one place keeps its order.
func (ds Diagnostics) Sort() {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int { return a.Pos.Compare(b.Pos) })
}

// reporter collects diagnostics.
type reporter struct {
	diags Diagnostics
	// said is what has been said of which written place: what a sequence repeats is said once.
	said map[sentence]bool
	// count is how much has been said, by severity.
	count [Error + 1]int
}

type sentence struct {
	file         string
	line, column int
	text         string
}

// maxDiagnostics bounds what is said of one configuration, by severity.
const maxDiagnostics = 1000

func (r *reporter) report(at Pos, s Severity, format string, args ...any) {
	if r.count[s] > maxDiagnostics {
		return
	}
	text := fmt.Sprintf(format, args...)
	key := sentence{at.File, at.Line, at.Column, text}
	if r.said[key] {
		return
	}
	if r.said == nil {
		r.said = map[sentence]bool{}
	}
	r.said[key] = true
	if r.count[s]++; r.count[s] > maxDiagnostics {
		text = fmt.Sprintf("file: expected at most %d %ss; the others are left out",
			maxDiagnostics, s)
	}
	r.diags = append(r.diags, Diagnostic{at, s, text})
}

// clip is a text short enough to be quoted.
func clip(s string) string {
	if len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(s[:57], "") + "..."
}

func (r *reporter) fail(at Pos, format string, args ...any) {
	r.report(at, Error, format, args...)
}

func (r *reporter) warn(at Pos, format string, args ...any) {
	r.report(at, Warning, format, args...)
}

// Note is a further place that belongs to a diagnostic, and why.
type Note struct {
	Pos  Pos
	Text string
}

// String returns file:line:column: note: text, with the place as it is written.
func (n Note) String() string {
	return fmt.Sprintf("%s:%d:%d: note: %s", n.Pos.File, n.Pos.Line, n.Pos.Column, n.Text)
}

// Pos is a place in a configuration: File, Line and Column are where the author wrote it. Line and
// Column count from 1, columns in bytes. Places are equal only if the same use of a variable
// brought them. The zero Pos is unknown.
type Pos struct {
	File         string
	Line, Column int
	// from is how the text came to where it counts; nil if it stands in the file that was asked
	// for.
	from *origin
}

// origin is one step on the way of a text: a file that was included, or a variable that was used.
type origin struct {
	// variable is nil for an included file.
	variable *variable
	// use is the place of the include or of the variable's use.
	use Pos
}

// String returns file:line:column of the place of use.
func (p Pos) String() string {
	u := p.Use()
	return fmt.Sprintf("%s:%d:%d", u.File, u.Line, u.Column)
}

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
	return cmp.Or(strings.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line),
		cmp.Compare(p.Column, q.Column))
}

// Notes says how the text came to its place of use: the definitions of the variables that brought
// it, outermost first, then the includes that brought the file, innermost first. It is empty for
// what stands in the file that was asked for.
func (p Pos) Notes() []Note {
	var ns []Note
	for q := p; q.from != nil && q.from.variable != nil; q = q.from.use {
		ns = append(ns, Note{q, "in the definition of $" + q.from.variable.name})
	}
	slices.Reverse(ns)
	for u := p.Use(); u.from != nil; u = u.from.use.Use() {
		ns = append(ns, Note{u.from.use.Use(), "included from here"})
	}
	return ns
}
