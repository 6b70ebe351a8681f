package source

import (
	"fmt"
	"strings"
)

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
	line, column int32
	text         string
}

// maxDiagnostics bounds what is said of one configuration, by severity.
const maxDiagnostics = 1000

func (r *reporter) report(at Pos, s Severity, format string, args ...any) {
	if r.count[s] > maxDiagnostics {
		return
	}
	text := fmt.Sprintf(format, args...)
	key := sentence{at.File(), at.Line, at.Column, text}
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
	r.diags = append(r.diags, Diagnostic{Pos: at, Severity: s, Text: text})
}

func (r *reporter) fail(at Pos, format string, args ...any) {
	r.report(at, Error, format, args...)
}

func (r *reporter) warn(at Pos, format string, args ...any) {
	r.report(at, Warning, format, args...)
}

// clip is a text short enough to be quoted.
func clip(s string) string {
	if len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(s[:57], "") + "..."
}
