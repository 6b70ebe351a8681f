// Package bench measures a director side by side with another one, in one run: what faults cost
// the clients, on virtual time, and what it takes of this machine. It knows directors as programs
// with a configuration file, never from the inside, and judges nothing but the promises of Targets.
package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/scenarios"
)

// Part is one thing to measure. The zero Part is unset.
type Part int

// The parts, in the order in which they are measured and shown.
const (
	// OutagePart: what faults of the master cost, on virtual time.
	OutagePart Part = iota + 1
	// LoadPart: processor and memory, on this kernel, as the following.
	LoadPart
	// TakeoverPart: how long the backup takes to become master of many instances.
	TakeoverPart
	// StartPart: how long the first adverts take.
	StartPart
)

// Parts are all parts.
func Parts() []Part { return []Part{OutagePart, LoadPart, TakeoverPart, StartPart} }

// String returns the part's name, for example "outage".
func (p Part) String() string {
	switch p {
	case OutagePart:
		return "outage"
	case LoadPart:
		return "load"
	case TakeoverPart:
		return "takeover"
	case StartPart:
		return "start"
	}
	return fmt.Sprintf("Part(%d)", int(p))
}

// ParsePart returns the part of that name.
func ParsePart(name string) (Part, error) {
	var names []string
	for _, p := range Parts() {
		if p.String() == name {
			return p, nil
		}
		names = append(names, p.String())
	}
	return 0, fmt.Errorf("parse part %q: want one of %s", name, strings.Join(names, ", "))
}

// Options say what to measure.
type Options struct {
	// Directors are the programs: the first is the one that makes promises, a second one, if there
	// is any, that which it is compared with.
	Directors []scenarios.Director
	// Parts are what is measured; nil: everything.
	Parts []Part
	// Progress is told what is being measured, also from several goroutines; nil: nobody is.
	Progress func(text string)
}

// The sizes of the measurements on this kernel.
const (
	fewInstances  = 1
	someInstances = 100
	manyInstances = 1000
)

// round is one size of a measurement and how often it is made with each director. What counts is
// the median.
type round struct{ instances, times int }

func loadRounds() []round {
	return []round{{fewInstances, 1}, {someInstances, 1}, {manyInstances, 3}}
}

func startRounds() []round { return []round{{fewInstances, 5}, {manyInstances, 3}} }

// Run measures. What cannot be measured is a line of Results.Problems; the error says that the
// context has ended. When Run returns, nothing that it started is left.
func Run(ctx context.Context, o Options) (Results, error) {
	if len(o.Directors) == 0 || len(o.Directors) > 2 {
		return Results{}, fmt.Errorf("bench: %d directors: want 1 or 2", len(o.Directors))
	}
	if o.Parts == nil {
		o.Parts = Parts()
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	r := &runner{options: o}
	r.results.Started = time.Now().UTC()
	r.results.Kernel, r.results.CPUs = release(), runtime.NumCPU()
	for _, d := range o.Directors {
		r.results.Directors = append(r.results.Directors, d.Name)
	}
	measure := map[Part]func(context.Context){OutagePart: r.outages, LoadPart: r.loads,
		TakeoverPart: r.takeovers, StartPart: r.starts}
	for _, p := range Parts() {
		if slices.Contains(o.Parts, p) && ctx.Err() == nil {
			measure[p](ctx)
		}
	}
	r.results.Length = time.Since(r.results.Started)
	r.results.Targets = Targets(&r.results)
	if ctx.Err() != nil {
		return r.results, fmt.Errorf("bench: %w", context.Cause(ctx))
	}
	return r.results, nil
}

func release() string {
	var u unix.Utsname
	_ = unix.Uname(&u) // it fails on a bad pointer only
	return unix.ByteSliceToString(u.Release[:])
}

// runner is one Run.
type runner struct {
	options Options

	mu      sync.Mutex // guards results while several guests run
	results Results
}

func (r *runner) say(format string, args ...any) {
	r.options.Progress(fmt.Sprintf(format, args...))
}

// problem notes that something could not be measured. That the context has ended Run says itself.
func (r *runner) problem(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	text := fmt.Sprintf("%s: %v", what, err)
	r.mu.Lock()
	r.results.Problems = append(r.results.Problems, text)
	r.mu.Unlock()
	r.say("%s", text)
}

// outages measures every case with every director, as many at once as there are processors: what
// one guest does on virtual time depends on none of the others.
func (r *runner) outages(ctx context.Context) {
	if _, err := kernel.FindVirtualImage(); err != nil {
		r.problem(ctx, "outages", err)
		return
	}
	var orders []OutageOrder
	for _, advert := range Intervals() {
		for _, c := range Cases() {
			for _, d := range r.options.Directors {
				orders = append(orders, OutageOrder{c, advert, d})
			}
		}
	}
	found := make([]*OutageResult, len(orders))
	slots := make(chan struct{}, runtime.NumCPU())
	var running sync.WaitGroup
	for i, o := range orders {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-slots }()
			what := fmt.Sprintf("outage of %s, %s, adverts of %s", o.Director.Name, o.Case.Name,
				o.Advert)
			r.say("[%d/%d] %s", i+1, len(orders), what)
			out, err := measureOutage(ctx, o)
			if err != nil {
				r.problem(ctx, what, err)
				return
			}
			found[i] = &OutageResult{Director: o.Director.Name, Case: o.Case.Name,
				Advert: o.Advert, Outage: out}
		})
	}
	running.Wait()
	for _, f := range found {
		if f != nil {
			r.results.Outages = append(r.results.Outages, *f)
		}
	}
}

// errNotRoot is why nothing is measured on this kernel.
var errNotRoot = errors.New("network namespaces of this kernel need root")

// each measures sizes with every director in turn, so that what the machine does besides strikes
// all alike, and hands on what was measured for each size and director.
func each[T any](
	ctx context.Context, r *runner, what string, rounds []round,
	measure func(context.Context, scenarios.Director, int) (T, error),
	done func(d scenarios.Director, instances int, all []T),
) {
	if os.Geteuid() != 0 {
		r.problem(ctx, what, errNotRoot)
		return
	}
	for _, size := range rounds {
		all := make([][]T, len(r.options.Directors))
		for i := range size.times {
			for j, d := range r.options.Directors {
				if ctx.Err() != nil {
					return
				}
				text := fmt.Sprintf("%s of %s, %d instances", what, d.Name, size.instances)
				r.say("[%d/%d] %s", i+1, size.times, text)
				one, err := measure(ctx, d, size.instances)
				if err != nil {
					r.problem(ctx, text, err)
					continue
				}
				all[j] = append(all[j], one)
			}
		}
		for j, d := range r.options.Directors {
			if len(all[j]) > 0 {
				done(d, size.instances, all[j])
			}
		}
	}
}

func (r *runner) loads(ctx context.Context) {
	measure := func(ctx context.Context, d scenarios.Director, instances int) (PairLoad, error) {
		return measureLoad(ctx, d, instances, loadTime)
	}
	each(ctx, r, "load", loadRounds(), measure,
		func(d scenarios.Director, instances int, all []PairLoad) {
			r.results.Loads = append(r.results.Loads, LoadResult{Director: d.Name,
				Instances: instances, Rounds: len(all), PairLoad: medianLoad(all)})
		})
}

func (r *runner) takeovers(ctx context.Context) {
	each(ctx, r, "takeover", []round{{manyInstances, 1}}, measureTakeover,
		func(d scenarios.Director, instances int, all []Takeover) {
			r.results.Takeovers = append(r.results.Takeovers, TakeoverResult{Director: d.Name,
				Instances: instances, Takeover: all[0]})
		})
}

func (r *runner) starts(ctx context.Context) {
	each(ctx, r, "start", startRounds(), measureStart,
		func(d scenarios.Director, instances int, all []Start) {
			r.results.Starts = append(r.results.Starts, StartResult{Director: d.Name,
				Instances: instances, Rounds: len(all), Start: Start{
					First: median(all, func(s Start) time.Duration { return s.First }),
					Last:  median(all, func(s Start) time.Duration { return s.Last }),
				}})
		})
}
