package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestExplain shows lines with tabs, without text, outside of the file, and the first of two.
func TestExplain(t *testing.T) {
	const text = "\ta\tb\r\nround\x1b[31m \xff\n\nlast"
	at := func(line, column int) Diagnostic {
		return Diagnostic{Pos: Pos{File: "f", Line: line, Column: column}, Severity: Note, Text: "t"}
	}
	twice := at(4, 5)
	twice.First = Pos{File: "f", Line: 1, Column: 2}
	ds := Diagnostics{at(1, 4), at(2, 12), at(3, 1), at(9, 1), twice}
	want := "f:1:4: note: t\n    \ta\tb\n    \t \t^\n" +
		"f:2:12: note: t\n    round?[31m ?\n               ^\n" +
		"f:3:1: note: t\nf:9:1: note: t\n" +
		"f:4:5: note: t\n    last\n        ^\n" +
		"f:1:2: note: here first\n    \ta\tb\n    \t^\n"
	got := ds.Explain(func(string) []byte { return []byte(text) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := ds.Explain(func(string) []byte { return nil }); got == "" {
		t.Error("Explain without a file: got nothing")
	}
}

// TestParseDiagnostics reads what String writes.
func TestParseDiagnostics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[ -~]{1,9}`)
		want := Diagnostics{{
			Pos: Pos{
				File:   rapid.StringMatching(`[a-z/.]{1,9}`).Draw(t, "file"),
				Line:   rapid.IntRange(1, 1<<30).Draw(t, "line"),
				Column: rapid.IntRange(1, 1<<30).Draw(t, "column"),
			},
			Severity: rapid.SampledFrom([]Severity{Note, Warning, Error}).Draw(t, "severity"),
			Text:     word.Draw(t, "text"),
		}}
		if diff := cmp.Diff(want, ParseDiagnostics("noise\n"+want.String()), samePlace); diff != "" {
			t.Fatalf("(-want +got)\n%s", diff)
		}
	})
}

// samePlace compares places by what they are.
var samePlace = cmp.Comparer(func(a, b Pos) bool { return a == b })
