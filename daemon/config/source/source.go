// Package source turns the files of a configuration into the lines that they mean: it carries out
// include, @ conditions, $ variables, ~SEQ and ~LST, and knows of each byte of a line where its
// author wrote it. It never asks what the lines mean, and changes nothing anywhere.
//
// A configuration is read from top to bottom, once:
//
//	files ── lines ──┬─ include ──────── other files, in place
//	                 ├─ @id, @^id ────── the rest of the line, or nothing
//	                 ├─ $NAME=… ──────── kept, as written
//	                 ├─ ~SEQ, ~LST ───── the rest of the line, again and again
//	                 └─ all others ───── the caller, variables replaced by their values of now
//
// These statements stand at the start of a line, or after a brace; then they reach to the brace
// that ends their block. (In keepalived they reach to the end of the line and take that brace with
// them, which leaves the block open.) Comments and double quotes have keepalived's meaning: a # or
// ! outside of double quotes starts a comment unless a backslash stands before it, and nothing in a
// comment is carried out.
package source

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Options are what a configuration depends on beside its files. The zero value reads the machine's
// files, with an empty config id and environment, and random numbers that differ each time.
type Options struct {
	// Files is the file system, from the root directory on; nil is the machine's.
	Files fs.FS
	// Dir is the absolute directory that paths are relative to; empty is the process's own.
	Dir string
	// ID is the config id, of conditions and of ${_INSTANCE}.
	ID string
	// Env gives ${_ENV NAME} and whether it is set; nil sets nothing.
	Env func(name string) (value string, ok bool)
	// Random gives ${_RANDOM}: a number below n, which is not zero. nil is the runtime's.
	Random func(n uint64) uint64
	// CheckAll makes whatever is wrong with an include an error, as if all were includea.
	CheckAll bool
	// MaxFile is how many bytes a file may have; 0 is 64 MiB.
	MaxFile int64
	// MaxText is how many bytes all the work may come to: those of files, of lines, of values on
	// their way into lines, with 16 more for each line and each use of a variable, and 4096 for
	// each file. 0 is 256 MiB.
	MaxText int64
}

const (
	defaultMaxFile = 64 << 20
	defaultMaxText = 256 << 20
	// stepCost and fileCost are what a line or a use, and a file, count against MaxText: so that
	// what makes no text cannot go on for ever either.
	stepCost, fileCost = 16, 4 << 10
	// maxDepth is how deep includes, variables and sequences may stand within one another.
	maxDepth = 200
)

// Read calls line with each line of the configuration in the file at path, in order. Lines that say
// nothing are left out. A line's Text may be kept; its Pos is only to be asked for until line
// returns. If no file is at path, it may be a pattern, of which all matches are read.
//
// What is wrong is in the diagnostics, sorted by place: a statement with an error is left out and
// reading goes on, but for a configuration that is too large or nests too deep, which ends there.
func Read(path string, o Options, line func(Line)) Diagnostics {
	x := newExpander(path, o, line)
	if x.dirErr != nil {
		x.fail(At(path, 1, 1), "file: %v", x.dirErr)
		return x.diags
	}
	x.main(path)
	x.diags.Sort()
	return x.diags
}

// ReadText is Read of a text; file is its name in places, and what its includes are relative to.
func ReadText(file, text string, o Options, line func(Line)) Diagnostics {
	x := newExpander(file, o, line)
	if x.dirErr != nil {
		x.fail(At(file, 1, 1), "file: %v", x.dirErr)
		return x.diags
	}
	if x.charge(fileCost+len(text), At(file, 1, 1)) {
		x.lines(&openFile{name: file, path: x.absolute(file)}, text)
	}
	x.diags.Sort()
	return x.diags
}

// expander is the state of one reading.
type expander struct {
	reporter
	options Options
	emit    func(Line)
	// dirErr is why the process has no directory.
	dirErr error
	// left is how much of MaxText is left; stopped is set if the reading ends before its time.
	left    int64
	stopped bool
	depth   int

	variables map[string]*variable
	// splices is set once there is a variable whose value may bring a statement; mostly there is
	// none.
	splices bool
	// file is the one being read, checks what is asked of its includes.
	file   *openFile
	checks checks
	out    builder
}

// openFile is a file being read.
type openFile struct {
	// name is for places; path is absolute.
	name, path string
	// from is the include, nil for the file that was asked for; includer is the file it stands in.
	from     *origin
	includer *openFile
	// gathering is a definition whose further lines are being read.
	gathering *gathering
}

func newExpander(file string, o Options, line func(Line)) *expander {
	x := &expander{options: o, emit: line, variables: map[string]*variable{}}
	x.options.Dir = filepath.ToSlash(o.Dir)
	if o.Dir == "" && !path.IsAbs(file) {
		x.options.Dir, x.dirErr = os.Getwd()
	}
	if o.Files == nil {
		x.options.Files = os.DirFS("/")
	}
	if o.Random == nil {
		x.options.Random = rand.Uint64N
	}
	if o.Env == nil {
		x.options.Env = func(string) (string, bool) { return "", false }
	}
	if o.MaxFile <= 0 {
		x.options.MaxFile = defaultMaxFile
	}
	x.left = o.MaxText
	if o.MaxText <= 0 {
		x.left = defaultMaxText
	}
	if o.CheckAll {
		x.checks = checkAll
	}
	return x
}

// charge counts n bytes and says whether there was room for them. If not, reading stops.
func (x *expander) charge(n int, at Pos) bool { return x.spend(n) || x.tooLarge(at) }

// spend is charge without a place, for where that takes longer to find than all the rest: what
// follows if it is false is tooLarge.
func (x *expander) spend(n int) bool {
	x.left -= int64(n)
	return x.left >= 0 && !x.stopped
}

// tooLarge says that the text has become too large, stops the reading and returns false.
func (x *expander) tooLarge(at Pos) bool {
	limit := x.options.MaxText
	if limit <= 0 {
		limit = defaultMaxText
	}
	x.stop(at, "text: expected at most %d bytes once includes, variables and sequences are carried"+
		" out; the rest is not read", limit)
	return false
}

// stop says why the reading ends, once.
func (x *expander) stop(at Pos, format string, args ...any) {
	if !x.stopped {
		// Whatever else is left out of the diagnostics, this is not.
		x.diags = append(x.diags, Diagnostic{
			Pos: at, Severity: Error, Text: fmt.Sprintf(format, args...),
		})
	}
	x.stopped = true
}

// deeper goes one step down and says whether that is allowed. If not, reading stops. Each step down
// that was allowed is followed by x.depth--.
func (x *expander) deeper(l Line, at int, via *origin) bool {
	if x.depth >= maxDepth {
		x.tooDeep(l.Pos(at).brought(via))
	}
	if x.stopped {
		return false
	}
	x.depth++
	return true
}

// tooDeep says that there is too much within one another, and stops the reading.
func (x *expander) tooDeep(at Pos) {
	x.stop(at, "nesting: expected at most %d includes, variables and sequences within one another;"+
		" the rest is not read", maxDepth)
}

// lines reads the text of a file.
func (x *expander) lines(f *openFile, text string) {
	outer := x.file
	x.file = f
	defer func() { x.file = outer }()
	at := At(f.name, 1, 1).brought(f.from)
	if rest, ok := strings.CutPrefix(text, byteOrderMark); ok {
		text = rest
		at.Column += int32(len(byteOrderMark))
	}
	for text != "" && !x.stopped {
		var s string
		s, text, _ = strings.Cut(text, "\n")
		x.fileLine(strings.TrimRight(s, "\r"), at)
		at.Line, at.Column = at.Line+1, 1
	}
	x.unfinished()
}

const byteOrderMark = "\uFEFF"

// fileLine reads one line of a file.
func (x *expander) fileLine(s string, at Pos) {
	if i := strings.IndexByte(s, 0); i >= 0 {
		at.Column += int32(i)
		x.fail(at, "NUL byte: expected text")
		return
	}
	if x.file.gathering != nil {
		x.gather(s, at)
		return
	}
	if isBare(s) || !x.charge(stepCost, at) {
		return
	}
	if isPlain(s) {
		x.out.spans = append(x.out.spans[:0], span{pos: at})
		x.emit(Line{s, x.out.spans})
		return
	}
	x.run(x.compile(newLine(s, at), true), nil)
}

// isPlain says whether a line has nothing for this package to do; most are.
func isPlain(s string) bool {
	return strings.IndexByte(s, '$') < 0 && strings.IndexByte(s, '@') < 0 &&
		strings.IndexByte(s, '~') < 0 && !strings.Contains(s, "include") &&
		!strings.Contains(s, "random_seed")
}
