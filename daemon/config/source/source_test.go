package source

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// read gives the lines of a text, and what was said.
func read(text string, o Options) ([]string, Diagnostics) {
	var lines []string
	ds := ReadText("test.conf", text, o, func(l Line) { lines = append(lines, l.Text) })
	return lines, ds
}

// lineTests are single rules; whole configurations are in testdata.
var lineTests = []struct {
	name, text string
	want       []string
}{
	{"nothing", "", nil},
	{"no line's end", "a b", []string{"a b"}},
	{"carriage returns", "a\r\n\r\nb\r\r\n", []string{"a", "b"}},
	{"byte order mark", "\uFEFFa\nb", []string{"a", "b"}},
	{"blank lines and comments say nothing", " \n#a\n\t! b\nc", []string{"c"}},
	{"comments stay in lines that are given as they are", "a # b", []string{"a # b"}},
	{"nothing in a comment is carried out", "$A=1\na # $A\n# $A=2\nb $A",
		[]string{"a # $A", "b 1"}},
	{"a comment ends in no quote", "$A=1\na \"#\" $A # $A", []string{`a "#" 1 # $A`}},
	{"escaped comment", "$A=1\na \\# $A \\! $A", []string{`a \# 1 \! 1`}},
	{"an escaped quote opens nothing", "$A=1\na \\\" # $A", []string{`a \" # $A`}},
	{"value without its comment", "$A=1 # one\n${A}2", []string{"12"}},
	{"value with an escaped comment", "$A=1\\#2\n${A}3", []string{`1\#23`}},
	{"value in quotes", "$A=\"1 # 2\"\nx $A", []string{`x "1 # 2"`}},
	{"empty value", "$A=\n[${A}]", []string{"[]"}},
	{"uses that bring statements", "$M=@main\n$O=@other\n$M a { $O b } { $M c } $M",
		[]string{"a { ", "} { ", "c", "} "}},
	{"block that brings statements", "$A=a { @main b } { @other c }\n$B=$A\nx $B",
		[]string{"x a { ", "b", "} { ", "}"}},
	{"list of conditions", "~LST(C, @main, @other) $C a", []string{"a"}},
	{"quoted use of a condition", "$M=@main\n\"{ $M \" $M b", []string{`"{ @main " @main b`}},
	{"late", "$A=$B\n$B=1\nx $A\n$B=2\nx $A", []string{"x 1", "x 2"}},
	{"a value's name ends where the line says", "$A=x$B\n$B=1\n${A}.2 ${A} 2",
		[]string{"x$B.2 x1 2"}},
	{"condition not met", "@other a\nb", []string{"b"}},
	{"condition with tabs", "@main\ta", []string{"a"}},
	{"condition is case sensitive", "@Main a\n@^Main b", []string{"b"}},
	{"condition and definition", "@main $A=1\n@other $A=2\n$A", []string{"1"}},
	{"condition and sequence", "@main ~SEQ(A,1,2) x $A\n@other ~SEQ(A,3,4) x $A",
		[]string{"x 1", "x 2"}},
	{"condition in a sequence", "~SEQ(A,1,2) @main x $A", []string{"x 1", "x 2"}},
	{"definition in a sequence", "~SEQ(A,1,2) $B=${A}0\nx $B $A", []string{"x 20 2"}},
	{"value of a sequence stays", "~SEQ(A,1,2) x\ny $A", []string{"x", "x", "y 2"}},
	{"sequence of a definition with lines", "$B= \\\nfirst $A \\\nsecond $A\n~SEQ(A,1,2) $B",
		[]string{"first 1", "second 1", "first 2", "second 2"}},
	{"sequence in a definition with lines", "$B= \\\n{ \\\n~SEQ(A,1,2) x $A \\\n}\n$B",
		[]string{"{", "x 1", "x 2", "}"}},
	{"definition in its own use", "$A= \\\n$A=2 \\\nx\n$A\ny $A", []string{"x", "y 2"}},
	{"first line beside the name", "$A=a \\\nb\nx $A", []string{"x a", "b"}},
	{"several lines, one of which says something", "$A= \\\na\nx ${A} y", []string{"x a y"}},
	{"backslash elsewhere", "a \\\nb", []string{`a \`, "b"}},
	{"one step back", "~SEQ(A,2,1) $A", []string{"2", "1"}},
	{"step beyond the end", "~SEQ(A,1,3,3) ${A}x ~SEQ", []string{"1x ~SEQ"}},
	{"limits of numbers", "~SEQ(A,-2147483648,2147483647,2147483647) x ${A}",
		[]string{"x -2147483648", "x -1", "x 2147483646"}},
	{"blanks in a sequence", "~SEQ ( A , 1 , 2 ) x $A", []string{"x 1", "x 2"}},
	{"hexadecimal", "~SEQx(A,9,11) x$A; x${A}", []string{"x$A; x9", "x$A; xa", "x$A; xb"}},
	{"empty values", "~LST(A,,x) [${A}]", []string{"[]", "[x]"}},
	{"variables in bounds", "$N=1,2\n~SEQ(A,$N) x${A}", []string{"x1", "x2"}},
	{"keywords that only start like an include", "included a\nincludex b",
		[]string{"included a", "includex b"}},
}

// TestLines checks which lines are made of a text.
func TestLines(t *testing.T) {
	for _, tt := range lineTests {
		t.Run(tt.name, func(t *testing.T) {
			got, ds := read(tt.text, testOptions(nil))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s%s", diff, ds)
			}
		})
	}
}

// TestPos checks the place of each byte of a line that comes from several places.
func TestPos(t *testing.T) {
	text := "$IP=10.0.${N}\n$NET=${IP}.1/24\n  ~SEQ(N, 7, 7) vip ${NET} dev\n"
	var places []string
	ReadText("test.conf", text, testOptions(nil), func(l Line) {
		for i := range len(l.Text) + 1 {
			p := l.Pos(i)
			c := "end"
			if i < len(l.Text) {
				c = l.Text[i : i+1]
			}
			places = append(places,
				fmt.Sprintf("%s %s %d:%d %d", c, p, p.Line, p.Column, len(p.Trace())))
		}
	})
	want := strings.Split(`v test.conf:3:17 3:17 0
i test.conf:3:18 3:18 0
p test.conf:3:19 3:19 0
  test.conf:3:20 3:20 0
1 test.conf:3:21 1:5 2
0 test.conf:3:21 1:6 2
. test.conf:3:21 1:7 2
0 test.conf:3:21 1:8 2
. test.conf:3:21 1:9 2
7 test.conf:3:21 3:3 3
. test.conf:3:21 2:11 1
1 test.conf:3:21 2:12 1
/ test.conf:3:21 2:13 1
2 test.conf:3:21 2:14 1
4 test.conf:3:21 2:15 1
  test.conf:3:27 3:27 0
d test.conf:3:28 3:28 0
e test.conf:3:29 3:29 0
v test.conf:3:30 3:30 0
end test.conf:3:31 3:31 0`, "\n")
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestLimits checks that what grows or nests without end is refused, soon, with one clear error.
func TestLimits(t *testing.T) {
	chain := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			r := strings.NewReplacer("<", fmt.Sprint(i), ">", fmt.Sprint(i+1))
			b.WriteString(r.Replace(format))
		}
		return b.String()
	}
	const large, deep = "expected at most 4194304 bytes once", "nesting: expected at most 200"
	for _, tt := range []struct{ name, text, want string }{
		{"text", "$V0=" + strings.Repeat("x", 99) + "\n" + chain(40, "$V>=${V<}${V<}\n") + "${V40}",
			large},
		{"no text", "$V0=\n" + chain(40, "$V>=${V<}${V<}\n") + "a ${V40}", large},
		{"lines", chain(40, "$V>= \\\n$V< \\\n$V<\n") + "$V40", "at most"},
		{"sequence", "~SEQ(A, 1, 2147483647) x $A", large},
		{"sequence of nothing", "~SEQ(A, 1, 2147483647) $B=1", large},
		{"sequences", strings.Repeat("~SEQ(A, 1, 9)", 150) + " x", large},
		{"sequences in one another", strings.Repeat("~SEQ(A, 1, 1)", 10000) + " x", deep},
		{"variables in one another", chain(10000, "$V<=a $V>\n") + "x $V0", deep},
		{"braces in one another", strings.Repeat("${", 10000) + "A" + strings.Repeat("}", 10000),
			"expected at most"},
		{"blocks in one another", strings.Repeat("{ @main a ", 10000), deep},
		{"uses that start statements", chain(10000, "$V<=@main $V>\n") + "$V0 x", deep},
		{"includes", "~SEQ(A, 1, 100000) include nowhere${A}", large},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start, size := time.Now(), 0
			ds := ReadText("test.conf", tt.text, testOptions(fstest.MapFS{}), func(l Line) {
				size += len(l.Text)
			})
			err := ds.Err()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("read: got %.300q, want %q", fmt.Sprint(err), tt.want)
			}
			if size > 4<<20 {
				t.Errorf("text: got %d bytes, want at most the limit", size)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("time: got %s, want less than 5 s", d)
			}
		})
	}
}

// TestLinear checks that long lines take no longer than many short ones.
func TestLinear(t *testing.T) {
	for _, tt := range []struct{ name, piece string }{
		{"open braces of variables", "${"},
		{"variables", "$A ${A} "},
		{"blocks", "{@main a}"},
		{"blocks of others", "{@other a}"},
		{"blocks by variables", "{ $M a } "},
		{"conditions", "@^other "},
		{"quotes", `"#" `},
		{"predefined", "${_HASH}"},
		{"words", "a { } "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "$A=1\n$M=@main\n" + strings.Repeat(tt.piece, 1<<20/len(tt.piece)) + "x"
			start := time.Now()
			ReadText("test.conf", text, Options{ID: "main"}, func(Line) {})
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("time: got %s for 1 MiB, want less than 5 s", d)
			}
		})
	}
}

// TestFiles checks what is said of files that cannot be read.
func TestFiles(t *testing.T) {
	files := fstest.MapFS{
		"etc/dir/x":  {Data: []byte("x"), Mode: 0o644},
		"etc/pipe":   {Mode: fs.ModeNamedPipe | 0o644},
		"etc/run.sh": {Data: []byte("run"), Mode: 0o755},
		"etc/large":  {Data: make([]byte, 2<<20), Mode: 0o644},
		"etc/a.conf": {Data: []byte("a"), Mode: 0o644},
		"etc/b.conf": {Data: []byte("b"), Mode: 0o644},
		"etc/[x]":    {Data: []byte("literal"), Mode: 0o644},
		"etc/inc":    {Data: []byte("include run.sh\ninclude pipe\ninclude large"), Mode: 0o644},
	}
	for _, tt := range []struct {
		name, path string
		want       []string
		said       string
	}{
		{"relative", "a.conf", []string{"a"}, ""},
		{"absolute", "/etc/a.conf", []string{"a"}, ""},
		{"pattern", "*.conf", []string{"a", "b"}, ""},
		{"name of wildcards", "[x]", []string{"literal"}, ""},
		{"missing", "none", nil, "none:1:1: error: file: none: file does not exist\n"},
		{"no match", "none*", nil,
			"none*:1:1: error: file: expected at least one file to match\n"},
		{"directory", "dir", nil,
			"dir:1:1: error: file: dir: expected a file, got a directory\n"},
		{"pipe", "pipe", nil, "pipe:1:1: error: file: pipe: expected a regular file\n"},
		{"executable", "run.sh", []string{"run"},
			"run.sh:1:1: warning: file: expected a file that is not executable\n"},
		{"large", "large", nil,
			"large:1:1: error: file: large: expected at most 1048576 bytes\n"},
		{"included", "inc", nil, "inc:1:1: warning: include \"run.sh\": run.sh: " +
			"expected a file that is not executable: it is left out\n" +
			"inc:2:1: warning: include \"pipe\": pipe: expected a regular file\n" +
			"inc:3:1: error: include \"large\": large: expected at most 1048576 bytes\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lines []string
			ds := Read(tt.path, testOptions(files), func(l Line) { lines = append(lines, l.Text) })
			if diff := cmp.Diff(tt.want, lines); diff != "" {
				t.Errorf("lines: (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.said, ds.String()); diff != "" {
				t.Errorf("said: (-want +got)\n%s", diff)
			}
		})
	}
}

// grown is a file system whose files become larger after one has asked how large they are.
type grown struct{ fstest.MapFS }

func (g grown) Stat(name string) (fs.FileInfo, error) {
	i, err := g.MapFS.Stat(name)
	return small{i}, err
}

type small struct{ fs.FileInfo }

func (small) Size() int64 { return 1 }

// TestGrowingFile checks that no more is read of a file than allowed, whatever it said before.
func TestGrowingFile(t *testing.T) {
	files := grown{fstest.MapFS{"etc/a": {Data: make([]byte, 2<<20), Mode: 0o644}}}
	got := Read("a", testOptions(files), func(Line) {}).String()
	if want := "a:1:1: error: file: a: expected at most 1048576 bytes\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// denied is a file system that shows its files, and opens none.
type denied struct{ fstest.MapFS }

func (denied) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
}

// TestUnreadable checks what is said of files that may not be read.
func TestUnreadable(t *testing.T) {
	files := denied{fstest.MapFS{"etc/a": {Data: []byte("a"), Mode: 0o600}}}
	for _, tt := range []struct{ name, text, want string }{
		{"included", "include a", "f:1:1: warning: include \"a\": a: permission denied\n"},
		{"asked for", "includer a", "f:1:1: error: includer \"a\": a: permission denied\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ReadText("f", tt.text, testOptions(files), func(Line) {}).String()
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	got := Read("a", testOptions(files), func(Line) {}).String()
	if want := "a:1:1: error: file: a: permission denied\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestMachine reads a file of the machine, relative to the process's directory.
func TestMachine(t *testing.T) {
	lines := 0
	ds := Read("testdata/manual.txt", Options{}, func(l Line) { lines++ })
	if lines < 50 {
		t.Errorf("read: got %d lines\n%s", lines, ds)
	}
}

func TestAlternatives(t *testing.T) {
	for _, tt := range []struct {
		name, pattern string
		want          []string
	}{
		{"none", "a", []string{"a"}},
		{"two", "a{b,c}d", []string{"abd", "acd"}},
		{"nested", "{foo/{,cat,dog},bar}", []string{"foo/", "foo/cat", "foo/dog", "bar"}},
		{"one", "{a}", []string{"a"}},
		{"empty braces", "a{}", []string{"a{}"}},
		{"open", "a{b,c", []string{"a{b,c"}},
		{"open before", "{a{b,c}", []string{"{ab", "{ac"}},
		{"escaped", `a\{b,c\}`, []string{`a\{b,c\}`}},
		{"too many", strings.Repeat("{a,b}", 20), nil},
		{"too deep", strings.Repeat("{", 2000) + strings.Repeat("{a,b}", 20), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := alternatives(tt.pattern)
			if ok != (tt.want != nil) {
				t.Errorf("ok: got %t", ok)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestSaidOnce checks that what a sequence repeats is said once, and that there is an end to what
// is said, with errors and warnings apart.
func TestSaidOnce(t *testing.T) {
	_, ds := read("~SEQ(A, 1, 2000) x ${_RANDOM b}", testOptions(nil))
	if len(ds) != 1 {
		t.Errorf("one mistake: got %d diagnostics, want 1", len(ds))
	}
	text := strings.Repeat("@main\n", 2*maxDiagnostics) + strings.Repeat("@\n", 2*maxDiagnostics)
	_, ds = read(text, testOptions(nil))
	count := map[Severity]int{}
	for _, d := range ds {
		count[d.Severity]++
	}
	want := map[Severity]int{Warning: maxDiagnostics + 1, Error: maxDiagnostics + 1}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("many mistakes: (-want +got)\n%s", diff)
	}
}
