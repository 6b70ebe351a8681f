package config

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// everyKeyword has each keyword that is not refused, in each block that it may stand in.
const everyKeyword = "testdata/all.conf"

// TestEveryKeyword checks that everyKeyword is whole, and has nothing wrong in it.
func TestEveryKeyword(t *testing.T) {
	text := readFile(t, everyKeyword)
	if _, ds := Parse(everyKeyword, text); ds.Err() != nil {
		t.Error(ds.Err())
	}
	type place struct{ scope, name string }
	seen := map[place]bool{}
	var walk func(scope string, ns []*Node)
	walk = func(scope string, ns []*Node) {
		for _, n := range ns {
			seen[place{scope, n.Keyword()}] = true
			walk(n.Keyword(), n.Children)
		}
	}
	tree, _ := Tree(everyKeyword, text)
	walk("the file", tree)
	for _, k := range Keywords() {
		if k.Support != Refused && !seen[place{k.Scope, k.Name}] {
			t.Errorf("%s: expected %s of %s in it", everyKeyword, k.Name, k.Scope)
		}
	}
}

// TestEveryStatementCounts takes the statements of everyKeyword out, one at a time, and expects
// another Config for at least one of each keyword in each block: what is read is kept. Exempt are
// the two names of one thing, of which the file has both, and what asks for the default.
func TestEveryStatementCounts(t *testing.T) {
	text := readFile(t, everyKeyword)
	whole, _ := Parse(everyKeyword, text)
	want := whole.String()
	exempt := map[string]bool{"delay": true, "accept": true, "preempt": true, "protocol": true}
	for _, k := range Keywords() {
		if name, alias := strings.CutPrefix(k.Doc, "another name of "); alias {
			exempt[k.Name], exempt[name] = true, true
		}
	}
	counts := map[string]bool{}
	lines := strings.SplitAfter(string(text), "\n")
	var scopes []string
	for i, line := range lines {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "}":
			scopes = scopes[:len(scopes)-1]
		case strings.HasSuffix(line, "{\n"):
			scopes = append(scopes, words[0])
		case !exempt[words[0]]:
			without := strings.Join(lines[:i], "") + strings.Join(lines[i+1:], "")
			c, _ := Parse(everyKeyword, []byte(without))
			place := strings.Join(scopes, " ") + " " + words[0]
			counts[place] = counts[place] || c.String() != want
		}
	}
	for place, counted := range counts {
		if !counted {
			t.Errorf("%s: expected another Config without it", place)
		}
	}
}

// TestHMAC checks that the block that is refused is typed nevertheless.
func TestHMAC(t *testing.T) {
	c, ds := Parse("hmac", readFile(t, "testdata/corpus/hmac.conf"))
	want := &HMAC{
		Keys:   []HMACKey{{1, "hex:" + strings.Repeat("000102030405060708090a0b0c0d0e0f", 2)}},
		Active: 1, AntiReplay: "time", Window: 30, Mode: "enforce",
	}
	if diff := cmp.Diff(want, c.Instances[0].HMAC); diff != "" || ds.Err() == nil {
		t.Errorf("got %v, and (-want +got)\n%s", ds, diff)
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
