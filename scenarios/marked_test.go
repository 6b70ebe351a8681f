package scenarios

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/topology"
)

func TestMarkedService(t *testing.T) {
	net := preset("fig6")
	net.Services[0].Marked = netip.MustParsePrefix("10.0.0.0/30")
	conf := Config(net, *net.NodesOf(topology.Director)[0])
	if !strings.Contains(conf, "virtual_server fwmark 1 {\n") {
		t.Errorf("no service by mark in\n%s", conf)
	}
	for n, want := range map[int]string{
		0: "[10.0.0.1:80]", 2: "[10.0.0.1:80 10.0.0.2:80]",
		9: "[10.0.0.1:80 10.0.0.2:80 10.0.0.3:80]",
	} {
		if diff := cmp.Diff(want, fmt.Sprint(targetsOf(net.Services[0], n))); diff != "" {
			t.Errorf("%d targets (-want +got):\n%s", n, diff)
		}
	}
	net.Services[0].Marked = netip.Prefix{}
	if got := fmt.Sprint(targetsOf(net.Services[0], 5)); got != "[192.168.1.1:80]" {
		t.Errorf("targets without a mark: %s", got)
	}
}
