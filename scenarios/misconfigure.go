package scenarios

import (
	"context"
	"fmt"
	"os"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// Misconfigure stops a director, gives it a configuration whose part on VRRP is another one than
// its partner's, and starts it again. It is a fault; its heal does the same with the configuration
// of the scenario.
type Misconfigure struct {
	// Target is as of Inject, without anything behind the node.
	Target string
	// Name is what the fault is called, for example "other-interval".
	Name string
	VRRP topology.VRRP
}

func (s Misconfigure) String() string { return fmt.Sprintf("inject %s on %s", s.Name, s.Target) }

func (s Misconfigure) do(ctx context.Context, r *run) error {
	name, err := r.resolve(s.Target)
	if err != nil {
		return err
	}
	n, ok := r.lab.Node(name)
	if !ok {
		return fmt.Errorf("misconfigure: there is no node %s", name)
	}
	other := r.scenario.Topology
	other.VRRP = s.VRRP
	ev := reports.Event{Kind: reports.FaultInject, Node: name, Subject: s.Name}
	r.event(ev)
	heal := func(ctx context.Context) error { return r.restartWith(ctx, n, r.scenario.Topology) }
	r.mu.Lock()
	r.heals = append(r.heals, &pendingHeal{[]reports.Event{ev}, []faults.Heal{heal}})
	r.mu.Unlock()
	if err := r.restartWith(ctx, n, other); err != nil {
		return err
	}
	ev.Kind = reports.FaultHold
	r.event(ev)
	return nil
}

// restartWith starts a director anew with the configuration that a topology means.
func (r *run) restartWith(ctx context.Context, n *lab.Node, t topology.Topology) error {
	stop, err := faults.New(faults.DirectorTerminated, n.Name(), nil)
	if err != nil {
		return err
	}
	start, err := stop.Inject(ctx, r.lab)
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.configFile(n), []byte(Config(t, n.Spec())), 0o644); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return start(ctx)
}
