package config

import (
	"fmt"

	"github.com/tandemlb/tandem/daemon/config/source"
)

// What there is to say of a configuration is the same whoever says it; see package source.
type (
	Pos         = source.Pos
	Step        = source.Step
	Severity    = source.Severity
	Diagnostic  = source.Diagnostic
	Diagnostics = source.Diagnostics
)

// The severities; see source.Note.
const (
	Note    = source.Note
	Warning = source.Warning
	Error   = source.Error
)

// At returns a place in a file; the column may be 0 for the whole line, and the line for the whole
// file.
func At(file string, line, column int) Pos { return source.At(file, line, column) }

// ParseDiagnostics reads what String of Diagnostics wrote. Lines of another form are left out.
func ParseDiagnostics(text string) Diagnostics { return source.ParseDiagnostics(text) }

// see names another place as seen from p: by its line alone in the same file.
func see(p, q Pos) string {
	if p.File() == q.File() {
		return fmt.Sprintf("line %d", q.Line)
	}
	return fmt.Sprintf("%s:%d", q.File(), q.Line)
}
