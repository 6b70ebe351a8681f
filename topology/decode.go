package topology

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

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
	parsed, err := parser.ParseBytes(b, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return Topology{}, syntaxProblem(file, err)
	}
	d := &decoder{file: file, places: map[string]Position{}}
	if len(parsed.Docs) != 1 || parsed.Docs[0].Body == nil {
		return Topology{}, Problems{{At: d.lastDocument(parsed),
			Text: "expected one YAML document with a topology"}}
	}
	t := d.topology(parsed.Docs[0].Body)
	if len(d.problems) == 0 {
		for _, p := range validate(&t) {
			p.At = d.place(p.Path)
			d.problems = append(d.problems, p)
		}
	}
	if err := d.problems.err(); err != nil {
		return Topology{}, err
	}
	return t, nil
}

// lastDocument is where the last document of a file begins.
func (d *decoder) lastDocument(f *ast.File) Position {
	if len(f.Docs) == 0 {
		return Position{d.file, 1, 1}
	}
	return d.position(f.Docs[len(f.Docs)-1].Body)
}

func syntaxProblem(file string, err error) error {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		return Problems{{At: Position{file, 1, 1}, Text: "syntax: " + err.Error()}}
	}
	pos := at.GetToken().Position
	return Problems{{At: Position{file, pos.Line, pos.Column}, Text: "syntax: " + at.GetMessage()}}
}

// decoder turns a YAML tree into a Topology, collects problems and remembers where each path
// stands.
type decoder struct {
	file     string
	places   map[string]Position
	problems Problems
}

func (d *decoder) position(n ast.Node) Position {
	if n == nil || n.GetToken() == nil {
		return Position{d.file, 1, 1}
	}
	tk := n.GetToken()
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		tk = m.Values[0].Key.GetToken() // a block mapping's own token is its first colon
	}
	return Position{d.file, tk.Position.Line, tk.Position.Column}
}

// place returns where a path stands, or else the nearest part around it.
func (d *decoder) place(path string) Position {
	for {
		if at, ok := d.places[path]; ok {
			return at
		}
		cut := strings.LastIndexAny(path, ".[")
		if path == "" {
			return Position{d.file, 1, 1}
		}
		path = path[:max(cut, 0)]
	}
}

func (d *decoder) fail(n ast.Node, path, format string, args ...any) {
	d.problems = append(d.problems,
		Problem{At: d.position(n), Path: path, Text: fmt.Sprintf(format, args...)})
}

// entries calls visit for each entry of a mapping with its path, in order.
func (d *decoder) entries(n ast.Node, path string, join func(path, key string) string,
	visit func(key, path string, value ast.Node),
) {
	d.places[path] = d.position(n)
	m, ok := n.(ast.MapNode)
	if !ok {
		d.fail(n, path, "%s: expected a mapping of keys to values", kindOf(n))
		return
	}
	seen := map[string]Position{}
	for it := m.MapRange(); it.Next(); {
		key := it.Key().GetToken().Value
		if _, ok := it.Key().(ast.ScalarNode); !ok || it.Key().IsMergeKey() {
			d.fail(it.Key(), path, "%s: expected a plain key", kindOf(it.Key()))
			continue
		}
		keyPath := join(path, key)
		if first, ok := seen[key]; ok {
			d.fail(it.Key(), keyPath, "key stands twice: first in line %d", first.Line)
			continue
		}
		seen[key] = d.position(it.Key())
		d.places[keyPath] = seen[key]
		visit(key, keyPath, it.Value())
	}
}

// dotted joins a path and a key with a dot.
func dotted(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// bracketed joins a path and a key that may have dots.
func bracketed(path, key string) string { return path + "[" + key + "]" }

// field is one key that an object may have, and what reads its value.
type field struct {
	key  string
	read func(n ast.Node, path string)
}

// object reads a mapping whose keys are known.
func (d *decoder) object(n ast.Node, path string, fields []field) {
	d.entries(n, path, dotted, func(key, path string, value ast.Node) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
		if i < 0 {
			var keys []string
			for _, f := range fields {
				keys = append(keys, f.key)
			}
			d.problems = append(d.problems, Problem{At: d.places[path], Path: path,
				Text: fmt.Sprintf("unknown key: expected %s%s", oneOf(keys), didYouMean(key, keys))})
			return
		}
		fields[i].read(value, path)
	})
}

// list reads a mapping of names to entries of a list: it changes the entry of that name, appends a
// new one, or removes it for null.
func list[T any](d *decoder, n ast.Node, path string, items *[]T,
	join func(path, key string) string, name func(*T) string, read func(*T, string, ast.Node, string),
) {
	d.entries(n, path, join, func(key, path string, value ast.Node) {
		i := slices.IndexFunc(*items, func(item T) bool { return name(&item) == key })
		if _, null := value.(*ast.NullNode); null {
			if i < 0 {
				d.fail(value, path, "null: there is none of this name to remove")
				return
			}
			*items = slices.Delete(*items, i, i+1)
			return
		}
		if i < 0 {
			var item T
			*items = append(*items, item)
			i = len(*items) - 1
		}
		read(&(*items)[i], key, value, path)
	})
}

// scalar returns a reader that parses a value into *into.
func scalar[T any](d *decoder, into *T, expected string, parse func(string) (T, error)) func(
	ast.Node, string,
) {
	return func(n ast.Node, path string) {
		d.places[path] = d.position(n)
		text, ok := textOf(n)
		if ok {
			if value, err := parse(text); err == nil {
				*into = value
				return
			}
			d.fail(n, path, "%q: expected %s", text, expected)
			return
		}
		d.fail(n, path, "%s: expected %s", kindOf(n), expected)
	}
}

// textOf returns a scalar as it stands in the file.
func textOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// text returns a reader for a string; numbers must be quoted to be one.
func (d *decoder) text(into *string) func(ast.Node, string) {
	read := scalar(d, into, "a string", func(s string) (string, error) { return s, nil })
	return func(n ast.Node, path string) {
		switch n.(type) {
		case *ast.IntegerNode, *ast.FloatNode:
			d.fail(n, path, "%s: expected a string, in quotes if it is digits", kindOf(n))
		default:
			read(n, path)
		}
	}
}

// number returns a reader for a whole decimal number; what range it may have, Validate says.
func (d *decoder) number(into *int, least, most int) func(ast.Node, string) {
	expected := fmt.Sprintf("a whole number, %d to %d", least, most)
	read := scalar(d, into, expected, func(s string) (int, error) {
		value, err := parseDecimal(s)
		if err != nil || value < least || value > most {
			return 0, errors.New("out of range")
		}
		return value, nil
	})
	return func(n ast.Node, path string) {
		if _, ok := n.(*ast.StringNode); ok {
			d.fail(n, path, "string %q: expected %s", n.GetToken().Value, expected)
			return
		}
		read(n, path)
	}
}

// yes returns a reader for true or false.
func (d *decoder) yes(into *bool) func(ast.Node, string) {
	return func(n ast.Node, path string) {
		if b, ok := n.(*ast.BoolNode); ok {
			*into = b.Value
			return
		}
		d.fail(n, path, "%s: expected true or false", kindOf(n))
	}
}

// kindOf names a YAML node for messages.
func kindOf(n ast.Node) string {
	switch n := n.(type) {
	case *ast.NullNode:
		return "null"
	case *ast.SequenceNode:
		return "a sequence"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return "an anchor or alias"
	case *ast.TagNode:
		return "a tag"
	case *ast.BoolNode:
		return fmt.Sprintf("the boolean %s", n.GetToken().Value)
	case *ast.IntegerNode, *ast.FloatNode:
		return fmt.Sprintf("the number %s", n.GetToken().Value)
	}
	if n == nil || n.GetToken() == nil || n.GetToken().Type == token.UnknownType {
		return "something unreadable"
	}
	return fmt.Sprintf("%q", n.GetToken().Value)
}
