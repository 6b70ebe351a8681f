package scenarios

import (
	"slices"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

// TestSCTP: the drills of SCTP are valid, need it of the kernel, and have directors serve it.
func TestSCTP(t *testing.T) {
	for _, s := range associations() {
		top := s.Topology
		if err := top.Validate(); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if !slices.Contains(Needs(s), lab.SCTP) {
			t.Errorf("%s needs %v, want sctp among it", s.Name, Needs(s))
		}
		text := Config(top, *top.NodesOf(topology.Director)[0])
		for _, want := range []string{"virtual_server 192.168.1.1 7 {", "protocol SCTP", "PING_CHECK {"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in the configuration:\n%s", s.Name, want, text)
			}
		}
		if got := serviceName(top, top.Services[0]); got != "SCTP 192.168.1.1:7" {
			t.Errorf("%s: tables name its service %q", s.Name, got)
		}
	}
	if needs := Needs(fig6RR()); slices.Contains(needs, lab.SCTP) {
		t.Errorf("fig6-rr needs %v, want no sctp", needs)
	}
}
