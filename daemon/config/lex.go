package config

import (
	"bytes"
	"strings"
)

// line is one line of text with its place. What goes between the text of a file and its tokens
// (including other files, conditions, variables) works on lines.
type line struct {
	file   string
	number int
	text   string
}

// token is a word or a brace.
type token struct {
	kind tokenKind
	Word
}

type tokenKind uint8

const (
	tokenWord tokenKind = iota + 1
	tokenOpen
	tokenClose
)

// splitLines cuts a file into lines. A carriage return before the line's end is dropped; a line
// with a NUL byte is reported and left out.
func splitLines(file string, text []byte, report func(Diagnostic)) []line {
	var ls []line
	for number := 1; len(text) > 0; number++ {
		var b []byte
		b, text, _ = bytes.Cut(text, []byte{'\n'})
		if i := bytes.IndexByte(b, 0); i >= 0 {
			report(Diagnostic{Pos{file, number, i + 1}, Error, "NUL byte: expected text"})
			continue
		}
		ls = append(ls, line{file, number, strings.TrimSuffix(string(b), "\r")})
	}
	return ls
}

// lexer cuts one line into tokens.
type lexer struct {
	line
	// isScript tells the keywords whose arguments follow the rules of commands: single quotes and
	// backslashes count. Elsewhere both are ordinary characters.
	isScript func(keyword string) bool
	report   func(Diagnostic)

	at     int
	tokens []token
	// script is set while the arguments of such a keyword are read, first when the next word starts
	// a statement.
	script, first bool
}

func (x *lexer) run() []token {
	x.first = true
	for x.at < len(x.text) {
		switch c := x.text[x.at]; {
		case isBlank(c):
			x.at++
		case isComment(c):
			return x.tokens
		case c == '{' || c == '}':
			x.brace(c)
		case c == '"' || c == '\'' && x.script:
			x.quoted(c)
		default:
			x.bare()
		}
	}
	return x.tokens
}

func (x *lexer) brace(c byte) {
	kind := tokenOpen
	if c == '}' {
		kind = tokenClose
	}
	start := x.at
	x.at++
	x.add(kind, string(c), start, false)
	x.first, x.script = true, false
}

func (x *lexer) add(kind tokenKind, text string, start int, quoted bool) {
	w := Word{Text: text, Pos: x.pos(start), Quoted: quoted}
	x.tokens = append(x.tokens, token{kind, w})
	if kind == tokenWord && x.first {
		x.first, x.script = false, !quoted && x.isScript(text)
	}
}

func (x *lexer) pos(at int) Pos { return Pos{x.file, x.number, at + 1} }

// quoted reads a quoted word. An opening quote without its end takes the rest of the line.
func (x *lexer) quoted(quote byte) {
	start := x.at
	var b strings.Builder
	for x.at++; x.at < len(x.text); x.at++ {
		c := x.text[x.at]
		if c == quote {
			x.at++
			x.add(tokenWord, b.String(), start, true)
			return
		}
		if c == '\\' && x.script && quote == '"' && x.at+1 < len(x.text) {
			x.at++
			c = x.text[x.at]
		}
		b.WriteByte(c)
	}
	x.report(Diagnostic{x.pos(start), Error,
		"quote " + string(quote) + ": expected its end on the same line"})
	x.add(tokenWord, b.String(), start, true)
}

// bare reads an unquoted word: up to a blank, a quote, a comment, or a brace that does not belong
// to the word as in ${NAME} or a{1,2}.
func (x *lexer) bare() {
	start, depth := x.at, 0
	var b strings.Builder
	for ; x.at < len(x.text); x.at++ {
		c := x.text[x.at]
		switch {
		case c == '\\' && x.escapes():
			x.at++
			c = x.text[x.at]
		case isBlank(c), c == '"', c == '\'' && x.script,
			c == '{' && x.endsWord(x.at+1), c == '}' && depth == 0:
			x.add(tokenWord, b.String(), start, false)
			return
		case isComment(c):
			x.report(Diagnostic{x.pos(x.at), Warning, `comment "` + string(c) +
				`": expected a blank before it; write \` + string(c) +
				` or quote the word if it is part of it`})
			x.add(tokenWord, b.String(), start, false)
			return
		case c == '{':
			depth++
		case c == '}':
			depth--
		}
		b.WriteByte(c)
	}
	x.add(tokenWord, b.String(), start, false)
}

// escapes says whether the backslash that the lexer is at takes the meaning off the next character.
func (x *lexer) escapes() bool {
	return x.at+1 < len(x.text) && (x.script || isComment(x.text[x.at+1]))
}

func (x *lexer) endsWord(at int) bool {
	return at == len(x.text) || isBlank(x.text[at]) || isComment(x.text[at])
}

func isBlank(c byte) bool {
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'
}

func isComment(c byte) bool { return c == '#' || c == '!' }
