package reports

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// FormatVersion is the version of Report's JSON form. It grows when a reader of the old form would
// misread or refuse the new one. Version 2 added Host's RealStarted and RealLength, version 3
// the recording's Calls and Streams, version 4 its Noise, VRRP and Pings and the kinds FaultHold,
// AdvertGap, Claim, Bridge and TableSet.
const FormatVersion = 4

// OutageBound is the name of the bound on the longest gap that a client saw; tables show its
// figures beside the verdict.
const OutageBound = "outage"

// RunBound is the name of the finding on a run that was not carried out to its end.
const RunBound = "run"

// BrokenOff returns the finding on a run that was broken off, and why, for example "process 'web'
// (pid 12) spun at 0x4512f0". Nothing follows from such a run: the finding is inconclusive.
func BrokenOff(why string) Finding {
	return Finding{
		Bound: RunBound, Doc: "The scenario is carried out to its end.", Verdict: Inconclusive,
		Observed: "broken off", Limit: "carried out", Detail: why,
	}
}

// Judge returns the verdict over findings: fail if one fails, else inconclusive if one is not a
// pass or there is none to judge by, else pass.
func Judge(findings []Finding) Verdict {
	verdicts := make([]Verdict, len(findings))
	for i, f := range findings {
		verdicts[i] = f.Verdict
	}
	return worst(verdicts)
}

// Overall returns the verdict over several reports by the same rule.
func Overall(reports []Report) Verdict {
	verdicts := make([]Verdict, len(reports))
	for i, r := range reports {
		verdicts[i] = r.Verdict
	}
	return worst(verdicts)
}

func worst(verdicts []Verdict) Verdict {
	noPass := func(v Verdict) bool { return v != Pass }
	switch {
	case slices.Contains(verdicts, Fail):
		return Fail
	case len(verdicts) == 0 || slices.ContainsFunc(verdicts, noPass):
		return Inconclusive
	}
	return Pass
}

// New judges a recording by its findings and says the outcome in one plain sentence. It keeps the
// slices that it is given.
func New(rec Recording, findings []Finding, measures []Measure) Report {
	r := Report{
		Version:   FormatVersion,
		Verdict:   Judge(findings),
		Findings:  findings,
		Measures:  measures,
		Recording: rec,
	}
	r.Summary = summary(&r)
	return r
}

// summary is one sentence for somebody who was not there.
func summary(r *Report) string {
	rec := &r.Recording
	bounds := plural(len(r.Findings), "bound")
	switch first, n := firstOf(r.Findings, r.Verdict); {
	case r.Verdict == Fail:
		return fmt.Sprintf("%s broke %d of %s of %s: %s was %s, the limit is %s.", rec.Director, n,
			bounds, rec.Scenario, first.Bound, first.Observed, first.Limit)
	case r.Verdict == Inconclusive && brokenOff(r.Findings) != nil:
		return fmt.Sprintf("%s with %s was broken off: %s.", rec.Scenario, rec.Director,
			strings.TrimSuffix(orElse(brokenOff(r.Findings).Detail, "no reason was given"), "."))
	case r.Verdict == Inconclusive && n == 0:
		return fmt.Sprintf("Nothing of %s was judged with %s.", rec.Scenario, rec.Director)
	case r.Verdict == Inconclusive:
		return fmt.Sprintf("%d of %s of %s could not be judged with %s: %s: %s.", n, bounds,
			rec.Scenario, rec.Director, first.Bound, orElse(first.Detail, "no reason was given"))
	}
	return fmt.Sprintf("%s held %s of %s; %s.", rec.Director, allOf(len(r.Findings), "bound"),
		rec.Scenario, lossText(rec))
}

// brokenOff finds the finding on a run that was broken off; nil: it was not.
func brokenOff(findings []Finding) *Finding {
	i := slices.IndexFunc(findings, func(f Finding) bool {
		return f.Bound == RunBound && f.Verdict == Inconclusive
	})
	if i < 0 {
		return nil
	}
	return &findings[i]
}

// lossText says what the clients lost.
func lossText(rec *Recording) string {
	c, outage := Count(rec, Whole(rec)), Outage(rec, Whole(rec))
	switch {
	case len(rec.Calls) > 0 && c.Sent == 0 && !rec.modelled():
		return fmt.Sprintf("nobody can say where %s had to go", plural(len(rec.Calls), "connection"))
	case len(rec.Calls) > 0 && c.Sent == 0:
		return fmt.Sprintf("%d of %s went where the model says", rec.asPredicted(),
			plural(len(rec.Calls), "connection"))
	case c.Sent == 0:
		return "no client sent requests"
	case c.Lost() == 0:
		return fmt.Sprintf("all %s were answered", plural(c.Sent, "request"))
	}
	return fmt.Sprintf("the longest outage was %s, %d of %s were lost", shown(outage.Length()),
		c.Lost(), plural(c.Sent, "request"))
}

// firstOf returns the first finding that made the verdict, and how many did.
func firstOf(findings []Finding, v Verdict) (first Finding, n int) {
	for _, f := range findings {
		if f.Verdict != v && (v == Fail || v == Pass || f.Verdict == Pass) {
			continue
		}
		if n == 0 {
			first = f
		}
		n++
	}
	return first, n
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// allOf is "the one bound" or "all 5 bounds".
func allOf(n int, noun string) string {
	if n == 1 {
		return "the one " + noun
	}
	return "all " + plural(n, noun)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// shown prints a time to a millisecond, short ones to ten microseconds, without parts that are zero
// at its end: "24h".
func shown(d time.Duration) string {
	if d > -10*time.Millisecond && d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond).String()
	}
	s := d.Round(time.Millisecond).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}
