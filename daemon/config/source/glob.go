package source

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const (
	// maxPattern is how long a path may be, maxAlternatives how many its braces may stand for.
	maxPattern      = 4096
	maxAlternatives = 1024
)

// find is the files that the pattern of an include stands for: wildcards as in a shell, in the
// order of their names, and braces, in the order written. name and dir are how the directory that
// it is relative to is called in places, and its path.
func (x *expander) find(n inclusion, pattern, name, dir string) []openFile {
	if len(pattern) > maxPattern {
		x.fail(n.at, "%.40q…: expected a path of at most %d bytes", pattern, maxPattern)
		return nil
	}
	alternatives, ok := alternatives(pattern)
	if !ok {
		x.fail(n.at, "%s: expected its braces to stand for at most %d paths", n.what,
			maxAlternatives)
		return nil
	}
	var files []openFile
	wild := false
	for _, a := range alternatives {
		isWild := strings.ContainsAny(a, `*?[\`)
		matches, err := x.match(a, dir)
		if err != nil {
			x.fail(n.at, "%s: expected a pattern as of a shell: %v", n.what, err)
			return nil
		}
		missing := x.directory(a, dir)
		switch {
		case len(matches) > 0:
		case !isWild:
			x.missing(n, a, len(alternatives) > 1)
		case missing != "":
			x.missing(n, missing, len(alternatives) > 1)
		}
		wild = wild || isWild && missing == ""
		for _, m := range matches {
			files = append(files, openFile{name: display(m, a, name, dir), path: m})
		}
	}
	if len(files) == 0 && wild && n.checks&checkWildcard != 0 {
		x.problem(n, checkWildcard, "expected at least one file to match")
	}
	return files
}

// directory is the part of a pattern before its wildcards, empty if there is such a directory.
func (x *expander) directory(pattern, dir string) string {
	i := strings.IndexAny(pattern, `*?[\`)
	if i < 0 {
		return ""
	}
	name := path.Dir(pattern[:i])
	absolute := name
	if !path.IsAbs(name) {
		absolute = path.Join(dir, name)
	}
	if _, err := fs.Stat(x.options.Files, fsName(absolute)); isMissing(err) {
		return name
	}
	return ""
}

// missing says that a path without wildcards has no file.
func (x *expander) missing(n inclusion, name string, braces bool) {
	check := checkMatch
	if braces {
		check = checkBrace
	}
	x.problem(n, check, "%s: %v", name, fs.ErrNotExist)
}

// display is how a match is called in places: as the pattern does, relative or absolute.
func display(match, pattern, name, dir string) string {
	rest, ok := strings.CutPrefix(match, strings.TrimSuffix(dir, "/")+"/")
	if path.IsAbs(pattern) || !ok {
		return match
	}
	return path.Join(name, rest)
}

// match is the absolute paths that a pattern without braces stands for.
func (x *expander) match(pattern, dir string) ([]string, error) {
	if !path.IsAbs(pattern) {
		pattern = path.Join(escapeWildcards.Replace(dir), pattern)
	}
	pattern = path.Clean(pattern)
	if !strings.ContainsAny(pattern, `*?[\`) {
		if _, err := fs.Stat(x.options.Files, fsName(pattern)); isMissing(err) {
			return nil, nil
		}
		return []string{pattern}, nil
	}
	pattern = strings.ReplaceAll(pattern, "[!", "[^")
	names, err := fs.Glob(x.options.Files, fsName(pattern))
	if err != nil {
		return nil, fmt.Errorf("%q: %w", pattern, err)
	}
	var matches []string
	for _, n := range names {
		if !hidden("/"+n, pattern) {
			matches = append(matches, "/"+n)
		}
	}
	slices.Sort(matches)
	return matches, nil
}

var escapeWildcards = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`)

// isMissing says whether an error means that there is no such file, and not that there is one that
// cannot be looked at.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist)
}

// hidden says whether a wildcard has matched a leading dot, which shells leave out: editors keep
// their copies so.
func hidden(match, pattern string) bool {
	ms, ps := strings.Split(match, "/"), strings.Split(pattern, "/")
	for i := range min(len(ms), len(ps)) {
		dot := strings.HasPrefix(ps[i], ".") || strings.HasPrefix(ps[i], `\.`)
		if strings.HasPrefix(ms[i], ".") && !dot {
			return true
		}
	}
	return false
}

// alternatives is what the braces of a pattern stand for, as in csh: a{b,c{d,e}} is ab, acd and
// ace. It is false if there are too many. A brace without its end, and {}, are themselves.
func alternatives(pattern string) ([]string, bool) {
	open, separators, end := braces(pattern)
	if end < 0 {
		return []string{pattern}, true
	}
	var all []string
	for i := range len(separators) - 1 {
		between := pattern[separators[i]+1 : separators[i+1]]
		some, ok := alternatives(pattern[:open] + between + pattern[end+1:])
		if all = append(all, some...); !ok || len(all) > maxAlternatives {
			return nil, false
		}
	}
	return all, true
}

// braces finds the first braces that match: what separates their alternatives, with both braces.
// end is -1 if there are none.
func braces(p string) (open int, separators []int, end int) {
	open, end = len(p), -1
	var opens []int
	for i := 0; i < len(p); i++ {
		switch {
		case p[i] == '\\', strings.HasPrefix(p[i:], "{}"):
			i++
		case p[i] == '{':
			opens = append(opens, i)
		case p[i] == '}' && len(opens) > 0:
			if last := opens[len(opens)-1]; last < open {
				open, end = last, i
			}
			opens = opens[:len(opens)-1]
		}
	}
	if end < 0 {
		return 0, nil, -1
	}
	return open, append(append([]int{open}, commas(p[:end], open+1)...), end), end
}

// commas are those from i on that are in no further braces.
func commas(p string, i int) []int {
	var at []int
	depth := 0
	for ; i < len(p); i++ {
		switch p[i] {
		case '\\':
			i++
		case '{':
			depth++
		case '}':
			depth--
		case ',':
			if depth == 0 {
				at = append(at, i)
			}
		}
	}
	return at
}
