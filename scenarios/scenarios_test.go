package scenarios_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scenarios"
)

// specTimeout is the most that one scenario may take, its waits for a director that never comes back
// included.
const specTimeout = 3 * time.Minute

// onVirtualTime are the drills with bounds that a stall of the machine, of which real time has many,
// can break or leave open, and those that show by other checks what is shown on real time already.
// `tandem drill run` judges them in real time as well.
var onVirtualTime = []string{"fig5-both-frozen", "fig5-learned-interval", "fig5-master-deaf",
	"fig5-other-interval", "fig5-other-password", "fig5-starved", "fig7-adverts-lost",
	"fig7-uplink-lost",
	"fig7-backup-deaf", "fig7-backup-half-deaf", "fig7-hostile-packets",
	"fig6-half-open", "fig6-http-get", "fig6-http-digest", "fig6-http-slow", "fig6-ssl-get",
	"fig6-smtp-check", "fig6-misc-check", "fig6-dns-check", "fig6-udp-check", "fig6-ping-check",
	"fig6-file-check",
	"fig7-connections-survive-kill", "fig7-connections-survive-terminate",
	"fig7-connections-survive-power-off", "fig7-connections-survive-link-down"}

var _ = Describe("tandemd", Label("tandemd"), func() {
	for _, s := range scenarios.All() {
		It("holds every bound of "+s.Name, func(ctx SpecContext) {
			if !lab.VirtualClock() && (slices.Contains(onVirtualTime, s.Name) ||
				strings.HasPrefix(s.Name, "scheduler-")) {
				Skip("its bounds are judged on virtual time, where no machine stalls")
			}
			report := carryOut(ctx, s, "tandemd")
			if report.Verdict == reports.Inconclusive {
				// The machine stalled: what it says about the daemon is nothing, so ask once more.
				report = carryOut(ctx, s, "tandemd")
			}
			if report.Verdict == reports.Inconclusive {
				Fail("twice inconclusive: " + report.Summary)
			}
			Expect(report.Verdict).To(Equal(reports.Pass), report.Summary)
		}, labels(s), SpecTimeout(specTimeout))
	}
})

// labels are those of a drill's specs, by which the suite is shared out: its name, and what stands
// before the first hyphen of it, the network for one.
func labels(s scenarios.Scenario) Labels {
	network, _, _ := strings.Cut(s.Name, "-")
	return Label(network, s.Name)
}

// shown says that a drill is of a kind of which keepalived runs another one: a scheduler, a checker,
// connections that survive, or virtual MAC addresses.
func shown(name string) bool {
	for _, kind := range []struct{ prefix, one string }{
		{"scheduler-", "scheduler-wrr"},
		{"fig6-", "fig6-tcp-check"},
		{"fig7-connections-", "fig7-connections-survive-kill"},
		{"fig7-vmac-", "fig7-vmac-director-terminated"},
		{"fig7-v6-vmac-", ""},
	} {
		others := []string{kind.one, "fig6-rr", "fig6-wrr", "fig6-real-server-down"}
		if strings.HasPrefix(name, kind.prefix) && !slices.Contains(others, name) {
			return true
		}
	}
	return false
}

// keepalived is a peer, not what is tested: a bound that it breaks is a finding of the report. In real
// time, which is dear, it runs a few drills only.
var _ = Describe("keepalived", Label("keepalived"), func() {
	for _, s := range scenarios.All() {
		It("can be judged by "+s.Name, func(ctx SpecContext) {
			if _, err := scenarios.FindDirector("keepalived"); err != nil {
				Skip(fmt.Sprintf("%v; apt-get install keepalived", err))
			}
			if shown(s.Name) {
				Skip("of these drills keepalived runs one of each kind")
			}
			few := []string{"fig6-rr", "fig7-director-killed", "fig7-director-terminated"}
			if !lab.VirtualClock() && !slices.Contains(few, s.Name) {
				Skip("keepalived runs this drill on virtual time only")
			}
			report := carryOut(ctx, s, "keepalived")
			Expect(report.Findings).NotTo(BeEmpty())
			for _, f := range report.Findings {
				Expect(f.Bound).NotTo(Equal("run"), f.Detail)
			}
		}, labels(s), SpecTimeout(specTimeout))
	}
})

var _ = Describe("a run that says nothing", func() {
	sleeper := scenarios.Director{Name: "sleeper", Path: "/bin/sh",
		Args: []string{"-c", "echo asleep; exec sleep 1000", "sh"}}

	It("is inconclusive, with the last state and logs, where no director becomes master",
		func(ctx SpecContext) {
			s := scenarios.All()[0]
			s.Steps = []scenarios.Step{scenarios.Steady{Within: time.Second}}
			report, err := scenarios.Run(ctx, s, sleeper, scenarios.Options{})
			Expect(err).NotTo(HaveOccurred())
			Expect(report.Verdict).To(Equal(reports.Inconclusive))
			last := report.Findings[len(report.Findings)-1]
			Expect(last.Bound).To(Equal("run"))
			Expect(last.Detail).To(ContainSubstring("outer nobody"))
			Expect(report.Recording.Logs["lb1"]).To(ContainElement(ContainSubstring("asleep")))
		}, SpecTimeout(specTimeout))

	It("is an error, with nothing built, where the topology is wrong", func(ctx SpecContext) {
		s := scenarios.All()[0]
		s.Topology.VIPs[0].Network = "nowhere"
		_, err := scenarios.Run(ctx, s, sleeper, scenarios.Options{})
		Expect(err).To(MatchError(ContainSubstring(`"nowhere"`)))
	})
})

// carryOut runs a scenario and prints its report.
func carryOut(ctx SpecContext, s scenarios.Scenario, director string) reports.Report {
	if _, left := scenarios.Clocked([]scenarios.Scenario{s}, lab.VirtualClock()); len(left) > 0 {
		Skip(fmt.Sprintf("it needs the other clock, %v", s.Needs))
	}
	if s.Plan != nil && !lab.VirtualClock() {
		Skip("a row of drawn faults is judged on virtual time, where no machine stalls")
	}
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
