package scenarios_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scenarios"
)

// Every kind of fault strikes a director that works, so that each is known to take hold of one, and
// its heal to be enough for one, and that it costs no more than faults of its kind entitle to.
var _ = Describe("tandemd", Label("tandemd"), func() {
	families := map[faults.Family]bool{}
	for _, kind := range faults.Kinds() {
		first := !families[kind.Family()]
		families[kind.Family()] = true
		It("is as before when it is healed of "+kind.String(), func(ctx SpecContext) {
			if !lab.VirtualClock() {
				Skip("every fault is injected on virtual time, where waiting costs nothing")
			}
			if !first {
				Skip("one fault of each family strikes here, every one by make test-faults")
			}
			report := carryOut(ctx, scenarios.FaultDrill(kind), "tandemd")
			Expect(report.Verdict).To(Equal(reports.Pass), report.Summary)
		}, SpecTimeout(specTimeout))
	}
})
