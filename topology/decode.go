package topology

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/tandemlb/tandem/internal/strict"
)

// Position is a place in a file.
type Position = strict.Position

// Problem is one thing wrong with a topology.
type Problem = strict.Problem

// Problems is everything wrong with a topology. As an error it is never empty.
type Problems = strict.Problems

// Parse reads a topology file, NAME.tandem.yml, and validates it. The error is Problems, every one
// with its place in file; a YAML syntax error stands alone. Mappings keep their order. A file may
// begin with `preset: fig7`: then it names only what differs, and null removes an entry:
//
//	preset: fig7
//	nodes:
//	  lb2: {priority: 200}
//	  client2: null
//
// Marshal writes every key that there is.
func Parse(file string, b []byte) (Topology, error) {
	d, root, err := strict.Open(file, b, "a topology")
	if err != nil {
		return Topology{}, err
	}
	t := Decode(d, root, "")
	if err := d.Err(); err != nil {
		return Topology{}, err
	}
	return t, nil
}

// Decode reads a topology that is part of another document, and stands at n and path there. What is
// wrong with it, d knows.
func Decode(d *strict.Decoder, n ast.Node, path string) Topology {
	own := &decoder{Decoder: d, root: path}
	t := own.topology(n)
	if own.fine() {
		for _, p := range validate(&t) {
			d.Add(own.under(p.Path), "%s", p.Text)
		}
	}
	return t
}

// decoder turns a YAML tree into a Topology.
type decoder struct {
	*strict.Decoder
	// root is the path of the topology, whose parts' paths begin with it.
	root string
}

// under is the path of a part of the topology.
func (d *decoder) under(path string) string {
	if path == "" {
		return d.root
	}
	return strict.Dotted(d.root, path)
}

// fine says that nothing of the topology is wrong yet.
func (d *decoder) fine() bool { return !d.Failed(d.root) }
