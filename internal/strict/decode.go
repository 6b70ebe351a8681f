// Package strict reads YAML documents of which every key is known, and says of everything that is
// wrong where it stands, what was expected and what may have been meant. It reads no files.
package strict

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Open parses a file of one document, which is called what in messages, and returns its root. The
// error is Problems; a YAML syntax error stands alone.
func Open(file string, b []byte, what string) (*Decoder, ast.Node, error) {
	parsed, err := parser.ParseBytes(b, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, nil, syntaxProblem(file, err)
	}
	d := &Decoder{file: file, places: map[string]Position{}}
	if len(parsed.Docs) != 1 || parsed.Docs[0].Body == nil {
		return nil, nil, Problems{{At: d.lastDocument(parsed),
			Text: "expected one YAML document with " + what}}
	}
	return d, parsed.Docs[0].Body, nil
}

// lastDocument is where the last document of a file begins.
func (d *Decoder) lastDocument(f *ast.File) Position {
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

// Decoder turns the tree of a YAML document into values: it collects problems and remembers where
// each path stands. Paths are as in Problem; that of the whole document is empty.
type Decoder struct {
	file     string
	places   map[string]Position
	problems Problems
}

// Err returns all problems as Problems, in order of their places; nil for none.
func (d *Decoder) Err() error { return d.problems.Err() }

// Failed reports whether anything is wrong with a path or a part of it.
func (d *Decoder) Failed(path string) bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool {
		rest, ok := strings.CutPrefix(p.Path, path)
		return ok && (path == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// Mark says that a path stands at n.
func (d *Decoder) Mark(n ast.Node, path string) { d.places[path] = d.position(n) }

// Add adds a problem that stands where its path does, or else the nearest part around it.
func (d *Decoder) Add(path, format string, args ...any) {
	d.problems = append(d.problems,
		Problem{At: d.Place(path), Path: path, Text: fmt.Sprintf(format, args...)})
}

func (d *Decoder) position(n ast.Node) Position {
	if n == nil || n.GetToken() == nil {
		return Position{d.file, 1, 1}
	}
	tk := n.GetToken()
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		tk = m.Values[0].Key.GetToken() // a block mapping's own token is its first colon
	}
	return Position{d.file, tk.Position.Line, tk.Position.Column}
}

// Place returns where a path stands, or else the nearest part around it.
func (d *Decoder) Place(path string) Position {
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

// Fail adds a problem that stands at n.
func (d *Decoder) Fail(n ast.Node, path, format string, args ...any) {
	d.problems = append(d.problems,
		Problem{At: d.position(n), Path: path, Text: fmt.Sprintf(format, args...)})
}

// Entries calls visit for each entry of a mapping with its path, in order.
func (d *Decoder) Entries(n ast.Node, path string, join func(path, key string) string,
	visit func(key, path string, value ast.Node),
) {
	d.places[path] = d.position(n)
	m, ok := n.(ast.MapNode)
	if !ok {
		d.Fail(n, path, "%s: expected a mapping of keys to values", KindOf(n))
		return
	}
	seen := map[string]Position{}
	for it := m.MapRange(); it.Next(); {
		key := it.Key().GetToken().Value
		if _, ok := it.Key().(ast.ScalarNode); !ok || it.Key().IsMergeKey() {
			d.Fail(it.Key(), path, "%s: expected a plain key", KindOf(it.Key()))
			continue
		}
		keyPath := join(path, key)
		if first, ok := seen[key]; ok {
			d.Fail(it.Key(), keyPath, "key stands twice: first in line %d", first.Line)
			continue
		}
		seen[key] = d.position(it.Key())
		d.places[keyPath] = seen[key]
		visit(key, keyPath, it.Value())
	}
}

// Sequence calls visit for each item of a sequence with its path, in order.
func (d *Decoder) Sequence(n ast.Node, path string, visit func(path string, item ast.Node)) {
	d.Mark(n, path)
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		d.Fail(n, path, "%s: expected a sequence", KindOf(n))
		return
	}
	for i, item := range s.Values {
		visit(Bracketed(path, strconv.Itoa(i)), item)
	}
}

// Dotted joins a path and a key with a dot.
func Dotted(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Bracketed joins a path and a key that may have dots.
func Bracketed(path, key string) string { return path + "[" + key + "]" }

// Field is one key that an object may have, and what reads its value.
type Field struct {
	Key  string
	Read func(n ast.Node, path string)
}

// Key returns a Field.
func Key(key string, read func(n ast.Node, path string)) Field { return Field{key, read} }

// Object reads a mapping whose keys are known.
func (d *Decoder) Object(n ast.Node, path string, fields []Field) {
	d.Entries(n, path, Dotted, func(key, path string, value ast.Node) {
		i := slices.IndexFunc(fields, func(f Field) bool { return f.Key == key })
		if i < 0 {
			var keys []string
			for _, f := range fields {
				keys = append(keys, f.Key)
			}
			d.Add(path, "unknown key: expected %s%s", OneOf(keys), DidYouMean(key, keys))
			return
		}
		fields[i].Read(value, path)
	})
}

// List reads a mapping of names to entries of a list: it changes the entry of that name, appends a
// new one, or removes it for null.
func List[T any](d *Decoder, n ast.Node, path string, items *[]T,
	join func(path, key string) string, name func(*T) string, read func(*T, string, ast.Node, string),
) {
	d.Entries(n, path, join, func(key, path string, value ast.Node) {
		i := slices.IndexFunc(*items, func(item T) bool { return name(&item) == key })
		if _, null := value.(*ast.NullNode); null {
			if i < 0 {
				d.Fail(value, path, "null: there is none of this name to remove")
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
