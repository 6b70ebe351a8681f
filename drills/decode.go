package drills

import (
	"fmt"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/internal/strict"
	"github.com/tandemlb/tandem/scenarios"
	"github.com/tandemlb/tandem/topology"
)

// Suffix is how names of drill files end.
const Suffix = ".drill.yml"

// maxCount is the most requests that one step sends, and that a real server is expected to answer.
const maxCount = 100_000

// Problems is everything wrong with a drill file. As an error it is never empty.
type Problems = strict.Problems

// Parse reads a drill file and checks it. The error is Problems, every one with its place; a YAML
// syntax error stands alone. read returns the contents of a topology file that the drill names, whose
// path is relative to that of file; nil: there are none.
//
//	name: slow-client-side
//	topology: preset:fig7
//	hypothesis:
//	  probes:
//	    client1: {rate: 50, tolerance: {outage: 5s, lost: 300}}
//	method:
//	  - {at: 2s, fault: link-down, target: "@master:eth0", for: 8s}
//	expectations:
//	  bounds: {one_owner_within: 4500ms}
//
// Marshal writes every key that there is.
func Parse(file string, b []byte, read func(name string) ([]byte, error)) (Drill, error) {
	strictly, root, err := strict.Open(file, b, "a drill")
	if err != nil {
		return Drill{}, err
	}
	d := &decoder{Decoder: strictly, file: file, readFile: read}
	drill := d.drill(root)
	// What depends on other parts is checked where these are right.
	if !d.Failed("topology") && !d.Failed("method") {
		d.check(&drill)
	}
	if err := d.Err(); err != nil {
		return Drill{}, err
	}
	return drill, nil
}

// decoder turns a YAML tree into a Drill.
type decoder struct {
	*strict.Decoder
	file     string
	readFile func(string) ([]byte, error)
}

// drill reads a whole file.
func (d *decoder) drill(n ast.Node) Drill {
	var drill Drill
	d.Object(n, "", d.drillFields(&drill))
	if drill.Topology.Name == "" && !d.Failed("topology") {
		drill.Topology, _ = topology.Preset(defaultTopology)
	}
	return drill
}

// defaultTopology is the preset of a drill that names none.
const defaultTopology = "fig7"

func (d *decoder) drillFields(drill *Drill) []strict.Field {
	return []strict.Field{
		strict.Key("name", d.Text(&drill.Name)),
		strict.Key("doc", d.Text(&drill.Doc)),
		strict.Key("topology", d.topology(&drill.Topology)),
		strict.Key("globals", d.texts(&drill.Globals)),
		strict.Key("limit", d.time(&drill.Limit, time.Second)),
		strict.Key("recovery", d.time(&drill.Recovery, time.Second)),
		strict.Key("hypothesis", func(n ast.Node, path string) {
			d.Object(n, path, d.hypothesisFields(drill))
		}),
		strict.Key("method", func(n ast.Node, path string) {
			d.Sequence(n, path, func(path string, item ast.Node) {
				drill.Method = append(drill.Method, d.step(item, path))
			})
		}),
		strict.Key("expectations", func(n ast.Node, path string) {
			d.Object(n, path, d.expectationFields(drill))
		}),
	}
}

func (d *decoder) hypothesisFields(drill *Drill) []strict.Field {
	return []strict.Field{strict.Key("probes", func(n ast.Node, path string) {
		d.Entries(n, path, strict.Dotted, func(client, path string, n ast.Node) {
			p := Probe{Probe: scenarios.Probe{Client: client}}
			d.Object(n, path, d.probeFields(&p))
			drill.Probes = append(drill.Probes, p)
		})
	})}
}

func (d *decoder) probeFields(p *Probe) []strict.Field {
	return []strict.Field{
		strict.Key("target", strict.Scalar(d.Decoder, &p.Target,
			"an address and a port such as 192.168.1.1:80", netip.ParseAddrPort)),
		strict.Key("rate", d.Number(&p.Rate, 1, 1000)),
		strict.Key("pause", d.time(&p.Pause, 0)),
		strict.Key("tolerance", d.expectations(&p.Tolerances, tolerances())),
	}
}

func (d *decoder) expectationFields(drill *Drill) []strict.Field {
	return []strict.Field{
		strict.Key("survives", strict.Scalar(d.Decoder, &drill.Survives,
			`"faults" or "heals"`, func(s string) (Survival, error) {
				if v := Survival(s); v == Faults || v == Heals {
					return v, nil
				}
				return "", fmt.Errorf("unknown")
			})),
		strict.Key("bounds", d.expectations(&drill.Bounds, bounds())),
		strict.Key("invariants", d.texts(&drill.Invariants)),
	}
}

// texts returns a reader for a sequence of strings.
func (d *decoder) texts(into *[]string) func(ast.Node, string) {
	return func(n ast.Node, path string) {
		d.Sequence(n, path, func(path string, item ast.Node) {
			*into = append(*into, "")
			d.Text(&(*into)[len(*into)-1])(item, path)
		})
	}
}

// time returns a reader for a time of at least so much.
func (d *decoder) time(into *time.Duration, least time.Duration) func(ast.Node, string) {
	return func(n ast.Node, path string) {
		if d.Duration(into)(n, path); !d.Failed(path) && *into < least {
			d.Fail(n, path, "%s: expected %s or more", *into, least)
		}
	}
}

// topology returns a reader for preset:NAME, a file's name, or a topology as it stands.
func (d *decoder) topology(into *topology.Topology) func(ast.Node, string) {
	return func(n ast.Node, path string) {
		from, ok := strict.TextOf(n)
		if !ok {
			*into = topology.Decode(d.Decoder, n, path)
			return
		}
		var err error
		if *into, err = d.named(from); err != nil {
			for line := range strings.Lines(err.Error()) {
				d.Fail(n, path, "%s", strings.TrimSpace(line))
			}
		}
	}
}

// named returns the topology that a drill names.
func (d *decoder) named(from string) (topology.Topology, error) {
	if name, ok := strings.CutPrefix(from, "preset:"); ok {
		return topology.Preset(name)
	}
	if d.readFile == nil {
		return topology.Topology{}, fmt.Errorf("%q: expected preset:NAME, or a topology as it stands",
			from)
	}
	name := from
	if !path.IsAbs(name) {
		name = path.Join(path.Dir(d.file), name)
	}
	b, err := d.readFile(name)
	if err != nil {
		return topology.Topology{}, fmt.Errorf("%q: expected preset:NAME, a topology as it stands, or "+
			"the name of its file: %w", from, err)
	}
	return topology.Parse(name, b)
}

// kindNamed returns a reader for a kind of fault.
func (d *decoder) kindNamed(into *faults.Kind) func(ast.Node, string) {
	return func(n ast.Node, path string) {
		var name string
		if d.Text(&name)(n, path); d.Failed(path) {
			return
		}
		var known []string
		for _, k := range faults.Kinds() {
			if k.String() == name {
				*into = k
				return
			}
			known = append(known, k.String())
		}
		d.Fail(n, path, "unknown fault %q: expected one that `tandem fault list` lists%s", name,
			strict.DidYouMean(name, known))
	}
}
