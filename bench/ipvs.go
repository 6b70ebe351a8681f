package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/scenarios"
)

// IPVSPart is one thing to measure of virtual services. The zero IPVSPart is unset.
type IPVSPart int

// The parts, in the order in which they are measured and shown.
const (
	// TablePart: how long a start and a reload take until the kernel's table is as configured, and
	// the memory some seconds later.
	TablePart IPVSPart = iota + 1
	// LargestPart: the same start of a very large configuration.
	LargestPart
	// ChecksPart: what health checks cost, and how even they are.
	ChecksPart
	// FailurePart: how soon a real server that fails is out of the table.
	FailurePart
)

// IPVSParts are all parts.
func IPVSParts() []IPVSPart {
	return []IPVSPart{TablePart, LargestPart, ChecksPart, FailurePart}
}

// String returns the part's name, for example "table".
func (p IPVSPart) String() string {
	switch p {
	case TablePart:
		return "table"
	case LargestPart:
		return "largest"
	case ChecksPart:
		return "checks"
	case FailurePart:
		return "failure"
	}
	return fmt.Sprintf("IPVSPart(%d)", int(p))
}

// ParseIPVSPart returns the part of that name.
func ParseIPVSPart(name string) (IPVSPart, error) {
	var names []string
	for _, p := range IPVSParts() {
		if p.String() == name {
			return p, nil
		}
		names = append(names, p.String())
	}
	return 0, fmt.Errorf("parse part %q: want one of %s", name, strings.Join(names, ", "))
}

// IPVSOptions say what to measure.
type IPVSOptions struct {
	// Directors are as in Options.
	Directors []scenarios.Director
	// Parts are what is measured; nil: everything.
	Parts []IPVSPart
	// Progress is told what is being measured; nil: nobody is.
	Progress func(text string)
}

// IPVSOrder is what one guest measures of virtual services: a part with directors in turn.
type IPVSOrder struct {
	Part      IPVSPart
	Directors []scenarios.Director
	// Virtual asks for virtual time.
	Virtual bool
}

// Time is the clock that the part is measured on.
func (o IPVSOrder) Time() kernel.Time {
	if o.Virtual {
		return kernel.VirtualTime
	}
	return kernel.RealTime
}

// CarryOutIPVSName is the subcommand of `tandem bench` by which a guest measures a part: its one
// argument is an IPVSOrder as JSON, and its output IPVSResults of which only the figures and
// Problems are set.
const CarryOutIPVSName = "carry-out-ipvs"

// RunIPVS measures, each part in guest kernels of its own: on real time but for FailurePart, which
// is on virtual time too where there is such a kernel. What cannot be measured is a line of
// IPVSResults.Problems; the error says that the context has ended.
func RunIPVS(ctx context.Context, o IPVSOptions) (IPVSResults, error) {
	if len(o.Directors) == 0 || len(o.Directors) > 2 {
		return IPVSResults{}, fmt.Errorf("bench: %d directors: want 1 or 2", len(o.Directors))
	}
	if o.Parts == nil {
		o.Parts = IPVSParts()
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	r := IPVSResults{Started: time.Now().UTC()}
	for _, d := range o.Directors {
		r.Directors = append(r.Directors, d.Name)
	}
	for _, p := range IPVSParts() {
		if !slices.Contains(o.Parts, p) {
			continue
		}
		r.order(ctx, o, IPVSOrder{p, o.Directors, false})
		if p == FailurePart {
			r.order(ctx, o, IPVSOrder{p, o.Directors, true})
		}
	}
	r.Length = time.Since(r.Started)
	r.Targets = IPVSTargets(&r)
	if ctx.Err() != nil {
		return r, fmt.Errorf("bench: %w", context.Cause(ctx))
	}
	return r, nil
}

// order has a guest measure, and takes over what it has found.
func (r *IPVSResults) order(ctx context.Context, o IPVSOptions, order IPVSOrder) {
	if ctx.Err() != nil {
		return
	}
	found, err := orderIPVS(ctx, order, &lineWriter{to: o.Progress})
	if err != nil && ctx.Err() == nil {
		found.Problems = append(found.Problems,
			fmt.Sprintf("%s on %s time: %v", order.Part, order.Time(), err))
	}
	r.Problems = append(r.Problems, found.Problems...)
	r.Tables = append(r.Tables, found.Tables...)
	r.Checks = append(r.Checks, found.Checks...)
	r.Failures = append(r.Failures, found.Failures...)
	if found.Kernel != "" && !order.Virtual {
		r.Kernel = found.Kernel
	}
}

// orderIPVS boots a guest that measures. What it says of its progress goes to progress.
func orderIPVS(
	ctx context.Context, o IPVSOrder, progress *lineWriter,
) (IPVSResults, error) {
	argument, err := json.Marshal(o)
	if err != nil {
		return IPVSResults{}, fmt.Errorf("encode order: %w", err)
	}
	var stdout bytes.Buffer
	status, err := kernel.Guest{
		Time: o.Time(), Seed: 1, Args: []string{"bench", CarryOutIPVSName, string(argument)},
		Env: guestEnv, Stdout: &stdout, Stderr: progress,
	}.Run(ctx)
	if err != nil {
		return IPVSResults{}, err
	}
	if status != 0 {
		return IPVSResults{}, errors.New(progress.last)
	}
	var found IPVSResults
	if err := json.Unmarshal(stdout.Bytes(), &found); err != nil {
		return IPVSResults{}, fmt.Errorf("decode results: %w", err)
	}
	return found, nil
}

// lineWriter hands on what is written to it line by line.
type lineWriter struct {
	to   func(line string)
	part []byte
	last string
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.part = append(w.part, b...)
	for {
		line, rest, whole := bytes.Cut(w.part, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		w.last, w.part = string(line), rest
		w.to(w.last)
	}
}
