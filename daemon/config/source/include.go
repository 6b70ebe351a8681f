package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// checks are what is an error about an include, as in keepalived.conf's include_check. What is not
// asked for is a warning, or nothing.
type checks uint8

const (
	// checkRead: what matches is a file that can be read.
	checkRead checks = 1 << iota
	// checkMatch: a path without wildcards matches.
	checkMatch
	// checkWildcard: a path with wildcards matches.
	checkWildcard
	// checkBrace: each alternative in braces matches.
	checkBrace

	checkAll = checkRead | checkMatch | checkWildcard | checkBrace
)

// includeChecks is what an include keyword asks for beside what is asked for anyhow.
func includeChecks(keyword string) (checks, bool) {
	switch keyword {
	case "include":
		return 0, true
	case "includer":
		return checkRead, true
	case "includem":
		return checkRead | checkMatch, true
	case "includew":
		return checkRead | checkMatch | checkWildcard, true
	case "includeb":
		return checkRead | checkBrace, true
	case "includea":
		return checkAll, true
	}
	return 0, false
}

// set carries out the words of include_check: +name adds, -name removes, a first name without sign
// replaces, no word sets all. keepalived's manual says readable where it understands read.
func (c checks) set(words []string) checks {
	if len(words) == 0 {
		return checkAll
	}
	names := map[string]checks{
		"read": checkRead, "readable": checkRead, "match": checkMatch,
		"wildcard_match": checkWildcard, "brace_match": checkBrace,
	}
	for i, w := range words {
		n, ok := names[w]
		if signed(w) {
			n, ok = names[w[1:]]
		}
		switch {
		case !ok:
		case w[0] == '-':
			c &^= n
		case w[0] == '+':
			c |= n
		case i == 0:
			c = checkRead | n
		}
	}
	return c
}

func signed(word string) bool { return word[0] == '+' || word[0] == '-' }

// inclusion is one include being carried out.
type inclusion struct {
	// what is the statement as written, at its place.
	what string
	at   Pos
	// checks are what is asked for.
	checks checks
}

// problem says what is wrong with an include: an error if it is one of the checks asked for.
func (x *expander) problem(n inclusion, check checks, format string, args ...any) {
	severity := Warning
	if n.checks&check != 0 {
		severity = Error
	}
	x.report(n.at, severity, "%s: %s", n.what, fmt.Sprintf(format, args...))
}

// include reads the files of an include. keepalived's manual says that variables and conditions do
// not go with it; here, as in its code, they do.
func (x *expander) include(s *statement, via *origin) {
	if !x.charge(fileCost+len(s.line.Text), s.line.Pos(0).brought(via)) {
		return
	}
	l := x.expanded(s.line, use{via: via})
	keyword := firstWord(l.Text)
	pattern := strings.Trim(l.Text[len(keyword):], blanks)
	if p, ok := strings.CutPrefix(pattern, `"`); ok {
		pattern = strings.TrimSuffix(p, `"`)
	}
	asked, _ := includeChecks(keyword)
	n := inclusion{
		what: fmt.Sprintf("%s %q", keyword, clip(pattern)), at: s.line.Pos(0).brought(via),
		checks: x.checks | asked,
	}
	if pattern == "" {
		x.fail(n.at, "%s: expected the path of a file", keyword)
		return
	}
	saved := x.checks
	for _, f := range x.find(n, pattern, path.Dir(x.file.name), path.Dir(x.file.path)) {
		x.checks = saved
		x.read(n, f)
	}
	x.checks = saved
}

// main reads the file that was asked for, or the files if it is a pattern.
func (x *expander) main(name string) {
	n := inclusion{"file", At(name, 1, 1), checkAll}
	if _, err := fs.Stat(x.options.Files, fsName(x.absolute(name))); err == nil {
		x.read(n, openFile{name: name, path: x.absolute(name)})
		return
	}
	for _, f := range x.find(n, name, "", path.Join("/", x.options.Dir)) {
		x.read(n, f)
	}
}

func (x *expander) absolute(name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join("/", x.options.Dir, name)
}

// fsName is how fs.FS calls a file.
func fsName(absolute string) string {
	if absolute == "/" {
		return "."
	}
	return strings.TrimPrefix(absolute, "/")
}

// read reads one file, unless it is one that an include leaves out.
func (x *expander) read(n inclusion, f openFile) {
	for o := x.file; o != nil; o = o.includer {
		if o.path == f.path {
			x.fail(n.at, "%s: expected no file that is being read already: %s", n.what,
				x.chain(n, f.name))
			return
		}
	}
	if !x.deeper(newLine("", n.at), 0, nil) {
		return
	}
	defer func() { x.depth-- }()
	if !x.charge(fileCost, n.at) || !x.isFile(n, f) {
		return
	}
	text, err := x.content(f)
	switch {
	case errors.Is(err, errTooLarge):
		x.tooLong(n, f)
		return
	case err != nil:
		x.problem(n, checkRead, "%s: %v", f.name, cause(err))
		return
	case !x.charge(len(text), n.at):
		return
	}
	if x.file != nil {
		f.from = &origin{use: n.at}
	}
	f.includer = x.file
	x.lines(&f, text)
}

// chain is the files being read, each with the line that includes the next one, and the last.
func (x *expander) chain(n inclusion, last string) string {
	steps := []string{last}
	at := n.at.Use()
	for f := x.file; f != nil; f = f.includer {
		steps = append(steps, fmt.Sprintf("%s:%d", f.name, at.Line))
		if f.from != nil {
			at = f.from.use.Use()
		}
	}
	slices.Reverse(steps)
	return strings.Join(steps, " > ")
}

// isFile says whether there is something to read; if not, it has said why.
func (x *expander) isFile(n inclusion, f openFile) bool {
	i, err := fs.Stat(x.options.Files, fsName(f.path))
	switch {
	case err != nil:
		x.problem(n, checkRead, "%s: %v", f.name, cause(err))
	case i.IsDir():
		x.problem(n, checkRead, "%s: expected a file, got a directory", f.name)
	case !i.Mode().IsRegular():
		x.problem(n, checkRead, "%s: expected a regular file", f.name)
	case i.Mode()&0o111 != 0 && x.file != nil:
		x.problem(n, checkRead, "%s: expected a file that is not executable: it is left out",
			f.name)
	case i.Size() > x.options.MaxFile:
		x.tooLong(n, f)
	default:
		if i.Mode()&0o111 != 0 {
			x.warn(n.at, "%s: expected a file that is not executable", n.what)
		}
		return true
	}
	return false
}

func (x *expander) tooLong(n inclusion, f openFile) {
	x.fail(n.at, "%s: %s: expected at most %d bytes", n.what, f.name, x.options.MaxFile)
}

// content is the text of a file.
func (x *expander) content(f openFile) (string, error) {
	r, err := x.options.Files.Open(fsName(f.path))
	if err != nil {
		return "", err
	}
	defer r.Close()
	// No more than one byte too many: a file may well be larger by now than it was.
	var b strings.Builder
	if i, err := r.Stat(); err == nil {
		b.Grow(int(max(0, min(i.Size(), x.options.MaxFile))) + 1)
	}
	n, err := io.Copy(&b, io.LimitReader(r, x.options.MaxFile+1))
	if err == nil && n > x.options.MaxFile {
		err = errTooLarge
	}
	return b.String(), err
}

var errTooLarge = errors.New("file too large")

// cause is an error without the name that fs.FS has for the file.
func cause(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
