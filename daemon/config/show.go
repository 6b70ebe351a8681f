package config

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Explain returns all of them as String does, each with its line of the file and a caret below the
// place, and with the definitions and includes that led there. read returns a file's text; nil means that it cannot be had, and nothing is shown of it.
func (ds Diagnostics) Explain(read func(file string) []byte) string {
	s := excerpts{read: read, lines: map[string][][]byte{}}
	var b strings.Builder
	for _, d := range ds {
		b.WriteString(d.String() + "\n" + s.excerpt(d.Pos))
		if !d.First.IsZero() {
			b.WriteString(d.First.String() + ": note: here first\n" + s.excerpt(d.First))
		}
		for _, n := range d.Pos.Notes() {
			b.WriteString(n.String() + "\n")
		}
	}
	return b.String()
}

// excerpts gives lines of files, each file read once.
type excerpts struct {
	read  func(string) []byte
	lines map[string][][]byte
}

// excerpt is the line of p and a caret below its column; empty if there is no such line.
func (s *excerpts) excerpt(p Pos) string {
	lines, known := s.lines[p.File]
	if !known {
		lines = bytes.Split(s.read(p.File), []byte("\n"))
		s.lines[p.File] = lines
	}
	if p.Line < 1 || p.Line > len(lines) || p.Column < 1 {
		return ""
	}
	line := printable(bytes.TrimSuffix(lines[p.Line-1], []byte("\r")))
	before := line[:min(p.Column-1, len(line))]
	if strings.TrimSpace(line) == "" {
		return ""
	}
	caret := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, before)
	return "    " + line + "\n    " + caret + "^\n"
}

// printable replaces what would move a terminal's cursor, byte by byte so that columns stay.
func printable(line []byte) string {
	b := bytes.Clone(line)
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 || r < ' ' && r != '\t' || r == 0x7f {
			b[i] = '?'
		}
		i += size
	}
	return string(b)
}

var sayingForm = regexp.MustCompile(`^(.*?):(\d+):(\d+): (note|warning|error): (.*)$`)

// ParseDiagnostics reads what String of Diagnostics wrote: all but First. Lines of another form are
// left out.
func ParseDiagnostics(text string) Diagnostics {
	var ds Diagnostics
	severities := map[string]Severity{"note": Note, "warning": Warning, "error": Error}
	for line := range strings.Lines(text) {
		m := sayingForm.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			continue
		}
		number, errLine := strconv.Atoi(m[2])
		column, errColumn := strconv.Atoi(m[3])
		if errLine != nil || errColumn != nil {
			continue
		}
		ds = append(ds, Diagnostic{
			Pos: Pos{File: m[1], Line: number, Column: column}, Severity: severities[m[4]], Text: m[5],
		})
	}
	return ds
}
