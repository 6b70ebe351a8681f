package scenarios_test

import (
	"bytes"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scenarios"
)

// specTimeout is the most that one scenario may take, its waits for a director that never comes back
// included.
const specTimeout = 3 * time.Minute

var _ = Describe("tandemd", Label("tandemd"), func() {
	for _, s := range scenarios.All() {
		It("holds every bound of "+s.Name, func(ctx SpecContext) {
			report := carryOut(ctx, s, "tandemd")
			if report.Verdict == reports.Inconclusive {
				// The machine stalled: what it says about the daemon is nothing, so ask once more.
				report = carryOut(ctx, s, "tandemd")
			}
			if report.Verdict == reports.Inconclusive {
				Fail("twice inconclusive: " + report.Summary)
			}
			Expect(report.Verdict).To(Equal(reports.Pass), report.Summary)
		}, SpecTimeout(specTimeout))
	}
})

// keepalived is a peer, not what is tested: a bound that it breaks is a finding of the report.
var _ = Describe("keepalived", Label("keepalived"), func() {
	for _, s := range scenarios.All() {
		It("can be judged by "+s.Name, func(ctx SpecContext) {
			if _, err := scenarios.FindDirector("keepalived"); err != nil {
				Skip(fmt.Sprintf("%v; apt-get install keepalived", err))
			}
			report := carryOut(ctx, s, "keepalived")
			Expect(report.Findings).NotTo(BeEmpty())
			for _, f := range report.Findings {
				Expect(f.Bound).NotTo(Equal("run"), f.Detail)
			}
		}, SpecTimeout(specTimeout))
	}
})

// carryOut runs a scenario and prints its report.
func carryOut(ctx SpecContext, s scenarios.Scenario, director string) reports.Report {
	d, err := scenarios.FindDirector(director)
	Expect(err).NotTo(HaveOccurred())
	report, err := scenarios.Run(ctx, s, d, scenarios.Options{
		Seed: 1,
		Progress: func(at time.Duration, text string) {
			fmt.Fprintf(GinkgoWriter, "t+%.3fs %s\n", at.Seconds(), text)
		},
	})
	Expect(err).NotTo(HaveOccurred(), "the lab broke")
	var text bytes.Buffer
	Expect(reports.WriteText(&text, []reports.Report{report}, 80, false)).To(Succeed())
	GinkgoWriter.Write(text.Bytes())
	return report
}
