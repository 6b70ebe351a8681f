package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// Change is what a configuration file differs in from the one that a director was started with. The
// zero Change is unset.
type Change int

// The changes. The files of the last three are not valid.
const (
	// Unchanged: in nothing.
	Unchanged Change = iota + 1
	// LessServer: it lacks one real server.
	LessServer
	// OtherWeight: one real server has another weight.
	OtherWeight
	// Typo: an argument is none that its keyword may have.
	Typo
	// Unclosed: a block has lost the brace that closes it.
	Unclosed
	// HalfWritten: it ends in the middle of a real server's block, as one that is still being written.
	HalfWritten
)

var changeNames = map[Change]string{
	Unchanged:   "unchanged",
	LessServer:  "less-server",
	OtherWeight: "other-weight",
	Typo:        "typo",
	Unclosed:    "unclosed",
	HalfWritten: "half-written",
}

// String returns the change's name, for example "less-server".
func (c Change) String() string {
	if name, ok := changeNames[c]; ok {
		return name
	}
	return fmt.Sprintf("Change(%d)", int(c))
}

// Valid says that the file is one that a director can load.
func (c Change) Valid() bool { return c == Unchanged || c == LessServer || c == OtherWeight }

// Reload is a configuration file that directors are told to load while they run.
type Reload struct {
	Change Change
	// Server is the real server that a change is about; Unchanged has none. A file that is not valid
	// lacks it as well, so that clients see a director that takes over a part of such a file.
	Server string
}

// Changes returns every change in the order of declaration.
func Changes() []Change {
	return []Change{Unchanged, LessServer, OtherWeight, Typo, Unclosed, HalfWritten}
}

// String names the change and its real server, for example "typo web2".
func (l Reload) String() string {
	if l.Server == "" {
		return l.Change.String()
	}
	return l.Change.String() + " " + l.Server
}

// config returns the file of a director, with the lines that every director has in global_defs.
func (l Reload) config(t topology.Topology, n topology.Node, globals ...string) string {
	services := make([]topology.Service, len(t.Services))
	for i, s := range t.Services {
		s.RealServers = slices.Clone(s.RealServers)
		if l.Change == OtherWeight {
			for j := range s.RealServers {
				if s.RealServers[j].Node == l.Server {
					s.RealServers[j].Weight++
				}
			}
		} else {
			s.RealServers = slices.DeleteFunc(s.RealServers,
				func(d topology.Destination) bool { return d.Node == l.Server })
		}
		services[i] = s
	}
	t.Services = services
	return l.Change.spoil(configWith(t, n, globals))
}

// spoil makes a valid file one that is not, if the change is such.
func (c Change) spoil(text string) string {
	switch c {
	case Typo:
		return strings.Replace(text, "advert_int ", "advert_int l", 1)
	case Unclosed:
		return strings.Replace(text, "    }\n}\n", "    }\n", 1)
	case HalfWritten:
		return text[:len(text)*2/3]
	case Unchanged, LessServer, OtherWeight:
	}
	return text
}

// Reloads gives every director one file after the other in place of its own and sends SIGHUP to its
// program, at even intervals from its begin: the first one after the first interval, so that requests
// that it finds under way were sent in the step. The last file should be Unchanged.
type Reloads struct {
	Every time.Duration
	Files []Reload
	// Then is how long it goes on to watch after the last reload.
	Then time.Duration
}

// reloadStep begins the name of the step Reloads.
const reloadStep = "reload "

func (s Reloads) String() string {
	return fmt.Sprintf("%s%d times, every %s", reloadStep, len(s.Files), s.Every)
}

func (s Reloads) do(ctx context.Context, r *run) error {
	if r.adverts == nil {
		return errors.New("reload: the topology has no VIP")
	}
	r.adverts.RestartGaps()
	begin, ended := r.lab.Now(), map[string]bool{}
	for i, file := range s.Files {
		if err := (Until{At: begin + time.Duration(i+1)*s.Every}).do(ctx, r); err != nil {
			return err
		}
		if err := r.reload(file, ended); err != nil {
			return err
		}
	}
	err := (Observe{For: s.Then}).do(ctx, r)
	r.noteEnded(ended)
	r.noteGaps()
	return err
}

const (
	// reloadNote is the subject of the note of a reload, endedNote of that of a director whose
	// program has ended.
	reloadNote = "reload"
	endedNote  = "the director's program has ended"
)

// reload has every director that runs load a file.
func (r *run) reload(file Reload, ended map[string]bool) error {
	r.noteEnded(ended)
	r.say("reload: " + file.String())
	r.event(reports.Event{Kind: reports.Note, Subject: reloadNote, Detail: file.String()})
	for _, n := range r.lab.NodesOf(topology.Director) {
		text := file.config(r.scenario.Topology, n.Spec(), r.scenario.Globals...)
		if err := r.load(n, text, ended[n.Name()]); err != nil {
			return err
		}
	}
	return nil
}

// load gives a director a file in place of its own, and tells its program, unless that has ended.
func (r *run) load(n *lab.Node, text string, ended bool) error {
	if err := os.WriteFile(r.configFile(n), []byte(text), 0o644); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	u, ok := n.Unit(faults.DirectorUnit)
	if !ok || ended {
		return nil
	}
	if err := u.Process().Signal(unix.SIGHUP); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("reload: %w", err)
	}
	return nil
}

// noteEnded notes each director whose program has ended, once.
func (r *run) noteEnded(ended map[string]bool) {
	for _, n := range r.lab.NodesOf(topology.Director) {
		if u, ok := n.Unit(faults.DirectorUnit); ok && !u.Alive() && !ended[n.Name()] {
			ended[n.Name()] = true
			r.event(reports.Event{Kind: reports.Note, Node: n.Name(), Subject: endedNote})
		}
	}
}
