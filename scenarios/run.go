package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// healLimit is how long healing and taking down may take after the steps, also when interrupted.
const healLimit = 30 * time.Second

// Options are the choices of one run. The zero Options are good.
type Options struct {
	// Seed is what the scenario's Plan draws from; it is kept in the report.
	Seed uint64
	// Phase is how long the run waits between its steady state and the next step, so that of several
	// runs each strikes at another time between two adverts.
	Phase time.Duration
	// Noise is what a control run showed; nil: none was made. It is kept in the report.
	Noise *reports.Noise
	// Dir is where configuration and logs go; it must exist. Empty: a temporary directory, removed
	// afterwards.
	Dir string
	// Command is the command line that runs the same again, for the report.
	Command string
	// Progress is told what happens, as it happens, from several goroutines; nil: nobody is.
	Progress func(at time.Duration, text string)
}

// Run carries out a scenario and judges it. The error says that the lab broke: it could not be built,
// or not be taken down; a report that was already made comes with it. A scenario that does not reach
// its steady state, that is interrupted, or whose heal fails is no error but an inconclusive report.
// When Run returns, every fault is healed and nothing of the lab is left.
func Run(ctx context.Context, s Scenario, d Director, o Options) (reports.Report, error) {
	if err := s.Topology.Validate(); err != nil {
		return reports.Report{}, fmt.Errorf("run %s: %w", s.Name, err)
	}
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "tandem-run-")
		if err != nil {
			return reports.Report{}, fmt.Errorf("run %s: %w", s.Name, err)
		}
		defer os.RemoveAll(dir)
		o.Dir = dir
	}
	started := time.Now()
	l, err := lab.Up(ctx, s.Topology, lab.Options{LogDir: filepath.Join(o.Dir, "logs")})
	if err != nil {
		return reports.Report{}, fmt.Errorf("run %s: %w", s.Name, err)
	}
	r := &run{scenario: s, director: d, options: o, lab: l, owners: newOwners(s.Topology)}
	r.recording = recordingOf(s, d, o, started)
	r.recording.Host = describeHost()
	problem := r.carryOut(ctx)
	report := r.judge(problem)
	if err := l.Close(); err != nil {
		return report, fmt.Errorf("run %s: %w", s.Name, err)
	}
	return report, nil
}

// run is one scenario being carried out.
type run struct {
	scenario  Scenario
	director  Director
	options   Options
	lab       *lab.Lab
	recorder  probe.Recorder
	recording reports.Recording
	owners    *owners
	adverts   *probe.Adverts // nil where there is no VIP
	tables    *probe.Tables  // nil where there is no virtual service
	probes    []*probe.HTTP
	callers   map[string]*calls // by client

	tasks       sync.WaitGroup
	taskContext context.Context // ends the tasks
	mu          sync.Mutex
	heals       []*pendingHeal
	errs        []error // of tasks
	streams     []reports.Stream
	pings       []reports.Ping
}

// pendingHeal is a fault that holds, of one node or of several, which are then healed at once.
type pendingHeal struct {
	faults []reports.Event // as they were recorded
	heals  []faults.Heal
}

// all heals every one at once.
func (p *pendingHeal) all(ctx context.Context) error {
	errs := make([]error, len(p.heals))
	var healing sync.WaitGroup
	for i, heal := range p.heals {
		healing.Go(func() { errs[i] = heal(ctx) })
	}
	healing.Wait()
	return errors.Join(errs...)
}

// carryOut does the steps, then heals and stops whatever holds. It returns why the run says nothing:
// nil when it does.
func (r *run) carryOut(ctx context.Context) error {
	tasks, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.taskContext = tasks
	if limit := r.scenario.Limit; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit,
			fmt.Errorf("the drill has outlasted its limit of %s", limit))
		defer cancel()
	}
	err := r.prepare(ctx, tasks)
	for _, step := range r.options.steps(r.scenario) {
		if err != nil {
			break
		}
		r.say(step.String())
		r.event(reports.Event{Kind: reports.StepBegin, Subject: step.String()})
		err = step.do(ctx, r)
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), healLimit)
	defer cancel()
	err = errors.Join(err, r.healAll(after))
	r.recording.Length = r.lab.Now()
	r.recording.Host.Versions = r.versions(after)
	r.hangUp()
	stop()
	r.tasks.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(append([]error{err}, r.errs...)...)
}

// steps are those of a scenario with the choices of the run.
func (o Options) steps(s Scenario) []Step {
	steps := s.StepsOf(o.Seed)
	if o.Phase > 0 && len(steps) > 0 {
		steps = slices.Insert(slices.Clone(steps), 1, Step(Observe{For: o.Phase}))
	}
	return steps
}

// versions are those of the programs that took part, by name.
func (r *run) versions(ctx context.Context) map[string]string {
	directors := r.lab.NodesOf(topology.Director)
	if len(directors) == 0 {
		return nil
	}
	text := r.director.version(ctx, directors[0])
	if text == "" {
		return nil
	}
	return map[string]string{filepath.Base(r.director.Path): text}
}

// prepare starts the observers and equips the nodes.
func (r *run) prepare(ctx, tasks context.Context) error {
	if err := r.observe(ctx, tasks); err != nil {
		return err
	}
	err := Equip(ctx, r.lab, r.director, r.options.Dir, r.scenario.Globals)
	for _, u := range r.scenario.Uplinks {
		if err == nil {
			err = u.equip(r.lab, r.director, r.options.Dir)
		}
	}
	return err
}

// configFile is the configuration file of a director.
func (r *run) configFile(n *lab.Node) string {
	return configFile(r.options.Dir, n)
}

// task is something that measures until its context ends.
type task interface {
	fmt.Stringer
	Run(ctx context.Context) error
	Ready() <-chan struct{}
}

// start runs a task and waits until it is ready.
func (r *run) start(ctx, tasks context.Context, t task) error {
	failed := make(chan error, 1)
	r.tasks.Go(func() {
		if err := t.Run(tasks); err != nil {
			r.mu.Lock()
			r.errs = append(r.errs, err)
			r.mu.Unlock()
			failed <- err
		}
	})
	select {
	case <-t.Ready():
		return nil
	case err := <-failed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// healAll heals what still holds, the last fault first. Every heal is tried.
func (r *run) healAll(ctx context.Context) error {
	var errs []error
	for {
		r.mu.Lock()
		left := len(r.heals)
		if left == 0 {
			r.mu.Unlock()
			return errors.Join(errs...)
		}
		last := r.heals[left-1]
		r.heals = r.heals[:left-1]
		r.mu.Unlock()
		if err := r.heal(ctx, last); err != nil {
			errs = append(errs, err)
		}
	}
}

// healOne heals a fault that may be healed already. One whose heal fails is kept for healAll.
func (r *run) healOne(ctx context.Context, p *pendingHeal) error {
	r.mu.Lock()
	holds := slices.Contains(r.heals, p)
	r.mu.Unlock()
	if !holds {
		return nil
	}
	if err := r.heal(ctx, p); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heals = slices.DeleteFunc(r.heals, func(h *pendingHeal) bool { return h == p })
	return nil
}

// heal heals a fault and records that it is.
func (r *run) heal(ctx context.Context, p *pendingHeal) error {
	for _, ev := range p.faults {
		ev.Kind = reports.FaultRelease
		r.event(ev)
	}
	if err := p.all(ctx); err != nil {
		return err
	}
	for _, ev := range p.faults {
		ev.Kind = reports.FaultHeal
		r.event(ev)
		r.say(fmt.Sprintf("healed %s %s", ev.Subject, target(ev)))
	}
	return nil
}

// event records an event that happens now.
func (r *run) event(ev reports.Event) {
	ev.At = r.lab.Now()
	r.sink(ev)
}

// sink records an event that a probe saw.
func (r *run) sink(ev reports.Event) {
	r.recorder.Event(ev)
	if r.owners.see(ev) {
		holders := r.owners.String()
		r.sayAt(ev.At, "VIPs: "+holders)
	}
}

func (r *run) say(text string) { r.sayAt(r.lab.Now(), text) }

func (r *run) sayAt(at time.Duration, text string) {
	if r.options.Progress != nil {
		r.options.Progress(at, text)
	}
}

// target prints what a fault's event was done to.
func target(ev reports.Event) string {
	if ev.Detail == "" {
		return ev.Node
	}
	return ev.Node + ":" + ev.Detail
}
