package scenarios

import (
	"slices"

	"github.com/tandemlb/tandem/reports"
)

// Again judges a stored report anew by the bounds of its scenario, without a lab: what was recorded
// stays as it is, findings, measures, verdict and summary are made again. A run that was broken off
// stays so: it fails no bound but a closed one, and is inconclusive for the same reason. A report
// of which nothing was recorded says no more than it did.
func Again(s Scenario, stored reports.Report) reports.Report {
	rec := stored.Recording
	i := slices.IndexFunc(stored.Findings, func(f reports.Finding) bool {
		return f.Bound == reports.RunBound
	})
	if i >= 0 && rec.Length == 0 {
		return reports.New(rec, stored.Findings, stored.Measures)
	}
	findings := Judge(s, &rec)
	if i >= 0 {
		findings = append(withoutUnfinished(s, &rec, findings), stored.Findings[i])
	}
	return reports.New(rec, findings, measures(&rec))
}

// withoutUnfinished makes the failures inconclusive that a run which was broken off cannot have:
// what was missing may only not have come yet.
func withoutUnfinished(
	s Scenario, rec *reports.Recording, findings []reports.Finding,
) []reports.Finding {
	for i, b := range boundsOf(s, rec) {
		if findings[i].Verdict == reports.Fail && !b.Closed {
			findings[i].Verdict = reports.Inconclusive
		}
	}
	return findings
}
