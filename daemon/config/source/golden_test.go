package source

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the goldens anew")

// TestGolden carries out each transcript of testdata. One is files, each after a line `== PATH`, of
// which the first is read; what was read follows after `-- lines --`: each line with the place of
// its first word, and what was said after `-- said --`, with notes.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("find transcripts: %v, %d files", err, len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := bytes.Cut(text, []byte("-- lines --\n"))
			got := transcript(t, string(input))
			if *update {
				all := string(input) + "-- lines --\n" + got
				if err := os.WriteFile(file, []byte(all), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func transcript(t *testing.T, input string) string {
	t.Helper()
	files := fstest.MapFS{}
	first := ""
	for _, part := range strings.Split(input, "== ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		if first == "" {
			first = name
		}
		files["etc/"+name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return render(t, first, testOptions(files))
}

// testOptions read files in /etc with config id main.
func testOptions(files fs.FS) Options {
	next := uint64(0)
	return Options{
		Files: files, Dir: "/etc", ID: "main", MaxFile: 1 << 20, MaxText: 1 << 22,
		Env: func(name string) (string, bool) {
			v, ok := map[string]string{
				"VIP": "10.0.0.1", "PASS": "a#b!c$VIP", "TWO": "a\nb", "EMPTY": "",
			}[name]
			return v, ok
		},
		Random: func(n uint64) uint64 { next += 7; return next % n },
	}
}

func render(t *testing.T, path string, o Options) string {
	t.Helper()
	var b strings.Builder
	ds := Read(path, o, func(l Line) {
		at := l.Pos(skipBlanks(l.Text, 0))
		fmt.Fprintf(&b, "%s\t%s%s\n", written(at), l.Text, route(at))
	})
	checkSaid(t, ds)
	b.WriteString("-- said --\n" + ds.String())
	return b.String()
}

func written(p Pos) string { return fmt.Sprintf("%s:%d:%d", p.File(), p.Line, p.Column) }

// route is how a text came to its place.
func route(p Pos) string {
	var b strings.Builder
	for o := p.from; o != nil; o = o.use.from {
		what := "include"
		if o.variable != nil {
			what = "$" + o.variable.name
		}
		fmt.Fprintf(&b, "\t< %s %s", what, written(o.use))
	}
	return b.String()
}
