// Package tandem is the root of the module; it holds no code but the test of who may import whom.
package tandem

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tandemlb/tandem/"

// allowed says which of our packages each of our packages may import: the layers of
// docs/architecture.md. A package that is not listed is an error, so that a new one is thought about.
var allowed = map[string][]string{
	// The daemon: pure cores at the bottom, the wiring on top.
	"daemon/config":        {"daemon/config/source"},
	"daemon/config/source": {},
	"daemon/vrrp":          {},
	"daemon/netif":         {},
	"daemon/guard":         {},
	"daemon/script":        {},
	"daemon/notify":        {},
	"daemon/status":        {},
	"daemon/ipvs":          {},
	"daemon/bfd":           {},
	"daemon/check":         {"daemon/script"},
	"daemon/instance":      {"daemon/vrrp", "daemon/netif"},
	"daemon/pool":          {"daemon/config", "daemon/check", "daemon/ipvs"},
	"daemon/track":         {"daemon/script"},
	"daemon/snmp": {"daemon/config", "daemon/status", "daemon/vrrp",
		"daemon/snmp/agentx"},
	"daemon/snmp/agentx":    {},
	"daemon/bus":            {},
	"daemon/status/metrics": {"daemon/status"},
	"daemon": {"daemon/config", "daemon/vrrp", "daemon/netif", "daemon/ipvs", "daemon/check",
		"daemon/instance", "daemon/pool", "daemon/guard", "daemon/script", "daemon/track",
		"daemon/notify", "daemon/status", "daemon/status/metrics", "daemon/bfd",
		"daemon/snmp", "daemon/snmp/agentx", "daemon/bus"},
	"cmd/tandemd": {"daemon", "daemon/config", "daemon/guard", "daemon/status"},

	// The lab: it knows the daemon as a program only.
	"internal/strict":   {},
	"topology":          {"internal/strict"},
	"reports":           {},
	"lab":               {"topology"},
	"lab/kernel":        {"lab", "lab/kernel/build", "lab/kernel/debian"},
	"lab/kernel/build":  {"lab/kernel/debian"},
	"lab/kernel/debian": {},
	"lab/probe":         {"lab", "topology", "reports"},
	"faults":            {"lab", "topology"},
	"scheduler":         {},
	"scenarios": {"faults", "lab", "lab/kernel", "lab/probe", "topology", "reports",
		"scheduler"},
	"drills": {"internal/strict", "scenarios", "faults", "lab/probe", "topology"},
	"bench":  {"scenarios", "faults", "lab", "lab/kernel", "lab/probe", "topology", "reports"},
	// Tests of the lab by broken directors, which are programs as well.
	"internal/sabotage":          {"scenarios", "lab", "lab/kernel", "lab/probe", "reports"},
	"internal/sabotage/saboteur": {"internal/sabotage"},
	"live":                       {"scenarios", "faults", "lab", "lab/kernel", "topology"},
	"cmd/tandem": {"bench", "drills", "live", "scenarios", "faults", "lab", "lab/kernel",
		"lab/kernel/build", "lab/probe", "topology", "reports"},
}

// testHelpers are packages of fakes that only tests import; they may import what they fake.
var testHelpers = map[string][]string{
	"internal/bubbletest":    {},
	"daemon/prototest":       {},
	"daemon/ipvs/ipvstest":   {"daemon/ipvs"},
	"daemon/netif/netiftest": {"daemon/netif", "daemon/vrrp"},
}

// goPackage is what `go list -json` says of a package.
type goPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func TestImports(t *testing.T) {
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if name+"/" == module {
			continue
		}
		may, ok := allowed[name]
		if !ok {
			if may, ok = testHelpers[name]; !ok {
				t.Errorf("%s is in no layer: add it to this table and to docs/architecture.md", name)
			}
		}
		for _, i := range ours(p.Imports) {
			if !slices.Contains(may, i) {
				t.Errorf("%s imports %s; it may import only %v", name, i, may)
			}
		}
		for _, i := range ours(append(p.TestImports, p.XTestImports...)) {
			if mayTest(name, i, may) {
				continue
			}
			t.Errorf("the tests of %s import %s; beside its imports they may use test helpers, and "+
				"those of the daemon and of faults the lab", name, i)
		}
	}
}

// mayTest says whether the tests of a package may import another one.
func mayTest(name, imported string, may []string) bool {
	_, helper := testHelpers[imported]
	inLab := strings.HasPrefix(name, "daemon") || name == "cmd/tandemd" || name == "faults"
	toLab := imported == "lab" || strings.HasPrefix(imported, "lab/") || imported == "topology"
	return imported == name || helper || inLab && toLab || slices.Contains(may, imported)
}

// ours are the imports of this module, without its name.
func ours(imports []string) []string {
	var names []string
	for _, i := range imports {
		if name, ok := strings.CutPrefix(i, module); ok {
			names = append(names, name)
		}
	}
	return names
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports",
		"./...").Output()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("list packages: %v", err)
		}
		all = append(all, p)
	}
}
