package source

import "strings"

const (
	blanks   = " \t\r\v\f"
	comments = "#!"
)

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' }

// skipBlanks is the index of the first byte from i on that is no blank.
func skipBlanks(s string, i int) int {
	for i < len(s) && isBlank(s[i]) {
		i++
	}
	return i
}

// isBare says whether the line says nothing: it is blank or all comment.
func isBare(s string) bool {
	i := skipBlanks(s, 0)
	return i == len(s) || strings.IndexByte(comments, s[i]) >= 0
}

// name is the variable's name that s starts with, or nothing: letters, digits and _, no digit
// first.
func name(s string) string {
	i := 0
	for i < len(s) && (s[i] == '_' || isLetter(s[i]) || i > 0 && s[i] >= '0' && s[i] <= '9') {
		i++
	}
	return s[:i]
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// quotes follows the double quotes of a text. A backslash takes the meaning off the next character.
type quotes struct {
	at     int
	inside bool
}

// after says whether a quote is open at the end of the text, which may have grown since the last
// call.
func (q *quotes) after(s string) bool {
	for q.at < len(s) {
		switch s[q.at] {
		case '\\':
			q.at++
		case '"':
			q.inside = !q.inside
		}
		q.at++
	}
	return q.inside
}

// code is where the comment of a line starts, or its length: # and ! start one outside of double
// quotes unless they are escaped.
func code(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			quoted = !quoted
		case '#', '!':
			if !quoted {
				return i
			}
		}
	}
	return len(s)
}

// reference is a use of a variable.
type reference struct {
	// start and end are its place in the line, with $ and braces.
	start, end int
	// name is the variable's; argument what follows it inside the braces.
	name, argument string
	// computed is set if there are uses inside the braces: name and argument come of them.
	computed bool
	// bare is set if there are no braces.
	bare bool
}

// cut is a statement inside a line: after a brace, up to the brace that ends its block.
type cut struct{ start, end int }

// scanner reads the code of one line.
type scanner struct {
	text string
	// ends are the closing braces of each ${.
	ends map[int]int

	references []reference
	cuts       []cut
	// within is set while inside a cut, depth is how many braces are open in it.
	within bool
	depth  int
}

// scan finds the uses of variables and the statements after braces. In a value there are none of
// these.
func scan(text string, value bool) scanner {
	x := scanner{text: text, ends: closings(text)}
	quoted := false
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && i+1 < len(text) && text[i+1] != '$':
			i++
		case c == '$':
			i = x.dollar(i)
			continue
		case (c == '{' || c == '}') && !quoted && !value:
			x.brace(i)
		}
		i++
	}
	if x.within {
		x.cuts[len(x.cuts)-1].end = len(text)
	}
	return x
}

// closings finds the closing brace of each ${.
func closings(s string) map[int]int {
	if !strings.Contains(s, "${") {
		return nil
	}
	ends := map[int]int{}
	var open []int
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '$' && i+1 < len(s) && s[i+1] == '{':
			open = append(open, i)
			i++
		case s[i] == '}' && len(open) > 0:
			ends[open[len(open)-1]] = i
			open = open[:len(open)-1]
		}
	}
	return ends
}

// dollar takes what starts at a $ and returns where to go on.
func (x *scanner) dollar(i int) int {
	if end, ok := x.ends[i]; ok {
		inside := x.text[i+2 : end]
		r := reference{start: i, end: end + 1, computed: strings.IndexByte(inside, '$') >= 0}
		if !r.computed {
			r.split(inside)
		}
		if r.name != "" || r.computed {
			x.add(r)
		}
		return end + 1
	}
	n := name(x.text[i+1:])
	if n == "" {
		return i + 1
	}
	end := i + 1 + len(n)
	x.add(reference{start: i, end: end, name: n, bare: true})
	return end
}

// split reads what stands in the braces. What is no use of a variable leaves the name empty.
func (r *reference) split(inside string) {
	r.name = name(inside)
	rest := inside[len(r.name):]
	if rest != "" && !isBlank(rest[0]) {
		r.name = ""
	}
	r.argument = strings.Trim(rest, blanks)
}

func (x *scanner) add(r reference) {
	if !x.within {
		x.references = append(x.references, r)
	}
}

// brace ends the cut whose block the brace closes, and starts one if a statement follows.
func (x *scanner) brace(i int) {
	if x.within {
		if x.text[i] == '{' {
			x.depth++
			return
		}
		if x.depth--; x.depth >= 0 {
			return
		}
		x.within = false
		x.cuts[len(x.cuts)-1].end = i
	}
	if at := skipBlanks(x.text, i+1); headOf(x.text[at:]) != headNone {
		x.within, x.depth = true, 0
		x.cuts = append(x.cuts, cut{start: at})
	}
}

// head is what kind of statement a text starts.
type head uint8

const (
	headNone head = iota
	headCondition
	headDefinition
	headSequence
	headList
	headInclude
	// headSetting is a keyword of the language that changes how the rest is read.
	headSetting
)

// headOf tells the statements that are for this package to carry out. Text that starts with blanks
// has none.
func headOf(s string) head {
	if s == "" {
		return headNone
	}
	switch s[0] {
	case '@':
		return headCondition
	case '~':
		if strings.HasPrefix(s, "~SEQ") {
			return headSequence
		}
		if strings.HasPrefix(s, "~LST") {
			return headList
		}
	case '$':
		n := name(s[1:])
		if n != "" && strings.HasPrefix(strings.TrimLeft(s[1+len(n):], blanks), "=") {
			return headDefinition
		}
	case 'i', 'r':
		if word := firstWord(s); word == "include_check" || word == "random_seed" {
			return headSetting
		} else if _, ok := includeChecks(word); ok {
			return headInclude
		}
	}
	return headNone
}

// firstWord is what a text starts with up to a blank, a quote or a brace.
func firstWord(s string) string {
	if i := strings.IndexAny(s, blanks+`"{}`+comments); i >= 0 {
		return s[:i]
	}
	return s
}
