package bench

import (
	"fmt"
	"strconv"
	"time"
)

// The promises about virtual services. Those of ratios are about two directors of one run.
const (
	startRatio         = 0.7
	reloadRatio        = 0.5
	checkRatio         = 1.0
	memoryRatio        = 3.0
	largestMemoryRatio = 1.0
	busiestLimit       = 2.0
	lateLimit          = 50 * time.Millisecond
	// lateAllowance is for what else a machine does, on real time.
	lateAllowance = 50 * time.Millisecond
)

// The keys of targets, by which the rows of a table find theirs.
const (
	startKey   = "start"
	reloadKey  = "reload"
	checkKey   = "check"
	memoryKey  = "memory"
	busiestKey = "busiest"
	lateKey    = "late"
)

// IPVSTargets judges the first director's results: what was not measured, or with nothing to
// compare it with, has no target.
func IPVSTargets(r *IPVSResults) []Target {
	targets := []Target{}
	if len(r.Directors) == 0 {
		return targets
	}
	subject, other := r.Directors[0], ""
	if len(r.Directors) > 1 {
		other = r.Directors[1]
	}
	for _, f := range []farm{tableFarm, largestFarm} {
		ours, ok := r.table(subject, f.servers)
		theirs, also := r.table(other, f.servers)
		if ok && also {
			targets = append(targets, tableTargets(f, ours, theirs)...)
		}
	}
	if ours, ok := r.checks(subject); ok {
		theirs, also := r.checks(other)
		targets = append(targets, checksTargets(ours, theirs, also)...)
	}
	for _, virtual := range []bool{true, false} {
		if f, ok := r.failure(subject, virtual); ok {
			targets = append(targets, failureTarget(f, virtual))
		}
	}
	return targets
}

// ratioTarget is a promise of a ratio.
func ratioTarget(key, what string, limit, ours, theirs float64) Target {
	return Target{What: what, Limit: strconv.FormatFloat(limit, 'f', 2, 64),
		Observed: ratio(ours, theirs), Met: theirs > 0 && ours/theirs <= limit, name: key}
}

func tableTargets(f farm, ours, theirs Table) []Target {
	what := func(figure string) string { return fmt.Sprintf("%d real servers: %s", f.servers, figure) }
	if f.servers == largestFarm.servers {
		return []Target{sized(f, ratioTarget(memoryKey, what("memory, T/K"), largestMemoryRatio,
			float64(ours.Memory), float64(theirs.Memory)))}
	}
	return []Target{
		sized(f, ratioTarget(startKey, what("start, T/K"), startRatio,
			float64(ours.Start), float64(theirs.Start))),
		sized(f, ratioTarget(reloadKey, what("reload, T/K"), reloadRatio,
			float64(ours.Reload), float64(theirs.Reload))),
		sized(f, ratioTarget(memoryKey, what("memory, T/K"), memoryRatio,
			float64(ours.Memory), float64(theirs.Memory))),
	}
}

// sized gives a target the size that it is about.
func sized(f farm, t Target) Target {
	t.instances = f.servers
	return t
}

func checksTargets(ours, theirs Checks, also bool) []Target {
	var all []Target
	if also {
		all = append(all, ratioTarget(checkKey, "processor for a check, T/K", checkRatio,
			float64(ours.PerCheck), float64(theirs.PerCheck)))
	}
	what := fmt.Sprintf("busiest %s of %d checkers", spreadBin, checksFarm.servers)
	return append(all, Target{What: what, Limit: fmt.Sprintf("%.1f means", busiestLimit),
		Observed: fmt.Sprintf("%.1f means", ours.Busiest), Met: ours.Busiest <= busiestLimit,
		name: busiestKey})
}

func failureTarget(f Failure, virtual bool) Target {
	limit, clock := lateLimit, "virtual"
	if !virtual {
		limit, clock = lateLimit+lateAllowance, "real"
	}
	return Target{What: "failed real server out of the table after its timeout, " + clock + " time",
		Limit: milliseconds(limit) + " ms", Observed: milliseconds(f.Late) + " ms",
		Met: f.Late <= limit, Virtual: virtual, name: lateKey}
}

func (r *IPVSResults) table(director string, servers int) (Table, bool) {
	for _, t := range r.Tables {
		if t.Director == director && t.Servers == servers {
			return t.Table, true
		}
	}
	return Table{}, false
}

func (r *IPVSResults) checks(director string) (Checks, bool) {
	for _, c := range r.Checks {
		if c.Director == director {
			return c.Checks, true
		}
	}
	return Checks{}, false
}

func (r *IPVSResults) failure(director string, virtual bool) (Failure, bool) {
	for _, f := range r.Failures {
		if f.Director == director && f.Virtual == virtual {
			return f.Failure, true
		}
	}
	return Failure{}, false
}
