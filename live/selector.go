package live

import (
	"path"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/topology"
)

// Selectors are the words that stand for nodes by what they are: @master has every VIP, @backup is
// the first other director, @directors are all of them, all is every node.
func Selectors() []string { return []string{"@master", "@backup", "@directors", "all"} }

// Select returns the targets that a selector means in a topology, in its order, each with what
// followed the selector after a colon: a node's name, a glob as of path.Match, or one of Selectors.
// There is at least one. Of the VIPs it is told who has them; without VIPs the director of the best
// priority, or the first, is the master.
func Select(t topology.Topology, vips []VIPStatus, selector string) ([]string, error) {
	which, detail, hasDetail := strings.Cut(selector, ":")
	nodes, err := selectNodes(t, vips, which)
	if err != nil {
		return nil, err
	}
	if hasDetail {
		for i := range nodes {
			nodes[i] += ":" + detail
		}
	}
	return nodes, nil
}

func selectNodes(t topology.Topology, vips []VIPStatus, which string) ([]string, error) {
	switch which {
	case "all":
		return nodeNames(t), nil
	case "@directors":
		return directors(t)
	case "@master", "@backup":
		return masterOrBackup(t, vips, which)
	}
	if strings.HasPrefix(which, "@") {
		return nil, failure(Usage, "select %q: want a node's name, a glob, or one of %s", which,
			strings.Join(Selectors(), ", "))
	}
	var found []string
	for _, name := range nodeNames(t) {
		matches, err := path.Match(which, name)
		if err != nil {
			return nil, failure(Usage, "select %q: %v", which, err)
		}
		if matches {
			found = append(found, name)
		}
	}
	if found == nil {
		return nil, failure(Usage, "select %q: no such node: the lab has %s", which,
			strings.Join(nodeNames(t), ", "))
	}
	return found, nil
}

func directors(t topology.Topology) ([]string, error) {
	var names []string
	for _, n := range t.NodesOf(topology.Director) {
		names = append(names, n.Name)
	}
	if names == nil {
		return nil, failure(Usage, "select @directors: the lab has none")
	}
	return names, nil
}

func masterOrBackup(t topology.Topology, vips []VIPStatus, which string) ([]string, error) {
	names, err := directors(t)
	if err != nil {
		return nil, err
	}
	master := best(t)
	for i, v := range vips {
		if len(v.Holders) != 1 || i > 0 && v.Holders[0] != master {
			return nil, failure(Failed, "select %s: no director alone has every VIP (%s); name one",
				which, Holders(vips))
		}
		master = v.Holders[0]
	}
	if which == "@master" {
		return []string{master}, nil
	}
	i := slices.IndexFunc(names, func(n string) bool { return n != master })
	if i < 0 {
		return nil, failure(Usage, "select @backup: there is one director only")
	}
	return names[i : i+1], nil
}

// best is the director of the best priority, or the first.
func best(t topology.Topology) string {
	name, priority := "", -1
	for _, n := range t.NodesOf(topology.Director) {
		if int(n.Priority) > priority {
			name, priority = n.Name, int(n.Priority)
		}
	}
	return name
}

// Holders says who has each VIP, for example "outer lb1, inner nobody".
func Holders(vips []VIPStatus) string {
	var parts []string
	for _, v := range vips {
		parts = append(parts, v.Name+" "+either(strings.Join(v.Holders, " and "), "nobody"))
	}
	return strings.Join(parts, ", ")
}

// Match returns the one of some names that a word means: the one that it is, else the only one that
// it begins, else the only one of which it begins a part between dashes. The error lists what there
// is.
func Match(what, word string, names []string) (string, error) {
	if slices.Contains(names, word) {
		return word, nil
	}
	begun := func(name string) bool { return strings.HasPrefix(name, word) }
	parts := func(name string) bool {
		return slices.ContainsFunc(strings.Split(name, "-"), begun)
	}
	for _, matches := range []func(string) bool{begun, parts} {
		var found []string
		for _, n := range names {
			if matches(n) {
				found = append(found, n)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1 && word != "":
			return "", failure(Usage, "%s %q: it may be %s", what, word, strings.Join(found, ", "))
		}
	}
	return "", failure(Usage, "%s %q: want one of %s", what, word, strings.Join(names, ", "))
}
