package strict

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Scalar returns a reader that parses a value into *into.
func Scalar[T any](d *Decoder, into *T, expected string, parse func(string) (T, error)) func(
	ast.Node, string,
) {
	return func(n ast.Node, path string) {
		d.places[path] = d.position(n)
		text, ok := TextOf(n)
		if ok {
			if value, err := parse(text); err == nil {
				*into = value
				return
			}
			d.Fail(n, path, "%q: expected %s", text, expected)
			return
		}
		d.Fail(n, path, "%s: expected %s", KindOf(n), expected)
	}
}

// TextOf returns a scalar as it stands in the file.
func TextOf(n ast.Node) (string, bool) {
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

// Text returns a reader for a string; numbers must be quoted to be one.
func (d *Decoder) Text(into *string) func(ast.Node, string) {
	read := Scalar(d, into, "a string", func(s string) (string, error) { return s, nil })
	return func(n ast.Node, path string) {
		switch n.(type) {
		case *ast.IntegerNode, *ast.FloatNode:
			d.Fail(n, path, "%s: expected a string, in quotes if it is digits", KindOf(n))
		default:
			read(n, path)
		}
	}
}

// Number returns a reader for a whole decimal number; what range it may have, the reader says.
func (d *Decoder) Number(into *int, least, most int) func(ast.Node, string) {
	expected := fmt.Sprintf("a whole number, %d to %d", least, most)
	read := Scalar(d, into, expected, func(s string) (int, error) {
		value, err := ParseDecimal(s)
		if err != nil || value < least || value > most {
			return 0, errors.New("out of range")
		}
		return value, nil
	})
	return func(n ast.Node, path string) {
		if _, ok := n.(*ast.StringNode); ok {
			d.Fail(n, path, "string %q: expected %s", n.GetToken().Value, expected)
			return
		}
		read(n, path)
	}
}

// Yes returns a reader for true or false.
func (d *Decoder) Yes(into *bool) func(ast.Node, string) {
	return func(n ast.Node, path string) {
		if b, ok := n.(*ast.BoolNode); ok {
			*into = b.Value
			return
		}
		d.Fail(n, path, "%s: expected true or false", KindOf(n))
	}
}

// KindOf names a YAML node for messages.
func KindOf(n ast.Node) string {
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

// Duration returns a reader for a time with its unit.
func (d *Decoder) Duration(into *time.Duration) func(ast.Node, string) {
	return Scalar(d, into, "a time with its unit such as 1s or 300ms", time.ParseDuration)
}

// ParseDecimal refuses what YAML versions read differently: 010, 0x10, 1_000.
func ParseDecimal(s string) (int, error) {
	value, err := strconv.Atoi(s)
	if err == nil && strconv.Itoa(value) != s {
		err = strconv.ErrSyntax
	}
	return value, err
}
