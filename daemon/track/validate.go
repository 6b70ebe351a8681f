package track

import (
	"fmt"
	"path/filepath"
	"slices"
)

func (s *Script) validate(name func(Key) error) error {
	k := Key{ScriptKind, s.Name}
	if err := name(k); err != nil {
		return err
	}
	switch {
	case s.Interval <= 0:
		return fmt.Errorf("track %s: interval %s", k, s.Interval)
	case s.Timeout < 0:
		return fmt.Errorf("track %s: timeout %s", k, s.Timeout)
	case s.Rise < 0 || s.Fall < 0:
		return fmt.Errorf("track %s: rise %d, fall %d", k, s.Rise, s.Fall)
	}
	return nil
}

func (f *File) validate(name func(Key) error) error {
	k := Key{FileKind, f.Name}
	if err := name(k); err != nil {
		return err
	}
	if !filepath.IsAbs(f.Path) {
		return fmt.Errorf("track %s: path %q is not absolute", k, f.Path)
	}
	return nil
}

func (p *Process) validate(name func(Key) error) error {
	k := Key{ProcessKind, p.Name}
	if err := name(k); err != nil {
		return err
	}
	switch {
	case len(p.Command) == 0 || p.Command[0] == "":
		return fmt.Errorf("track %s: no command", k)
	case p.Match > MatchInitial:
		return fmt.Errorf("track %s: match %s", k, p.Match)
	case p.Quorum < 0 || p.Max < 0 || p.ForkDelay < 0 || p.TerminateDelay < 0:
		return fmt.Errorf("track %s: a number or time below 0", k)
	}
	return nil
}

// sameSource says whether both count the same processes, whatever they make of the number.
func (p *Process) sameSource(q *Process) bool {
	return slices.Equal(p.Command, q.Command) && p.Match == q.Match &&
		p.FullCommand == q.FullCommand
}
