package scenarios_test

import (
	"flag"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scenarios"
)

// everyFault has every kind strike; else one of each family does, the first.
var everyFault = flag.Bool("faults", false, "strike with every kind of fault")

// Every kind of fault strikes a director that works, so that each is known to take hold of one, and
// its heal to be enough for one.
var _ = Describe("tandemd", Label("tandemd"), func() {
	families := map[faults.Family]bool{}
	for _, kind := range faults.Kinds() {
		first := !families[kind.Family()]
		families[kind.Family()] = true
		It("is as before when it is healed of "+kind.String(), func(ctx SpecContext) {
			if !lab.VirtualClock() {
				Skip("every fault is injected on virtual time, where waiting costs nothing")
			}
			if !first && !*everyFault {
				Skip("without -faults one fault of each family strikes")
			}
			if kind == faults.ServerBadTLS {
				Skip("its services have no TLS; fig6-ssl-get has")
			}
			report := carryOut(ctx, scenarios.FaultDrill(kind), "tandemd")
			recovered := false
			for _, f := range report.Findings {
				// What clients lost while it held is the fault's, not its heal's.
				if f.Bound == "steady again" || f.Bound == "run" {
					Expect(f.Verdict).To(Equal(reports.Pass), f.Detail)
					recovered = recovered || f.Bound == "steady again"
				}
			}
			Expect(recovered).To(BeTrue(), report.Summary)
		}, SpecTimeout(specTimeout))
	}
})
