package scenarios_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/scenarios"
	"github.com/tandemlb/tandem/topology"
)

// A drill in a test of one's own: one of three real servers stops, and the clients may not notice for
// longer than the health check takes. The test's TestMain calls lab.Main(probe.Roles()...), and
// kernel.RunTests where the kernel may lack IPVS, as that of this package does.
func Example() {
	network, err := topology.Preset("fig6")
	if err != nil {
		fmt.Println(err)
		return
	}
	drill := scenarios.Scenario{
		Name: "server-stops", Doc: "A real server stops.", Topology: network,
		Probes: []scenarios.Probe{{Client: "client1", Target: network.Services[0].Addr}},
		Steps: []scenarios.Step{
			scenarios.Steady{},
			scenarios.Inject{Kind: faults.ServerStopped, Target: "web2"},
			scenarios.Observe{For: 4 * time.Second},
			scenarios.HealAll{},
			scenarios.Await{Condition: scenarios.FullTable{}, Limit: 20 * time.Second},
		},
		Bounds: []scenarios.Bound{scenarios.OutageWithin(2 * time.Second)},
	}
	director, err := scenarios.FindDirector("tandemd")
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := scenarios.Run(context.Background(), drill, director, scenarios.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Findings[0].Bound, report.Findings[0].Verdict)
	// Output: outage pass
}
