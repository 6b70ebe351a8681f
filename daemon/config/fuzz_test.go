package config

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// ignorePlaces compares Configs but for where they were read.
func ignorePlaces() cmp.Options {
	return cmp.Options{
		cmpopts.IgnoreTypes(Pos{}), cmpopts.IgnoreFields(Config{}, "File"),
		cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{}),
	}
}

// FuzzParse checks that no text breaks the reader, that all it says has a place in the text, and
// that a Config it accepts survives being written and read.
func FuzzParse(f *testing.F) {
	addFiles(f)
	for _, s := range []string{
		"", "{", "}", "a {", "\"", "a\x00b", "'\\", "notify \"\\", "x ${A} {1,2}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, ds := Parse("fuzz", text)
		for _, d := range ds {
			checkPlace(t, text, d)
		}
		if ds.Err() == nil {
			checkRoundTrip(t, c)
		}
	})
}

// addFiles adds the configurations of testdata as seeds.
func addFiles(f *testing.F) {
	for _, pattern := range []string{"testdata/*.conf", "testdata/corpus/*.conf"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("find seeds: %v, %d files", err, len(files))
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
}

// FuzzCompare compares configurations with themselves: nothing breaks, and none is said to lack what
// it has.
func FuzzCompare(f *testing.F) {
	addFiles(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		c, ds := Parse("fuzz", text)
		if ds.Err() != nil {
			return
		}
		for _, d := range c.Compare(c) {
			checkPlace(t, text, d)
			if strings.Contains(d.Text, "expected the peer to have") &&
				!strings.Contains(d.Text, "in a group too") {
				t.Errorf("%s: expected nothing to be missing beside itself", d)
			}
		}
	})
}

func checkPlace(t *testing.T, text []byte, d Diagnostic) {
	t.Helper()
	ls := bytes.Split(text, []byte{'\n'})
	p := d.Pos
	if p.File() != "fuzz" || p.Line < 1 || int(p.Line) > len(ls) ||
		p.Column < 1 || int(p.Column) > len(ls[p.Line-1])+1 {
		t.Errorf("%s: expected a place in the text", d)
	}
}

// FuzzTree checks that the words of a tree are in the text at their places. Of words that variables
// bring FuzzExpand checks that, byte by byte.
func FuzzTree(f *testing.F) {
	addFiles(f)
	f.Add([]byte("a { b \"c d\" { e } }\nscript 'x y'\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		tree, ds := Tree("fuzz", text)
		for _, d := range ds {
			checkPlace(t, text, d)
		}
		if bytes.IndexByte(text, '$') >= 0 {
			return
		}
		for _, n := range tree {
			checkWords(t, bytes.Split(text, []byte{'\n'}), n)
		}
	})
}

func checkWords(t *testing.T, ls [][]byte, n *Node) {
	t.Helper()
	for _, w := range n.Words {
		rest := ls[w.Pos.Line-1][w.Pos.Column-1:]
		if !w.Quoted && !bytes.ContainsRune(rest, '\\') && !bytes.HasPrefix(rest, []byte(w.Text)) {
			t.Errorf("%s: word %q: expected it in %q", w.Pos, w.Text, rest)
		}
	}
	for _, c := range n.Children {
		checkWords(t, ls, c)
	}
}
