package scenarios

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestConfig(t *testing.T) {
	for _, name := range topology.Presets() {
		t.Run(name, func(t *testing.T) {
			top := preset(name)
			got := Config(top, *top.NodesOf(topology.Director)[0])
			golden := filepath.Join("testdata", name+".conf")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}

// TestConfigVMAC says that every virtual router of a topology has its own MAC address where that says
// so, and that it takes macvlans.
func TestConfigVMAC(t *testing.T) {
	s := vmac("fig7", faults.DirectorKilled, "")
	got := Config(s.Topology, *s.Topology.NodesOf(topology.Director)[0])
	if n := strings.Count(got, "use_vmac\n"); n != len(s.Topology.VIPs) {
		t.Errorf("use_vmac in %d of %d instances:\n%s", n, len(s.Topology.VIPs), got)
	}
	if !slices.Contains(Needs(s), lab.Macvlan) {
		t.Errorf("needs %v, want macvlans", Needs(s))
	}
}
