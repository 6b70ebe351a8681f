package source

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// FuzzExpand checks that no text breaks the reading or makes more of it than allowed, that it is
// the same each time, and that each byte of a line is where it is said to be written.
func FuzzExpand(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		// Short seeds are what fuzzing makes the most of.
		input, _, _ := strings.Cut(string(text), "-- lines --\n")
		for lines := strings.SplitAfter(input, "\n"); len(lines) > 0; {
			n := min(4, len(lines))
			f.Add("$A=1\n"+strings.Join(lines[:n], ""), "~SEQ(A, 3) b $A\n$C=${A}")
			lines = lines[n:]
		}
	}
	f.Add("include sub/{b,*}.conf\n$A=\\\ninclude ${A}", "include ../a.conf")
	f.Fuzz(func(t *testing.T, text, other string) {
		files := fstest.MapFS{
			"etc/a.conf":     {Data: []byte(text), Mode: 0o644},
			"etc/sub/b.conf": {Data: []byte(other), Mode: 0o644},
		}
		written := map[string][]string{
			"/etc/a.conf": strings.Split(text, "\n"), "/etc/sub/b.conf": strings.Split(other, "\n"),
		}
		o := testOptions(files)
		o.MaxText = 1 << 16
		first, size := []string{}, 0
		ds := Read("/etc/a.conf", o, func(l Line) {
			first = append(first, l.Text)
			size += len(l.Text)
			checkLine(t, written, l)
		})
		if size > 1<<16 {
			t.Errorf("text: got %d bytes, want at most %d", size, 1<<16)
		}
		checkSaid(t, ds)
		for i, d := range ds {
			checkPlace(t, written, d.Pos)
			if i > 0 && ds[i-1].Pos.Compare(d.Pos) > 0 {
				t.Errorf("diagnostics: %s is said before %s", ds[i-1], d)
			}
			for _, n := range d.Pos.Trace() {
				checkPlace(t, written, n.Pos)
			}
		}
		o = testOptions(files)
		o.MaxText = 1 << 16
		var second []string
		again := Read("/etc/a.conf", o, func(l Line) { second = append(second, l.Text) })
		if !slices.Equal(first, second) || ds.String() != again.String() {
			t.Errorf("read twice: got\n%q\n%q\n%s%s", first, second, ds, again)
		}
	})
}

// checkPlace checks that a place is one of a text.
func checkPlace(t *testing.T, written map[string][]string, p Pos) {
	t.Helper()
	lines := written[p.File()]
	if p.Line < 1 || int(p.Line) > len(lines) || p.Column < 1 ||
		int(p.Column) > len(lines[p.Line-1])+1 {
		t.Errorf("place %s:%d:%d: expected it in the text", p.File(), p.Line, p.Column)
	}
}

// checkLine checks that each byte of a line stands where it is said to.
func checkLine(t *testing.T, written map[string][]string, l Line) {
	t.Helper()
	if strings.ContainsAny(l.Text, "\x00\n") || isBare(l.Text) {
		t.Errorf("line %q: expected one line that says something", l.Text)
	}
	for i := range len(l.Text) {
		p := l.Pos(i)
		checkPlace(t, written, p)
		if l.spans[l.find(i)].whole || t.Failed() {
			continue
		}
		if got := written[p.File()][p.Line-1][p.Column-1]; got != l.Text[i] {
			t.Errorf("line %q: byte %d: got %q at %s:%d:%d", l.Text, i, got,
				p.File(), p.Line, p.Column)
		}
	}
}
