package track

import (
	"slices"
	"strings"
)

// nameSize is how much of a process's name the kernel keeps.
const nameSize = 15

// Running is a process of this machine.
type Running struct {
	PID int
	// Name is the kernel's, of at most 15 bytes.
	Name string
	// Args are the command line; empty for a thread of the kernel.
	Args []string
}

// Full says whether the command line counts, not the name that the kernel has.
func (p *Process) Full() bool {
	return p.FullCommand || len(p.Command) > 1 || p.Match != MatchDefault
}

// Matches says whether it is one of the processes that p is about.
func (p *Process) Matches(r Running) bool {
	if !p.Full() {
		name := p.Command[0]
		return r.Name == name[:min(len(name), nameSize)]
	}
	if len(r.Args) == 0 || r.Args[0] != p.Command[0] {
		return false
	}
	want, have := p.Command[1:], r.Args[1:]
	switch {
	case p.Match == MatchDefault && len(want) == 0:
		return true
	case p.Match == MatchDefault, p.Match == MatchExact:
		return slices.Equal(want, have)
	case len(have) < len(want):
		return false
	case len(want) == 0 || slices.Equal(want, have[:len(want)]):
		return true
	}
	last := len(want) - 1
	return p.Match == MatchInitial && slices.Equal(want[:last], have[:last]) &&
		strings.HasPrefix(have[last], want[last])
}
