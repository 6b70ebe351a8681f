package reports

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// Repeat is what several runs of one scenario with one director came to.
type Repeat struct {
	Scenario string `json:"scenario"`
	Director string `json:"director"`
	// Runs is how many there were, and by verdict.
	Runs         int `json:"runs"`
	Pass         int `json:"pass"`
	Fail         int `json:"fail"`
	Inconclusive int `json:"inconclusive"`
	// Spreads are those of the figures that every run has.
	Spreads []Spread `json:"spreads"`
}

// Spread is how a figure was distributed over several runs.
type Spread struct {
	Name string `json:"name"`
	// Unit is UnitTime or UnitCount.
	Unit string `json:"unit"`
	// Count is how many values there were, one of each run.
	Count int `json:"count"`
	// Median is the middle value, of an even number the mean of the middle two. P95 is the least value
	// that at least 95 % of the values do not exceed: with less than 20 values the same as Max.
	Median int64 `json:"median"`
	P95    int64 `json:"p95"`
	Max    int64 `json:"max"`
	// Low and High are an interval that the median of ever more runs is in, with a probability of
	// Confidence: at least 0.95 from six values on, and less with fewer, where it goes from the least
	// value to the greatest. It supposes that runs do not depend on each other, and nothing else.
	Low        int64   `json:"low"`
	High       int64   `json:"high"`
	Confidence float64 `json:"confidence"`
}

// The units of a Spread.
const (
	// UnitTime is nanoseconds.
	UnitTime = "ns"
	// UnitCount is a number of things.
	UnitCount = "1"
)

// wantedConfidence is that of an interval, where there are values enough.
const wantedConfidence = 0.95

// SpreadOf summarizes values, in any order, which it leaves as they are; none: the zero Spread with
// the name and unit. The interval is by order statistics: that the median is below the k-th
// smallest of n values is as likely as fewer than k heads in n tosses of a coin, whatever the
// distribution.
func SpreadOf(name, unit string, values []int64) Spread {
	s := Spread{Name: name, Unit: unit, Count: len(values)}
	n := len(values)
	if n == 0 {
		return s
	}
	v := slices.Sorted(slices.Values(values))
	s.Median = v[(n-1)/2] + (v[n/2]-v[(n-1)/2])/2
	s.P95, s.Max = v[(n*95+99)/100-1], v[n-1]
	k := 1
	for k < n/2 && confidence(n, k+1) >= wantedConfidence {
		k++
	}
	s.Low, s.High, s.Confidence = v[k-1], v[n-k], confidence(n, k)
	return s
}

// confidence is the probability that a median is between the k-th smallest and the k-th greatest of
// n values.
func confidence(n, k int) float64 {
	outside := 0.0 // the probability of fewer than k heads
	for i := range k {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(i + 1))
		c, _ := math.Lgamma(float64(n - i + 1))
		outside += math.Exp(a - b - c - float64(n)*math.Ln2)
	}
	return max(1-2*outside, 0)
}

// Repeats summarizes the reports of each scenario and director that was run more than once, in the
// order of their first reports.
func Repeats(all []Report) []Repeat {
	type key struct{ scenario, director string }
	runs := map[key][]*Report{}
	var order []key
	for i := range all {
		k := key{all[i].Recording.Scenario, all[i].Recording.Director}
		if runs[k] == nil {
			order = append(order, k)
		}
		runs[k] = append(runs[k], &all[i])
	}
	var repeats []Repeat
	for _, k := range order {
		if len(runs[k]) > 1 {
			repeats = append(repeats, repeatOf(k.scenario, k.director, runs[k]))
		}
	}
	return repeats
}

// repeatOf summarizes the runs of one scenario.
func repeatOf(scenario, director string, runs []*Report) Repeat {
	r := Repeat{Scenario: scenario, Director: director, Runs: len(runs)}
	for _, one := range runs {
		switch one.Verdict {
		case Pass:
			r.Pass++
		case Fail:
			r.Fail++
		case Inconclusive:
			r.Inconclusive++
		}
	}
	for _, f := range repeatedFigures() {
		var values []int64
		for _, one := range runs {
			if value, ok := f.of(&one.Recording); ok {
				values = append(values, value)
			}
		}
		if len(values) == len(runs) {
			r.Spreads = append(r.Spreads, SpreadOf(f.name, f.unit, values))
		}
	}
	return r
}

// repeatedFigure is a figure of a run; false: the run has none.
type repeatedFigure struct {
	name, unit string
	of         func(rec *Recording) (int64, bool)
}

// repeatedFigures are those that a Repeat has, in order.
func repeatedFigures() []repeatedFigure {
	longest := func(w func(Fault) Window) func(rec *Recording) (int64, bool) {
		return func(rec *Recording) (int64, bool) {
			var worst time.Duration
			faults := Faults(rec)
			for _, f := range faults {
				worst = max(worst, Outage(rec, w(f)).Length())
			}
			return int64(worst), len(faults) > 0 && len(rec.Requests) > 0
		}
	}
	vips := func(by func(*Recording, VIP) time.Duration) func(rec *Recording) (int64, bool) {
		return func(rec *Recording) (int64, bool) {
			var worst time.Duration
			for _, v := range rec.VIPs {
				worst = max(worst, by(rec, v))
			}
			return int64(worst), len(rec.VIPs) > 0
		}
	}
	return []repeatedFigure{
		{"outage of a fault", UnitTime, longest(func(f Fault) Window { return f.Window })},
		{"outage of a heal", UnitTime, func(rec *Recording) (int64, bool) {
			return longest(func(f Fault) Window {
				return Window{From: f.To, To: rec.Length}
			})(rec)
		}},
		{"takeover", UnitTime, takeoverTime},
		{"two owners", UnitTime, vips(func(rec *Recording, v VIP) time.Duration {
			return Both(rec, v.Addr, Whole(rec))
		})},
		{"requests lost", UnitCount, func(rec *Recording) (int64, bool) {
			return int64(Count(rec, Whole(rec)).Lost()), len(rec.Requests) > 0
		}},
		{"latency, 95 % of a run", UnitTime, func(rec *Recording) (int64, bool) {
			l := Latencies(rec, Whole(rec))
			return int64(l.P95), l.Count > 0
		}},
	}
}

// takeoverTime is the time from the first fault until another node than the struck one has a VIP.
func takeoverTime(rec *Recording) (int64, bool) {
	faults := Faults(rec)
	if len(faults) == 0 {
		return 0, false
	}
	for _, ev := range rec.Events {
		if ev.Kind == VIPAdd && faults[0].Contains(ev.At) && ev.Node != faults[0].Node {
			return int64(ev.At - faults[0].From), true
		}
	}
	return 0, false
}

// WriteRepeats writes a table of what repeated runs came to, for a terminal; of none nothing.
func WriteRepeats(w io.Writer, all []Repeat) error {
	var out strings.Builder
	for _, r := range all {
		fmt.Fprintf(&out, "\n%s with %s: %s: %s\n", r.Scenario, r.Director, plural(r.Runs, "run"),
			tallyOf(r.Pass, r.Fail, r.Inconclusive))
		format := "  %-24s%12s%12s%12s   %s\n"
		fmt.Fprintf(&out, format, "", "MEDIAN", "P95", "MAX", "MEDIAN IS WITHIN")
		for _, s := range r.Spreads {
			fmt.Fprintf(&out, format, s.Name, s.text(s.Median), s.text(s.P95), s.text(s.Max),
				s.interval())
		}
	}
	if _, err := io.WriteString(w, out.String()); err != nil {
		return fmt.Errorf("write repeats: %w", err)
	}
	return nil
}

// tallyOf names the verdicts that there were.
func tallyOf(pass, fail, inconclusive int) string {
	var parts []string
	for _, part := range []struct {
		n    int
		word string
	}{{pass, "passed"}, {fail, "failed"}, {inconclusive, "inconclusive"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	return strings.Join(parts, ", ")
}

// text prints a value.
func (s Spread) text(value int64) string {
	if s.Unit == UnitTime {
		return shown(time.Duration(value))
	}
	return fmt.Sprint(value)
}

// interval prints the interval of the median and its confidence.
func (s Spread) interval() string {
	if s.Low == s.High {
		return s.text(s.Low)
	}
	return fmt.Sprintf("%s to %s (%.1f %%)", s.text(s.Low), s.text(s.High), 100*s.Confidence)
}
