package config

import (
	"os"

	"github.com/tandemlb/tandem/daemon/config/source"
)

// Parse reads a configuration from text; file is its name in diagnostics, and what its includes are
// relative to. The Config is never nil; it is only to be used if the diagnostics' Err is nil.
func Parse(file string, text []byte) (*Config, Diagnostics) {
	return build(file, func(o source.Options, line func(source.Line)) source.Diagnostics {
		return source.ReadText(file, string(text), o, line)
	}, Options{})
}

// Options are what a configuration depends on beside its files.
type Options struct {
	// ID is the config id: lines that begin with @ID and another one are left out.
	ID string
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
	d := &decoder{language: newLanguage()}
	ns := d.tree(func(o source.Options, line func(source.Line)) source.Diagnostics {
		return source.ReadText(file, string(text), o, line)
	}, Options{})
	d.diags.Sort()
	return ns, d.diags
}

// reading hands over the lines of a configuration.
type reading func(source.Options, func(source.Line)) source.Diagnostics

func build(file string, read reading, o Options) (*Config, Diagnostics) {
	d := &decoder{language: newLanguage()}
	ns := d.tree(read, o)
	r := root{global: Global{GARP: GARP{LowerPriorityDelay: unset, LowerPriorityRepeat: unset}}}
	d.language.root.start(&r)
	d.language.root.read(d, &r, ns)
	c := d.build(&r)
	c.File = file
	if len(ns) == 0 && d.diags.Err() == nil {
		d.warn(Pos{File: file, Line: 1, Column: 1},
			"file: expected at least one vrrp_instance or virtual_server")
	}
	d.diags.Sort()
	return c, d.diags
}

// tree reads the lines into statements.
func (d *decoder) tree(read reading, o Options) []*Node {
	r := newTreeReader(d.language.grammar(), d.report)
	said := read(source.Options{ID: o.ID, Env: os.LookupEnv}, r.read)
	for _, s := range said {
		severity := Warning
		if s.Severity == source.Error {
			severity = Error
		}
		d.report(Diagnostic{Pos: s.Pos, Severity: severity, Text: s.Text})
	}
	return r.end()
}
