package notify

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// failing are the scripts whose last run failed, by command. It cannot grow beyond what is
// configured.
type failing map[string]map[Subject]failedRun

// failedRun is how the last run of a script for a subject failed, and since when they do.
type failedRun struct {
	since, last time.Time
	err         string
}

// failed notes that a run has failed.
func (f failing) failed(now time.Time, a *active, err error) {
	command := a.script.String()
	if f[command] == nil {
		f[command] = make(map[Subject]failedRun)
	}
	run := failedRun{since: now, last: now, err: err.Error()}
	if before, again := f[command][a.event.Subject]; again {
		run.since = before.since
	}
	f[command][a.event.Subject] = run
}

// succeeded notes that a run has not failed.
func (f failing) succeeded(a *active) {
	command := a.script.String()
	delete(f[command], a.event.Subject)
	if len(f[command]) == 0 {
		delete(f, command)
	}
}

// list returns them by command, each with the run that failed last.
func (f failing) list() []FailedScript {
	var all []FailedScript
	for command, runs := range f {
		s := FailedScript{Script: command, Others: len(runs) - 1}
		for subject, run := range runs {
			if s.Since.IsZero() || run.since.Before(s.Since) {
				s.Since = run.since
			}
			if newer := run.last.Compare(s.Last); newer > 0 ||
				newer == 0 && subject.String() < s.Subject.String() {
				s.Last, s.Error, s.Subject = run.last, run.err, subject
			}
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b FailedScript) int { return strings.Compare(a.Script, b.Script) })
	return all
}

// forget forgets the failures of commands and of subjects that c does not have.
func (f failing) forget(c *Config) {
	known := make(map[string]bool)
	for _, s := range c.scripts() {
		known[s.String()] = true
	}
	for command, runs := range f {
		maps.DeleteFunc(runs, func(s Subject, _ failedRun) bool {
			_, rules := c.Rules[s]
			return !known[command] || !rules && s.Kind != Condition
		})
		if len(runs) == 0 {
			delete(f, command)
		}
	}
}
