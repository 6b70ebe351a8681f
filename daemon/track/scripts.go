package track

import (
	"context"
	"sync"
	"time"

	"github.com/tandemlb/tandem/daemon/script"
)

// spread is the most that lies between the first runs of two scripts that are new together.
const spread = 2 * time.Millisecond

// scriptWatch is one script at work. Its fields are of Set.mu.
type scriptWatch struct {
	status  *Status
	task    Script
	counter Counter
	version int           // of the command
	offset  time.Duration // of the first run
	changed chan struct{}
	end     context.CancelFunc // nil before it is started
}

// setScripts makes the watches those of the scripts. Set.mu is held.
func (s *Set) setScripts(scripts []Script) {
	kept := make(map[string]*scriptWatch, len(scripts))
	for _, task := range scripts {
		status := s.status[Key{ScriptKind, task.Name}]
		w := s.scripts[task.Name]
		if w == nil {
			apart := min(spread, task.Interval/time.Duration(len(scripts)))
			w = &scriptWatch{
				status: status, task: task, changed: make(chan struct{}, 1),
				counter: NewCounter(task.Rise, task.Fall, task.InitFail),
				offset:  time.Duration(len(kept)) * apart,
			}
			if status.State = w.counter.State(); status.State == Down {
				status.Reason = "init_fail"
			}
		}
		kept[task.Name] = w
		if !w.task.Command.Equal(task.Command) {
			w.version++
			w.counter.Restart()
			w.status.BrokenSince = time.Time{}
		}
		w.task, w.counter.Rise, w.counter.Fall = task, task.Rise, task.Fall
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
	for name, w := range s.scripts {
		if kept[name] == nil && w.end != nil {
			w.end()
		}
	}
	s.scripts = kept
}

// runScripts runs all scripts until ctx ends.
func (s *Set) runScripts(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		s.mu.Lock()
		for _, w := range s.scripts {
			if w.end == nil {
				own, end := context.WithCancel(ctx)
				w.end = end
				running.Go(func() { s.runScript(own, w) })
			}
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-s.scriptsSet:
		}
	}
}

// scriptRun is a run of a script.
type scriptRun struct {
	version int
	cancel  context.CancelFunc // nil: nothing is running
	ended   chan script.Result
}

// runScript runs one script until ctx ends.
func (s *Set) runScript(ctx context.Context, w *scriptWatch) {
	defer w.end()
	s.mu.Lock()
	next := time.Now().Add(w.offset)
	s.mu.Unlock()
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	run := scriptRun{version: -1, ended: make(chan script.Result, 1)}
	var command script.Command
	for {
		select {
		case <-ctx.Done():
			if run.cancel != nil {
				<-run.ended
				run.cancel()
			}
			return
		case result := <-run.ended:
			run.cancel()
			run.cancel = nil
			if ctx.Err() == nil {
				s.scriptResult(w, run.version, result)
			}
		case <-w.changed:
			next = s.adapt(w, &run, next)
		case <-timer.C:
			s.mu.Lock()
			task, version := w.task, w.version
			if run.cancel != nil && version == run.version {
				w.status.Skipped++
			}
			s.mu.Unlock()
			next = following(next, task.Interval)
			if run.cancel != nil {
				break
			}
			if version != run.version {
				command, run.version = task.Command, version
				if resolved, err := command.Resolve(); err == nil {
					command = resolved // else each run says why not
				}
			}
			s.startRun(ctx, &run, command, script.Options{
				Timeout: task.timeout(), Secure: task.Secure,
			})
		}
		if run.cancel == nil && s.outdated(w, &run) {
			next = time.Now() // another command does not wait for the old one's turn
		}
		timer.Reset(time.Until(next))
	}
}

func (s *Set) startRun(ctx context.Context, run *scriptRun, c script.Command, o script.Options) {
	own, cancel := context.WithCancel(ctx)
	run.cancel = cancel
	go func() { run.ended <- s.run(own, c, o) }()
}

// following returns the first time after now on the grid of interval that next is on.
func following(next time.Time, interval time.Duration) time.Time {
	next = next.Add(interval)
	if late := time.Since(next); late >= 0 {
		next = next.Add((late/interval + 1) * interval)
	}
	return next
}

// adapt returns the time of the next run after the script was configured anew, and ends the run of
// another command.
func (s *Set) adapt(w *scriptWatch, run *scriptRun, next time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if run.cancel != nil && w.version != run.version {
		run.cancel()
	}
	if soonest := time.Now().Add(w.task.Interval); soonest.Before(next) {
		return soonest
	}
	return next
}

// outdated says whether the last run was of another command.
func (s *Set) outdated(w *scriptWatch, run *scriptRun) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return run.version >= 0 && w.version != run.version
}

// scriptResult counts how a run of a version of the command has ended.
func (s *Set) scriptResult(w *scriptWatch, version int, result script.Result) {
	s.mu.Lock()
	if version != w.version {
		s.mu.Unlock()
		return
	}
	reason := result.Reason()
	w.status.Runs++
	w.status.Last = reason
	if !result.OK() {
		w.status.Failures++
	}
	if result.Err == nil {
		w.status.BrokenSince = time.Time{}
	} else if w.status.BrokenSince.IsZero() {
		w.status.BrokenSince = time.Now()
	}
	changed := w.counter.Step(result.OK())
	state, key := w.counter.State(), w.status.Key
	s.mu.Unlock()
	if changed {
		s.change(key, w.status, state, 0, reason)
	}
}
