package source

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Severity says what a diagnostic means for the configuration.
type Severity uint8

// A Note says what is good to know, a Warning that something is not as it is written; an Error
// makes the configuration unusable.
const (
	Note Severity = iota + 1
	Warning
	Error
)

// String returns "note", "warning" or "error".
func (s Severity) String() string {
	switch s {
	case Note:
		return "note"
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
	// First is the other place that it is about: where something was first that is here again, or
	// what a peer has instead. It is zero if there is none.
	First Pos
}

// String returns file:line:column: severity: text, with the place of use.
func (d Diagnostic) String() string {
	return fmt.Sprintf("%s: %s: %s", d.Pos, d.Severity, d.Text)
}

// Trace is the further places that belong to the diagnostic: how its text came to its place, then
// First, and how that came to its own.
func (d Diagnostic) Trace() []Step {
	steps := d.Pos.Trace()
	if !d.First.IsZero() {
		steps = append(steps, Step{d.First.Use(), otherHere})
		steps = append(steps, d.First.Trace()...)
	}
	return steps
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

// Worst returns the greatest severity among them, zero if there are none.
func (ds Diagnostics) Worst() Severity {
	var worst Severity
	for _, d := range ds {
		worst = max(worst, d.Severity)
	}
	return worst
}

// String returns all of them, one a line, each line ended, and each with its Trace on the lines
// after it. ParseDiagnostics reads it.
func (ds Diagnostics) String() string {
	var b strings.Builder
	for _, d := range ds {
		b.WriteString(d.String() + "\n")
		for _, s := range d.Trace() {
			b.WriteString(s.String() + "\n")
		}
	}
	return b.String()
}

// Sort orders by place; what is said of one place keeps its order.
func (ds Diagnostics) Sort() {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int { return a.Pos.Compare(b.Pos) })
}
