package bench

import (
	"fmt"
	"strconv"
	"time"

	"github.com/tandemlb/tandem/faults"
)

// Target is one promise and what became of it.
type Target struct {
	// What is promised, Limit at most how much, Observed how much it was.
	What     string `json:"what"`
	Limit    string `json:"limit"`
	Observed string `json:"observed"`
	Met      bool   `json:"met"`
	// Virtual says that it was measured on virtual time: exact, so that a miss is a miss. What was
	// measured on this machine's clock also tells of what else the machine did.
	Virtual bool `json:"virtual"`

	// outage names the row of a table that it belongs to; instances and master that of a load.
	name      string
	advert    time.Duration
	instances int
	master    bool
}

// The promises. Virtual time knows no wait for a processor, but the guest kernel's tick is the
// quantum that the promise allows.
const (
	takeoverSlack   = 5*time.Millisecond + schedulingQuantum
	ownerLimit      = 4 * time.Second
	freezeLimit     = 300 * time.Millisecond
	fastLimit       = 50 * time.Millisecond
	cpuLimit        = 1.0
	memoryLimit     = 40_000_000
	targetInstances = manyInstances
)

// schedulingQuantum is the tick of the guest kernel, which has HZ=100.
const schedulingQuantum = 10 * time.Millisecond

// Missed returns how many targets were missed on virtual time, and how many on this machine's
// clock.
func Missed(targets []Target) (virtual, real int) {
	for _, t := range targets {
		switch {
		case t.Met:
		case t.Virtual:
			virtual++
		default:
			real++
		}
	}
	return virtual, real
}

// Targets judges the first director's results: what was not measured has no target.
func Targets(r *Results) []Target {
	targets := []Target{}
	if len(r.Directors) == 0 {
		return targets
	}
	subject := r.Directors[0]
	for _, advert := range Intervals() {
		for _, c := range Cases() {
			if o, ok := r.outage(subject, c.Name, advert); ok {
				targets = append(targets, outageTargets(c, advert, o)...)
			}
		}
	}
	if l, ok := r.load(subject, targetInstances); ok {
		targets = append(targets, loadTargets("master", l.Master)...)
		targets = append(targets, loadTargets("backup", l.Backup)...)
	}
	return targets
}

// outageTargets are the promises for one fault.
func outageTargets(c Case, advert time.Duration, o Outage) []Target {
	down := masterDown(advert, backupPriority) - o.Phase + takeoverSlack
	var all []Target
	add := func(what, limit, observed string, met bool) {
		all = append(all, Target{What: fmt.Sprintf("%s, adverts of %s: %s", c.Name, advert, what),
			Limit: limit, Observed: observed, Met: met, Virtual: true, name: c.Name, advert: advert})
	}
	within := func(what string, limit, observed time.Duration) {
		add(what, milliseconds(limit)+" ms", orNever(observed), observed != Never && observed <= limit)
	}
	none := func(what string, observed int) {
		add(what, "0", strconv.Itoa(observed), observed == 0)
	}
	switch c.Kind {
	case faults.DirectorTerminated:
		none("requests lost", o.Lost)
	case faults.DirectorKilled, faults.DirectorFrozen:
		within("takeover", down, o.Takeover)
		within("one owner", ownerLimit, o.Settled)
	case faults.WorkerKilled:
		none("requests lost", o.Lost)
		within("two owners", 0, o.Both)
	case faults.WorkerFrozen:
		within("client outage", freezeLimit, o.Client)
		within("two owners", 0, o.Both)
	case faults.PowerOff:
		within("takeover", down, o.Takeover)
	case faults.LinkDown:
		if c.Statement == fastTakeover {
			within("takeover", fastLimit, o.Takeover)
			break
		}
		within("takeover", skew(advert, backupPriority)+takeoverSlack, o.Takeover)
	}
	return all
}

// loadTargets are the promises for what a director takes with many instances.
func loadTargets(role string, l Load) []Target {
	what := func(figure string) string {
		return fmt.Sprintf("%d instances as %s: %s", targetInstances, role, figure)
	}
	return []Target{
		{What: what("processor"), Limit: "1 % of a core", Observed: percent(l.CPU) + " %",
			Met: l.CPU < cpuLimit, instances: targetInstances, master: role == "master"},
		{What: what("memory"), Limit: "40 MB", Observed: megabytes(l.Memory) + " MB",
			Met: l.Memory < memoryLimit, instances: targetInstances, master: role == "master"},
	}
}

// milliseconds prints a time in ms: with a decimal below 10.
func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms != 0 && ms < 9.95 {
		return strconv.FormatFloat(ms, 'f', 1, 64)
	}
	return strconv.FormatFloat(ms, 'f', 0, 64)
}

func orNever(d time.Duration) string {
	if d == Never {
		return "never"
	}
	return milliseconds(d) + " ms"
}

func percent(p float64) string { return strconv.FormatFloat(p, 'f', 3, 64) }

func megabytes(bytes int64) string { return strconv.FormatFloat(float64(bytes)/1e6, 'f', 1, 64) }
