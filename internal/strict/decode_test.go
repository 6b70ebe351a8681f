package strict

import (
	"errors"
	"testing"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// drum is a document to read.
type drum struct {
	name   string
	beats  int
	pause  time.Duration
	loud   bool
	sounds []string
}

func (x *drum) read(d *Decoder, n ast.Node) {
	d.Object(n, "", []Field{
		Key("name", d.Text(&x.name)),
		Key("beats", d.Number(&x.beats, 1, 9)),
		Key("pause", d.Duration(&x.pause)),
		Key("loud", d.Yes(&x.loud)),
		Key("sounds", func(n ast.Node, path string) {
			d.Sequence(n, path, func(path string, item ast.Node) {
				x.sounds = append(x.sounds, "")
				d.Text(&x.sounds[len(x.sounds)-1])(item, path)
			})
		}),
	})
}

func TestDecoder(t *testing.T) {
	tests := []struct {
		name, text string
		want       drum
		problems   []string
	}{
		{"everything", "name: tom\nbeats: 3\npause: 300ms\nloud: true\nsounds: [low, high]\n",
			drum{"tom", 3, 300 * time.Millisecond, true, []string{"low", "high"}}, nil},
		{"all problems at once, in order of their places", "beats: 12\nnaem: tom\nsounds: [1, low]\n",
			drum{sounds: []string{"", "low"}}, []string{
				`f.yml:1:8: beats: "12": expected a whole number, 1 to 9`,
				`f.yml:2:1: naem: unknown key: expected name, beats, pause, loud or sounds ` +
					`(did you mean "name"?)`,
				`f.yml:3:10: sounds[0]: the number 1: expected a string, in quotes if it is digits`,
			}},
		{"no mapping", "- a\n", drum{}, []string{
			"f.yml:1:1: a sequence: expected a mapping of keys to values"}},
		{"no sequence", "sounds: {a: b}\n", drum{}, []string{
			"f.yml:1:9: sounds: a mapping: expected a sequence"}},
		{"twice", "loud: true\nloud: true\n", drum{loud: true}, []string{
			"f.yml:2:1: loud: key stands twice: first in line 1"}},
		{"not true", "loud: 1\npause: 3\n", drum{}, []string{
			"f.yml:1:7: loud: the number 1: expected true or false",
			`f.yml:2:8: pause: "3": expected a time with its unit such as 1s or 300ms`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, root, err := Open("f.yml", []byte(tt.text), "a drum")
			if err != nil {
				t.Fatal(err)
			}
			var got drum
			got.read(d, root)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(drum{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.problems, lines(d.Err())); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOpenProblems(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", "f.yml:1:1: expected one YAML document with a drum"},
		{"two", "a: b\n---\nc: d\n", "f.yml:3:1: expected one YAML document with a drum"},
	}
	for _, tt := range tests {
		_, _, err := Open("f.yml", []byte(tt.text), "a drum")
		if diff := cmp.Diff([]string{tt.want}, lines(err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	_, _, err := Open("f.yml", []byte("a: [b\n"), "a drum")
	if got := lines(err); len(got) != 1 {
		t.Errorf("syntax: %q, want one problem", got)
	}
}

// TestFailed tells parts of a path from paths that begin alike.
func TestFailed(t *testing.T) {
	d := &Decoder{file: "f.yml", places: map[string]Position{}}
	for path, want := range map[string]bool{"": false, "a": false} {
		if d.Failed(path) != want {
			t.Errorf("nothing is wrong: Failed(%q) = %v", path, !want)
		}
	}
	d.Add("a.b[1].c", "wrong")
	for path, want := range map[string]bool{"": true, "a": true, "a.b": true, "a.b[1]": true,
		"a.b[1].c": true, "a.b[1].c.d": false, "a.b[1].cc": false, "a.bb": false, "b": false} {
		if d.Failed(path) != want {
			t.Errorf("Failed(%q) = %v", path, !want)
		}
	}
}

// lines are the problems of an error.
func lines(err error) []string {
	var ps Problems
	if !errors.As(err, &ps) {
		return nil
	}
	var all []string
	for _, p := range ps {
		all = append(all, p.Error())
	}
	return all
}
