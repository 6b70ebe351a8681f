package source

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Explain returns all of them as String does, each with its line of the file and a caret below the
// place; so has what belongs to it, but for includes. read returns a file's text; nil means that it
// cannot be had, and nothing is shown of it.
func (ds Diagnostics) Explain(read func(file string) []byte) string {
	x := excerpts{read: read, lines: map[string][][]byte{}}
	var b strings.Builder
	for _, d := range ds {
		b.WriteString(d.String() + "\n" + x.excerpt(d.Pos.Use()))
		for _, s := range d.Trace() {
			b.WriteString(s.String() + "\n")
			if s.Text != includedHere {
				b.WriteString(x.excerpt(s.Pos))
			}
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
func (x *excerpts) excerpt(p Pos) string {
	lines, known := x.lines[p.File()]
	if !known {
		lines = bytes.Split(x.read(p.File()), []byte("\n"))
		x.lines[p.File()] = lines
	}
	if p.Line < 1 || int(p.Line) > len(lines) || p.Column < 1 {
		return ""
	}
	line := printable(bytes.TrimSuffix(lines[p.Line-1], []byte("\r")))
	before := line[:min(int(p.Column)-1, len(line))]
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
