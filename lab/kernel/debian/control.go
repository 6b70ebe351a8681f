package debian

import (
	"cmp"
	"path/filepath"
	"strings"
)

// parseControl reads the first paragraph of a control file. Fields that are not there are empty.
func parseControl(text string) Package {
	var p Package
	paragraph, _, _ := strings.Cut(text, "\n\n")
	for _, line := range strings.Split(paragraph, "\n") {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch field {
		case "Package":
			p.Name = value
		case "Version":
			p.Version = value
		case "Depends":
			p.Depends = parseDepends(value)
		}
	}
	return p
}

// parseDepends returns the first name of each group of alternatives, without version and
// architecture: "a (>= 1) | b, c:any" gives a and c.
func parseDepends(value string) []string {
	var names []string
	for _, group := range strings.Split(value, ",") {
		if end := strings.IndexAny(group, "|(["); end >= 0 {
			group = group[:end]
		}
		name, _, _ := strings.Cut(strings.TrimSpace(group), ":")
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// fileVersion is a version as apt writes it in the name of a file.
func fileVersion(version string) string { return strings.ReplaceAll(version, ":", "%3a") }

// files are the files in dir whose names match a pattern, in order.
func files(dir, pattern string) ([]string, error) {
	return filepath.Glob(filepath.Join(dir, pattern))
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// CompareVersions compares two Debian versions as deb-version(7) says: negative where a is older
// than b, 0 where they are equal, positive where a is newer.
func CompareVersions(a, b string) int {
	epochA, restA := cutEpoch(a)
	epochB, restB := cutEpoch(b)
	upstreamA, revisionA := cutRevision(restA)
	upstreamB, revisionB := cutRevision(restB)
	return cmp.Or(comparePart(epochA, epochB), comparePart(upstreamA, upstreamB),
		comparePart(revisionA, revisionB))
}

func cutEpoch(version string) (epoch, rest string) {
	if epoch, rest, ok := strings.Cut(version, ":"); ok {
		return epoch, rest
	}
	return "0", version
}

func cutRevision(version string) (upstream, revision string) {
	if i := strings.LastIndexByte(version, '-'); i >= 0 {
		return version[:i], version[i+1:]
	}
	return version, "0"
}

// comparePart compares two strings by turns: a stretch without digits letter by letter, then a
// number by its value.
func comparePart(a, b string) int {
	for a != "" || b != "" {
		var textA, textB, numberA, numberB string
		textA, numberA, a = cutTurn(a)
		textB, numberB, b = cutTurn(b)
		if c := compareText(textA, textB); c != 0 {
			return c
		}
		numberA, numberB = strings.TrimLeft(numberA, "0"), strings.TrimLeft(numberB, "0")
		if c := cmp.Or(len(numberA)-len(numberB), cmp.Compare(numberA, numberB)); c != 0 {
			return c
		}
	}
	return 0
}

// cutTurn cuts a stretch without digits and a number off the front of s.
func cutTurn(s string) (text, number, rest string) {
	i := strings.IndexAny(s, "0123456789")
	if i < 0 {
		return s, "", ""
	}
	end := i + len(s[i:]) - len(strings.TrimLeft(s[i:], "0123456789"))
	return s[:i], s[i:end], s[end:]
}

// compareText compares letter by letter: a tilde is before the end, the end before letters, and
// letters before all else.
func compareText(a, b string) int {
	rank := func(s string, i int) int {
		switch {
		case i >= len(s):
			return 0
		case s[i] == '~':
			return -1
		case s[i] >= 'A' && s[i] <= 'Z', s[i] >= 'a' && s[i] <= 'z':
			return int(s[i])
		}
		return int(s[i]) + 256
	}
	for i := range max(len(a), len(b)) {
		if c := rank(a, i) - rank(b, i); c != 0 {
			return c
		}
	}
	return 0
}
