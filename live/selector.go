package live

import (
	"slices"
	"strings"

	"github.com/tandemlb/tandem/scenarios"
	"github.com/tandemlb/tandem/topology"
)

// Select returns the targets that a selector means, as scenarios.Targets has it. Of the VIPs it is
// told who has them; without VIPs the director of the best priority, or the first, is the master.
func Select(t topology.Topology, vips []VIPStatus, selector string) ([]string, error) {
	targets, err := scenarios.Targets(t, selector)
	if err != nil {
		return nil, failure(Usage, "%v", err)
	}
	for i, target := range targets {
		which, rest, _ := strings.Cut(target, ":")
		if !strings.HasPrefix(which, "@") {
			continue
		}
		name, err := masterOrBackup(t, vips, which)
		if err != nil {
			return nil, err
		}
		targets[i] = strings.TrimSuffix(name+":"+rest, ":")
	}
	return targets, nil
}

func masterOrBackup(t topology.Topology, vips []VIPStatus, which string) (string, error) {
	master := scenarios.Best(t)
	for i, v := range vips {
		if len(v.Holders) != 1 || i > 0 && v.Holders[0] != master {
			return "", failure(Failed, "select %s: no director alone has every VIP (%s); name one",
				which, Holders(vips))
		}
		master = v.Holders[0]
	}
	for _, n := range t.NodesOf(topology.Director) {
		if (n.Name == master) == (which == "@master") {
			return n.Name, nil
		}
	}
	return "", failure(Usage, "select %s: there is no such director", which)
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
