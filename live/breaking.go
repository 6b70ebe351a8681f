package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab/kernel"
)

// active is a fault that holds.
type active struct {
	Fault
	heals []faults.Heal
	timer *time.Timer // that heals it; nil: none does
}

// forget leaves a fault to the end of the lab.
func (f *active) forget() {
	if f.timer != nil {
		f.timer.Stop()
	}
}

// heal heals all that it struck, at once.
func (f *active) heal(ctx context.Context) error {
	return atOnce(len(f.heals), func(i int) error { return f.heals[i](ctx) })
}

// atOnce does things at the same time and returns what went wrong.
func atOnce(n int, do func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// healLimit is how long a heal may take.
const healLimit = 30 * time.Second

// active are the faults that hold, the oldest first.
func (h *Here) active() []Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := []Fault{}
	for _, f := range h.faults {
		all = append(all, f.Fault)
	}
	return all
}

// KindNames are those of the kinds of faults.
func KindNames() []string {
	var names []string
	for _, k := range faults.Kinds() {
		names = append(names, k.String())
	}
	return names
}

// Inject implements Lab. A fault on several targets strikes all or none.
func (h *Here) Inject(ctx context.Context, r InjectRequest) (Fault, error) {
	if r.For < 0 {
		return Fault{}, failure(Usage, "inject %s for %s: want a time to come", r.Kind, r.For)
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	f, all, err := h.plan(r)
	if err != nil {
		return Fault{}, err
	}
	f.heals = make([]faults.Heal, len(all))
	err = atOnce(len(all), func(i int) (err error) {
		f.heals[i], err = all[i].Inject(ctx, h.lab)
		return err
	})
	if err != nil {
		f.heals = slices.DeleteFunc(f.heals, func(heal faults.Heal) bool { return heal == nil })
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), healLimit)
		defer cancel()
		return Fault{}, &Failure{Failed, errors.Join(err, f.heal(undo)).Error()}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	f.ID, f.Since = h.last, time.Now()
	if r.For > 0 {
		f.Heals = f.Since.Add(r.For)
		f.timer = time.AfterFunc(r.For, func() { h.expire(f) })
	}
	h.faults = append(h.faults, f)
	return f.Fault, nil
}

// plan finds out what to inject.
func (h *Here) plan(r InjectRequest) (*active, []faults.Fault, error) {
	name, err := Match("inject fault", r.Kind, KindNames())
	if err != nil {
		return nil, nil, err
	}
	kind, err := faults.ParseKind(name)
	if err != nil {
		return nil, nil, err
	}
	vips, err := h.vips()
	if err != nil {
		return nil, nil, err
	}
	targets, err := Select(h.lab.Topology(), vips, r.Target)
	if err != nil {
		return nil, nil, err
	}
	var all []faults.Fault
	for _, target := range targets {
		f, err := faults.New(kind, target, r.Settings)
		if err != nil {
			return nil, nil, &Failure{Usage, err.Error()}
		}
		if err := h.lacks(f); err != nil {
			return nil, nil, err
		}
		all = append(all, f)
	}
	return &active{Fault: Fault{Kind: name, Targets: targets, Settings: r.Settings}}, all, nil
}

// lacks returns what this kernel lacks for a fault.
func (h *Here) lacks(f faults.Fault) error {
	needs := f.Needs()
	if len(needs) == 0 {
		return nil
	}
	var lack []string
	for _, finding := range kernel.Probe(needs) {
		if !finding.OK {
			lack = append(lack, fmt.Sprintf("%s (%s)", finding.Name, finding.Reason))
		}
	}
	if lack == nil {
		return nil
	}
	remedy := ""
	if h.options.Kernel == OnHost {
		remedy = "; bring the lab up in a guest kernel: `tandem lab up --kernel uml`"
	}
	return failure(Lacks, "inject %s: the lab's kernel lacks %s%s", f, strings.Join(lack, ", "),
		remedy)
}

// Heal implements Lab. A fault whose heal fails stays, and may be healed again.
func (h *Here) Heal(ctx context.Context, r HealRequest) ([]Fault, error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	h.mu.Lock()
	holding := slices.Clone(h.faults)
	h.mu.Unlock()
	if r.ID != 0 {
		holding = slices.DeleteFunc(holding, func(f *active) bool { return f.ID != r.ID })
		if len(holding) == 0 {
			return nil, failure(Usage, "heal fault %d: it does not hold: `tandem fault list` lists "+
				"those that do", r.ID)
		}
	}
	healed := []Fault{}
	var errs []error
	for _, f := range slices.Backward(holding) {
		if err := h.heal(ctx, f); err != nil {
			errs = append(errs, err)
			continue
		}
		healed = append(healed, f.Fault)
	}
	if err := errors.Join(errs...); err != nil {
		return healed, &Failure{Failed, err.Error()}
	}
	return healed, nil
}

// expire heals a fault whose time is over.
func (h *Here) expire(f *active) {
	h.changing.Lock()
	defer h.changing.Unlock()
	h.mu.Lock()
	holds := slices.Contains(h.faults, f)
	h.mu.Unlock()
	if !holds {
		return
	}
	what := fmt.Sprintf("fault %d, %s %s", f.ID, f.Kind, strings.Join(f.Targets, ", "))
	if err := h.heal(context.Background(), f); err != nil {
		h.options.Say(fmt.Sprintf("%s, did not heal: %v", what, err))
		return
	}
	h.options.Say("healed " + what)
}

// heal heals a fault that holds. The caller is the one who changes.
func (h *Here) heal(ctx context.Context, f *active) error {
	f.forget()
	ctx, cancel := context.WithTimeout(ctx, healLimit)
	defer cancel()
	err := f.heal(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		f.Heals, f.Problem = time.Time{}, err.Error()
		return err
	}
	h.faults = slices.DeleteFunc(h.faults, func(o *active) bool { return o == f })
	return nil
}
