package track

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tandemlb/tandem/daemon/script"
)

// Set runs trackers.
type Set struct {
	// Log gets a line when something can only be watched in a worse way; nil means slog.Default.
	// It may be set before Run.
	Log *slog.Logger

	report func(Change)
	run    func(context.Context, script.Command, script.Options) script.Result
	table  processTable

	newWatcher func() (*directoryNews, error)

	mu        sync.Mutex
	status    map[Key]*Status
	links     map[string]State // of all interfaces that are known, tracked or not
	scripts   map[string]*scriptWatch
	files     []File
	processes []Process

	scriptsSet, filesSet, processesSet chan struct{}

	reporting sync.Mutex
}

// New returns a Set without trackers. Changes go to report, one at a time, those of one tracker in
// their order, from the goroutines of Run and from SetInterface and SetBFD, which wait for it. It must not be
// nil and must not call Run; it may call everything else.
func New(report func(Change)) *Set {
	return &Set{
		report:       report,
		run:          script.Run,
		table:        procTable{},
		newWatcher:   newDirectoryNews,
		status:       make(map[Key]*Status),
		links:        make(map[string]State),
		scripts:      make(map[string]*scriptWatch),
		scriptsSet:   make(chan struct{}, 1),
		filesSet:     make(chan struct{}, 1),
		processesSet: make(chan struct{}, 1),
	}
}

// Configure says what is tracked from now on. Trackers whose name is known keep their state and go
// on with the new values: counts of a script start with its next result, and the first result of
// another command decides alone, as does what is in another file. One that is not named again ends,
// and may report for the last time while Configure runs. The same Config again changes nothing. An
// error names a tracker that cannot be, and then nothing changes.
func (s *Set) Configure(c Config) error {
	if err := c.validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	named := make(map[Key]bool)
	for i := range c.Scripts {
		named[Key{ScriptKind, c.Scripts[i].Name}] = true
	}
	for i := range c.Files {
		named[Key{FileKind, c.Files[i].Name}] = true
	}
	for i := range c.Processes {
		named[Key{ProcessKind, c.Processes[i].Name}] = true
	}
	for _, link := range c.Interfaces {
		named[Key{InterfaceKind, link}] = true
	}
	for _, session := range c.BFDs {
		named[Key{BFDKind, session}] = true
	}
	for k := range s.status {
		if !named[k] {
			delete(s.status, k)
		}
	}
	for k := range named {
		if s.status[k] == nil {
			s.status[k] = &Status{Change: Change{Key: k}}
			if k.Kind == InterfaceKind {
				s.status[k].State = s.links[k.Name]
			}
		}
	}
	s.setScripts(c.Scripts)
	s.files, s.processes = slices.Clone(c.Files), slices.Clone(c.Processes)
	for _, wake := range []chan struct{}{s.scriptsSet, s.filesSet, s.processesSet} {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// Run tracks until ctx ends and everything that was started has ended, for which scripts may take
// the two seconds from SIGTERM to SIGKILL. It always returns nil, and is called once.
func (s *Set) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { s.runScripts(ctx) })
	running.Go(func() { s.runFiles(ctx) })
	running.Go(func() { s.runProcesses(ctx) })
	running.Wait()
	return nil
}

// SetInterface says that an interface is up or down. It is remembered for interfaces that are not
// tracked, too; only changes of those that are get reported. Calls for one interface must not
// overlap.
func (s *Set) SetInterface(name string, up bool) {
	state, reason := Down, "link down"
	if up {
		state, reason = Up, "link up"
	}
	s.mu.Lock()
	changed := s.links[name] != state
	s.links[name] = state
	s.mu.Unlock()
	if changed {
		s.change(Key{InterfaceKind, name}, nil, state, 0, reason)
	}
}

// SetBFD says that a session is up or down, and why. One that is not tracked is left out; only
// changes are reported. Calls for one session must not overlap.
func (s *Set) SetBFD(name string, up bool, reason string) {
	state := Down
	if up {
		state = Up
	}
	k := Key{BFDKind, name}
	s.mu.Lock()
	status := s.status[k]
	changed := status != nil && status.State != state
	s.mu.Unlock()
	if changed {
		s.change(k, nil, state, 0, reason)
	}
}

// Snapshot returns where all trackers stand, by kind and name.
func (s *Set) Snapshot() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Status
	for _, st := range s.status {
		all = append(all, *st)
	}
	slices.SortFunc(all, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// Use is a tracker as an instance names it, with the weight that counts there.
type Use struct {
	Key
	Weight Weight
}

// Influences returns what the trackers do now, for Effective. One that is not there is Unknown.
func (s *Set) Influences(uses []Use) []Influence {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Influence, len(uses))
	for i, u := range uses {
		all[i] = Influence{Key: u.Key, Weight: u.Weight}
		if st := s.status[u.Key]; st != nil {
			all[i].State, all[i].Value, all[i].Reason = st.State, st.Value, st.Reason
		}
	}
	return all
}

// change notes and reports where a tracker stands. With of, nothing happens unless that is still
// the tracker's status: it may have been removed meanwhile.
func (s *Set) change(k Key, of *Status, state State, value int, reason string) {
	s.mu.Lock()
	st := s.status[k]
	if st == nil || of != nil && of != st {
		s.mu.Unlock()
		return
	}
	st.Change = Change{Key: k, State: state, Value: value, Reason: reason, At: time.Now()}
	c := st.Change
	s.mu.Unlock()
	s.reporting.Lock()
	defer s.reporting.Unlock()
	s.report(c)
}

func (s *Set) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.Default()
}
