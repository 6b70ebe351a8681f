package config

import (
	"os"

	"github.com/tandemlb/tandem/daemon/config/source"
)

// Parse reads a configuration from text; file is its name in diagnostics, and what its includes are
// relative to. The Config is never nil; it is only to be used if the diagnostics' Err is nil.
func Parse(file string, text []byte) (*Config, Diagnostics) {
	return buildText(file, string(text))
}

func buildText(file, text string) (*Config, Diagnostics) {
	return build(file, func(o source.Options, line func(source.Line)) source.Diagnostics {
		return source.ReadText(file, text, o, line)
	}, Options{})
}

// Options are what a configuration depends on beside its files.
type Options struct {
	// ID is the config id: lines that begin with @ID and another one are left out.
	ID string
	// CheckIncludes makes whatever is wrong with an include an error, as if all were includea.
	CheckIncludes bool
}

// Load reads the configuration in the file at path, and in those that it includes. The Config is
// only to be used if the diagnostics' Err is nil; it is nil where nothing could be read.
func Load(path string, o Options) (*Config, Diagnostics) {
	lines := 0
	c, ds := build(path, func(o source.Options, line func(source.Line)) source.Diagnostics {
		return source.Read(path, o, func(l source.Line) {
			lines++
			line(l)
		})
	}, o)
	if lines == 0 && ds.Err() != nil {
		return nil, ds
	}
	return c, ds
}

// Tree reads the statements of a text without asking what they mean. What is wrong with its words
// and braces is in the diagnostics, and mended in the tree.
func Tree(file string, text []byte) ([]*Node, Diagnostics) {
	d := &decoder{language: theLanguage()}
	var ns []*Node
	d.tree(func(o source.Options, line func(source.Line)) source.Diagnostics {
		return source.ReadText(file, string(text), o, line)
	}, Options{}, func(n *Node) bool {
		ns = append(ns, n)
		return true
	})
	d.diags.Sort()
	return ns, d.diags
}

// reading hands over the lines of a configuration.
type reading func(source.Options, func(source.Line)) source.Diagnostics

// build reads statement by statement, so that of what has been read nothing is left but what it
// means. Instances inherit from global_defs: if one comes after an instance, all is read once more,
// and the instances are left to the end.
func build(file string, read reading, o Options) (*Config, Diagnostics) {
	c, ds, ok := buildOnce(file, read, o, true)
	if !ok {
		c, ds, _ = buildOnce(file, read, o, false)
	}
	return c, ds
}

// buildOnce does it with instances in their turn, and says whether that was right, or at the end.
func buildOnce(file string, read reading, o Options, inTurn bool) (*Config, Diagnostics, bool) {
	d := &decoder{language: theLanguage()}
	r := root{global: Global{GARP: GARP{LowerPriorityDelay: unset, LowerPriorityRepeat: unset}}}
	d.language.root.start(&r)
	statements := blockReader[root]{table: d.language.root, decoder: d, into: &r, inTurn: inTurn}
	count, ok := 0, true
	d.tree(read, o, func(n *Node) bool {
		count++
		ok = ok && !(inTurn && n.Keyword() == "global_defs" && len(r.instances) > 0)
		return ok && statements.read(n)
	})
	if !ok {
		return nil, nil, false
	}
	statements.end()
	c := d.build(&r)
	c.File = file
	if count == 0 && d.diags.Err() == nil {
		d.warn(At(file, 1, 1),
			"file: expected at least one vrrp_instance or virtual_server")
	}
	d.diags.Sort()
	return c, d.diags, true
}

// tree reads the lines into statements, and hands over those outside of all blocks; see treeReader.
func (d *decoder) tree(read reading, o Options, done func(*Node) bool) {
	r := newTreeReader(d.language.grammar(), d.report, done)
	said := read(source.Options{
		ID: o.ID, Env: os.LookupEnv, CheckAll: o.CheckIncludes,
	}, r.read)
	r.end()
	d.diags = append(d.diags, said...)
}
