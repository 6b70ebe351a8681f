package track

import (
	"context"
	"errors"
	"log/slog"

	"github.com/fsnotify/fsnotify"

	"github.com/tandemlb/tandem/daemon/script"
)

// NewWith returns a Set that runs scripts by run, if it is not nil, and sees processes of t, if
// that is not nil.
func NewWith(
	report func(Change),
	run func(context.Context, script.Command, script.Options) script.Result, t ProcessTable,
) *Set {
	s := New(report)
	if run != nil {
		s.run = run
	}
	if t != nil {
		s.table = t
	}
	return s
}

// WithoutNews lets s have no news of files.
func WithoutNews(s *Set) *Set {
	s.Log = slog.New(slog.DiscardHandler)
	s.newWatcher = func() (*directoryNews, error) { return nil, errors.New("none") }
	return s
}

// WithNews lets s have news of files from the channels only.
func WithNews(s *Set, events <-chan fsnotify.Event, errs <-chan error) *Set {
	nothing := func(string) error { return nil }
	s.newWatcher = func() (*directoryNews, error) {
		return &directoryNews{events: events, errors: errs, add: nothing, remove: nothing,
			close: func() error { return nil }}, nil
	}
	return s
}

// What a fake table of processes needs.
type (
	ProcessTable = processTable
	ProcessEvent = processEvent
	ProcTable    = procTable
)

// The events that it can send.
func Began(pid int) ProcessEvent { return ProcessEvent{kind: eventBegan, pid: pid} }
func Forked(parent, pid int) ProcessEvent {
	return ProcessEvent{kind: eventForked, pid: pid, parent: parent}
}
func Ended(pid int) ProcessEvent { return ProcessEvent{kind: eventEnded, pid: pid} }

// Parsers.
var (
	ParseNumber      = parseNumber
	ParseStat        = parseStat
	ParseCommandLine = parseCommandLine
)
