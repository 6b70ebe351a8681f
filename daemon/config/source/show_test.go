package source

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// TestExplain shows lines with tabs, without text, outside of the file, and the first of two.
func TestExplain(t *testing.T) {
	const text = "\ta\tb\r\nround\x1b[31m \xff\n\nlast"
	at := func(line, column int) Diagnostic {
		return Diagnostic{Pos: At("f", line, column), Severity: Note, Text: "t"}
	}
	twice := at(4, 5)
	twice.First = At("f", 1, 2)
	ds := Diagnostics{at(1, 4), at(2, 12), at(3, 1), at(9, 1), twice}
	want := "f:1:4: note: t\n    \ta\tb\n    \t \t^\n" +
		"f:2:12: note: t\n    round?[31m ?\n               ^\n" +
		"f:3:1: note: t\nf:9:1: note: t\n" +
		"f:4:5: note: t\n    last\n        ^\n" +
		"f:1:2: note: the other one is here\n    \ta\tb\n    \t^\n"
	got := ds.Explain(func(string) []byte { return []byte(text) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := ds.Explain(func(string) []byte { return nil }); got == "" {
		t.Error("Explain without a file: got nothing")
	}
}

// TestExplainTrace shows the use of a variable, its definition, and the include that brought both.
func TestExplainTrace(t *testing.T) {
	files := map[string]string{
		"a": "include b\n", "b": "$A=one ${_RANDOM x}\n\ttwo $A\n",
	}
	mapped := fstest.MapFS{}
	for name, text := range files {
		mapped["etc/"+name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	ds := Read("a", testOptions(mapped), func(Line) {})
	want := "b:2:6: error: variable \"${_RANDOM x}\": expected [MIN [MAX]], two numbers of which " +
		"the first is not the larger (MAX is 32767 if not given)\n    \ttwo $A\n    \t    ^\n" +
		"b:1:8: note: in the definition of $A\n    $A=one ${_RANDOM x}\n           ^\n" +
		"a:1:1: note: included from here\n"
	got := ds.Explain(func(file string) []byte { return []byte(files[file]) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
