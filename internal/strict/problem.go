package strict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Position is a place in a file. Line and Column count from 1, columns in characters.
type Position struct {
	File         string
	Line, Column int
}

// String returns file:line:column.
func (p Position) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Problem is one thing wrong with a document.
type Problem struct {
	// At is where its file says it; the zero Position when it came from no file.
	At Position
	// Path says which part of the document is meant, for example nodes.lb1.priority.
	Path string
	// Text says what is wrong and what form was expected.
	Text string
}

// Error returns [file:line:column: ]path: text.
func (p Problem) Error() string {
	text := p.Text
	if p.Path != "" {
		text = p.Path + ": " + text
	}
	if p.At != (Position{}) {
		text = p.At.String() + ": " + text
	}
	return text
}

// Problems is everything wrong with a document. As an error it is never empty.
type Problems []Problem

// Error returns all of them, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Err returns the problems as an error, nil for none, in order of their places.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column))
	})
	return slices.Compact(ps)
}

// DidYouMean returns ` (did you mean "x"?)` for the nearest of the known words, or nothing when
// none is near. Of two equally near, it takes the one that begins alike.
func DidYouMean(word string, known []string) string {
	if word == "" || len(word) > 100 {
		return ""
	}
	best, bestCost := "", 2*(1+len(word)/3)+1
	for _, k := range known {
		cost := 2 * distance(word, k)
		if k == "" || k[0] != word[0] {
			cost++
		}
		if cost <= bestCost && (best == "" || cost < bestCost) {
			best, bestCost = k, cost
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance is the number of letters to insert, delete, replace or swap with their neighbour to make
// b of a (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// OneOf prints a list of choices: a, b or c.
func OneOf(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
