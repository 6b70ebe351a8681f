package daemon

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/notify"
	"github.com/tandemlb/tandem/daemon/status"
	"github.com/tandemlb/tandem/daemon/track"
)

const (
	// scriptMemory is how long after its last failure a script that is only run now and then
	// counts as failed, if it has not run well since.
	scriptMemory = time.Hour
	// mostlyEvery and atLeastEvery bound the time between two looks at conditions.
	mostlyEvery, atLeastEvery = time.Second, 50 * time.Millisecond
	// calmFor is how long a condition has to be away before its end is told, so that one that comes
	// and goes fills no log and no mailbox.
	calmFor = 30 * time.Second
)

// healthy is a witness that says at next to no cost that nothing is wrong; see instance.Runner.
type healthy interface{ Well() bool }

// conditions returns what is wrong with the instances and with what is run for them.
func (r *running) conditions(now time.Time) []status.Condition {
	var all []status.Condition
	for _, w := range r.routers {
		if h, ok := w.(healthy); ok && h.Well() {
			continue
		}
		for _, s := range w.Snapshot() {
			all = append(all, conditionsOf(&s, now)...)
		}
	}
	return append(all, r.otherConditions(now)...)
}

// otherConditions returns what is wrong with scripts, and with the kernel's IPVS as a whole.
func (r *running) otherConditions(now time.Time) []status.Condition {
	var all []status.Condition
	if r.tracking != nil {
		all = append(all, brokenTrackers(r.tracking.set.Snapshot())...)
	}
	if r.telling != nil {
		all = append(all, failedScripts(r.telling.notifier.Stats(), now)...)
	}
	return append(all, r.lvs.conditions()...)
}

// scriptFailed is the condition of one script.
func scriptFailed(subject string, since time.Time, evidence string) status.Condition {
	return status.Condition{Name: status.ScriptFailed, Subject: subject, Since: since,
		Evidence: evidence}
}

// brokenTrackers returns the scripts of trackers that cannot run. One that runs and says no does
// what it is for.
func brokenTrackers(trackers []track.Status) []status.Condition {
	var all []status.Condition
	for _, t := range trackers {
		if !t.BrokenSince.IsZero() {
			all = append(all, scriptFailed(t.Key.String(), t.BrokenSince, "it cannot run: "+t.Last))
		}
	}
	return all
}

// failedScripts returns the scripts that somebody was to be told by, and was not.
func failedScripts(s notify.Stats, now time.Time) []status.Condition {
	var all []status.Condition
	for _, f := range s.Failing {
		if now.Sub(f.Last) >= scriptMemory {
			continue
		}
		evidence := fmt.Sprintf("%s, for %s", f.Error, f.Subject)
		if f.Others > 0 {
			evidence += fmt.Sprintf(" and %d more", f.Others)
		}
		all = append(all, scriptFailed(f.Script, f.Since, evidence))
	}
	for _, f := range s.FIFOs {
		if !f.ReaderFailing.IsZero() {
			all = append(all, scriptFailed("reader of "+f.Path, f.ReaderFailing,
				fmt.Sprintf("it does not stay at work: %s", f.ReaderError)))
		}
	}
	return all
}

// known is a condition that was told of.
type known struct {
	status.Condition
	// seen is when it was there the last time.
	seen time.Time
}

// watch is who looks after conditions, and tells when one begins or is over.
type watch struct {
	// raised and cleared are told; the second also for how long the condition held.
	raised  func(status.Condition)
	cleared func(c status.Condition, held time.Duration)
	holding []known
}

// look compares what there is at now with what was told.
func (w *watch) look(now time.Time, all []status.Condition) {
	for _, c := range all {
		i := slices.IndexFunc(w.holding, func(k known) bool {
			return k.Name == c.Name && k.Subject == c.Subject
		})
		if i < 0 {
			i = len(w.holding)
			w.holding = append(w.holding, known{Condition: c})
			w.raised(c)
		}
		w.holding[i].Evidence, w.holding[i].seen = c.Evidence, now
	}
	w.holding = slices.DeleteFunc(w.holding, func(k known) bool {
		if now.Sub(k.seen) < calmFor {
			return false
		}
		w.cleared(k.Condition, k.seen.Sub(k.Since))
		return true
	})
}

// watchConditions logs and tells of each condition when it begins and when it is over, until ctx
// ends.
func (d *director) watchConditions(ctx context.Context) error {
	w := watch{raised: d.raised, cleared: d.cleared}
	timer := time.NewTimer(untilNext(time.Now(), mostlyEvery))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		every := mostlyEvery
		if r := d.public.runs.Load(); r != nil {
			now := time.Now()
			w.look(now, d.public.failures(r.conditions(now)))
			every = lookEvery(r.config)
		}
		timer.Reset(untilNext(time.Now(), every))
	}
}

// lookEvery is the time between two looks: a condition of an instance holds for at least as long
// as a dead master goes unnoticed, and none is to be missed.
func lookEvery(cfg *config.Config) time.Duration {
	every := mostlyEvery
	for i := range cfg.Instances {
		every = min(every, cfg.Instances[i].AdvertInterval)
	}
	return max(every, atLeastEvery)
}

func (d *director) raised(c status.Condition) {
	d.log.Warn("condition", "condition", c.Name, "subject", c.Subject, "since", c.Since,
		"reason", c.Evidence)
	d.tellCondition(c, notify.Raised)
}

func (d *director) cleared(c status.Condition, held time.Duration) {
	d.log.Info("condition is over", "condition", c.Name, "subject", c.Subject,
		"for", held.Round(time.Millisecond), "reason", c.Evidence)
	d.tellCondition(c, notify.Cleared)
}

func (d *director) tellCondition(c status.Condition, state notify.State) {
	if r := d.public.runs.Load(); r != nil && r.telling != nil {
		r.telling.condition(c, state)
	}
}

// fail notes that a script which is run once has failed.
func (p *public) fail(keyword string, now time.Time, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = append(p.failed, scriptFailed(keyword, now, reason))
}

// failures returns all with the failures that were noted.
func (p *public) failures(all []status.Condition) []status.Condition {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(all, p.failed...)
}
