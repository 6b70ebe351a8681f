package scenarios

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// Rearrange has every director load a configuration in which the first service has other real
// servers, and waits until their kernels' tables are so. Connections of Calls that are open to a real
// server that leaves are closed first.
type Rearrange struct {
	// What says what becomes of whom, for example "web2 drains".
	What    string
	Servers []topology.Destination
}

// rearrangeLimit is how long a table may take: a director may look every second whether those who
// leave have connections, and check those that come.
const rearrangeLimit = 10 * time.Second

// rearrangeStep begins the name of the step.
const rearrangeStep = "rearrange: "

func (s Rearrange) String() string { return rearrangeStep + s.What }

func (s Rearrange) do(ctx context.Context, r *run) error {
	t := r.scenario.Topology.Clone()
	if len(t.Services) == 0 {
		return fmt.Errorf("%s: the topology has no virtual service", s)
	}
	for _, d := range t.Services[0].RealServers {
		if s.has(d.Node) {
			continue
		}
		for _, c := range r.callers {
			if err := c.leave(ctx, d.Node); err != nil {
				return err
			}
		}
	}
	t.Services[0].RealServers = s.Servers
	for _, n := range r.lab.NodesOf(topology.Director) {
		if err := r.load(n, configWith(t, n.Spec(), r.scenario.Globals), false); err != nil {
			return err
		}
	}
	return Await{Condition: arranged{t}, Limit: rearrangeLimit}.do(ctx, r)
}

// has says whether a real server is among those that there shall be.
func (s Rearrange) has(node string) bool {
	return slices.ContainsFunc(s.Servers, func(d topology.Destination) bool { return d.Node == node })
}

// arranged holds when the table of every director has, for the first service of a topology, its real
// servers with their weights and no others.
type arranged struct{ topology topology.Topology }

func (arranged) String() string { return "the table as configured" }

func (c arranged) wait(ctx context.Context, r *run) error {
	for _, n := range r.lab.NodesOf(topology.Director) {
		if err := c.waitFor(ctx, r, n); err != nil {
			return err
		}
	}
	return nil
}

func (c arranged) waitFor(ctx context.Context, r *run, n *lab.Node) error {
	want := serversOf(c.topology)
	for poll := time.Millisecond; ; poll = min(2*poll, tablePoll) {
		if err := r.tables.Look(); err != nil {
			return err
		}
		table, err := reports.ParseTable(r.tables.Last(n.Name()))
		if err != nil {
			return err
		}
		have, _ := table.Service(serviceName(c.topology, c.topology.Services[0]))
		if slices.Equal(have.Servers, want) {
			return nil
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return fmt.Errorf("await %v in the table of %s, it has %v: %w", want, n, have.Servers,
				context.Cause(ctx))
		}
	}
}

// serversOf are the real servers of the first service of a topology as a table has them.
func serversOf(t topology.Topology) []reports.TableServer {
	var all []reports.TableServer
	for _, d := range t.Services[0].RealServers {
		all = append(all, reports.TableServer{Addr: addressOf(t, d), Weight: d.Weight})
	}
	slices.SortFunc(all, func(a, b reports.TableServer) int { return a.Addr.Compare(b.Addr) })
	return all
}
