// Package track says how what VRRP instances depend on is doing: scripts, files, processes and
// interfaces, and what that does to a priority. It never decides who is master.
//
// Counter, Quorum, Match and Effective are pure; a Set runs scripts, watches files and processes,
// and reports what has changed.
package track

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/daemon/script"
)

//go:generate go tool stringer -type=State,Kind,ParamMatch -linecomment -output=names.go

// State is how what is tracked is doing. Zero is unknown: there is no result yet.
type State uint8

// The states.
const (
	Unknown State = iota // unknown
	Up                   // up
	Down                 // down
)

// Kind is what is tracked. Zero is none.
type Kind uint8

// The kinds, by the keyword that declares them.
const (
	ScriptKind    Kind = iota + 1 // script
	FileKind                      // file
	ProcessKind                   // process
	InterfaceKind                 // interface
	BFDKind                       // bfd
)

// Key names a tracker.
type Key struct {
	Kind Kind
	Name string
}

// String returns both, as in "script haproxy".
func (k Key) String() string { return fmt.Sprintf("%s %s", k.Kind, k.Name) }

// Change is where a tracker stands after it has changed.
type Change struct {
	Key
	State State
	// Value is the number in a file; 0 for other kinds.
	Value int
	// Reason is the evidence, as in "exit status 1: connection refused". For a file it says why
	// its number is an old one.
	Reason string
	// At is when it changed.
	At time.Time
}

// Status is where a tracker stands, and what has happened to it since it was first configured.
type Status struct {
	// Change was the last one; before any, its time is zero and its state Unknown, or Down with
	// InitFail.
	Change
	// Runs, Failures and Skipped count a script's runs: those that ended, those of them that
	// failed, and those left out because the one before was still going on.
	Runs, Failures, Skipped uint64
	// Last is the reason of a script's last run, however it counted.
	Last string
	// BrokenSince is since when no run has come to an end of its own because the script cannot run
	// at all: it is not there, may not be executed, is refused as unsafe or has no account. Zero
	// is that the last run could, however it ended.
	BrokenSince time.Time
}

// Config is all that is tracked.
type Config struct {
	Scripts   []Script
	Files     []File
	Processes []Process
	// Interfaces are names; SetInterface says how they are doing.
	Interfaces []string
	// BFDs are names of sessions; SetBFD says how they are doing.
	BFDs []string
}

// Script is a command that is run again and again; exit status 0 is good.
type Script struct {
	// Name is unique among scripts and not empty.
	Name string
	// Command is run.
	Command script.Command
	// Interval is from one start to the next; more than 0.
	Interval time.Duration
	// Timeout bounds a run; 0 means Interval.
	Timeout time.Duration
	// Rise and Fall are how many results in a row change the state; 0 means 1.
	Rise, Fall int
	// InitFail starts it as Down, from where it takes Rise good results to be Up.
	InitFail bool
	// Secure refuses a command that root runs and others can change, at each run.
	Secure bool
}

// File is a file with a whole number in it. It is Up once it was read for the first time.
type File struct {
	// Name is unique among files and not empty.
	Name string
	// Path is absolute. Its directory need not exist. A file that is not there, or empty, is a 0.
	Path string
	// Init makes the file with Value in it if it is not there when the tracker is new; with
	// Overwrite, also if it is.
	Init, Overwrite bool
	Value           int
}

// ParamMatch says how the arguments of a process are compared. Zero compares all of them if the
// tracker names any, or else none.
type ParamMatch uint8

// The ways.
const (
	MatchDefault ParamMatch = iota // default
	MatchExact                     // exact
	MatchPartial                   // partial
	MatchInitial                   // initial
)

// Process is a number of processes: Up while there are Quorum to Max of them.
type Process struct {
	// Name is unique among processes trackers and not empty.
	Name string
	// Command is the program and its first arguments; never empty. Without arguments it is the
	// name of the process as the kernel has it, of which only the first 15 bytes count.
	Command []string
	// Match is how arguments are compared: MatchExact to be the same, MatchPartial to start with
	// those of Command, MatchInitial likewise, the last one of Command being the start of one.
	Match ParamMatch
	// FullCommand compares the program as it was called, which any arguments and any Match but
	// the default do too.
	FullCommand bool
	// Quorum is how many there must be; 0 means 1.
	Quorum int
	// Max is how many there may be, if HasMax is set.
	Max    int
	HasMax bool
	// ForkDelay and TerminateDelay are how long a state has to last that more, or fewer, processes
	// have brought about.
	ForkDelay, TerminateDelay time.Duration
}

// timeout bounds a run.
func (s *Script) timeout() time.Duration {
	if s.Timeout > 0 {
		return s.Timeout
	}
	return s.Interval
}

// validate names the first tracker that cannot be.
func (c *Config) validate() error {
	seen := make(map[Key]bool)
	name := func(k Key) error {
		if k.Name == "" {
			return fmt.Errorf("track %s: no name", k.Kind)
		}
		if seen[k] {
			return fmt.Errorf("track %s: named twice", k)
		}
		seen[k] = true
		return nil
	}
	for i := range c.Scripts {
		if err := c.Scripts[i].validate(name); err != nil {
			return err
		}
	}
	for i := range c.Files {
		if err := c.Files[i].validate(name); err != nil {
			return err
		}
	}
	for i := range c.Processes {
		if err := c.Processes[i].validate(name); err != nil {
			return err
		}
	}
	for _, link := range c.Interfaces {
		if err := name(Key{InterfaceKind, link}); err != nil {
			return err
		}
	}
	for _, session := range c.BFDs {
		if err := name(Key{BFDKind, session}); err != nil {
			return err
		}
	}
	return nil
}
