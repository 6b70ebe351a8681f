package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/scenarios"
	"github.com/tandemlb/tandem/topology"
)

// Options are the choices of a lab that is kept up.
type Options struct {
	// Name is the lab's.
	Name     string
	Topology topology.Topology
	Director scenarios.Director
	// Kernel is what Status says of the kernel: OnHost or InGuest.
	Kernel string
	// Folder is where the lab keeps configuration and logs: a folder that is there, and that nobody
	// else uses. Empty: one of its own, removed by Close.
	Folder string
	// Say is told what happens, a line each time, from several goroutines; nil: nobody is.
	Say func(text string)
}

// Here is a lab in this process, whose Main must know the roles of lab.Main. Its methods may be
// called from any goroutine.
type Here struct {
	options Options
	lab     *lab.Lab
	folder  string
	since   time.Time

	// changing is held while faults are injected or healed, mu while the rest is looked at.
	changing sync.Mutex
	mu       sync.Mutex
	faults   []*active
	last     int // the number of the last fault
}

// steadyLimit is how long the directors may take until one of them has every VIP, and their tables
// every real server: several times what the slowest takes on a quiet machine.
const steadyLimit = 45 * time.Second

// Up builds a lab, starts everything on its nodes and returns when its directors are at work, or
// have not been for long enough: then it says so and the lab is up all the same. On an error
// nothing is left. The caller closes the lab.
func Up(ctx context.Context, o Options) (*Here, error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	h := &Here{options: o, folder: o.Folder}
	if h.folder == "" {
		var err error
		if h.folder, err = os.MkdirTemp("", "tandem-lab-"); err != nil {
			return nil, fmt.Errorf("bring lab %s up: %w", o.Name, err)
		}
	}
	if err := h.build(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("bring lab %s up: %w", o.Name, err), h.Close())
	}
	h.since = time.Now()
	return h, nil
}

func (h *Here) build(ctx context.Context) error {
	var err error
	logs := lab.Options{LogDir: filepath.Join(h.folder, "logs")}
	if h.lab, err = lab.Up(ctx, h.options.Topology, logs); err != nil {
		return err
	}
	if err := scenarios.Equip(ctx, h.lab, h.options.Director, h.folder, nil); err != nil {
		return err
	}
	if err := scenarios.StartUnits(ctx, h.lab); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, steadyLimit)
	defer cancel()
	if err := h.awaitSteady(limited); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h.options.Say(fmt.Sprintf("not at work after %s: %v; `tandem lab log NODE` shows what the "+
			"directors say", steadyLimit, err))
	}
	return nil
}

// steadyPoll is how often a lab is looked at that comes up: IPVS sends no events.
const steadyPoll = 100 * time.Millisecond

// awaitSteady waits until one director has every VIP, and every director every real server.
func (h *Here) awaitSteady(ctx context.Context) error {
	poll := time.NewTicker(steadyPoll)
	defer poll.Stop()
	for {
		missing, err := h.missing(ctx)
		if err != nil || missing == "" {
			return err
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return errors.New(missing)
		}
	}
}

// missing says what the lab lacks to be at work; empty: nothing.
func (h *Here) missing(ctx context.Context) (string, error) {
	vips, err := h.vips()
	if err != nil {
		return "", err
	}
	for _, v := range vips {
		if len(v.Holders) != 1 {
			return fmt.Sprintf("VIP %s is on %s", v.Address, either(strings.Join(v.Holders, " and "),
				"no director")), nil
		}
	}
	want := 0
	for _, s := range h.lab.Topology().Services {
		want += len(s.RealServers)
	}
	tables, err := h.tables(ctx)
	for _, t := range tables {
		have := 0
		for _, s := range t.Services {
			for _, d := range s.Servers {
				if d.Weight > 0 {
					have++
				}
			}
		}
		if have < want {
			return fmt.Sprintf("%s has %d of %d real servers in its table", t.Node, have, want), err
		}
	}
	return "", err
}

// either is the first string that is not empty.
func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Log implements Lab.
func (h *Here) Log(_ context.Context, r LogRequest) ([]string, error) {
	n, err := h.node(r.Node)
	if err != nil {
		return nil, err
	}
	return n.Tail(r.Lines), nil
}

// node returns the node of a name.
func (h *Here) node(name string) (*lab.Node, error) {
	if n, ok := h.lab.Node(name); ok {
		return n, nil
	}
	return nil, failure(Usage, "find node %q: the lab has %s", name,
		strings.Join(nodeNames(h.lab.Topology()), ", "))
}

func nodeNames(t topology.Topology) []string {
	var names []string
	for _, n := range t.Nodes {
		names = append(names, n.Name)
	}
	return names
}

// Close takes the lab down: every process on its nodes ends, its namespaces go, a folder of its own
// is removed. Faults go with it unhealed. It is called when nothing else is being done with the
// lab.
func (h *Here) Close() error {
	for _, f := range h.faults {
		f.forget()
	}
	var errs []error
	if h.lab != nil {
		errs = append(errs, h.lab.Close())
	}
	if h.options.Folder == "" {
		errs = append(errs, os.RemoveAll(h.folder))
	}
	return errors.Join(errs...)
}
