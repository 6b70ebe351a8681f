package scenarios

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/topology"
)

// The selectors that a run resolves when it is their turn.
const (
	// atMaster is the director that holds every VIP.
	atMaster = "@master"
	// atBackup is the first other one.
	atBackup = "@backup"
	// atDirectors are all of them.
	atDirectors = "@directors"
	// everyNode is every node.
	everyNode = "all"
)

// Selectors are the words that stand for nodes by what they are.
func Selectors() []string { return []string{atMaster, atBackup, atDirectors, everyNode} }

// Targets returns what a fault's target names in a topology: NODE, NODE:INTERFACE or NODE:ADDRESS,
// where NODE is a node's name, a glob such as web* as of path.Match, or a selector:
//
//	@master     the director that holds every VIP
//	@backup     the first other one
//	@directors  all directors
//	all         all nodes
//
// Who is master shows only in a run: @master and @backup are returned as they stand. The error says
// what the topology has instead.
func Targets(t topology.Topology, where string) ([]string, error) {
	selector, detail, hasDetail := strings.Cut(where, ":")
	directors := t.NodesOf(topology.Director)
	var nodes []*topology.Node
	switch selector {
	case atMaster, atBackup:
		if least := 1 + slices.Index([]string{atMaster, atBackup}, selector); len(directors) < least {
			return nil, fmt.Errorf("find target %s: the topology has %s", where,
				plural(len(directors), "director"))
		}
		return []string{where}, nil
	case atDirectors:
		nodes = directors
	case everyNode:
		for i := range t.Nodes {
			nodes = append(nodes, &t.Nodes[i])
		}
	default:
		for i := range t.Nodes {
			ok, err := path.Match(selector, t.Nodes[i].Name)
			if err != nil {
				return nil, fmt.Errorf("find target %s: %w", where, err)
			}
			if ok {
				nodes = append(nodes, &t.Nodes[i])
			}
		}
	}
	if len(nodes) == 0 {
		return nil, fmt.Errorf("find target %s: it matches none of %s; there are also %s", where,
			strings.Join(nodeNames(t), ", "), strings.Join(Selectors(), ", "))
	}
	var targets []string
	for _, n := range nodes {
		target := n.Name
		if hasDetail {
			target += ":" + detail
		}
		targets = append(targets, target)
	}
	return targets, nil
}

func nodeNames(t topology.Topology) []string {
	var names []string
	for _, n := range t.Nodes {
		names = append(names, n.Name)
	}
	return names
}
