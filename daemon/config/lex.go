package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tandemlb/tandem/daemon/config/source"
)

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

// lexer cuts lines into tokens, one at a time.
type lexer struct {
	source.Line
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

// mostWords is how many words and braces may be on a line: more than any configuration has.
const mostWords = 1 << 20

// run returns the tokens of a line, which hold until the next run.
func (x *lexer) run(l source.Line) []token {
	x.Line, x.at, x.tokens, x.first, x.script = l, 0, x.tokens[:0], true, false
	for x.at < len(x.Text) {
		switch c := x.Text[x.at]; {
		case len(x.tokens) == mostWords:
			x.report(Diagnostic{
				Pos: x.pos(x.at), Severity: Error,
				Text: fmt.Sprintf("line: expected at most %d words; the rest is not read", mostWords),
			})
			return x.tokens
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
	x.add(kind, x.Text[start:x.at], start, false)
	x.first, x.script = true, false
}

func (x *lexer) add(kind tokenKind, text string, start int, quoted bool) {
	w := Word{Text: text, Pos: x.pos(start), Quoted: quoted}
	x.tokens = append(x.tokens, token{kind, w})
	if kind == tokenWord && x.first {
		x.first, x.script = false, !quoted && x.isScript(text)
	}
}

func (x *lexer) pos(at int) Pos { return x.Line.Pos(at) }

// quoted reads a quoted word. An opening quote without its end takes the rest of the line.
func (x *lexer) quoted(quote byte) {
	start := x.at
	// Without an escape the word is a piece of the line.
	plain := true
	var b strings.Builder
	add := func(end int) {
		word := x.Text[start+1 : end]
		if !plain {
			word = b.String()
		}
		x.add(tokenWord, word, start, true)
	}
	for x.at++; x.at < len(x.Text); x.at++ {
		c := x.Text[x.at]
		if c == quote {
			x.at++
			add(x.at - 1)
			return
		}
		if c == '\\' && x.script && quote == '"' && x.at+1 < len(x.Text) {
			if plain {
				plain = false
				b.WriteString(x.Text[start+1 : x.at])
			}
			c = x.escaped()
		}
		if !plain {
			b.WriteByte(c)
		}
	}
	x.report(Diagnostic{
		Pos: x.pos(start), Severity: Error,
		Text: "quote " + string(quote) + ": expected its end on the same line",
	})
	add(x.at)
}

// bare reads an unquoted word: up to a blank, a quote, a comment, or a brace that does not belong
// to the word as in ${NAME} or a{1,2}.
func (x *lexer) bare() {
	start, depth := x.at, 0
	// Without an escape the word is a piece of the line.
	plain := true
	var b strings.Builder
	add := func() {
		word := x.Text[start:x.at]
		if !plain {
			word = b.String()
		}
		x.add(tokenWord, word, start, false)
	}
	for ; x.at < len(x.Text); x.at++ {
		c := x.Text[x.at]
		switch {
		case c == '\\' && x.escapes():
			if plain {
				plain = false
				b.WriteString(x.Text[start:x.at])
			}
			c = x.escaped()
		case isBlank(c), c == '"', c == '\'' && x.script,
			c == '{' && x.endsWord(x.at+1), c == '}' && depth == 0:
			add()
			return
		case isComment(c):
			x.report(Diagnostic{Pos: x.pos(x.at), Severity: Warning, Text: `comment "` + string(c) +
				`": expected a blank before it; write \` + string(c) +
				` or quote the word if it is part of it`})
			add()
			return
		case c == '{':
			depth++
		case c == '}':
			depth--
		}
		if !plain {
			b.WriteByte(c)
		}
	}
	add()
}

// escapes says whether the backslash that the lexer is at takes the meaning off the next character.
func (x *lexer) escapes() bool {
	return x.at+1 < len(x.Text) && (x.script || isComment(x.Text[x.at+1]))
}

// escaped reads what a backslash stands before, up to its last character, and returns the character
// that it means. Only commands have those that are more than the character itself.
func (x *lexer) escaped() byte {
	x.at++
	c := x.Text[x.at]
	if !x.script {
		return c
	}
	if i := strings.IndexByte(escapeNames, c); i >= 0 {
		return escapeValues[i]
	}
	switch {
	case c == 'x' && x.digits(1, 16, 2) > 0:
		return x.code(1, 16, 2)
	case '0' <= c && c <= '3' && x.digits(0, 8, 3) == 3:
		return x.code(0, 8, 3)
	case c == 'c' && x.at+1 < len(x.Text):
		x.at++
		return x.Text[x.at] & 0x1f
	}
	return c
}

// escapeNames are the letters that a backslash gives another meaning, escapeValues the meanings.
const (
	escapeNames  = "abEfnrtv"
	escapeValues = "\a\b\x1b\f\n\r\t\v"
)

// digits counts the digits of a base, at most limit, that are skip characters from here.
func (x *lexer) digits(skip, base, limit int) int {
	n := 0
	for ; n < limit && x.at+skip+n < len(x.Text); n++ {
		digit := x.Text[x.at+skip+n : x.at+skip+n+1]
		if _, err := strconv.ParseUint(digit, base, 8); err != nil {
			break
		}
	}
	return n
}

// code reads those digits; its value always fits, because limit is 3 octal digits below 400, or 2
// hexadecimal ones.
func (x *lexer) code(skip, base, limit int) byte {
	n := x.digits(skip, base, limit)
	v, _ := strconv.ParseUint(x.Text[x.at+skip:x.at+skip+n], base, 8)
	x.at += skip + n - 1
	return byte(v)
}

func (x *lexer) endsWord(at int) bool {
	return at == len(x.Text) || isBlank(x.Text[at]) || isComment(x.Text[at])
}

func isBlank(c byte) bool {
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'
}

func isComment(c byte) bool { return c == '#' || c == '!' }
