package config

import (
	"fmt"
	"os"
	"strings"
)

// Parse reads a configuration from text; file is its name in diagnostics. The Config is never nil;
// it is only to be used if the diagnostics' Err is nil.
func Parse(file string, text []byte) (*Config, Diagnostics) {
	d := &decoder{language: newLanguage()}
	ns := d.tree(file, text)
	r := root{global: Global{GARP: GARP{LowerPriorityDelay: unset, LowerPriorityRepeat: unset}}}
	d.language.root.start(&r)
	d.language.root.read(d, &r, d.preprocess(ns))
	c := d.build(&r)
	c.File = file
	if len(ns) == 0 {
		d.warn(Pos{file, 1, 1}, "file: expected at least one vrrp_instance or virtual_server")
	}
	d.diags.Sort()
	return c, d.diags
}

// Tree reads the statements of a text without asking what they mean. What is wrong with its words
// and braces is in the diagnostics, and mended in the tree.
func Tree(file string, text []byte) ([]*Node, Diagnostics) {
	d := &decoder{language: newLanguage()}
	ns := d.tree(file, text)
	d.diags.Sort()
	return ns, d.diags
}

func (d *decoder) tree(file string, text []byte) []*Node {
	return readTree(splitLines(file, text, d.report), d.language.grammar(), d.report)
}

// Load reads the configuration in the file at path. A file that cannot be read is an error at its
// first line, and the Config is nil.
func Load(path string) (*Config, Diagnostics) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, Diagnostics{{
			Pos: Pos{path, 1, 1}, Severity: Error, Text: fmt.Sprintf("file: %v", err),
		}}
	}
	return Parse(path, text)
}

// preprocess takes out the statements that change the text of the file, which this version does
// not carry out: to go on without them would be another configuration.
func (d *decoder) preprocess(ns []*Node) []*Node {
	var rest []*Node
	for _, n := range ns {
		if what := preprocessing(n.Keyword()); what != "" {
			d.fail(n.Pos(), "%s: expected no %s: this version does not carry them out",
				quoteArgs(n), what)
			continue
		}
		n.Children = d.preprocess(n.Children)
		rest = append(rest, n)
	}
	return rest
}

// preprocessing says what a word that is not a keyword is, or nothing.
func preprocessing(word string) string {
	name, _ := strings.CutPrefix(word, "include")
	switch {
	case name != word && len(name) <= 1 && strings.Contains("rmwba", name):
		return "include"
	case strings.HasPrefix(word, "@"):
		return "condition"
	case strings.HasPrefix(word, "$"):
		return "variable"
	case strings.HasPrefix(word, "~SEQ"), strings.HasPrefix(word, "~LST"):
		return "sequence"
	}
	return ""
}
